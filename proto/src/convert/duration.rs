//! Durations from the wire.

use std::time::Duration;

use thiserror::Error;

/// A duration that cannot be waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BadDuration {
    /// Below zero.
    #[error("is negative; write zero seconds or more")]
    Negative,
    /// Its nanoseconds are no part of a second.
    #[error("is not a duration; its nanoseconds are outside of 0 to 999,999,999")]
    Nanoseconds,
}

/// A duration as the wire carries it, which may be negative there.
pub fn duration(wire: &pbjson_types::Duration) -> Result<Duration, BadDuration> {
    if wire.seconds < 0 || wire.nanos < 0 {
        return Err(BadDuration::Negative);
    }
    let seconds = u64::try_from(wire.seconds).map_err(|_| BadDuration::Negative)?;
    let nanos = u32::try_from(wire.nanos).map_err(|_| BadDuration::Nanoseconds)?;
    if nanos >= 1_000_000_000 {
        return Err(BadDuration::Nanoseconds);
    }
    Ok(Duration::new(seconds, nanos))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(seconds: i64, nanos: i32) -> pbjson_types::Duration {
        pbjson_types::Duration { seconds, nanos }
    }

    #[test]
    fn only_durations_that_can_be_waited_for_are_accepted() {
        assert_eq!(duration(&wire(1, 500_000_000)), Ok(Duration::from_millis(1500)));
        assert_eq!(duration(&wire(0, 0)), Ok(Duration::ZERO));
        assert_eq!(duration(&wire(-1, 0)), Err(BadDuration::Negative));
        assert_eq!(duration(&wire(0, -1)), Err(BadDuration::Negative));
        assert_eq!(duration(&wire(0, 1_000_000_000)), Err(BadDuration::Nanoseconds));
    }
}
