//! Reads agents.

use chrono::{DateTime, Utc};
use postq_common::{
    place::Abilities,
    spec::{Executor, Resources},
};
use serde::Deserialize;
use serde_json::Value;
use sqlx::{FromRow, types::Json};
use uuid::Uuid;

use super::{Store, StoreError};

/// An agent as the database knows it.
#[derive(Clone, Debug, FromRow)]
pub struct AgentRow {
    /// Its id.
    pub id: Uuid,
    /// For people.
    pub name: String,
    /// Where it runs.
    pub host: String,
    /// Its release.
    pub version: String,
    /// Its last connection.
    pub session: i64,
    /// Where it is connected.
    pub coordinator: Option<Uuid>,
    /// How many attempts it runs at once.
    pub slots: i32,
    /// How many it runs now.
    pub running: i64,
    /// What it runs them in.
    pub executors: Vec<String>,
    /// The functions it has.
    pub handlers: Vec<String>,
    /// Free labels.
    pub labels: Json<Value>,
    /// What its attempts can take together.
    pub resources: Json<Resources>,
    /// What they take now.
    pub resources_in_use: Json<Resources>,
    /// It takes nothing new.
    pub is_draining: bool,
    /// Begin of its last connection.
    pub connected_at: DateTime<Utc>,
    /// When it was found gone.
    pub left_at: Option<DateTime<Utc>>,
    /// Now, as long as its coordinator has not missed it.
    pub last_seen_at: Option<DateTime<Utc>>,
    /// The first of what it runs, oldest first.
    pub attempts: Json<Vec<RunningRow>>,
}

/// An attempt that an agent runs.
#[derive(Clone, Debug, Deserialize)]
pub struct RunningRow {
    /// Which.
    pub attempt: i64,
    /// Of which job.
    pub job: Uuid,
    /// The name of its task.
    pub task: String,
    /// Its start.
    pub started_at: DateTime<Utc>,
}

macro_rules! select_agents {
    ($name:literal, $rest:literal) => {
        concat!(
            "/* ", $name, " */ select a.id, a.name, a.host, a.version, a.session, a.coordinator, a.slots,
             (select count(*) from postq.open_attempt o where o.agent = a.id) as running,
             a.executors, a.handlers, a.labels, a.resources,
             (select coalesce(jsonb_object_agg(u.name, u.amount), '{}') from (
                 select r.key as name, sum(r.value::bigint) as amount
                 from postq.open_attempt o
                 join postq.task t on t.job = o.job and t.n = o.n
                 join postq.lane l on l.id = t.lane
                 cross join lateral jsonb_each_text(l.needs -> 'resources') r
                 where o.agent = a.id group by r.key) u) as resources_in_use,
             a.coordinator is not null and (a.slots = 0 or a.drain_requested_at is not null) as is_draining,
             a.connected_at, a.left_at,
             case when a.coordinator is null then a.left_at else postq.now() end as last_seen_at,
             (select coalesce(jsonb_agg(to_jsonb(x) order by x.started_at, x.attempt), '[]') from (
                 select o.attempt, o.job, s.name as task, o.started_at
                 from postq.open_attempt o join postq.task_spec s on s.job = o.job and s.n = o.n
                 where o.agent = a.id order by o.started_at, o.attempt limit 100) x) as attempts
             from postq.agent a ",
            $rest
        )
    };
}

impl Store {
    /// Agents by id, behind `after`.
    pub async fn agents(
        &self,
        all: bool,
        after: Option<Uuid>,
        limit: i64,
    ) -> Result<Vec<AgentRow>, StoreError> {
        self.run("agents", |pool| async move {
            sqlx::query_as(select_agents!(
                "agents",
                "where ($1 or a.coordinator is not null) and ($2::uuid is null or a.id > $2)
                 order by a.id limit $3"
            ))
            .bind(all)
            .bind(after)
            .bind(limit)
            .fetch_all(&pool)
            .await
        })
        .await
    }

    /// The connected agents with this id or name.
    pub async fn agents_called(&self, name: &str) -> Result<Vec<AgentRow>, StoreError> {
        self.run("agents_called", |pool| async move {
            sqlx::query_as(select_agents!(
                "agents_called",
                "where a.coordinator is not null and $1 in (a.id::text, a.name) order by a.id"
            ))
            .bind(name)
            .fetch_all(&pool)
            .await
        })
        .await
    }

    /// What the agents have that are connected and take work.
    pub async fn abilities(&self) -> Result<Vec<Abilities>, StoreError> {
        type Row = (Vec<String>, Vec<String>, Json<Value>, Json<Resources>);
        let rows: Vec<Row> = self
            .run("abilities", |pool| async move {
                sqlx::query_as(
                    "/* abilities */ select distinct a.executors, a.handlers, a.labels, a.resources
                     from postq.agent a
                     where a.coordinator is not null and a.slots > 0 and a.drain_requested_at is null",
                )
                .fetch_all(&pool)
                .await
            })
            .await?;
        Ok(rows.into_iter().map(abilities).collect())
    }
}

fn abilities(
    (executors, handlers, labels, resources): (
        Vec<String>,
        Vec<String>,
        Json<Value>,
        Json<Resources>,
    ),
) -> Abilities {
    let labels = labels.0.as_object().into_iter().flatten();
    Abilities {
        executors: executors.iter().filter_map(|name| name.parse::<Executor>().ok()).collect(),
        handlers: handlers.into_iter().collect(),
        labels: labels.filter_map(|(k, v)| Some((k.clone(), v.as_str()?.to_owned()))).collect(),
        resources: resources.0,
    }
}
