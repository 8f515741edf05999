//! A fresh database per test, with a clock that the test moves.

use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;
use sqlx::{
    AssertSqlSafe, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
    types::Json,
};
use uuid::Uuid;

use crate::{server::Server, session::Session};

/// Replaces the clock of all functions by one that can be put forward.
pub(crate) const CLOCK: &str = "
    create table postq.test_clock (ahead interval not null);
    insert into postq.test_clock values ('0');
    create or replace function postq.now() returns timestamptz language sql stable
    set search_path = pg_catalog, postq, pg_temp
    as 'select statement_timestamp() + ahead from postq.test_clock';
";

/// A database with PostQ's schema and nothing in it.
#[derive(Debug)]
pub struct Database {
    /// Connections of nobody in particular.
    pub pool: PgPool,
    options: PgConnectOptions,
}

impl Database {
    /// Makes one.
    pub async fn create() -> Self {
        let server = Server::get().await;
        Self::copy(server, &server.template).await
    }

    /// Makes one without a schema, for those who bring their own.
    pub async fn create_empty() -> Self {
        Self::copy(Server::get().await, "template1").await
    }

    async fn copy(server: &Server, template: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("{}_{}", server.template, COUNT.fetch_add(1, Ordering::Relaxed));
        let create = format!(
            "drop database if exists {name} with (force); create database {name} template {template}"
        );
        for statement in create.split("; ") {
            server.execute(statement.to_owned()).await.expect("a database for the test");
        }
        let options = server.options_of(&name);
        let pool = PgPoolOptions::new().max_connections(8).connect_lazy_with(options.clone());
        Self { pool, options }
    }

    /// A connection of its own.
    pub async fn session(&self) -> Session {
        Session::open(&self.options).await
    }

    /// How to connect.
    pub fn options(&self) -> &PgConnectOptions {
        &self.options
    }

    /// Does some statements.
    pub async fn execute(&self, statements: &str) {
        sqlx::raw_sql(AssertSqlSafe(statements)).execute(&self.pool).await.expect(statements);
    }

    /// The single value that a query gives.
    pub async fn value<T>(&self, query: &str) -> T
    where
        T: for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres> + Send + Unpin,
    {
        sqlx::query_scalar(AssertSqlSafe(query)).fetch_one(&self.pool).await.expect(query)
    }

    /// The single JSON value that a query gives.
    pub async fn json(&self, query: &str) -> Value {
        self.value::<Json<Value>>(query).await.0
    }

    /// Submits a document by SQL, in a transaction of its own.
    pub async fn submit(&self, document: &Value) -> Result<Uuid, sqlx::Error> {
        let submit = sqlx::query_scalar("select postq.submit($1)").bind(Json(document));
        submit.fetch_one(&self.pool).await
    }

    /// Ends all connections to it, and lets nobody in again.
    pub async fn take_away(&self) {
        let name = self.options.get_database().expect("a database with a name");
        let server = Server::get().await;
        for statement in
            [format!("alter database {name} allow_connections false"), end_sessions_of(name)]
        {
            server.execute(statement).await.expect("a database that is taken away");
        }
    }

    /// Ends all connections to it, as a failover would.
    pub async fn end_sessions(&self) {
        let name = self.options.get_database().expect("a database with a name");
        Server::get().await.execute(end_sessions_of(name)).await.expect("sessions that end");
    }

    /// Puts the clock of the functions forward.
    pub async fn advance_clock(&self, interval: &str) {
        self.execute(&format!("update postq.test_clock set ahead = ahead + '{interval}'")).await;
    }
}

fn end_sessions_of(name: &str) -> String {
    format!("select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'")
}
