//! The chunks of one attempt on disk, numbered from 1, and how far a coordinator has them.
//!
//! One file: a header that names the attempt, then one record per chunk. It is only appended to,
//! so what a killed agent left can be read back up to the first incomplete record. It is not
//! synced: after a loss of power the output of what ran then is not worth the wait.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::Mutex,
};

use postq_proto::v1;
use prost::Message;
use tokio::sync::Notify;

use super::tail::Tail;

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

#[derive(Clone, Copy, Debug)]
struct Position {
    offset: u64,
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
    /// Nobody needs it once everything is stored.
    is_released: bool,
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
    file: File,
    state: Mutex<State>,
    /// Rings at every acknowledgement.
    acknowledged: Notify,
}

impl Spool {
    /// A new file, replacing what an attempt of the same number may have left.
    pub(super) fn create(path: &Path, of: v1::Held) -> io::Result<Self> {
        let file = File::options().read(true).write(true).create(true).truncate(true).open(path)?;
        let header = of.encode_length_delimited_to_vec();
        file.write_all_at(&header, 0)?;
        let state = State { end: header.len() as u64, ..State::default() };
        Ok(Self::from_parts(path, of, file, state))
    }

    /// Reads back what an earlier life of the agent wrote. Nothing of it counts as acknowledged.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let bytes = fs::read(path)?;
        let mut rest = bytes.as_slice();
        let of = v1::Held::decode_length_delimited(&mut rest)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        let mut state = State { end: (bytes.len() - rest.len()) as u64, ..State::default() };
        while let Some(position) = next_record(&bytes, state.end) {
            state.end = position.offset + u64::from(position.length);
            state.unacked_bytes += u64::from(position.length);
            state.chunks.push(position);
        }
        let file = File::options().read(true).write(true).open(path)?;
        file.set_len(state.end)?;
        Ok(Self::from_parts(path, of, file, state))
    }

    fn from_parts(path: &Path, of: v1::Held, file: File, state: State) -> Self {
        let path = path.to_owned();
        Self { of, path, file, state: Mutex::new(state), acknowledged: Notify::new() }
    }

    /// Adds a chunk. Blocks on the disk. A failed append leaves no trace.
    pub(super) fn append(&self, stream: Stream, data: &[u8]) -> io::Result<()> {
        let length = u32::try_from(data.len())
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "chunk too long"))?;
        let end = self.state().end;
        let mut record = Vec::with_capacity(RECORD_HEAD + data.len());
        record.extend_from_slice(&length.to_le_bytes());
        record.push(stream as u8);
        record.extend_from_slice(data);
        self.file.write_all_at(&record, end)?;
        let mut state = self.state();
        state.end = end + record.len() as u64;
        state.unacked_bytes += u64::from(length);
        state.chunks.push(Position { offset: end + RECORD_HEAD as u64, length, stream });
        Ok(())
    }

    /// The next chunk that was not sent on this connection, which then counts as sent. Blocks on
    /// the disk.
    pub(super) fn next_unsent(&self) -> io::Result<Option<Chunk>> {
        let (number, position) = {
            let mut state = self.state();
            let Some(&position) = state.chunks.get(state.sent) else { return Ok(None) };
            state.sent += 1;
            (state.sent, position)
        };
        let mut data = vec![0; position.length as usize];
        self.file.read_exact_at(&mut data, position.offset)?;
        let number = i64::try_from(number).unwrap_or(i64::MAX);
        Ok(Some(Chunk { number, stream: position.stream, data }))
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

    /// The last bytes of standard output and of standard error. Blocks on the disk.
    pub(super) fn tails(&self) -> io::Result<(Vec<u8>, Vec<u8>)> {
        let chunks = self.state().chunks.clone();
        let (mut stdout, mut stderr) = (Tail::default(), Tail::default());
        for position in chunks {
            let mut data = vec![0; position.length as usize];
            self.file.read_exact_at(&mut data, position.offset)?;
            match position.stream {
                Stream::Stdout => stdout.push(&data),
                Stream::Stderr => stderr.push(&data),
                Stream::System => {}
            }
        }
        Ok((stdout.into_bytes(), stderr.into_bytes()))
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
        let _ = fs::remove_file(&self.path);
        self.acknowledge(i64::MAX);
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("invariant: nothing panics while it holds this lock")
    }
}

fn next_record(bytes: &[u8], start: u64) -> Option<Position> {
    let start = usize::try_from(start).ok()?;
    let head = bytes.get(start..start + RECORD_HEAD)?;
    let length = u32::from_le_bytes(head[..4].try_into().ok()?);
    let stream = Stream::from_byte(head[4])?;
    let offset = start + RECORD_HEAD;
    bytes.get(offset..offset + length as usize)?;
    Some(Position { offset: offset as u64, length, stream })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spool() -> (tempfile::TempDir, PathBuf, Spool) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("7");
        let of = v1::Held { attempt: 7, job_id: "job".into(), task: 2 };
        let spool = Spool::create(&path, of).unwrap();
        (dir, path, spool)
    }

    #[test]
    fn what_is_not_acknowledged_is_sent_again_after_a_rewind() {
        let (_dir, _path, spool) = spool();
        spool.append(Stream::Stdout, b"one").unwrap();
        spool.append(Stream::Stderr, b"two").unwrap();
        assert_eq!(spool.next_unsent().unwrap().unwrap().number, 1);
        assert_eq!(spool.next_unsent().unwrap().unwrap().number, 2);
        assert!(spool.next_unsent().unwrap().is_none());
        spool.acknowledge(1);
        spool.rewind();
        let again = spool.next_unsent().unwrap().unwrap();
        assert_eq!(again, Chunk { number: 2, stream: Stream::Stderr, data: b"two".to_vec() });
    }

    #[test]
    fn an_incomplete_record_is_cut_off_when_opened() {
        let (_dir, path, spool) = spool();
        spool.append(Stream::Stdout, b"whole").unwrap();
        spool.append(Stream::Stdout, b"half of it").unwrap();
        let length = fs::metadata(&path).unwrap().len();
        File::options().write(true).open(&path).unwrap().set_len(length - 1).unwrap();
        let opened = Spool::open(&path).unwrap();
        assert_eq!((opened.chunks(), opened.of.attempt), (1, 7));
        assert_eq!(opened.tails().unwrap(), (b"whole".to_vec(), Vec::new()));
        opened.append(Stream::System, b"next").unwrap();
        assert_eq!(Spool::open(&path).unwrap().chunks(), 2);
    }

    #[tokio::test]
    async fn room_comes_with_acknowledgements() {
        let (_dir, _path, spool) = spool();
        spool.append(Stream::Stdout, &[0; 10]).unwrap();
        spool.append(Stream::Stdout, &[0; 10]).unwrap();
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
}
