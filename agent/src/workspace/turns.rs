//! Who fetches what: of several checkouts that start from the same files, one fetches them and the
//! others copy.
//!
//! Invariant: a turn that is dropped, whatever became of it, is over.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use postq_common::tree::Digest;
use tokio::sync::OwnedMutexGuard;

type Cell = tokio::sync::Mutex<()>;

/// Those under way. Clones share them.
#[derive(Clone, Default)]
pub(super) struct Turns(Arc<Mutex<HashMap<Digest, Weak<Cell>>>>);

/// Nobody else has one for the same content.
pub(super) struct Turn {
    _held: OwnedMutexGuard<()>,
}

impl Turns {
    /// Waits until whoever fetches that content is done.
    pub(super) async fn wait(&self, content: Digest) -> Turn {
        let turn = {
            let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            turns.retain(|_, turn| turn.strong_count() > 0);
            let turn = turns.get(&content).and_then(Weak::upgrade).unwrap_or_default();
            turns.insert(content, Arc::downgrade(&turn));
            turn
        };
        Turn { _held: turn.lock_owned().await }
    }
}
