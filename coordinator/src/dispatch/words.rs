//! What is said to agents, on its way to the wire: as many words in one message as there are, for
//! those that read it so.

use futures::{Stream, StreamExt, stream};
use postq_proto::v1::{ConnectResponse, connect_response::Message};
use prost::Message as _;
use tonic::Status;

/// Words in one message.
const WORDS: usize = 128;
/// Bytes in one message, unless its first word alone has more.
const BYTES: usize = 1024 * 1024;

type Said = Result<ConnectResponse, Status>;

/// A word.
pub(super) fn say(message: Message) -> ConnectResponse {
    ConnectResponse { message: Some(message), more: Vec::new() }
}

/// Puts what is there at the same time into one message; nothing waits for others.
pub fn pack(said: impl Stream<Item = Said>) -> impl Stream<Item = Said> {
    said.ready_chunks(WORDS).flat_map(|said| stream::iter(fold(said)))
}

fn fold(said: Vec<Said>) -> Vec<Said> {
    let mut packed: Vec<Said> = Vec::new();
    let mut room = 0;
    for word in said {
        match (word, packed.last_mut()) {
            (Ok(next), Some(Ok(first))) if next.encoded_len() <= room => {
                room -= next.encoded_len();
                first.more.push(next);
            }
            (word, _) => {
                let taken = word.as_ref().map_or(0, ConnectResponse::encoded_len);
                room = BYTES.saturating_sub(taken);
                packed.push(word);
            }
        }
    }
    packed
}

#[cfg(test)]
mod tests {
    use postq_proto::v1::{Abandon, Cancel};

    use super::*;

    fn abandon(attempt: i64) -> ConnectResponse {
        say(Message::Abandon(Abandon { attempt }))
    }

    fn cancel(reason: usize) -> ConnectResponse {
        say(Message::Cancel(Cancel { attempt: 1, reason: "x".repeat(reason) }))
    }

    fn lengths(packed: &[Said]) -> Vec<usize> {
        packed.iter().map(|said| said.as_ref().map_or(0, |first| 1 + first.more.len())).collect()
    }

    #[tokio::test]
    async fn what_is_there_goes_together_and_in_order() {
        let said: Vec<Said> = (0..200).map(|attempt| Ok(abandon(attempt))).collect();
        let packed: Vec<Said> = pack(stream::iter(said)).collect().await;
        assert_eq!(lengths(&packed), [128, 72]);
        let heard: Vec<_> =
            packed.into_iter().flatten().flat_map(ConnectResponse::words).flatten().collect();
        let expected: Vec<Message> =
            (0..200).filter_map(|attempt| abandon(attempt).message).collect();
        assert_eq!(heard, expected);
    }

    #[test]
    fn large_words_do_not_share_a_message() {
        let half = BYTES / 2 + 1;
        let said = vec![Ok(cancel(4 * BYTES)), Ok(cancel(half)), Ok(cancel(half)), Ok(abandon(1))];
        assert_eq!(lengths(&fold(said)), [1, 1, 2]);
    }

    #[test]
    fn an_error_stands_alone_behind_what_was_said() {
        let gone = || Err(Status::unavailable("gone"));
        assert_eq!(lengths(&fold(vec![Ok(abandon(1)), Ok(abandon(2)), gone()])), [2, 0]);
    }
}
