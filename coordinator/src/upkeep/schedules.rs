//! Schedules make their jobs.
//!
//! Every coordinator looks; the version of a schedule is the fence, so one of them makes each job, in
//! the transaction that moves the schedule on. What fires is decided in `postq_common::schedule`, by
//! the database's clock. A schedule that can never fire is marked with the reason and left alone; one that
//! cannot now, because its queue is full for instance, is marked too, and tried again some seconds later.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use postq_common::{
    id::JobId,
    schedule::{self, Step},
    spec::{Limits, Problem},
};
use postq_proto::{convert, document, v1::JobSpec};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::{
    admission::{Admission, AdmissionError},
    dispatch::Wakes,
    errors,
    signals::Signals,
    store::{FireJob, NewJob, ScheduleChange, ScheduleRow, Store, StoreError},
    wire::schedule as wire,
};

/// Schedules read at a time.
const PAGE: i64 = 50;
/// One that is to be looked at within this time is waited for here; the beat tells of the others.
const SOON_MS: i64 = 2_500;
/// The pause after a look that did nothing: what is due is in somebody else's hands.
const PAUSE: Duration = Duration::from_millis(200);

/// The sweeper's state.
pub struct Schedules {
    store: Store,
    admission: Admission,
    wakes: Wakes,
    signals: Arc<Signals>,
}

/// Why a schedule makes no job.
#[derive(Debug, thiserror::Error)]
enum Unfit {
    /// It never will, as it is.
    #[error("{0}")]
    Wrong(String),
    /// Not now: the database does not answer, or does not take the job.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Not now: its files cannot be read.
    #[error(transparent)]
    Admission(AdmissionError),
}

impl Schedules {
    /// Nothing looked at yet.
    pub fn new(store: Store, admission: Admission, wakes: Wakes, signals: Arc<Signals>) -> Self {
        Self { store, admission, wakes, signals }
    }

    /// Sweeps until told to stop.
    pub async fn run(self, stop: CancellationToken) {
        let mut next: Option<Instant> = None;
        loop {
            let timer = async {
                match next {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.signals.schedules.notified() => {}
                () = timer => {}
            }
            next = match self.sweep().await {
                Ok(next) => next,
                Err(error) => {
                    error!(error = errors::chain(&error), "cannot look at schedules");
                    // The beat signals again.
                    None
                }
            };
        }
    }

    /// Looks at all that are to be looked at; when the next one is, where that is soon.
    async fn sweep(&self) -> Result<Option<Instant>, StoreError> {
        loop {
            let due = self.store.due_schedules(PAGE).await?;
            let mut moved = 0;
            for row in &due {
                match self.look(row).await {
                    Ok(has_moved) => moved += usize::from(has_moved),
                    Err(Unfit::Wrong(why)) => self.mark(row, why).await?,
                    Err(error) => self.defer(row, &error).await?,
                }
            }
            if moved == 0 {
                let Some(wait) = self.store.next_schedule_ms().await?.filter(|ms| *ms < SOON_MS)
                else {
                    return Ok(None);
                };
                let wait = Duration::from_millis(u64::try_from(wait).unwrap_or(0));
                let wait = if due.is_empty() {
                    wait.max(Duration::from_millis(1))
                } else {
                    wait.max(PAUSE)
                };
                return Ok(Some(Instant::now() + wait));
            }
        }
    }

    /// Fires what has come. False where another coordinator was faster.
    async fn look(&self, row: &ScheduleRow) -> Result<bool, Unfit> {
        let (rule, policy) = wire::rule(row).map_err(|bad| Unfit::Wrong(bad.to_string()))?;
        let view = schedule::View {
            since: row.since,
            next_at: row.next_at,
            waiting: row.waiting.clone(),
            is_busy: row.is_busy,
            is_deferred: row.retry_at.is_some(),
        };
        let step = schedule::step(&rule, policy, &view, row.now);
        // Also where nothing fires now: what is wrong with its job is told early.
        let spec = spec(row).map_err(Unfit::Wrong)?;
        let mut jobs = Vec::with_capacity(step.fire.len());
        for at in &step.fire {
            jobs.push(self.plan(job_id(row, *at), &spec).await?);
        }
        let Step { fire, next_at, waiting, skipped } = step;
        let last_at = fire.last().copied();
        let change = ScheduleChange { next_at, waiting, last_at, skipped, error: None };
        let fired = self.store.fire_schedule(&row.name, row.version, &change, &jobs).await?;
        if fired.is_current && !jobs.is_empty() {
            info!(schedule = row.name, jobs = jobs.len(), "schedule fired");
        }
        self.wakes.readied(&fired.ready);
        Ok(fired.is_current)
    }

    async fn plan(&self, id: JobId, spec: &JobSpec) -> Result<FireJob, Unfit> {
        match self.admission.prepare(id, spec.clone()).await {
            Ok(NewJob { job, tasks, gates, .. }) => Ok(FireJob { job, tasks, gates }),
            Err(error @ (AdmissionError::Document(_) | AdmissionError::Panicked)) => {
                Err(Unfit::Wrong(format!("its job cannot be accepted: {}", errors::chain(&error))))
            }
            Err(error) => Err(Unfit::Admission(error)),
        }
    }

    /// Leaves a schedule alone for a while, with the reason.
    async fn defer(&self, row: &ScheduleRow, why: &Unfit) -> Result<(), StoreError> {
        let why = errors::chain(why);
        warn!(schedule = row.name, error = why, "a schedule cannot fire now");
        self.store.defer_schedule(&row.name, row.version, &why).await
    }

    /// Leaves a schedule alone from now on, with the reason.
    async fn mark(&self, row: &ScheduleRow, why: String) -> Result<(), StoreError> {
        warn!(schedule = row.name, reason = why, "a schedule does not fire");
        let change = ScheduleChange { error: Some(why), ..ScheduleChange::default() };
        self.store.fire_schedule(&row.name, row.version, &change, &[]).await.map(drop)
    }
}

/// What a schedule makes, or what is wrong with it.
fn spec(row: &ScheduleRow) -> Result<JobSpec, String> {
    let mut spec = document::job_from_json(&row.job).map_err(|error| error.to_string())?;
    if spec.name.is_empty() {
        spec.name.clone_from(&row.name);
    }
    let told = |problem: &Problem| problem.to_string();
    convert::plan(&spec, &Limits::default())
        .map(|_| spec)
        .map_err(|problems| problems.iter().map(told).collect::<Vec<_>>().join("; "))
}

/// The id of the job of one time: the same whoever makes it, and of version 7 like every other.
fn job_id(row: &ScheduleRow, at: DateTime<Utc>) -> JobId {
    let mut hasher = blake3::Hasher::new();
    hasher.update(row.id.as_bytes());
    hasher.update(&row.since.timestamp_micros().to_be_bytes());
    hasher.update(&at.timestamp_micros().to_be_bytes());
    let mut random = [0; 10];
    random.copy_from_slice(&hasher.finalize().as_bytes()[..10]);
    let millis = u64::try_from(at.timestamp_millis()).unwrap_or(0);
    JobId(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn row() -> ScheduleRow {
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        ScheduleRow {
            name: "nightly".into(),
            id: Uuid::nil(),
            cron: Some("* * * * *".into()),
            every_ms: None,
            time_zone: "UTC".into(),
            overlap: "allow".into(),
            catch_up: "last".into(),
            catch_up_limit: 1,
            job: serde_json::json!({"tasks": {"a": {"command": "true"}}}).into(),
            is_paused: false,
            since: now,
            next_at: None,
            waiting: vec![],
            last_at: None,
            last_job: None,
            last_state: None,
            is_busy: false,
            fired: 0,
            skipped: 0,
            error: None,
            retry_at: None,
            version: 1,
            created_at: now,
            now,
        }
    }

    #[test]
    fn the_job_of_a_time_has_the_same_id_whoever_makes_it() {
        let (row, now) = (row(), row().now);
        let id = job_id(&row, now);
        assert_eq!(id, job_id(&row, now));
        assert_ne!(id, job_id(&row, now + chrono::TimeDelta::seconds(1)));
        assert_ne!(id, job_id(&ScheduleRow { id: Uuid::max(), ..row }, now));
        assert_eq!(id.0.get_version_num(), 7);
    }

    #[test]
    fn a_job_without_a_name_has_that_of_its_schedule() {
        let row = row();
        assert_eq!(spec(&row).unwrap().name, "nightly");
        let bad = ScheduleRow { job: serde_json::json!({"tasks": {}}).into(), ..row };
        assert!(spec(&bad).is_err());
    }
}
