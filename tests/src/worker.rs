//! An agent's side of the queue: connect, claim, finish. As the dispatcher calls the functions, but
//! without its memory: every claim looks at all lanes from their floors.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sqlx::types::Json;
use uuid::Uuid;

use crate::database::Database;

/// A connected agent.
#[derive(Clone, Debug)]
pub struct Worker {
    /// Its id.
    pub agent: Uuid,
    /// The coordinator it is connected to.
    pub coordinator: Uuid,
    /// Its session.
    pub session: i64,
}

/// One attempt that a worker holds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, sqlx::FromRow)]
pub struct Claimed {
    /// The attempt.
    pub attempt: i64,
    /// The session it was claimed for.
    pub session: i64,
    /// Of which job.
    pub job: Uuid,
    /// Of which task.
    pub n: i32,
    /// Taken from there.
    pub lane: i64,
    /// At that place.
    pub seq: i64,
}

/// How an attempt ends.
#[derive(Clone, Copy, Debug)]
pub struct End {
    /// A word of `postq.outcome`.
    pub outcome: &'static str,
    /// Trying again cannot help.
    pub is_final: bool,
}

impl From<&'static str> for End {
    fn from(outcome: &'static str) -> Self {
        Self { outcome, is_final: false }
    }
}

/// What `postq.finish` answered.
#[derive(Clone, Debug)]
pub struct Finished {
    /// By attempt: recorded, repeated or stale.
    pub verdicts: BTreeMap<i64, String>,
    /// The jobs that ended.
    pub ended: Vec<Uuid>,
    /// Whether a task waits for its next try.
    pub is_due_later: bool,
}

impl Worker {
    /// Connects a new agent to a new coordinator.
    pub async fn connect(database: &Database) -> Self {
        let (agent, coordinator) = (Uuid::new_v4(), Uuid::new_v4());
        let enlist = sqlx::query("select postq.enlist($1, 'here', 'test')").bind(coordinator);
        enlist.execute(&database.pool).await.expect("enlisted");
        let mut worker = Self { agent, coordinator, session: 0 };
        worker.reconnect(database, Uuid::new_v4()).await;
        worker
    }

    /// Connects again, as the process of that boot.
    pub async fn reconnect(&mut self, database: &Database, boot: Uuid) {
        let card = json!({
            "id": self.agent, "boot": boot, "name": "worker", "host": "here", "version": "test",
            "slots": 1000, "executors": ["shell", "docker"], "handlers": [], "labels": {},
        });
        let connect = sqlx::query_scalar("select postq.connect($1, $2)")
            .bind(self.coordinator)
            .bind(Json(card));
        self.session = connect.fetch_one(&database.pool).await.expect("connected");
    }

    /// Claims up to so many tasks from all lanes, in the order they became ready.
    pub async fn claim(&self, database: &Database, slots: usize) -> Vec<Claimed> {
        let mut claimed = self.claim_on(&database.pool, slots).await.expect("claimed");
        claimed.sort_by_key(|claimed| claimed.seq);
        claimed
    }

    /// The same on a given connection. Each lane gets all slots, so with several lanes more may be
    /// taken.
    pub async fn claim_on<'c>(
        &self,
        connection: impl sqlx::PgExecutor<'c>,
        slots: usize,
    ) -> Result<Vec<Claimed>, sqlx::Error> {
        let claim = sqlx::query_as(
            "select c.* from (
                 select array_agg(l.id) as lanes, array_agg(l.floor) as floors from postq.lane l
             ) l, postq.claim(l.lanes, l.floors,
                 array(select i from unnest(l.lanes) i, generate_series(1, $1)),
                 array(select $2 from unnest(l.lanes) i, generate_series(1, $1))) c",
        );
        let slots = i32::try_from(slots).expect("a few slots");
        claim.bind(slots).bind(self.session).fetch_all(connection).await
    }

    /// Reports how attempts ended.
    pub async fn finish(&self, database: &Database, ends: &[(&Claimed, End)]) -> Finished {
        finish_on(&database.pool, ends).await.expect("finished")
    }

    /// Reports that one attempt ended that way; tells its verdict.
    pub async fn end(&self, database: &Database, of: &Claimed, how: impl Into<End>) -> String {
        let finished = self.finish(database, &[(of, how.into())]).await;
        finished.verdicts[&of.attempt].clone()
    }

    /// Claims all that is ready and ends each attempt as told by the number of its task, until
    /// nothing is ready any more. Returns the tasks in the order they ran.
    pub async fn work(
        &self,
        database: &Database,
        mut how: impl FnMut(&Claimed) -> &'static str,
    ) -> Vec<i32> {
        let mut ran = Vec::new();
        loop {
            let claimed = self.claim(database, 1000).await;
            if claimed.is_empty() {
                return ran;
            }
            let ends: Vec<_> = claimed.iter().map(|one| (one, End::from(how(one)))).collect();
            self.finish(database, &ends).await;
            ran.extend(claimed.iter().map(|one| one.n));
        }
    }
}

/// Reports how attempts ended, on a given connection.
pub async fn finish_on<'c>(
    connection: impl sqlx::PgExecutor<'c>,
    ends: &[(&Claimed, End)],
) -> Result<Finished, sqlx::Error> {
    let finish = sqlx::query_scalar(
        "select postq.finish($1, $2, $3, $4, $5, '{}', '{}', $6, '{}', '{}', '{}', '{}', '{}', '{}',
            '{}', $7)",
    );
    let Json::<Value>(answer) = finish
        .bind(ends.iter().map(|(of, _)| of.attempt).collect::<Vec<_>>())
        .bind(ends.iter().map(|(of, _)| of.session).collect::<Vec<_>>())
        .bind(ends.iter().map(|(of, _)| of.job).collect::<Vec<_>>())
        .bind(ends.iter().map(|(of, _)| of.n).collect::<Vec<_>>())
        .bind(ends.iter().map(|(_, end)| end.outcome).collect::<Vec<_>>())
        .bind(ends.iter().map(|(_, end)| format!("it {}", end.outcome)).collect::<Vec<_>>())
        .bind(ends.iter().map(|(_, end)| end.is_final).collect::<Vec<_>>())
        .fetch_one(connection)
        .await?;
    let read = |value: &Value| serde_json::from_value(value.clone()).expect("an answer of finish");
    let verdicts: Vec<(i64, String)> = read(&answer["verdicts"]);
    let ended: Vec<String> =
        serde_json::from_value(answer["ended"].clone()).expect("an answer of finish");
    Ok(Finished {
        verdicts: verdicts.into_iter().collect(),
        ended: ended.iter().map(|id| id.parse().expect("an id")).collect(),
        is_due_later: !answer["due_ms"].is_null(),
    })
}
