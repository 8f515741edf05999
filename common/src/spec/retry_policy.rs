//! How often and after what pause a task is tried again.
//!
//! The pause itself is computed in `crate::retry`.

use std::{fmt, num::NonZeroU32, str::FromStr, time::Duration};

use thiserror::Error;

use super::words;

/// Executions in total, the first included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MaxAttempts {
    /// At most so many.
    AtMost(NonZeroU32),
    /// As many as it takes.
    Unlimited,
}

/// A number of attempts below -1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{0} is not a number of attempts; write 1 or more, or -1 for no limit")]
pub struct BadMaxAttempts(pub i32);

impl MaxAttempts {
    /// One execution, no retry.
    pub const ONE: Self = Self::AtMost(NonZeroU32::MIN);

    /// Whether a task that was executed `attempts` times may be executed again.
    pub fn allows_after(self, attempts: u32) -> bool {
        match self {
            Self::AtMost(limit) => attempts < limit.get(),
            Self::Unlimited => true,
        }
    }

    /// As SQL and the wire write it: -1 is unlimited.
    pub fn to_i32(self) -> i32 {
        match self {
            Self::AtMost(limit) => i32::try_from(limit.get()).unwrap_or(i32::MAX),
            Self::Unlimited => -1,
        }
    }
}

impl Default for MaxAttempts {
    fn default() -> Self {
        Self::ONE
    }
}

/// As written: 0 is the default, -1 unlimited.
impl TryFrom<i32> for MaxAttempts {
    type Error = BadMaxAttempts;

    fn try_from(written: i32) -> Result<Self, BadMaxAttempts> {
        match written {
            0 => Ok(Self::default()),
            -1 => Ok(Self::Unlimited),
            _ => u32::try_from(written)
                .ok()
                .and_then(NonZeroU32::new)
                .map(Self::AtMost)
                .ok_or(BadMaxAttempts(written)),
        }
    }
}

/// The n-th retry waits `backoff * factor^(n-1) + increment * (n-1)`, at most `max_backoff`, or its
/// place in `delays`; less a random part.
#[derive(Clone, Debug, PartialEq)]
pub struct RetryPolicy {
    /// Executions in total.
    pub max_attempts: MaxAttempts,
    /// The pause before the first retry.
    pub backoff: Duration,
    /// The longest pause.
    pub max_backoff: Duration,
    /// What each pause is multiplied by for the next.
    pub factor: f64,
    /// What is added to each pause for the next.
    pub increment: Duration,
    /// The largest part that chance takes off, 0 to 1.
    pub jitter: f64,
    /// The pauses themselves, the last for ever; empty: as computed.
    pub delays: Vec<Duration>,
    /// Only these are tried again; empty: both.
    pub outcomes: Vec<Failure>,
    /// Only these of the failures with an exit code are tried again; empty: all.
    pub exit_codes: Vec<i32>,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_attempts: MaxAttempts::default(),
            backoff: Duration::from_secs(1),
            max_backoff: Duration::from_secs(60),
            factor: 2.0,
            increment: Duration::ZERO,
            jitter: 0.5,
            delays: Vec::new(),
            outcomes: Vec::new(),
            exit_codes: Vec::new(),
        }
    }
}

/// How an attempt may fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Failure {
    /// By itself.
    Failed,
    /// It ran too long.
    TimedOut,
}
words!(Failure, "outcome": Failed = "failed", TimedOut = "timed_out");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_attempts_mean_one_and_minus_one_means_unlimited() {
        assert_eq!(MaxAttempts::try_from(0), Ok(MaxAttempts::ONE));
        assert_eq!(MaxAttempts::try_from(-1), Ok(MaxAttempts::Unlimited));
        assert_eq!(MaxAttempts::try_from(-2), Err(BadMaxAttempts(-2)));
        assert_eq!(MaxAttempts::try_from(4).unwrap().to_i32(), 4);
        assert_eq!(MaxAttempts::Unlimited.to_i32(), -1);
    }

    #[test]
    fn max_attempts_counts_the_first_execution() {
        let three = MaxAttempts::try_from(3).unwrap();
        assert!(three.allows_after(2));
        assert!(!three.allows_after(3));
        assert!(MaxAttempts::Unlimited.allows_after(u32::MAX));
    }
}
