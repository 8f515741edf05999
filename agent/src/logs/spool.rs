//! The chunks of one attempt on disk, numbered from 1, and how far a coordinator has them.
//!
//! One file: a header that names the attempt, then one record per chunk. It is only appended to,
//! so what a killed agent left can be read back up to the first incomplete record. It is not
//! synced: after a loss of power the output of what ran then is not worth the wait. Only a last
//! word that the disk did not take is kept in memory. Invariant: chunks have no gaps in their
//! numbers, so what cannot be read back is replaced by a chunk that says so.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use postq_proto::v1;
use prost::Message;
use tokio::sync::Notify;
use tracing::warn;

use super::{budget::Budget, tail::Tail};

const RECORD_HEAD: usize = 5;

/// Where a chunk comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Stream {
    /// Standard output.
    Stdout = 1,
    /// Standard error.
    Stderr = 2,
    /// The agent's own word.
    System = 3,
}

impl Stream {
    fn from_byte(byte: u8) -> Option<Self> {
        [Self::Stdout, Self::Stderr, Self::System].into_iter().find(|&stream| stream as u8 == byte)
    }

    /// As the protocol says it.
    pub(super) fn to_proto(self) -> v1::read_logs_response::Stream {
        match self {
            Self::Stdout => v1::read_logs_response::Stream::Stdout,
            Self::Stderr => v1::read_logs_response::Stream::Stderr,
            Self::System => v1::read_logs_response::Stream::System,
        }
    }
}

#[derive(Clone, Debug)]
enum Place {
    /// Here in the file.
    Disk(u64),
    Memory(Vec<u8>),
}

#[derive(Clone, Debug)]
struct Position {
    place: Place,
    length: u32,
    stream: Stream,
}

#[derive(Debug, Default)]
struct State {
    chunks: Vec<Position>,
    end: u64,
    /// Sent on the current connection.
    sent: usize,
    /// Stored by a coordinator.
    acked: usize,
    unacked_bytes: u64,
    /// What the budget knows of it.
    counted: u64,
    /// Nothing more is added, so it shrinks no more but goes as a whole.
    is_closed: bool,
    /// Nobody needs it once everything is stored.
    is_released: bool,
    /// Somebody was told that it cannot be read.
    is_unreadable: bool,
}

/// A chunk read back.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Chunk {
    /// From 1.
    pub(super) number: i64,
    pub(super) stream: Stream,
    pub(super) data: Vec<u8>,
}

/// The chunks of one attempt.
#[derive(Debug)]
pub(super) struct Spool {
    pub(super) of: v1::Held,
    path: PathBuf,
    /// None: the disk took none.
    file: Option<File>,
    budget: Arc<Budget>,
    state: Mutex<State>,
    /// Rings at every acknowledgement.
    acknowledged: Notify,
}

impl Spool {
    /// A new file, replacing what an attempt of the same number may have left.
    pub(super) fn create(path: &Path, of: v1::Held, budget: Arc<Budget>) -> io::Result<Self> {
        let file = File::options().read(true).write(true).create(true).truncate(true).open(path)?;
        let header = of.encode_length_delimited_to_vec();
        if let Err(error) = file.write_all_at(&header, 0) {
            let _ = fs::remove_file(path);
            return Err(error);
        }
        let state = State { end: header.len() as u64, ..State::default() };
        Ok(Self::from_parts(path, of, Some(file), budget, state))
    }

    /// One without a file, for the last word of an attempt whose output the disk did not take.
    pub(super) fn in_memory(path: &Path, of: v1::Held, budget: Arc<Budget>) -> Self {
        Self::from_parts(path, of, None, budget, State::default())
    }

    /// Reads back what an earlier life of the agent wrote. Nothing of it counts as acknowledged.
    pub(super) fn open(path: &Path, budget: Arc<Budget>) -> io::Result<Self> {
        let bytes = fs::read(path)?;
        let mut rest = bytes.as_slice();
        let of = v1::Held::decode_length_delimited(&mut rest)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        let end = (bytes.len() - rest.len()) as u64;
        let mut state = State { end, is_closed: true, ..State::default() };
        while let Some((offset, length, stream)) = next_record(&bytes, state.end) {
            state.end = offset + u64::from(length);
            state.unacked_bytes += u64::from(length);
            state.chunks.push(Position { place: Place::Disk(offset), length, stream });
        }
        let file = File::options().read(true).write(true).open(path)?;
        file.set_len(state.end)?;
        let spool = Self::from_parts(path, of, Some(file), budget, state);
        spool.count(&mut spool.state());
        Ok(spool)
    }

    fn from_parts(
        path: &Path,
        of: v1::Held,
        file: Option<File>,
        budget: Arc<Budget>,
        state: State,
    ) -> Self {
        let (path, acknowledged) = (path.to_owned(), Notify::new());
        Self { of, path, file, budget, state: Mutex::new(state), acknowledged }
    }

    /// Adds chunks, all or none. Blocks on the disk. A failed append leaves no trace.
    pub(super) fn append(&self, chunks: &[(Stream, &[u8])]) -> io::Result<()> {
        let file = self.file.as_ref().ok_or(io::ErrorKind::NotFound)?;
        let start = self.state().end;
        let (mut records, mut positions) = (Vec::new(), Vec::new());
        for &(stream, data) in chunks {
            let length = u32::try_from(data.len())
                .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "chunk too long"))?;
            records.extend_from_slice(&length.to_le_bytes());
            records.push(stream as u8);
            let place = Place::Disk(start + records.len() as u64);
            positions.push(Position { place, length, stream });
            records.extend_from_slice(data);
        }
        if let Err(error) = file.write_all_at(&records, start) {
            // A part that was written must not be taken for a record later.
            let _ = file.set_len(start);
            return Err(error);
        }
        self.add(positions, records.len() as u64);
        Ok(())
    }

    /// Adds a short chunk that the disk does not take.
    pub(super) fn append_in_memory(&self, stream: Stream, data: &[u8]) {
        let length = u32::try_from(data.len()).expect("invariant: it is short");
        let place = Place::Memory(data.to_vec());
        self.add(vec![Position { place, length, stream }], 0);
    }

    fn add(&self, positions: Vec<Position>, bytes: u64) {
        let mut state = self.state();
        state.end += bytes;
        state.unacked_bytes += positions.iter().map(|it| u64::from(it.length)).sum::<u64>();
        state.chunks.extend(positions);
        self.count(&mut state);
    }

    /// Nothing more will be added.
    pub(super) fn close(&self) {
        let mut state = self.state();
        state.is_closed = true;
        self.count(&mut state);
    }

    /// More will be added after all.
    pub(super) fn reopen(&self) {
        let mut state = self.state();
        state.is_closed = false;
        self.count(&mut state);
    }

    /// How much its chunks hold, in bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.state().chunks.iter().map(|position| u64::from(position.length)).sum()
    }

    /// Tells the budget what it counts for: what waits, and once closed all of the file, which
    /// goes only as a whole.
    fn count(&self, state: &mut State) {
        let now = if state.is_closed { state.end } else { state.unacked_bytes };
        self.budget.change(std::mem::replace(&mut state.counted, now), now);
    }

    /// The next chunk that was not sent on this connection, which then counts as sent. Blocks on
    /// the disk.
    pub(super) fn next_unsent(&self) -> Option<Chunk> {
        let (number, position) = {
            let mut state = self.state();
            let position = state.chunks.get(state.sent)?.clone();
            state.sent += 1;
            (i64::try_from(state.sent).unwrap_or(i64::MAX), position)
        };
        let length = position.length;
        match self.read(&position) {
            Ok(data) => Some(Chunk { number, stream: position.stream, data }),
            Err(error) => {
                let is_known = std::mem::replace(&mut self.state().is_unreadable, true);
                if !is_known {
                    let attempt = self.of.attempt;
                    warn!(attempt.id = attempt, %error, "output cannot be read back and is lost");
                }
                let marker = missing(u64::from(length), &error.to_string());
                Some(Chunk { number, stream: Stream::System, data: marker.into_bytes() })
            }
        }
    }

    fn read(&self, position: &Position) -> io::Result<Vec<u8>> {
        let (offset, file) = match (&position.place, &self.file) {
            (Place::Memory(data), _) => return Ok(data.clone()),
            (Place::Disk(offset), Some(file)) => (*offset, file),
            (Place::Disk(_), None) => return Err(io::ErrorKind::NotFound.into()),
        };
        let mut data = vec![0; position.length as usize];
        file.read_exact_at(&mut data, offset)?;
        Ok(data)
    }

    /// A new connection knows nothing: what is not acknowledged is sent again.
    pub(super) fn rewind(&self) {
        let mut state = self.state();
        state.sent = state.acked;
    }

    /// Everything up to `number` is stored.
    pub(super) fn acknowledge(&self, number: i64) {
        let mut state = self.state();
        let acked = usize::try_from(number).unwrap_or(0).min(state.chunks.len());
        let newly = state.acked..acked.max(state.acked);
        let bytes: u64 = state.chunks[newly.clone()].iter().map(|p| u64::from(p.length)).sum();
        state.unacked_bytes -= bytes;
        state.acked = newly.end;
        state.sent = state.sent.max(state.acked);
        self.count(&mut state);
        drop(state);
        self.acknowledged.notify_waiters();
    }

    /// Waits until fewer than `limit` bytes are unacknowledged.
    pub(super) async fn has_room(&self, limit: u64) {
        self.wait_until(|state| state.unacked_bytes < limit).await;
    }

    /// Waits until everything is stored.
    pub(super) async fn is_pushed(&self) {
        self.wait_until(|state| state.acked == state.chunks.len()).await;
    }

    async fn wait_until(&self, holds: impl Fn(&State) -> bool) {
        loop {
            let notified = self.acknowledged.notified();
            tokio::pin!(notified);
            notified.as_mut().enable();
            if holds(&self.state()) {
                return;
            }
            notified.await;
        }
    }

    /// How many chunks it has.
    pub(super) fn chunks(&self) -> i64 {
        i64::try_from(self.state().chunks.len()).unwrap_or(i64::MAX)
    }

    /// The last bytes of standard output and of standard error, as far as they can be read. Blocks
    /// on the disk.
    pub(super) fn tails(&self) -> (Vec<u8>, Vec<u8>) {
        let chunks = self.state().chunks.clone();
        let (mut stdout, mut stderr) = (Tail::default(), Tail::default());
        for position in chunks {
            let Ok(data) = self.read(&position) else { continue };
            match position.stream {
                Stream::Stdout => stdout.push(&data),
                Stream::Stderr => stderr.push(&data),
                Stream::System => {}
            }
        }
        (stdout.into_bytes(), stderr.into_bytes())
    }

    /// The attempt is recorded: the file may go when everything is stored.
    pub(super) fn release(&self) {
        self.state().is_released = true;
    }

    /// Whether nobody needs the file any more.
    pub(super) fn is_done(&self) -> bool {
        let state = self.state();
        state.is_released && state.acked == state.chunks.len()
    }

    /// Removes the file. Whoever still waits for an acknowledgement goes on.
    pub(super) fn remove(&self) {
        if self.file.is_some() {
            let _ = fs::remove_file(&self.path);
        }
        self.acknowledge(i64::MAX);
        let counted = std::mem::take(&mut self.state().counted);
        self.budget.change(counted, 0);
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("invariant: nothing panics while it holds this lock")
    }
}

/// The word that stands where output is missing.
pub(super) fn missing(bytes: u64, why: &str) -> String {
    format!("postq: {bytes} bytes of output are missing here: {why}\n")
}

/// Offset, length and stream of the record that begins at `start`.
fn next_record(bytes: &[u8], start: u64) -> Option<(u64, u32, Stream)> {
    let start = usize::try_from(start).ok()?;
    let head = bytes.get(start..start + RECORD_HEAD)?;
    let length = u32::from_le_bytes(head[..4].try_into().ok()?);
    let stream = Stream::from_byte(head[4])?;
    let offset = start + RECORD_HEAD;
    bytes.get(offset..offset + length as usize)?;
    Some((offset as u64, length, stream))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spool() -> (tempfile::TempDir, PathBuf, Spool) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("7");
        let of = v1::Held { attempt: 7, job_id: "job".into(), task: 2 };
        let spool = Spool::create(&path, of, Arc::default()).unwrap();
        (dir, path, spool)
    }

    #[test]
    fn what_is_not_acknowledged_is_sent_again_after_a_rewind() {
        let (_dir, _path, spool) = spool();
        spool.append(&[(Stream::Stdout, b"one")]).unwrap();
        spool.append(&[(Stream::Stderr, b"two")]).unwrap();
        assert_eq!(spool.next_unsent().unwrap().number, 1);
        assert_eq!(spool.next_unsent().unwrap().number, 2);
        assert!(spool.next_unsent().is_none());
        spool.acknowledge(1);
        spool.rewind();
        let again = spool.next_unsent().unwrap();
        assert_eq!(again, Chunk { number: 2, stream: Stream::Stderr, data: b"two".to_vec() });
    }

    #[test]
    fn an_incomplete_record_is_cut_off_when_opened() {
        let (_dir, path, spool) = spool();
        spool.append(&[(Stream::Stdout, b"whole")]).unwrap();
        spool.append(&[(Stream::Stdout, b"half of it")]).unwrap();
        let length = fs::metadata(&path).unwrap().len();
        File::options().write(true).open(&path).unwrap().set_len(length - 1).unwrap();
        let opened = Spool::open(&path, Arc::default()).unwrap();
        assert_eq!((opened.chunks(), opened.of.attempt), (1, 7));
        assert_eq!(opened.tails(), (b"whole".to_vec(), Vec::new()));
        opened.append(&[(Stream::System, b"next")]).unwrap();
        assert_eq!(Spool::open(&path, Arc::default()).unwrap().chunks(), 2);
    }

    #[tokio::test]
    async fn room_comes_with_acknowledgements() {
        let (_dir, _path, spool) = spool();
        spool.append(&[(Stream::Stdout, &[0; 10])]).unwrap();
        spool.append(&[(Stream::Stdout, &[0; 10])]).unwrap();
        let waiting = spool.has_room(20);
        tokio::pin!(waiting);
        assert!(futures::poll!(&mut waiting).is_pending());
        spool.acknowledge(1);
        waiting.await;
        spool.release();
        assert!(!spool.is_done());
        spool.acknowledge(99);
        assert!(spool.is_done());
    }

    #[test]
    fn what_cannot_be_read_back_is_replaced_by_a_chunk_that_says_so() {
        let (_dir, path, spool) = spool();
        spool.append(&[(Stream::Stdout, b"whole"), (Stream::Stdout, b"cut off")]).unwrap();
        let length = fs::metadata(&path).unwrap().len();
        File::options().write(true).open(&path).unwrap().set_len(length - 1).unwrap();
        assert_eq!(spool.next_unsent().unwrap().data, b"whole");
        let instead = spool.next_unsent().unwrap();
        assert_eq!((instead.number, instead.stream), (2, Stream::System));
        let text = String::from_utf8(instead.data).unwrap();
        assert!(text.starts_with("postq: 7 bytes of output are missing here: "), "{text}");
    }

    #[test]
    fn the_budget_knows_what_waits_and_forgets_what_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("7");
        let budget = Arc::<Budget>::default();
        let spool = Spool::create(&path, v1::Held::default(), budget.clone()).unwrap();
        spool.append(&[(Stream::Stdout, &[0; 10])]).unwrap();
        spool.append(&[(Stream::Stdout, &[0; 10])]).unwrap();
        assert!(budget.is_below(21) && !budget.is_below(20));
        spool.acknowledge(1);
        assert!(budget.is_below(11) && !budget.is_below(10));
        spool.close();
        assert!(!budget.is_below(20), "a file goes only as a whole");
        spool.remove();
        assert!(budget.is_below(1));
        spool.remove();
        assert!(budget.is_below(1));
    }
}
