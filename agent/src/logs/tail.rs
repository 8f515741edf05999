//! The last bytes of a stream.

use std::collections::VecDeque;

/// How much of each stream goes into a report, in bytes.
pub(super) const TAIL_BYTES: usize = 64 * 1024;

/// Keeps the last [`TAIL_BYTES`] of what was pushed.
#[derive(Debug, Default)]
pub(super) struct Tail(VecDeque<u8>);

impl Tail {
    pub(super) fn push(&mut self, data: &[u8]) {
        let data = &data[data.len().saturating_sub(TAIL_BYTES)..];
        let excess = (self.0.len() + data.len()).saturating_sub(TAIL_BYTES);
        self.0.drain(..excess);
        self.0.extend(data);
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_bytes_stay() {
        let mut tail = Tail::default();
        tail.push(b"gone");
        tail.push(&vec![b'a'; TAIL_BYTES - 2]);
        tail.push(b"bc");
        let bytes = tail.into_bytes();
        assert_eq!(bytes.len(), TAIL_BYTES);
        assert!(bytes.starts_with(b"aa") && bytes.ends_with(b"abc"));
    }

    #[test]
    fn one_push_may_be_longer_than_all() {
        let mut tail = Tail::default();
        tail.push(b"x");
        tail.push(&vec![b'y'; 3 * TAIL_BYTES]);
        assert_eq!(tail.into_bytes(), vec![b'y'; TAIL_BYTES]);
    }
}
