//! The lanes as the dispatcher sees them.

use postq_common::{id::LaneId, spec::Needs};
use sqlx::types::Json;

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
    /// What its tasks ask of an agent.
    pub needs: Needs,
    /// Nothing at or below it is alive or can still appear.
    pub floor: i64,
    /// What its tasks gain in priority while they wait, in points per minute.
    pub aging: f64,
    /// There are rows above the floor, and its queue is not paused.
    pub has_rows: bool,
}

impl Store {
    /// All lanes, and which of them have rows.
    pub async fn lanes(&self) -> Result<Vec<Lane>, StoreError> {
        type Row = (i64, i32, String, Option<String>, Json<Needs>, i64, f64, bool);
        let rows: Vec<Row> = self
            .run("lanes", |pool| async move {
                sqlx::query_as(
                    "/* lanes */ select l.id, l.priority, l.executor::text, l.handler, l.needs, l.floor,
                     coalesce(q.aging, 0), q.is_paused is not true
                         and exists (select from postq.ready r where r.lane = l.id and r.seq > l.floor)
                     from postq.lane l left join postq.queue q on q.name = l.queue",
                )
                .fetch_all(&pool)
                .await
            })
            .await?;
        Ok(rows
            .into_iter()
            .map(|(id, priority, executor, handler, Json(needs), floor, aging, has_rows)| Lane {
                id: LaneId(id),
                priority,
                executor,
                handler,
                needs,
                floor,
                aging,
                has_rows,
            })
            .collect())
    }

    /// For how many minutes the first row behind each of these seqs has waited.
    pub async fn heads(&self, cursors: &[(LaneId, i64)]) -> Result<Vec<(LaneId, f64)>, StoreError> {
        let (lanes, after): (Vec<i64>, Vec<i64>) =
            cursors.iter().map(|(lane, after)| (lane.0, *after)).unzip();
        let rows: Vec<(i64, f64)> = self
            .once("heads", |pool| async move {
                sqlx::query_as(
                    "/* heads */ select x.lane, (extract(epoch from postq.now() - r.since) / 60)::float8
                     from unnest($1::bigint[], $2::bigint[]) as x (lane, after)
                     cross join lateral (
                         select r.since from postq.ready r where r.lane = x.lane and r.seq > x.after
                         order by r.seq limit 1) r",
                )
                .bind(lanes)
                .bind(after)
                .fetch_all(&pool)
                .await
            })
            .await?;
        Ok(rows.into_iter().map(|(lane, minutes)| (LaneId(lane), minutes)).collect())
    }

    /// Which of these lanes have rows behind the given seqs.
    pub async fn peek(&self, cursors: &[(LaneId, i64)]) -> Result<Vec<LaneId>, StoreError> {
        let (lanes, after): (Vec<i64>, Vec<i64>) =
            cursors.iter().map(|(lane, after)| (lane.0, *after)).unzip();
        let rows: Vec<i64> = self
            .once("peek", |pool| async move {
                sqlx::query_scalar(
                    "/* peek */ select x.lane from unnest($1::bigint[], $2::bigint[]) as x (lane, after)
                     where exists (select from postq.ready r where r.lane = x.lane and r.seq > x.after)
                       and not exists (select from postq.queue q join postq.lane l on l.queue = q.name
                                       where q.is_paused and l.id = x.lane)",
                )
                .bind(lanes)
                .bind(after)
                .fetch_all(&pool)
                .await
            })
            .await?;
        Ok(rows.into_iter().map(LaneId).collect())
    }
}
