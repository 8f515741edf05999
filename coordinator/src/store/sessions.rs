//! `connect`, `adopt`, `disconnect`: whose an attempt is.

use postq_common::{
    id::{AgentId, AttemptId, CoordinatorId, JobId, SessionId, TaskNumber},
    spec::Resources,
};
use serde::Serialize;
use sqlx::types::Json;
use uuid::Uuid;

use super::{AttemptKey, Store, StoreError};

/// An agent as it introduces itself.
#[derive(Clone, Debug, Serialize)]
pub struct AgentCard {
    /// Minted once per work directory.
    pub id: AgentId,
    /// Minted at each start of its process.
    pub boot: Uuid,
    /// For people.
    pub name: String,
    /// Where it runs.
    pub host: String,
    /// Its release.
    pub version: String,
    /// How many attempts it runs at once.
    pub slots: i32,
    /// What it runs them in.
    pub executors: Vec<String>,
    /// The functions it has.
    pub handlers: Vec<String>,
    /// Free labels.
    pub labels: std::collections::BTreeMap<String, String>,
    /// What its attempts can take together.
    pub resources: Resources,
}

/// What comparing an agent with the database says of one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holding {
    /// Both know it; it belongs to the current session now, and takes this.
    Adopted(AttemptKey, Resources),
    /// Only the database knows it: it never reached the agent.
    Missing(AttemptKey),
    /// Only the database knows it, from before the agent's process started.
    Died(AttemptKey),
    /// Only the agent knows it.
    Unknown(AttemptId),
}

type KeyRow = (i64, i64, Uuid, i32);

pub(super) fn key((attempt, session, job, n): KeyRow) -> AttemptKey {
    AttemptKey {
        attempt: AttemptId(attempt),
        session: SessionId(session),
        job: JobId(job),
        task: TaskNumber(n),
    }
}

impl Store {
    /// Gives an agent its next session. Sent again after a lost answer it gives yet another one,
    /// which is harmless.
    pub async fn connect(
        &self,
        coordinator: CoordinatorId,
        card: &AgentCard,
    ) -> Result<SessionId, StoreError> {
        let session = self
            .run("connect", |pool| async move {
                sqlx::query_scalar("/* connect */ select postq.connect($1, $2)")
                    .bind(coordinator.0)
                    .bind(Json(card))
                    .fetch_one(&pool)
                    .await
            })
            .await?;
        Ok(SessionId(session))
    }

    /// Compares what an agent holds with what is open for it. Empty where the session is not
    /// current any more.
    pub async fn adopt(
        &self,
        agent: AgentId,
        session: SessionId,
        held: &[AttemptId],
    ) -> Result<Vec<Holding>, StoreError> {
        type Row = (i64, i64, Option<Uuid>, Option<i32>, String, Option<Json<Resources>>);
        let rows: Vec<Row> = self
            .run("adopt", |pool| async move {
                sqlx::query_as(
                    "/* adopt */ select a.attempt, a.session, a.job, a.n, a.verdict, l.needs -> 'resources'
                     from postq.adopt($1, $2, $3) a
                     left join postq.task t on t.job = a.job and t.n = a.n
                     left join postq.lane l on l.id = t.lane and l.needs <> '{}'",
                )
                .bind(agent.0)
                .bind(session.0)
                .bind(held.iter().map(|attempt| attempt.0).collect::<Vec<_>>())
                .fetch_all(&pool)
                .await
            })
            .await?;
        Ok(rows
            .into_iter()
            .map(|(attempt, session, job, n, verdict, takes)| match (job, n, verdict.as_str()) {
                (Some(job), Some(n), "adopted") => {
                    let takes = takes.map(|Json(takes)| takes).unwrap_or_default();
                    Holding::Adopted(key((attempt, session, job, n)), takes)
                }
                (Some(job), Some(n), "died") => Holding::Died(key((attempt, session, job, n))),
                (Some(job), Some(n), _) => Holding::Missing(key((attempt, session, job, n))),
                _ => Holding::Unknown(AttemptId(attempt)),
            })
            .collect())
    }

    /// Marks an agent as gone where the session is its current one; what it leaves behind.
    pub async fn disconnect(
        &self,
        agent: AgentId,
        session: SessionId,
    ) -> Result<Vec<AttemptKey>, StoreError> {
        let rows: Vec<KeyRow> = self
            .run("disconnect", |pool| async move {
                sqlx::query_as("/* disconnect */ select * from postq.disconnect($1, $2)")
                    .bind(agent.0)
                    .bind(session.0)
                    .fetch_all(&pool)
                    .await
            })
            .await?;
        Ok(rows.into_iter().map(key).collect())
    }
}
