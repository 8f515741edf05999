//! One look per job for all who watch it, twice a second, and at once when the job ended here: what
//! has changed is read once and handed to each of them.
//!
//! Invariant: a watcher misses nothing. [`News`] says behind which revision it holds everything; who
//! was told less (it has just come, or reads slowly) reads by revision itself.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use postq_common::id::JobId;
use postq_runtime::Shutdown;
use tokio::sync::{Notify, watch};
use tracing::warn;

use crate::store::{JobRow, Seen, Store, TaskRow};

/// The time between two looks at a job somebody watches.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// More changed tasks than this are read by each watcher for itself, in pages, so that no look
/// holds a large job in memory.
const SHARED: i64 = 1000;

/// What one look has found.
#[derive(Debug)]
pub struct News {
    /// Everything that changed behind this is here.
    pub after: Seen,
    /// At least up to here.
    pub until: Seen,
    /// The job, read before the tasks.
    pub job: JobRow,
    /// The tasks that changed, and those that run.
    pub tasks: Vec<TaskRow>,
}

#[derive(Debug)]
struct Watched {
    /// None where it would be too much, or could not be read.
    news: watch::Sender<Option<Arc<News>>>,
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
    news: watch::Receiver<Option<Arc<News>>>,
}

impl Share {
    /// Waits until the job has changed since the last call, and says how if that was shared; the
    /// first call waits for the first look.
    pub async fn changed(&mut self) -> Option<Arc<News>> {
        // The sender lives as long as this share, so it cannot fail.
        let _ = self.news.changed().await;
        self.news.borrow_and_update().clone()
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
            let watched = Arc::new(Watched { news: watch::Sender::new(None), poke: Notify::new() });
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
        let news = watched.news.subscribe();
        Share { _keeps_looking: watched, news }
    }
}

async fn look(store: Store, job: JobId, weak: Weak<Watched>) {
    let mut known = None;
    loop {
        match store.glance(job).await {
            Ok(glance) if glance != known => {
                let news = match known.zip(glance) {
                    Some((old, new)) => read_news(&store, job, old.seen(), new.seen()).await,
                    // Nobody was told anything yet: each begins with a look of its own.
                    None => None,
                };
                known = glance;
                let Some(watched) = weak.upgrade() else { return };
                watched.news.send_replace(news.map(Arc::new));
            }
            Ok(_) => {}
            Err(error) => {
                warn!(job.id = %job, error = &error as &dyn std::error::Error, "cannot look at a job")
            }
        }
        let Some(watched) = weak.upgrade() else { return };
        // Either way it is time to look again.
        let _ = tokio::time::timeout(LOOK_EVERY, watched.poke.notified()).await;
    }
}

/// What changed between two looks, if that is not too much. Who gets none finds out what is wrong.
async fn read_news(store: &Store, job: JobId, after: Seen, until: Seen) -> Option<News> {
    let row = store.job(job).await.ok()??;
    let tasks = store.changed_tasks(job, after, -1, SHARED).await.ok()?;
    ((tasks.len() as i64) < SHARED).then_some(News { after, until, job: row, tasks })
}
