//! `claim`: takes ready tasks for agents with free slots.

use postq_common::id::{AttemptId, JobId, LaneId, SessionId, TaskNumber};
use uuid::Uuid;

use super::{Store, StoreError};

/// What is asked of `postq.claim`.
#[derive(Clone, Debug, Default)]
pub struct ClaimRequest {
    /// The lanes to read, each from behind its cursor.
    pub lanes: Vec<(LaneId, i64)>,
    /// The free slots, each offered to one lane.
    pub slots: Vec<(LaneId, SessionId)>,
}

/// One attempt, made by a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claimed {
    /// The new attempt.
    pub attempt: AttemptId,
    /// For whom.
    pub session: SessionId,
    /// Of which job.
    pub job: JobId,
    /// Of which task.
    pub task: TaskNumber,
    /// Taken from there.
    pub lane: LaneId,
    /// Its place there.
    pub seq: i64,
}

impl Store {
    /// Takes ready tasks. Sent once: where the answer is lost, the attempts it may have made are
    /// found when the agents are asked what they hold.
    pub async fn claim(&self, request: &ClaimRequest) -> Result<Vec<Claimed>, StoreError> {
        let (lanes, after): (Vec<i64>, Vec<i64>) =
            request.lanes.iter().map(|(lane, after)| (lane.0, *after)).unzip();
        let (slot_lanes, slot_sessions): (Vec<i64>, Vec<i64>) =
            request.slots.iter().map(|(lane, session)| (lane.0, session.0)).unzip();
        type Row = (i64, i64, Uuid, i32, i64, i64);
        let rows: Vec<Row> = self
            .once("claim", |pool| async move {
                sqlx::query_as("/* claim */ select * from postq.claim($1, $2, $3, $4)")
                    .bind(lanes)
                    .bind(after)
                    .bind(slot_lanes)
                    .bind(slot_sessions)
                    .fetch_all(&pool)
                    .await
            })
            .await?;
        Ok(rows
            .into_iter()
            .map(|(attempt, session, job, n, lane, seq)| Claimed {
                attempt: AttemptId(attempt),
                session: SessionId(session),
                job: JobId(job),
                task: TaskNumber(n),
                lane: LaneId(lane),
                seq,
            })
            .collect())
    }
}
