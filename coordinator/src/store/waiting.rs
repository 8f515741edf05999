//! Why the tasks of a lane wait that no agent could run.

use postq_common::{id::LaneId, place::Kind, spec::Needs};
use sqlx::types::Json;

use super::{Store, StoreError};

/// A lane, and what was noted about it.
#[derive(Clone, Debug)]
pub struct LaneWaiting {
    /// Which.
    pub lane: LaneId,
    /// What its tasks ask of an agent.
    pub kind: Kind,
    /// Why nobody could run them.
    pub waiting: Option<String>,
}

impl Store {
    /// What was noted about every lane.
    pub async fn waiting(&self) -> Result<Vec<LaneWaiting>, StoreError> {
        type Row = (i64, String, Option<String>, Json<Needs>, Option<String>);
        let rows: Vec<Row> = self
            .run("waiting", |pool| async move {
                sqlx::query_as(
                    "/* waiting */ select l.id, l.executor::text, l.handler, l.needs, l.waiting
                     from postq.lane l",
                )
                .fetch_all(&pool)
                .await
            })
            .await?;
        let lanes = rows.into_iter().filter_map(|(id, executor, handler, Json(needs), waiting)| {
            let kind = Kind { executor: executor.parse().ok()?, handler, needs };
            Some(LaneWaiting { lane: LaneId(id), kind, waiting })
        });
        Ok(lanes.collect())
    }

    /// Notes what has changed about lanes.
    pub async fn note_waiting(
        &self,
        changed: &[(LaneId, Option<String>)],
    ) -> Result<i32, StoreError> {
        let (lanes, waiting): (Vec<i64>, Vec<Option<&str>>) =
            changed.iter().map(|(lane, waiting)| (lane.0, waiting.as_deref())).unzip();
        let (lanes, waiting) = (&lanes, &waiting);
        self.run("note_waiting", |pool| async move {
            sqlx::query_scalar("/* note_waiting */ select postq.note_waiting($1, $2)")
                .bind(lanes)
                .bind(waiting)
                .fetch_one(&pool)
                .await
        })
        .await
    }
}
