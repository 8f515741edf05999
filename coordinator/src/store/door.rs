//! The one door to Postgres: every statement is named, has a deadline, and is sent again where the
//! database says that it may succeed now (serialisation, deadlock) or where the connection was lost.
//!
//! That is safe because every verb may be sent twice. It must not know what the verbs do.

use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use tracing::warn;

/// Longest wait for one try of one verb, the wait for a connection included.
const DEADLINE: Duration = Duration::from_secs(15);

/// Why a verb did not happen.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be reached or did not answer in time.
    #[error("the database did not answer {verb}")]
    Unavailable {
        /// The verb.
        verb: &'static str,
        /// What the driver said; none after a deadline.
        #[source]
        source: Option<sqlx::Error>,
    },
    /// The database refused the request with an error of PostQ's own (SQLSTATE class PQ).
    #[error("{message}")]
    Refused {
        /// SQLSTATE.
        code: String,
        /// For the user.
        message: String,
    },
    /// What was prepared on one connection was looked for on another.
    #[error(
        "the way to the database leads through a pooler in transaction mode that loses prepared \
         statements; let --database-url lead to Postgres itself, or to PgBouncer 1.21 or later with \
         max_prepared_statements"
    )]
    Pooled,
    /// Anything else that the database answered.
    #[error("the database failed {verb}")]
    Failed {
        /// The verb.
        verb: &'static str,
        /// What it said.
        #[source]
        source: sqlx::Error,
    },
}

impl StoreError {
    fn of(verb: &'static str, error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Database(db) => {
                let code = db.code().unwrap_or_default().to_string();
                if code.starts_with("PQ") {
                    Self::Refused { code, message: db.message().to_owned() }
                } else if matches!(code.as_str(), "42P05" | "26000") {
                    Self::Pooled
                } else if is_transient(&code) {
                    Self::Unavailable { verb, source: Some(error) }
                } else {
                    Self::Failed { verb, source: error }
                }
            }
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => Self::Unavailable { verb, source: Some(error) },
            _ => Self::Failed { verb, source: error },
        }
    }

    /// Whether a text held a NUL, which Postgres has none with, by itself (22021) or in JSON (22P05).
    pub fn is_of_nul(&self) -> bool {
        let Self::Failed { source, .. } = self else { return false };
        let code = source.as_database_error().and_then(|error| error.code());
        code.is_some_and(|code| ["22021", "22P05"].contains(&code.as_ref()))
    }

    /// Whether a queue holds as many jobs as it may.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Refused { code, .. } if code == "PQ010")
    }

    /// Whether the same call may succeed later.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }
}

/// What may pass: a lost connection (08), a rollback that may succeed next time (40), too little of
/// something (53), an operator's intervention or a timeout (57), the system's own trouble (58), a
/// lock timeout, and a server that is read-only because it has just been replaced.
fn is_transient(code: &str) -> bool {
    ["08", "40", "53", "57", "58"].iter().any(|class| code.starts_with(class))
        || matches!(code, "55P03" | "25006")
}

/// The pool of connections and the way through it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    pool: PgPool,
}

impl Store {
    /// Prepares a pool; connects at the first use.
    pub fn open(options: PgConnectOptions, max_connections: u32) -> Self {
        let options = options.options([
            ("statement_timeout", "120s"),
            ("lock_timeout", "5s"),
            ("idle_in_transaction_session_timeout", "30s"),
        ]);
        let pool = PgPoolOptions::new()
            .max_connections(max_connections)
            .acquire_timeout(DEADLINE)
            .test_before_acquire(false)
            .connect_lazy_with(options);
        Self { pool }
    }

    /// Does one verb a single time, for callers that have their own way to go on.
    pub(super) async fn once<T, F, Fut>(&self, verb: &'static str, body: F) -> Result<T, StoreError>
    where
        F: FnOnce(PgPool) -> Fut,
        Fut: Future<Output = Result<T, sqlx::Error>>,
    {
        self.once_within(DEADLINE, verb, body).await
    }

    /// As [`Store::once`], for a verb whose work grows with what it is given.
    pub(super) async fn once_within<T, F, Fut>(
        &self,
        deadline: Duration,
        verb: &'static str,
        body: F,
    ) -> Result<T, StoreError>
    where
        F: FnOnce(PgPool) -> Fut,
        Fut: Future<Output = Result<T, sqlx::Error>>,
    {
        match tokio::time::timeout(deadline, body(self.pool.clone())).await {
            Ok(answer) => answer.map_err(|error| StoreError::of(verb, error)),
            Err(_) => Err(StoreError::Unavailable { verb, source: None }),
        }
    }

    /// Does one verb, again where that may help. `body` may run several times, so it has no other
    /// effect than its statement.
    pub(super) async fn run<T, F, Fut>(&self, verb: &'static str, body: F) -> Result<T, StoreError>
    where
        F: Fn(PgPool) -> Fut,
        Fut: Future<Output = Result<T, sqlx::Error>>,
    {
        let once = || self.once(verb, &body);
        let pauses = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(10))
            .with_max_delay(Duration::from_millis(500))
            .with_max_times(4)
            .with_jitter();
        once.retry(pauses)
            .when(StoreError::is_transient)
            .notify(|error, pause| {
                warn!(verb, ?pause, error = error as &dyn std::error::Error, "trying again");
            })
            .await
    }
}
