//! Which retry waits how long.
//!
//! The randomness is an argument. Invariant: no number of retries overflows or panics.

use std::time::Duration;

use crate::spec::RetryPolicy;

/// The pause before retry `nth` (from 1): `backoff * 2^(nth-1)`, at most `max_backoff`, less a part
/// of up to one half. `jitter` is a random number from 0.0 (no part) to 1.0 (one half).
pub fn delay(policy: &RetryPolicy, nth: u32, jitter: f64) -> Duration {
    let doublings = nth.saturating_sub(1);
    let factor = 1u32.checked_shl(doublings).unwrap_or(u32::MAX);
    let whole = policy.backoff.saturating_mul(factor).min(policy.max_backoff);
    // Out of range, NaN included, takes nothing off.
    let part = if (0.0..=1.0).contains(&jitter) { jitter / 2.0 } else { 0.0 };
    whole.mul_f64(1.0 - part).min(whole)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn policy(backoff: Duration, max_backoff: Duration) -> RetryPolicy {
        RetryPolicy { backoff, max_backoff, ..RetryPolicy::default() }
    }

    #[test]
    fn pauses_double_up_to_the_longest() {
        let policy = policy(Duration::from_secs(1), Duration::from_secs(6));
        let seconds: Vec<f64> = (1..=5).map(|n| delay(&policy, n, 0.0).as_secs_f64()).collect();
        assert_eq!(seconds, [1.0, 2.0, 4.0, 6.0, 6.0]);
    }

    #[test]
    fn jitter_takes_up_to_one_half() {
        let policy = policy(Duration::from_secs(8), Duration::from_secs(60));
        assert_eq!(delay(&policy, 1, 0.5), Duration::from_secs(6));
        assert_eq!(delay(&policy, 1, 1.0), Duration::from_secs(4));
        assert_eq!(delay(&policy, 1, f64::NAN), Duration::from_secs(8));
    }

    proptest! {
        #[test]
        fn no_number_of_retries_breaks_the_bounds(
            backoff: Duration, max_backoff: Duration, nth: u32, jitter in 0.0..1.0
        ) {
            let got = delay(&policy(backoff, max_backoff), nth, jitter);
            prop_assert!(got <= max_backoff);
            prop_assert!(nth < 32 || backoff < max_backoff || got >= max_backoff.mul_f64(0.499));
        }
    }
}
