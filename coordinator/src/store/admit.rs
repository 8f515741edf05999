//! `admit`: stores a planned job, and `reject_submission`: ends one that cannot be planned.

use std::time::Duration;

use postq_common::id::{JobId, LaneId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};
use sqlx::types::Json;

use super::{Store, StoreError};

/// Longest time for storing one job: a million tasks take about a minute.
const ADMIT_WITHIN: Duration = Duration::from_secs(110);

/// A planned job as `postq.admit` takes it; the shapes are documented there.
#[derive(Clone, Debug, Serialize)]
pub struct NewJob {
    /// The job without its tasks.
    pub job: Value,
    /// Its tasks in the order of the plan: a list, written already, for it can be large.
    pub tasks: Box<RawValue>,
    /// Its gates: a list, written already.
    pub gates: Box<RawValue>,
    /// The submission this comes from, if it came by SQL.
    #[serde(skip)]
    pub submission: Option<i64>,
}

/// A lane that has new rows, and the lowest of them.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
pub struct Readied(pub LaneId, pub i64);

/// What [`Store::admit`] did.
#[derive(Clone, Debug, Deserialize)]
pub struct Admitted {
    /// False where the job was there already, by its id or by its unique key.
    pub created: bool,
    /// The job's id: another one's where that holds the unique key.
    pub id: JobId,
    /// Lanes that have new rows.
    pub ready: Vec<Readied>,
}

/// What [`Store::admit_many`] did.
#[derive(Clone, Debug, Deserialize)]
pub struct AdmittedMany {
    /// Of each job in the order given: its id, and whether it is new.
    pub jobs: Vec<(JobId, bool)>,
    /// Lanes that have new rows.
    pub ready: Vec<Readied>,
}

impl Store {
    /// Stores many planned jobs that came by gRPC, all or none.
    pub async fn admit_many(&self, jobs: &[NewJob]) -> Result<AdmittedMany, StoreError> {
        self.once_within(ADMIT_WITHIN, "admit_many", |pool| async move {
            sqlx::query_scalar("/* admit_many */ select postq.admit_many($1)")
                .bind(Json(jobs))
                .fetch_one(&pool)
                .await
                .map(|Json(admitted)| admitted)
        })
        .await
    }

    /// Stores a planned job; the same job twice is stored once, so a caller that lost the answer asks
    /// again. Refused (PQ001) where the id belongs
    /// to a job with another document.
    pub async fn admit(&self, new: &NewJob) -> Result<Admitted, StoreError> {
        self.once_within(ADMIT_WITHIN, "admit", |pool| async move {
            sqlx::query_scalar("/* admit */ select postq.admit($1, $2, $3, $4)")
                .bind(Json(&new.job))
                .bind(Json(&new.tasks))
                .bind(Json(&new.gates))
                .bind(new.submission)
                .fetch_one(&pool)
                .await
                .map(|Json(admitted)| admitted)
        })
        .await
    }

    /// Ends a submitted job whose document cannot be planned. False: it is no longer waiting.
    pub async fn reject_submission(
        &self,
        submission: i64,
        reason: &str,
    ) -> Result<bool, StoreError> {
        self.run("reject_submission", |pool| async move {
            sqlx::query_scalar("/* reject_submission */ select postq.reject_submission($1, $2)")
                .bind(submission)
                .bind(reason)
                .fetch_one(&pool)
                .await
        })
        .await
    }
}
