//! What a task writes past the head of its output: only the last part of it will be kept, and
//! which part that is shows at the end.
//!
//! It lies in at most two segment files; the older is dropped when the newer holds the whole
//! tail. Invariant: the disk holds at most twice the tail (and one chunk), and what is dropped is
//! counted to the byte.

use std::{
    collections::VecDeque,
    fs::{self, File},
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use super::spool::Stream;

/// What comes one after the other in a segment.
#[derive(Clone, Copy, Debug)]
enum Record {
    /// So many bytes of the file.
    Stored(Stream, u32),
    /// So many bytes that the disk did not take.
    Gap(u64),
}

/// A part of the tail.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    Output(Stream, &'a [u8]),
    /// So many bytes were lost here.
    Gap(u64),
}

#[derive(Debug)]
struct Segment {
    path: PathBuf,
    /// Made when something is to be stored.
    file: Option<File>,
    stored: u64,
    /// With what is missing.
    span: u64,
    records: Vec<Record>,
}

impl Segment {
    fn store(&mut self, stream: Stream, data: &[u8]) -> io::Result<()> {
        let file = match &self.file {
            Some(file) => file,
            None => self.file.insert(
                File::options()
                    .read(true)
                    .write(true)
                    .create(true)
                    .truncate(true)
                    .open(&self.path)?,
            ),
        };
        file.write_all_at(data, self.stored)?;
        self.stored += data.len() as u64;
        let length = u32::try_from(data.len()).expect("invariant: a chunk is small");
        match self.records.last_mut() {
            // Neighbours of one stream are one record, so that memory stays small.
            Some(Record::Stored(last, so_far))
                if *last == stream && so_far.checked_add(length).is_some() =>
            {
                *so_far += length;
            }
            _ => self.records.push(Record::Stored(stream, length)),
        }
        Ok(())
    }

    fn miss(&mut self, bytes: u64) {
        match self.records.last_mut() {
            Some(Record::Gap(so_far)) => *so_far += bytes,
            _ => self.records.push(Record::Gap(bytes)),
        }
    }

    /// Hands over what lies behind the first `skip` bytes; what cannot be read is a gap.
    fn for_each(&self, mut skip: u64, piece: usize, take: &mut impl FnMut(Piece<'_>)) {
        let mut offset = 0;
        for &record in &self.records {
            let length = match record {
                Record::Stored(_, length) => u64::from(length),
                Record::Gap(bytes) => bytes,
            };
            let skipped = skip.min(length);
            skip -= skipped;
            let mut left = length - skipped;
            let Record::Stored(stream, _) = record else {
                take_gap(left, take);
                continue;
            };
            offset += skipped;
            while left > 0 {
                let mut data = vec![0; usize::try_from(left).unwrap_or(piece).min(piece)];
                let read = self.file.as_ref().map(|file| file.read_exact_at(&mut data, offset));
                match read {
                    Some(Ok(())) => take(Piece::Output(stream, &data)),
                    Some(Err(_)) | None => take_gap(data.len() as u64, take),
                }
                offset += data.len() as u64;
                left -= data.len() as u64;
            }
        }
    }
}

fn take_gap(bytes: u64, take: &mut impl FnMut(Piece<'_>)) {
    if bytes > 0 {
        take(Piece::Gap(bytes));
    }
}

/// Collects output of which only the last `limit` bytes will be wanted.
#[derive(Debug)]
pub(super) struct Overflow {
    base: PathBuf,
    limit: u64,
    segments: VecDeque<Segment>,
    made: u64,
    total: u64,
}

impl Overflow {
    /// Files are made beside `base` when they are needed.
    pub(super) fn new(base: &Path, limit: u64) -> Self {
        let base = base.to_owned();
        Self { base, limit, segments: VecDeque::new(), made: 0, total: 0 }
    }

    /// Adds output. Blocks on the disk. What the disk does not take is counted as a gap.
    pub(super) fn push(&mut self, stream: Stream, data: &[u8]) -> io::Result<()> {
        if self.segments.back().is_none_or(|segment| segment.span >= self.limit) {
            self.begin_segment();
        }
        let segment = self.segments.back_mut().expect("invariant: one was just begun");
        let bytes = data.len() as u64;
        self.total += bytes;
        segment.span += bytes;
        let stored = segment.store(stream, data);
        if stored.is_err() {
            segment.miss(bytes);
        }
        stored
    }

    fn begin_segment(&mut self) {
        while self.segments.len() > 1 {
            self.drop_oldest();
        }
        self.made += 1;
        let path = self.base.with_extension(format!("overflow-{}", self.made));
        let records = Vec::new();
        self.segments.push_back(Segment { path, file: None, stored: 0, span: 0, records });
    }

    fn drop_oldest(&mut self) {
        if let Some(segment) = self.segments.pop_front()
            && segment.file.is_some()
        {
            let _ = fs::remove_file(segment.path);
        }
    }

    /// How many bytes are left out before the tail begins.
    pub(super) fn left_out(&self) -> u64 {
        self.total.saturating_sub(self.limit)
    }

    /// Hands the tail to `take` in pieces of at most `piece` bytes. Blocks on the disk.
    pub(super) fn for_each(&self, piece: usize, mut take: impl FnMut(Piece<'_>)) {
        let held: u64 = self.segments.iter().map(|segment| segment.span).sum();
        let mut skip = held.saturating_sub(self.limit);
        for segment in &self.segments {
            segment.for_each(skip, piece, &mut take);
            skip = skip.saturating_sub(segment.span);
        }
    }
}

impl Drop for Overflow {
    fn drop(&mut self) {
        while !self.segments.is_empty() {
            self.drop_oldest();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tail_of(overflow: &Overflow) -> Vec<(Stream, Vec<u8>)> {
        let mut tail: Vec<(Stream, Vec<u8>)> = Vec::new();
        overflow.for_each(3, |piece| {
            let Piece::Output(stream, data) = piece else { panic!("nothing is missing") };
            assert!(data.len() <= 3);
            match tail.last_mut() {
                Some((last, bytes)) if *last == stream => bytes.extend_from_slice(data),
                _ => tail.push((stream, data.to_vec())),
            }
        });
        tail
    }

    #[test]
    fn the_tail_is_exact_to_the_byte_over_both_streams() {
        let dir = tempfile::tempdir().unwrap();
        let mut overflow = Overflow::new(&dir.path().join("7"), 10);
        let mut written = Vec::new();
        for n in 0..100u8 {
            let stream = if n % 3 == 0 { Stream::Stderr } else { Stream::Stdout };
            overflow.push(stream, &[n; 3]).unwrap();
            written.extend([(stream, n); 3]);
        }
        assert_eq!(overflow.left_out(), 290);
        let kept: Vec<(Stream, u8)> = tail_of(&overflow)
            .into_iter()
            .flat_map(|(stream, bytes)| bytes.into_iter().map(move |byte| (stream, byte)))
            .collect();
        assert_eq!(kept, written[290..]);
        assert!(fs::read_dir(dir.path()).unwrap().count() <= 2);
        drop(overflow);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_fits_is_kept_whole() {
        let dir = tempfile::tempdir().unwrap();
        let mut overflow = Overflow::new(&dir.path().join("7"), 10);
        overflow.push(Stream::Stdout, b"0123456789").unwrap();
        assert_eq!(overflow.left_out(), 0);
        assert_eq!(tail_of(&overflow), [(Stream::Stdout, b"0123456789".to_vec())]);
    }

    #[test]
    fn what_the_disk_does_not_take_is_a_gap_of_its_length() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().join("later/7");
        let mut overflow = Overflow::new(&base, 10);
        assert!(overflow.push(Stream::Stdout, b"lost").is_err());
        assert!(overflow.push(Stream::Stderr, b"lost too").is_err());
        fs::create_dir(dir.path().join("later")).unwrap();
        overflow.push(Stream::Stdout, b"kept").unwrap();
        assert_eq!(overflow.left_out(), 6);
        let mut gaps = Vec::new();
        overflow.for_each(100, |piece| match piece {
            Piece::Output(stream, data) => {
                assert_eq!((stream, data), (Stream::Stdout, &b"kept"[..]))
            }
            Piece::Gap(bytes) => gaps.push(bytes),
        });
        assert_eq!(gaps, [6], "of the twelve, six are not in the tail anyway");
    }
}
