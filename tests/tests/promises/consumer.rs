//! A consumer that speaks only SQL, as the tests of `sql_consume_*` need it: what they call is the
//! text that a user would write. No coordinator runs beside it.

use postq_tests::{Database, Session};
use serde_json::Value;
use sqlx::{AssertSqlSafe, PgExecutor, types::Json};
use uuid::Uuid;

/// A task that was consumed.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(crate) struct Taken {
    pub(crate) id: Uuid,
    pub(crate) attempt: i64,
    pub(crate) task: String,
    pub(crate) arguments: Option<Json<Value>>,
    pub(crate) attributes: Json<Value>,
    pub(crate) priority: i32,
    pub(crate) attempts: i32,
}

impl Taken {
    pub(crate) fn ack(&self) -> String {
        format!("select postq.ack('{}', {})", self.id, self.attempt)
    }

    pub(crate) fn nack(&self, error: &str) -> String {
        format!("select postq.nack('{}', {}, '{error}')", self.id, self.attempt)
    }

    pub(crate) fn release(&self) -> String {
        format!("select postq.release('{}', {})", self.id, self.attempt)
    }

    pub(crate) fn renew(&self, lease: &str) -> String {
        format!("select postq.renew('{}', {}, '{lease}')", self.id, self.attempt)
    }
}

/// Consumes with the given arguments, as `5, 'emails'`.
pub(crate) async fn consume(on: impl PgExecutor<'_>, arguments: &str) -> Vec<Taken> {
    let consume = format!("select * from postq.consume({arguments})");
    sqlx::query_as(AssertSqlSafe(consume.clone())).fetch_all(on).await.expect(&consume)
}

/// Consumes one task that must be there.
pub(crate) async fn take(database: &Database, arguments: &str) -> Taken {
    let mut taken = consume(&database.pool, arguments).await;
    assert_eq!(taken.len(), 1, "consume({arguments})");
    taken.remove(0)
}

/// Consumes on a session one task that must be there.
pub(crate) async fn take_on(session: &mut Session, arguments: &str) -> Taken {
    let mut taken = consume(&mut session.connection, arguments).await;
    assert_eq!(taken.len(), 1, "consume({arguments})");
    taken.remove(0)
}

/// Publishes with the given arguments, as `'task', priority => 5`.
pub(crate) async fn publish(database: &Database, arguments: &str) -> Uuid {
    database.value(&format!("select postq.publish({arguments})")).await
}

/// The state of a job.
pub(crate) async fn state(database: &Database, job: Uuid) -> String {
    database.value(&format!("select postq.job_state('{job}')")).await
}

/// The SQLSTATE and the message with which a statement is refused.
pub(crate) async fn refused(database: &Database, statement: &str) -> (String, String) {
    let done = sqlx::raw_sql(AssertSqlSafe(statement)).execute(&database.pool).await;
    let error = done.expect_err(statement);
    let error = error.as_database_error().expect(statement);
    (error.code().expect("a code").into_owned(), error.message().to_owned())
}

/// The SQLSTATE alone.
pub(crate) async fn code(database: &Database, statement: &str) -> String {
    refused(database, statement).await.0
}
