//! Which of this host's GPUs each attempt has: those that the agent counts, by the numbers of their driver.
//!
//! It knows no executor. Invariant: no GPU is given to two attempts at a time, those that an earlier life of
//! the agent has begun included.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use postq_common::spec::Resources;
use tokio::sync::Notify;

/// The GPUs of a host by the name of the resource that counts them: `gpus`, `gpus.a100`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gpus {
    pool: Arc<Pool>,
}

#[derive(Debug, Default)]
struct Pool {
    all: BTreeMap<String, BTreeSet<u32>>,
    state: Mutex<State>,
    freed: Notify,
}

#[derive(Debug, Default)]
struct State {
    taken: BTreeSet<u32>,
    /// Those of attempts that go on and have not come for them yet.
    held: BTreeMap<i64, BTreeSet<u32>>,
}

/// What one attempt has; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Given {
    pool: Arc<Pool>,
    devices: BTreeSet<u32>,
}

impl Gpus {
    /// The GPUs as they were declared, numbered from 0 in that order.
    pub(crate) fn new(declared: &[(String, u64)]) -> Self {
        let mut all: BTreeMap<String, BTreeSet<u32>> = BTreeMap::new();
        let mut numbers = 0..;
        for (name, count) in declared {
            let count = usize::try_from(*count).unwrap_or(usize::MAX);
            all.entry(name.clone()).or_default().extend(numbers.by_ref().take(count));
        }
        Self { pool: Arc::new(Pool { all, ..Pool::default() }) }
    }

    /// Whether this host counts any.
    pub(crate) fn are_counted(&self) -> bool {
        !self.pool.all.is_empty()
    }

    /// Sets those aside that an attempt of an earlier life has.
    pub(crate) fn hold(&self, attempt: i64, devices: BTreeSet<u32>) {
        let mut state = self.pool.lock();
        state.taken.extend(&devices);
        state.held.insert(attempt, devices);
    }

    /// As many of each name as the attempt asked for, once they are free: the coordinator counts them too, so
    /// what is waited for is only somebody's end. Those that were set aside for it come first.
    pub(crate) async fn take(&self, attempt: i64, wanted: &Resources) -> Given {
        loop {
            let freed = self.pool.freed.notified();
            tokio::pin!(freed);
            // Registered before looking, or one that comes back in between would be missed.
            freed.as_mut().enable();
            if let Some(devices) = self.pool.try_take(attempt, wanted) {
                return Given { pool: Arc::clone(&self.pool), devices };
            }
            freed.await;
        }
    }
}

impl Pool {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in here can panic half-way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All or none, so that two attempts never wait for each other.
    fn try_take(&self, attempt: i64, wanted: &Resources) -> Option<BTreeSet<u32>> {
        let mut state = self.lock();
        if let Some(held) = state.held.remove(&attempt) {
            return Some(held);
        }
        let mut devices = BTreeSet::new();
        for (name, all) in &self.all {
            let count = wanted.get(name).copied().unwrap_or_default();
            // No more than there are: an agent that was started anew may count fewer.
            let count = usize::try_from(count).unwrap_or(usize::MAX).min(all.len());
            let free: Vec<u32> = all.difference(&state.taken).copied().take(count).collect();
            if free.len() < count {
                return None;
            }
            devices.extend(free);
        }
        state.taken.extend(&devices);
        Some(devices)
    }
}

impl Given {
    /// Their numbers.
    pub(crate) fn devices(&self) -> &BTreeSet<u32> {
        &self.devices
    }
}

impl Drop for Given {
    fn drop(&mut self) {
        self.pool.lock().taken.retain(|device| !self.devices.contains(device));
        self.pool.freed.notify_waiters();
    }
}

/// As drivers and files have them: `0,3`.
pub(crate) fn shown(devices: &BTreeSet<u32>) -> String {
    devices.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

/// Reads what [`shown`] wrote.
pub(crate) fn parse(text: &str) -> Option<BTreeSet<u32>> {
    text.trim().split(',').filter(|part| !part.is_empty()).map(|part| part.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn declared(counts: &[(&str, u64)]) -> Vec<(String, u64)> {
        counts.iter().map(|&(name, count)| (name.to_owned(), count)).collect()
    }

    fn wanted(counts: &[(&str, u64)]) -> Resources {
        declared(counts).into_iter().collect()
    }

    fn take(gpus: &Gpus, attempt: i64, counts: &[(&str, u64)]) -> Option<Given> {
        gpus.take(attempt, &wanted(counts)).now_or_never()
    }

    #[tokio::test]
    async fn no_gpu_is_given_twice_and_one_that_comes_back_is_given_again() {
        let gpus = Gpus::new(&declared(&[("gpus", 3)]));
        let first = take(&gpus, 1, &[("gpus", 2)]).unwrap();
        let second = take(&gpus, 2, &[("gpus", 1)]).unwrap();
        assert_eq!((shown(first.devices()), shown(second.devices())), ("0,1".into(), "2".into()));
        assert!(take(&gpus, 3, &[("gpus", 1)]).is_none());
        assert_eq!(shown(take(&gpus, 4, &[("cpus", 1)]).unwrap().devices()), "");
        let (want, all) = (wanted(&[("gpus", 1)]), gpus.clone());
        let waiting = tokio::spawn(async move { all.take(3, &want).await });
        tokio::task::yield_now().await;
        drop(first);
        assert_eq!(shown(waiting.await.unwrap().devices()), "0");
    }

    #[test]
    fn gpus_are_numbered_in_the_order_in_which_they_were_declared() {
        let gpus = Gpus::new(&declared(&[("gpus.t4", 1), ("gpus.a100", 2)]));
        let both = take(&gpus, 1, &[("gpus.a100", 1), ("gpus.t4", 1)]).unwrap();
        assert_eq!(shown(both.devices()), "0,1");
        assert_eq!(shown(take(&gpus, 2, &[("gpus.a100", 1)]).unwrap().devices()), "2");
        assert!(!Gpus::default().are_counted());
    }

    #[test]
    fn what_an_attempt_of_an_earlier_life_has_is_set_aside_for_it() {
        let gpus = Gpus::new(&declared(&[("gpus", 2)]));
        gpus.hold(7, parse("0\n").unwrap());
        let other = take(&gpus, 8, &[("gpus", 1)]).unwrap();
        let again = take(&gpus, 7, &[("gpus", 1)]).unwrap();
        assert_eq!((shown(other.devices()), shown(again.devices())), ("1".into(), "0".into()));
        drop(again);
        assert!(take(&gpus, 9, &[("gpus", 1)]).is_some());
        assert_eq!(parse("0,x"), None);
    }
}
