//! Hints: what the database tells sleepers. A hint may be lost; a poll is the truth.

use std::time::Duration;

use postq_common::id::{JobId, LaneId};
use sqlx::{
    AssertSqlSafe, Connection, PgConnection,
    postgres::{PgConnectOptions, PgListener, PgPoolOptions},
};
use uuid::Uuid;

use super::Readied;

/// What sleepers are told on.
const HINTS: &str = "postq_hint";
/// What those are told on who asked to be told of the end of jobs.
const COMPLETED: &str = "postq_completed";

/// A hint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hint {
    /// A lane has new rows.
    Ready(Readied),
    /// A task falls due soon.
    Due,
    /// A job waits to be planned.
    Submission,
    /// A task waits for a key or a rate, or a slot of one is free.
    Parked,
    /// A user's request waits to be applied.
    Inbox,
    /// Attempts were asked to stop.
    Cancel,
    /// The time of a job is over soon.
    Deadline,
    /// A schedule has changed.
    Schedule,
    /// A webhook is to be told of something.
    Delivery,
    /// Jobs have ended.
    Completed(Vec<JobId>),
    /// The connection was lost and is back: hints may have been missed.
    Reconnected,
}

impl Hint {
    fn parse(payload: &str) -> Option<Self> {
        match payload {
            "due" => Some(Self::Due),
            "submission" => Some(Self::Submission),
            "parked" => Some(Self::Parked),
            "inbox" => Some(Self::Inbox),
            "cancel" => Some(Self::Cancel),
            "deadline" => Some(Self::Deadline),
            "schedule" => Some(Self::Schedule),
            "delivery" => Some(Self::Delivery),
            _ => {
                let (lane, seq) = payload.strip_prefix("ready:")?.split_once(':')?;
                Some(Self::Ready(Readied(LaneId(lane.parse().ok()?), seq.parse().ok()?)))
            }
        }
    }
}

/// What another connection tells is heard so soon, or never.
const HEARS_WITHIN: Duration = Duration::from_secs(5);

/// A connection of its own that waits for hints.
pub struct Listener {
    inner: PgListener,
}

impl Listener {
    /// Connects, listens, and makes sure that it hears: behind a pooler in transaction mode it would
    /// not, and nobody would know.
    pub async fn open(options: PgConnectOptions) -> Result<Self, sqlx::Error> {
        let pool = PgPoolOptions::new().max_connections(1).connect_lazy_with(options.clone());
        let mut inner = PgListener::connect_with(&pool).await?;
        inner.listen_all([HINTS, COMPLETED]).await?;
        let mut listener = Self { inner };
        listener.hear_another(&options).await?;
        Ok(listener)
    }

    /// Another connection speaks: to itself it would be heard even there. What else is heard
    /// meanwhile is lost: whoever opens a listener looks at everything then.
    async fn hear_another(&mut self, options: &PgConnectOptions) -> Result<(), sqlx::Error> {
        let mark = format!("mark:{}", Uuid::new_v4());
        let mut other = PgConnection::connect_with(options).await?;
        let tell = format!("/* hear_another */ notify {HINTS}, '{mark}'");
        let told = sqlx::raw_sql(AssertSqlSafe(tell)).execute(&mut other).await;
        // It hears what was meant for us, which the driver does not expect.
        if matches!(told, Err(sqlx::Error::Protocol(_))) {
            return Err(deaf());
        }
        told?;
        let heard = async {
            while self.inner.recv().await?.payload() != mark {}
            Ok(())
        };
        tokio::time::timeout(HEARS_WITHIN, heard).await.unwrap_or_else(|_| Err(deaf()))
    }

    /// The next hint; [`Hint::Reconnected`] after a loss. Fails where the database cannot be
    /// reached again.
    pub async fn next(&mut self) -> Result<Hint, sqlx::Error> {
        loop {
            match self.inner.try_recv().await? {
                None => return Ok(Hint::Reconnected),
                Some(notification) => {
                    let payload = notification.payload();
                    let hint = match notification.channel() {
                        COMPLETED => serde_json::from_str(payload).ok().map(Hint::Completed),
                        _ => Hint::parse(payload),
                    };
                    if let Some(hint) = hint {
                        return Ok(hint);
                    }
                }
            }
        }
    }
}

fn deaf() -> sqlx::Error {
    let told = "the connection for notifications hears none: let --listen-url lead to Postgres \
                itself, not to a pooler in transaction mode";
    sqlx::Error::Configuration(told.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_are_read_and_strange_ones_left_out() {
        assert_eq!(Hint::parse("ready:3:77"), Some(Hint::Ready(Readied(LaneId(3), 77))));
        assert_eq!(Hint::parse("due"), Some(Hint::Due));
        assert_eq!(Hint::parse("ready:x"), None);
        assert_eq!(Hint::parse(""), None);
    }
}
