//! One look per job for all who watch it, twice a second, and at once when the job ended here.
//!
//! It does not know what has changed, only that something has. Invariant: a watcher that looks
//! after every change of its [`Glance`] misses nothing, because it reads by revision.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use postq_common::id::JobId;
use postq_runtime::Shutdown;
use tokio::sync::{Notify, watch};
use tracing::warn;

use crate::store::{Glance, Store};

/// The time between two looks at a job somebody watches.
const LOOK_EVERY: Duration = Duration::from_millis(500);

#[derive(Debug)]
struct Watched {
    glance: watch::Sender<Option<Glance>>,
    poke: Notify,
}

/// The jobs that somebody watches.
#[derive(Debug)]
pub struct Looks {
    store: Store,
    shutdown: Shutdown,
    jobs: Mutex<HashMap<JobId, Weak<Watched>>>,
}

/// A share in the looks at one job; the looking ends with the last share.
#[derive(Debug)]
pub struct Share {
    _keeps_looking: Arc<Watched>,
    glance: watch::Receiver<Option<Glance>>,
}

impl Share {
    /// Waits until the job has changed since the last call; the first call waits for the first look.
    pub async fn changed(&mut self) {
        // The sender lives as long as this share, so it cannot fail.
        let _ = self.glance.changed().await;
    }
}

impl Looks {
    /// Nobody watches yet.
    pub fn new(store: Store, shutdown: Shutdown) -> Self {
        Self { store, shutdown, jobs: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<JobId, Weak<Watched>>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A job ended here, or is about to: look at once.
    pub fn look_now(&self, job: JobId) {
        if let Some(watched) = self.lock().get(&job).and_then(Weak::upgrade) {
            watched.poke.notify_one();
        }
    }

    /// Joins those who watch a job.
    pub fn watch(&self, job: JobId) -> Share {
        let mut jobs = self.lock();
        jobs.retain(|_, watched| watched.strong_count() > 0);
        let watched = jobs.get(&job).and_then(Weak::upgrade).unwrap_or_else(|| {
            let watched =
                Arc::new(Watched { glance: watch::Sender::new(None), poke: Notify::new() });
            jobs.insert(job, Arc::downgrade(&watched));
            let (store, weak) = (self.store.clone(), Arc::downgrade(&watched));
            let stop = self.shutdown.token();
            self.shutdown.spawn("look", async move {
                tokio::select! {
                    () = look(store, job, weak) => {}
                    () = stop.cancelled() => {}
                }
            });
            watched
        });
        let glance = watched.glance.subscribe();
        Share { _keeps_looking: watched, glance }
    }
}

async fn look(store: Store, job: JobId, weak: Weak<Watched>) {
    loop {
        match store.glance(job).await {
            Ok(seen) => {
                let Some(watched) = weak.upgrade() else { return };
                watched.glance.send_if_modified(|known| {
                    let is_news = *known != seen;
                    *known = seen;
                    is_news
                });
            }
            Err(error) => {
                warn!(job.id = %job, error = &error as &dyn std::error::Error, "cannot look at a job")
            }
        }
        let Some(watched) = weak.upgrade() else { return };
        // Either way it is time to look again.
        let _ = tokio::time::timeout(LOOK_EVERY, watched.poke.notified()).await;
    }
}
