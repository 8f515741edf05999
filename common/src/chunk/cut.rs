//! Where a large file is cut.
//!
//! Invariant: the cuts depend on the content alone, however it is read. The numbers are part of the
//! format: other cuts give the same content another name.

use fastcdc::v2020::FastCDC;

const MIN_CHUNK_BYTES: usize = 128 << 10;
const AVERAGE_CHUNK_BYTES: usize = 512 << 10;

/// The largest chunk, in bytes.
pub const MAX_CHUNK_BYTES: usize = 2 << 20;

/// The lengths of the chunks that `bytes` begins with. Where more may follow (`is_end` is false), the
/// last [`MAX_CHUNK_BYTES`] wait for it.
pub fn cut(bytes: &[u8], is_end: bool) -> Vec<usize> {
    let cutter = FastCDC::new(bytes, MIN_CHUNK_BYTES, AVERAGE_CHUNK_BYTES, MAX_CHUNK_BYTES);
    let (mut lengths, mut at) = (Vec::new(), 0);
    while at < bytes.len() && (is_end || bytes.len() - at >= MAX_CHUNK_BYTES) {
        let (_, end) = cutter.cut(at, bytes.len() - at);
        lengths.push(end - at);
        at = end;
    }
    lengths
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        blake3::Hasher::new().update(b"noise").finalize_xof().fill(&mut bytes);
        bytes
    }

    fn in_pieces(bytes: &[u8], piece: usize) -> Vec<usize> {
        let (mut lengths, mut held, mut rest) = (Vec::new(), Vec::new(), bytes);
        while !rest.is_empty() {
            let (next, after) = rest.split_at(piece.min(rest.len()));
            held.extend_from_slice(next);
            rest = after;
            let certain = cut(&held, rest.is_empty());
            held.drain(..certain.iter().sum::<usize>());
            lengths.extend(certain);
        }
        lengths
    }

    #[test]
    fn the_cuts_do_not_depend_on_how_the_file_is_read() {
        let bytes = noise(20 << 20);
        let whole = cut(&bytes, true);
        assert_eq!(whole.iter().sum::<usize>(), bytes.len());
        assert!(whole.iter().all(|length| *length <= MAX_CHUNK_BYTES));
        for piece in [1 << 20, 3_000_017, 16 << 20] {
            assert_eq!(in_pieces(&bytes, piece), whole, "{piece}");
        }
        let average = bytes.len() / whole.len();
        assert!((256 << 10..1 << 20).contains(&average), "{average}");
    }

    #[test]
    fn an_insertion_moves_few_cuts() {
        let bytes = noise(20 << 20);
        let mut other = bytes.clone();
        other.splice(5_000_000..5_000_000, *b"inserted");
        let ends = |bytes: &[u8], lengths: &[usize]| -> Vec<blake3::Hash> {
            let mut at = 0;
            let hash = |length: &usize| {
                at += length;
                blake3::hash(&bytes[at - length..at])
            };
            lengths.iter().map(hash).collect()
        };
        let before = ends(&bytes, &cut(&bytes, true));
        let after = ends(&other, &cut(&other, true));
        let kept = after.iter().filter(|hash| before.contains(hash)).count();
        assert!(kept + 4 > after.len(), "{kept} of {}", after.len());
    }
}
