//! Hints: what the database tells sleepers. A hint may be lost; a poll is the truth.

use postq_common::id::{JobId, LaneId};
use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};

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
            _ => {
                let (lane, seq) = payload.strip_prefix("ready:")?.split_once(':')?;
                Some(Self::Ready(Readied(LaneId(lane.parse().ok()?), seq.parse().ok()?)))
            }
        }
    }
}

/// A connection of its own that waits for hints.
pub struct Listener {
    inner: PgListener,
}

impl Listener {
    /// Connects and listens. `options` must lead to Postgres itself, not to a pooler in transaction
    /// mode.
    pub async fn open(options: PgConnectOptions) -> Result<Self, sqlx::Error> {
        let pool = PgPoolOptions::new().max_connections(1).connect_lazy_with(options);
        let mut inner = PgListener::connect_with(&pool).await?;
        inner.listen_all([HINTS, COMPLETED]).await?;
        Ok(Self { inner })
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
