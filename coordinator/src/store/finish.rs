//! `finish`: records how attempts ended, a batch in one transaction.

use postq_common::{
    id::{AttemptId, JobId, SessionId, TaskNumber},
    state::Outcome,
};
use serde::Deserialize;
use sqlx::types::Json;

use super::{Effort, Readied, Roots, Store, StoreError};

/// Names one attempt with its fence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AttemptKey {
    /// The attempt.
    pub attempt: AttemptId,
    /// The session it must be open under.
    pub session: SessionId,
    /// Its job.
    pub job: JobId,
    /// Its task.
    pub task: TaskNumber,
}

/// How one attempt ended.
#[derive(Clone, Debug)]
pub struct Finish {
    /// Which.
    pub key: AttemptKey,
    /// How.
    pub outcome: Outcome,
    /// Of the command.
    pub exit_code: Option<i32>,
    /// That ended the command.
    pub signal: Option<i32>,
    /// For a person.
    pub reason: Option<String>,
    /// The end of standard output.
    pub results: Option<Vec<u8>>,
    /// The end of standard error.
    pub errors: Option<Vec<u8>>,
    /// The JSON document it gave, as text.
    pub result: Option<String>,
    /// What the image of its container was.
    pub image: Option<String>,
    /// The files it left.
    pub output: Option<Roots>,
    /// What its files took.
    pub effort: Option<Effort>,
    /// By the agent's clock.
    pub ran_ms: Option<i64>,
    /// How many chunks of output it has.
    pub log_chunks: Option<i64>,
    /// Trying again cannot help.
    pub is_final: bool,
    /// The pause before the next attempt, instead of the policy's.
    pub retry_after_ms: Option<i64>,
}

impl Finish {
    /// An end that has nothing to show but its reason.
    pub fn bare(key: AttemptKey, outcome: Outcome, reason: impl Into<String>) -> Self {
        Self {
            key,
            outcome,
            exit_code: None,
            signal: None,
            reason: Some(reason.into()),
            results: None,
            errors: None,
            result: None,
            image: None,
            output: None,
            effort: None,
            ran_ms: None,
            log_chunks: None,
            is_final: false,
            retry_after_ms: None,
        }
    }
}

/// What became of one word about an attempt.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It counts.
    Recorded,
    /// It counted before.
    Repeated,
    /// The attempt is no longer the sender's.
    Stale,
}

/// What [`Store::finish`] did.
#[derive(Clone, Debug, Deserialize)]
pub struct Finished {
    /// One per attempt given.
    pub verdicts: Vec<(AttemptId, Verdict)>,
    /// Lanes that have new rows.
    pub ready: Vec<Readied>,
    /// Jobs that ended.
    pub ended: Vec<JobId>,
    /// Milliseconds until the first retry is due.
    pub due_ms: Option<i64>,
}

impl Store {
    /// Records a batch.
    pub async fn finish(&self, batch: &[Finish]) -> Result<Finished, StoreError> {
        fn each<T>(batch: &[Finish], get: impl Fn(&Finish) -> T) -> Vec<T> {
            batch.iter().map(get).collect()
        }
        fn root(finish: &Finish, get: fn(&Roots) -> &Vec<u8>) -> Option<Vec<u8>> {
            finish.output.as_ref().map(|roots| get(roots).clone())
        }
        self.run("finish", |pool| async move {
            sqlx::query_scalar(
                "/* finish */ select postq.finish($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12,
                 $13, $14, $15, $16, $17::text[]::jsonb[], $18, $19, $20)",
            )
            .bind(each(batch, |f| f.key.attempt.0))
            .bind(each(batch, |f| f.key.session.0))
            .bind(each(batch, |f| f.key.job.0))
            .bind(each(batch, |f| f.key.task.0))
            .bind(each(batch, |f| f.outcome.to_string()))
            .bind(each(batch, |f| f.exit_code))
            .bind(each(batch, |f| f.signal))
            .bind(each(batch, |f| f.reason.clone()))
            .bind(each(batch, |f| f.results.clone()))
            .bind(each(batch, |f| f.errors.clone()))
            .bind(each(batch, |f| root(f, |r| &r.content)))
            .bind(each(batch, |f| root(f, |r| &r.provenance)))
            .bind(each(batch, |f| root(f, |r| &r.times)))
            .bind(each(batch, |f| f.ran_ms))
            .bind(each(batch, |f| f.log_chunks))
            .bind(each(batch, |f| f.is_final))
            .bind(each(batch, |f| f.result.clone()))
            .bind(each(batch, |f| f.image.clone()))
            .bind(each(batch, |f| f.retry_after_ms))
            .bind(each(batch, |f| f.effort.map(Json)))
            .fetch_one(&pool)
            .await
            .map(|Json(finished)| finished)
        })
        .await
    }
}
