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

#[derive(Debug)]
struct Segment {
    path: PathBuf,
    file: File,
    bytes: u64,
    /// Stream and length, in the order of the file.
    records: Vec<(Stream, u32)>,
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

    /// Adds output. Blocks on the disk.
    pub(super) fn push(&mut self, stream: Stream, data: &[u8]) -> io::Result<()> {
        self.total += data.len() as u64;
        if self.segments.back().is_none_or(|segment| segment.bytes >= self.limit) {
            self.begin_segment()?;
        }
        let segment = self.segments.back_mut().expect("invariant: one was just begun");
        segment.file.write_all_at(data, segment.bytes)?;
        segment.bytes += data.len() as u64;
        let length = u32::try_from(data.len()).expect("invariant: a chunk is small");
        match segment.records.last_mut() {
            // Neighbours of one stream are one record, so that memory stays small.
            Some((last, so_far)) if *last == stream && so_far.checked_add(length).is_some() => {
                *so_far += length;
            }
            _ => segment.records.push((stream, length)),
        }
        Ok(())
    }

    fn begin_segment(&mut self) -> io::Result<()> {
        while self.segments.len() > 1 {
            self.drop_oldest();
        }
        self.made += 1;
        let path = self.base.with_extension(format!("overflow-{}", self.made));
        let file =
            File::options().read(true).write(true).create(true).truncate(true).open(&path)?;
        self.segments.push_back(Segment { path, file, bytes: 0, records: Vec::new() });
        Ok(())
    }

    fn drop_oldest(&mut self) {
        if let Some(segment) = self.segments.pop_front() {
            let _ = fs::remove_file(segment.path);
        }
    }

    /// How many bytes are left out before the tail begins.
    pub(super) fn left_out(&self) -> u64 {
        self.total.saturating_sub(self.limit)
    }

    /// Hands the tail to `take` in pieces of at most `piece` bytes. Blocks on the disk.
    pub(super) fn for_each(
        &self,
        piece: usize,
        mut take: impl FnMut(Stream, &[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        let stored: u64 = self.segments.iter().map(|segment| segment.bytes).sum();
        let mut skip = stored.saturating_sub(self.limit);
        for segment in &self.segments {
            let mut offset = 0;
            for &(stream, length) in &segment.records {
                let end = offset + u64::from(length);
                let skipped = skip.min(u64::from(length));
                skip -= skipped;
                offset += skipped;
                while offset < end {
                    let mut data =
                        vec![0; usize::try_from(end - offset).unwrap_or(piece).min(piece)];
                    segment.file.read_exact_at(&mut data, offset)?;
                    take(stream, &data)?;
                    offset += data.len() as u64;
                }
            }
        }
        Ok(())
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
        overflow
            .for_each(3, |stream, data| {
                assert!(data.len() <= 3);
                match tail.last_mut() {
                    Some((last, bytes)) if *last == stream => bytes.extend_from_slice(data),
                    _ => tail.push((stream, data.to_vec())),
                }
                Ok(())
            })
            .unwrap();
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
}
