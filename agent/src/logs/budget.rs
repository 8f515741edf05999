//! How much output lies on the agent's disk and waits for a coordinator, over all attempts.
//!
//! It knows nothing of files. Invariant: who gives back what it took leaves nothing behind.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;

/// Bytes that wait.
#[derive(Debug, Default)]
pub(super) struct Budget {
    used: AtomicU64,
    /// Rings when it shrinks.
    freed: Notify,
}

impl Budget {
    /// Something counted for `before` bytes and counts for `after` now.
    pub(super) fn change(&self, before: u64, after: u64) {
        if after >= before {
            self.used.fetch_add(after - before, Ordering::Relaxed);
        } else {
            self.used.fetch_sub(before - after, Ordering::Relaxed);
            self.freed.notify_waiters();
        }
    }

    /// Whether fewer than `limit` bytes wait.
    pub(super) fn is_below(&self, limit: u64) -> bool {
        self.used.load(Ordering::Relaxed) < limit
    }

    /// Waits until fewer than `limit` bytes wait.
    pub(super) async fn has_room(&self, limit: u64) {
        loop {
            let freed = self.freed.notified();
            tokio::pin!(freed);
            freed.as_mut().enable();
            if self.is_below(limit) {
                return;
            }
            freed.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn room_comes_with_what_is_given_back() {
        let budget = Budget::default();
        budget.change(0, 10);
        let waiting = budget.has_room(10);
        tokio::pin!(waiting);
        assert!(futures::poll!(&mut waiting).is_pending());
        budget.change(10, 4);
        waiting.await;
        assert!(!budget.is_below(4) && budget.is_below(5));
    }
}
