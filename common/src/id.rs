//! The ids of things, each a type of its own so that none is taken for another.
//!
//! It mints none: the database does, or a submitter for a job. Invariant: `Display` and `FromStr`
//! of one id are inverse.

use std::{fmt, num::ParseIntError, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident($inner:ty) or $error:ty;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = $error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }

        impl From<$inner> for $name {
            fn from(inner: $inner) -> Self {
                Self(inner)
            }
        }
    )+};
}

ids! {
    /// A submitted job; a UUIDv7, so that ids sort by time.
    JobId(Uuid) or uuid::Error;
    /// One execution of one task, from one sequence of the database: the fence of every word about it.
    AttemptId(i64) or ParseIntError;
    /// One connection of an agent to a coordinator, numbered by the database.
    SessionId(i64) or ParseIntError;
    /// Ready tasks that are interchangeable for claiming.
    LaneId(i64) or ParseIntError;
    /// An agent, minted once per work directory.
    AgentId(Uuid) or uuid::Error;
    /// A coordinator process, minted at each of its starts.
    CoordinatorId(Uuid) or uuid::Error;
    /// A task inside its job: its position in the plan.
    TaskNumber(i32) or ParseIntError;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_read_back_what_they_show() {
        let job = JobId(Uuid::from_u128(7));
        assert_eq!(job.to_string().parse(), Ok(job));
        let attempt = AttemptId(-9);
        assert_eq!(attempt.to_string().parse(), Ok(attempt));
        assert!("x".parse::<LaneId>().is_err());
    }

    #[test]
    fn ids_are_bare_values_in_json() {
        assert_eq!(serde_json::to_string(&TaskNumber(3)).unwrap(), "3");
        assert_eq!(serde_json::from_str::<SessionId>("12").unwrap(), SessionId(12));
    }
}
