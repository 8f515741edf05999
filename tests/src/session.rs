//! One connection, to hold transactions open and to race with another.

use std::time::Duration;

use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection, PgConnection, postgres::PgConnectOptions, types::Json};

/// How long a statement may take that must not wait for anybody.
const AT_ONCE: Duration = Duration::from_secs(1);

/// A connection.
#[derive(Debug)]
pub struct Session {
    /// The connection itself.
    pub connection: PgConnection,
}

impl Session {
    pub(crate) async fn open(options: &PgConnectOptions) -> Self {
        let connection = PgConnection::connect_with(options).await.expect("a connection");
        Self { connection }
    }

    /// Does some statements.
    pub async fn execute(&mut self, statements: &str) {
        self.try_execute(statements).await.expect(statements);
    }

    /// Does some statements, or tells why not.
    pub async fn try_execute(&mut self, statements: &str) -> Result<(), sqlx::Error> {
        sqlx::raw_sql(AssertSqlSafe(statements)).execute(&mut self.connection).await.map(drop)
    }

    /// Does some statements that must not wait for another transaction.
    pub async fn execute_at_once(&mut self, statements: &str) {
        let limit = format!("set statement_timeout = {}", AT_ONCE.as_millis());
        self.execute(&limit).await;
        self.execute(statements).await;
        self.execute("set statement_timeout = 0").await;
    }

    /// Pages that a statement touches, those of the functions it calls included.
    pub async fn pages(&mut self, statement: &str) -> i64 {
        let explain = format!("explain (analyze, buffers, format json) {statement}");
        let Json::<Value>(plan) = self.value(&explain).await;
        let plan = &plan[0]["Plan"];
        ["Shared Hit Blocks", "Shared Read Blocks"]
            .map(|kind| plan[kind].as_i64().expect("a count"))
            .iter()
            .sum()
    }

    /// The single value that a query gives.
    pub async fn value<T>(&mut self, query: &str) -> T
    where
        T: for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres> + Send + Unpin,
    {
        let found = sqlx::query_scalar(AssertSqlSafe(query)).fetch_one(&mut self.connection);
        found.await.expect(query)
    }
}
