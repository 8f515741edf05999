//! Where the reading of an attempt's output begins, for those who want its last lines only.
//!
//! Invariant: what is held in memory meanwhile is one page, or one look's chunks.

use postq_common::{id::AttemptId, tail::Tail};
use tonic::Status;

use super::logs::{CHUNK, chunks_of};
use crate::{
    store::{Logged, Store},
    wire::status,
    workspace::Blobs,
};

/// Behind a chunk, and behind so many bytes of the one after it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Start {
    /// The number of that chunk.
    pub after: i64,
    /// Of the next one.
    pub skip: usize,
}

/// Where the last `lines` begin of what is there now. (They may end with what came since.)
pub async fn start(
    store: &Store,
    blobs: &Blobs,
    attempt: AttemptId,
    lines: u64,
) -> Result<Start, Status> {
    let (mut tail, mut before) = (Tail::new(lines), i64::MAX);
    loop {
        let logged = store.logged_before(attempt, before, CHUNK).await;
        let mut chunks = match logged.map_err(status::of_store)? {
            Logged::Chunks(chunks) => chunks,
            Logged::Page(page) => chunks_of(blobs, &page, 0).await?,
        };
        chunks.retain(|chunk| chunk.number < before);
        if chunks.is_empty() {
            // What is before is the beginning, or lost; reading says so.
            let after = if before == i64::MAX { 0 } else { before - 1 };
            return Ok(Start { after, skip: 0 });
        }
        for chunk in chunks.into_iter().rev() {
            before = chunk.number;
            match tail.begins(chunk.stream, &chunk.data) {
                None => {}
                Some(skip) if skip == chunk.data.len() => {
                    return Ok(Start { after: chunk.number, skip: 0 });
                }
                Some(skip) => return Ok(Start { after: chunk.number - 1, skip }),
            }
        }
    }
}
