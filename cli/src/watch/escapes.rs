//! Output without what is for terminals alone: colours, movements of the cursor, control characters.
//!
//! Invariant: a sequence that is cut in two by the chunks of a stream is left out like any other.

use std::collections::BTreeMap;

use anstream::adapter::StripBytes;
use postq_proto::v1::ReadLogsResponse;

/// What each stream of each attempt is in the midst of.
#[derive(Debug, Default)]
pub struct Escapes {
    open: BTreeMap<(i64, i32), StripBytes>,
}

impl Escapes {
    /// The chunk with its text alone. Bytes that are no text go as well.
    pub fn strip(&mut self, chunk: ReadLogsResponse) -> ReadLogsResponse {
        let state = self.open.entry((chunk.attempt, chunk.stream)).or_default();
        let mut text = Vec::with_capacity(chunk.data.len());
        for piece in state.strip_next(&chunk.data) {
            text.extend_from_slice(piece);
        }
        ReadLogsResponse { data: text.into(), ..chunk }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLOURED: &[u8] =
        "\x1b[1;31mrot\x1b[0m \x1b]0;title\x07grün\ttab\x08\r\nend\x1b[K\n".as_bytes();

    fn chunk(attempt: i64, data: &[u8]) -> ReadLogsResponse {
        let data = data.to_vec().into();
        ReadLogsResponse { attempt, data, ..ReadLogsResponse::default() }
    }

    #[test]
    fn only_text_is_left_wherever_the_chunks_are_cut() {
        for at in 0..COLOURED.len() {
            let mut escapes = Escapes::default();
            let (first, second) = COLOURED.split_at(at);
            let mut text = escapes.strip(chunk(1, first)).data.to_vec();
            // Of another attempt, which is in the midst of nothing.
            assert_eq!(escapes.strip(chunk(2, b"x")).data, "x");
            text.extend_from_slice(&escapes.strip(chunk(1, second)).data);
            assert_eq!(String::from_utf8(text).unwrap(), "rot grün\ttab\r\nend\n", "cut at {at}");
        }
    }
}
