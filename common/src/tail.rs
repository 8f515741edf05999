//! Where the last lines of an attempt's output begin. It is shown chunks from the last one backwards, and knows
//! nothing of where they are kept.
//!
//! A line is what ends with a line feed, or what a stream ends with. All streams count together, in the order in
//! which they were written; a line that another stream has interrupted may lose its beginning.

use std::collections::BTreeSet;

/// So many lines, counted from the end.
#[derive(Clone, Debug)]
pub struct Tail {
    /// That are still to be found.
    left: u64,
    /// Streams whose end was seen.
    ended: BTreeSet<i16>,
}

impl Tail {
    /// The last `lines`.
    pub fn new(lines: u64) -> Self {
        Self { left: lines, ended: BTreeSet::new() }
    }

    /// Counts the chunk before those that were counted. From which byte on it belongs to the lines; none: all of it
    /// does, and there may be more before it.
    pub fn begins(&mut self, stream: i16, data: &[u8]) -> Option<usize> {
        let last = data.last()?;
        let is_open = self.ended.insert(stream) && *last != b'\n';
        if is_open && !self.count() {
            return Some(data.len());
        }
        let ends = data.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n');
        ends.map(|(at, _)| at + 1).find(|_| !self.count())
    }

    /// Whether one more line is wanted.
    fn count(&mut self) -> bool {
        let is_wanted = self.left > 0;
        self.left = self.left.saturating_sub(1);
        is_wanted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is left of chunks, the last of which is `!` for standard error and anything else for standard output.
    fn tail(lines: u64, chunks: &[&str]) -> String {
        let mut tail = Tail::new(lines);
        let mut kept: Vec<&str> = Vec::new();
        for chunk in chunks.iter().rev() {
            let stream = if chunk.starts_with('!') { 2 } else { 1 };
            let begin = tail.begins(stream, chunk.as_bytes());
            kept.push(&chunk[begin.unwrap_or_default()..]);
            if begin.is_some() {
                break;
            }
        }
        kept.into_iter().rev().collect()
    }

    #[test]
    fn the_last_lines_are_found_whatever_chunks_they_are_in() {
        for (lines, chunks, wanted) in [
            (1, &["a\nb\nc\n"][..], "c\n"),
            (2, &["a\nb\nc\n"], "b\nc\n"),
            (3, &["a\nb\nc\n"], "a\nb\nc\n"),
            (9, &["a\nb\nc\n"], "a\nb\nc\n"),
            (1, &["a\nb\nc"], "c"),
            (2, &["a\n", "b\n", "c\n"], "b\nc\n"),
            (2, &["a\nb", "b\nc", "c"], "bb\ncc"),
            (2, &["a\n\n\n"], "\n\n"),
            (2, &["a\nb\n", "", "c\n"], "b\nc\n"),
            (1, &["a\n", "!b\n"], "!b\n"),
            (2, &["a\nb", "!c\n"], "b!c\n"),
            (1, &["a", "!c\n"], "!c\n"),
            (2, &["a\nb\n", "!c", "d\n"], "!cd\n"),
            (1, &[], ""),
        ] {
            assert_eq!(tail(lines, chunks), wanted, "{lines} of {chunks:?}");
        }
    }
}
