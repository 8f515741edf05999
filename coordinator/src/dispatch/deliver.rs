//! Claimed attempts made into assignments: what was written about the task, the files it starts
//! from, and onto its agent's stream.
//!
//! Invariant: every claimed attempt is either on the stream of the session it was claimed for, or
//! was ended (failed where its input cannot be, given back where it could not be delivered).

use std::{collections::HashMap, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures::{FutureExt, StreamExt, stream};
use postq_common::{
    ahead::TaskKey,
    merge::OnConflict,
    state::Outcome,
    tree::{BadDigest, Snapshot},
};
use postq_proto::v1::connect_response::Message;
use postq_runtime::{Shutdown, crash, telemetry};
use tracing::{Instrument, error, info, info_span, warn};

use super::{
    Finishes, Roster,
    inputs::{self, Prepared},
};
use crate::{
    errors,
    graphs::Graphs,
    store::{AssignmentRow, AttemptKey, Claimed, Finish, Roots, Sources, Store, StoreError},
    wire::convert,
    workspace::{BlobError, Join, Joins, MergeError, describe},
};

/// Merges of one batch worked on at a time: they read the store and use the blocking pool.
const MERGES: usize = 4;
/// The pause before an attempt is given back that could not be prepared for now.
const PAUSE: Duration = Duration::from_secs(1);

/// Hands out what was claimed. Cheap to clone.
#[derive(Clone)]
pub struct Delivery {
    pub(super) store: Store,
    pub(super) roster: Arc<Roster>,
    finishes: Finishes,
    joins: Joins,
    pub(super) shutdown: Shutdown,
    graphs: Graphs,
}

/// Why an attempt cannot begin.
pub(super) enum Unfit {
    /// It never can: the task fails.
    Fails(String),
    /// Not now: it is given back.
    Waits(String),
}

impl Delivery {
    /// Hands out over `roster`.
    pub fn new(
        store: Store,
        roster: Arc<Roster>,
        finishes: Finishes,
        joins: Joins,
        graphs: Graphs,
        shutdown: Shutdown,
    ) -> Self {
        Self { store, roster, finishes, joins, graphs, shutdown }
    }

    /// Hands out a claim. Returns at once.
    pub fn deliver(&self, claimed: Vec<Claimed>) {
        let this = self.clone();
        // Bounded by the slots of all agents: each attempt in here holds one.
        self.shutdown.spawn("deliver", async move {
            let keys: Vec<AttemptKey> = claimed.iter().map(key).collect();
            let handed_out = AssertUnwindSafe(this.hand_out(claimed)).catch_unwind().await;
            if handed_out.is_err() {
                this.fail_unprepared(keys).await;
            }
        });
    }

    async fn hand_out(&self, claimed: Vec<Claimed>) {
        let keys: HashMap<_, _> = claimed.iter().map(|c| (c.attempt, key(c))).collect();
        match self.prepare(&claimed).await {
            Ok(batches) => {
                stream::iter(batches)
                    .map(|batch| inputs::read(&self.store, batch))
                    .buffered(inputs::READ_AHEAD)
                    .flat_map(stream::iter)
                    .for_each_concurrent(MERGES, |mut one| {
                        let row = &mut one.row;
                        let key = keys[&row.id()];
                        let span = info_span!(
                            "assign", job.id = %key.job, task.name = row.name,
                            attempt.id = %key.attempt
                        );
                        row.traceparent =
                            telemetry::continue_trace(&span, row.traceparent.as_deref());
                        self.assign(key, one).instrument(span)
                    })
                    .await;
            }
            Err(error) => {
                warn!(
                    error = errors::chain(&error),
                    "claimed attempts cannot be read; giving them back"
                );
                self.pause().await;
                let back = "it could not be read for its agent";
                let released = |key| Finish::bare(key, Outcome::Released, back);
                self.finishes.finish_all(keys.into_values().map(released)).await;
            }
        }
    }

    /// Preparing a claim panicked: what had not reached its agent by then fails, for good.
    async fn fail_unprepared(&self, keys: Vec<AttemptKey>) {
        error!("preparing a claim panicked");
        let left = keys.into_iter().filter(|k| self.roster.is_waiting(k.session, k.attempt));
        let failed = left.map(|key| {
            let reason = "preparing it made the coordinator fail";
            Finish { is_final: true, ..Finish::bare(key, Outcome::Failed, reason) }
        });
        self.finishes.finish_all(failed.collect::<Vec<_>>()).await;
    }

    async fn prepare(&self, claimed: &[Claimed]) -> Result<Vec<Vec<Prepared>>, StoreError> {
        let tasks: Vec<_> = claimed.iter().map(|c| (c.attempt, c.job, c.task)).collect();
        let rows = self.store.assignments(&tasks).await?;
        let with_files: Vec<_> =
            rows.iter().filter(|row| row.has_workspace).map(AssignmentRow::task).collect();
        let mut sources = match with_files.is_empty() {
            true => HashMap::new(),
            false => self.store.sources(&with_files).await?,
        };
        Ok(inputs::batches(rows.into_iter().map(|row| {
            let sources = sources.remove(&row.task()).unwrap_or_default();
            Prepared::new(row, sources)
        })))
    }

    async fn assign(&self, key: AttemptKey, mut one: Prepared) {
        let sources = std::mem::take(&mut one.sources);
        let row = &one.row;
        let input = match row.has_workspace {
            true => {
                let on_conflict = convert::on_conflict(&row.job_spec);
                self.input(row.task(), sources, on_conflict).await.map(Some)
            }
            false => Ok(None),
        };
        let assignment = input.and_then(|input| {
            convert::assignment(row, input.as_ref(), one.inputs()?)
                .map_err(|error| Unfit::Fails(format!("the stored task cannot be read: {error}")))
        });
        match assignment {
            Ok(assignment) => {
                crash::point("assign.prepared");
                info!("task assigned");
                if !self.roster.assign(key.session, key.attempt, Message::Assignment(assignment)) {
                    self.finishes
                        .finish_all([Finish::bare(
                            key,
                            Outcome::Released,
                            "its agent went away before it could be told",
                        )])
                        .await;
                }
            }
            Err(Unfit::Fails(reason)) => {
                info!(reason, "task cannot start");
                let mut finish = Finish::bare(key, Outcome::Failed, reason);
                finish.is_final = true;
                self.finishes.finish_all([finish]).await;
            }
            Err(Unfit::Waits(reason)) => self.give_back(key, &reason).await,
        }
    }

    /// What could not be prepared for now is not tried again at once.
    async fn pause(&self) {
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            () = self.shutdown.token().cancelled_owned() => {}
        }
    }

    async fn give_back(&self, key: AttemptKey, reason: &str) {
        self.pause().await;
        self.finishes.finish_all([Finish::bare(key, Outcome::Released, reason)]).await;
    }

    /// What a task's files are made from, merged where it is more than one snapshot.
    pub(super) async fn input(
        &self,
        (job, task): TaskKey,
        sources: Sources,
        on_conflict: OnConflict,
    ) -> Result<Snapshot, Unfit> {
        let parents: Vec<Snapshot> = sources
            .iter()
            .map(|(_, roots)| snapshot(roots))
            .collect::<Result<_, _>>()
            .map_err(|_| Unfit::Fails("a stored snapshot is damaged".into()))?;
        match parents.as_slice() {
            [] => return Ok(Snapshot::default()),
            [only] => return Ok(*only),
            _ => {}
        }
        let is_ancestor =
            self.graphs.of(job).await.map_err(|error| Unfit::Waits(errors::chain(&error)))?;
        let join = Join { job: job.0, task: task.0, parents, on_conflict, is_ancestor };
        match self.joins.merge(join).await {
            Ok(merged) => Ok(merged),
            Err(MergeError::Conflict(conflicts)) => {
                let mut writers: Vec<i32> =
                    conflicts.iter().flat_map(|c| c.writers.iter().copied()).collect();
                writers.sort_unstable();
                writers.dedup();
                let names = self.store.task_names(job, Some(&writers)).await.unwrap_or_default();
                let name = |n| names.get(&n).cloned().unwrap_or_else(|| n.to_string());
                Err(Unfit::Fails(describe(&conflicts, name)))
            }
            Err(error @ MergeError::Blob(BlobError::Store { .. })) => {
                Err(Unfit::Waits(errors::chain(&error)))
            }
            Err(error) => Err(Unfit::Fails(format!("input lost: {}", errors::chain(&error)))),
        }
    }
}

fn key(claimed: &Claimed) -> AttemptKey {
    AttemptKey {
        attempt: claimed.attempt,
        session: claimed.session,
        job: claimed.job,
        task: claimed.task,
    }
}

fn snapshot(roots: &Roots) -> Result<Snapshot, BadDigest> {
    Snapshot::from_fields(&roots.content, &roots.provenance, &roots.times)
}
