//! The lanes as the dispatcher sees them.

use postq_common::id::LaneId;

use super::{Store, StoreError};

/// One lane.
#[derive(Clone, Debug)]
pub struct Lane {
    /// Its id.
    pub id: LaneId,
    /// Greater is claimed first.
    pub priority: i32,
    /// `shell`, `docker` or `handler`.
    pub executor: String,
    /// The function, for `handler`.
    pub handler: Option<String>,
    /// Nothing at or below it is alive or can still appear.
    pub floor: i64,
}

impl Store {
    /// All lanes with an id above `after`.
    pub async fn lanes(&self, after: LaneId) -> Result<Vec<Lane>, StoreError> {
        type Row = (i64, i32, String, Option<String>, i64);
        let rows: Vec<Row> = self
            .run("lanes", |pool| async move {
                sqlx::query_as(
                    "/* lanes */ select id, priority, executor::text, handler, floor
                     from postq.lane where id > $1 order by id",
                )
                .bind(after.0)
                .fetch_all(&pool)
                .await
            })
            .await?;
        Ok(rows
            .into_iter()
            .map(|(id, priority, executor, handler, floor)| Lane {
                id: LaneId(id),
                priority,
                executor,
                handler,
                floor,
            })
            .collect())
    }
}
