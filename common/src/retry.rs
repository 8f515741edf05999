//! Which failure is tried again, and which retry waits how long.
//!
//! The randomness is an argument. Invariant: no number of retries overflows or panics.

use std::time::Duration;

use crate::{
    spec::{Failure, RetryPolicy},
    state::Outcome,
};

/// Whether the policy covers an attempt that ended so; how many attempts are left is another matter.
/// A stop that nobody asked for is a failure.
pub fn covers(policy: &RetryPolicy, outcome: Outcome, exit_code: Option<i32>) -> bool {
    let failure = match outcome {
        Outcome::TimedOut => Failure::TimedOut,
        Outcome::Failed | Outcome::Cancelled => Failure::Failed,
        Outcome::Succeeded | Outcome::Lost | Outcome::Released => return true,
    };
    let is_outcome = policy.outcomes.is_empty() || policy.outcomes.contains(&failure);
    let is_code = match exit_code {
        Some(code) if failure == Failure::Failed && !policy.exit_codes.is_empty() => {
            policy.exit_codes.contains(&code)
        }
        _ => true,
    };
    is_outcome && is_code
}

/// The pause before retry `nth` (from 1), less the part `jitter` of the policy's part: `jitter` is a
/// random number from 0.0 (nothing is taken off) to 1.0 (as much as the policy allows).
pub fn delay(policy: &RetryPolicy, nth: u32, jitter: f64) -> Duration {
    let before = nth.saturating_sub(1);
    let whole = match policy.delays.as_slice() {
        [] => computed(policy, before).min(policy.max_backoff),
        delays => delays[usize::try_from(before).unwrap_or(usize::MAX).min(delays.len() - 1)],
    };
    // Out of range, NaN included, takes nothing off.
    let part = if (0.0..=1.0).contains(&jitter) { jitter * policy.jitter } else { 0.0 };
    whole.mul_f64(1.0 - part.clamp(0.0, 1.0)).min(whole)
}

/// The pause of the policy after so many retries.
fn computed(policy: &RetryPolicy, before: u32) -> Duration {
    // More overflows any factor but 1, which it does not matter for.
    let factor = policy.factor.powi(i32::try_from(before.min(62)).unwrap_or(62));
    let grown = policy.backoff.as_secs_f64() * factor;
    let added = policy.increment.as_secs_f64() * f64::from(before);
    Duration::try_from_secs_f64(grown + added).unwrap_or(Duration::MAX)
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

    #[test]
    fn a_list_of_pauses_counts_instead_of_what_is_computed_and_its_last_one_for_ever() {
        let delays = [1, 5, 2].map(Duration::from_secs).to_vec();
        let policy = RetryPolicy { delays, ..RetryPolicy::default() };
        let seconds: Vec<u64> = (1..=5).map(|n| delay(&policy, n, 0.0).as_secs()).collect();
        assert_eq!(seconds, [1, 5, 2, 2, 2]);
        assert_eq!(delay(&policy, 2, 1.0), Duration::from_millis(2500));
    }

    #[test]
    fn a_policy_covers_all_failures_or_those_that_it_names() {
        let all = RetryPolicy::default();
        assert!(covers(&all, Outcome::Failed, Some(3)) && covers(&all, Outcome::TimedOut, None));
        let some = RetryPolicy { exit_codes: vec![75], ..RetryPolicy::default() };
        assert!(
            covers(&some, Outcome::Failed, Some(75)) && !covers(&some, Outcome::Failed, Some(1))
        );
        assert!(covers(&some, Outcome::Failed, None), "a signal has no exit code");
        assert!(covers(&some, Outcome::TimedOut, Some(1)), "its code is not its own");
        let slow = RetryPolicy { outcomes: vec![Failure::TimedOut], ..RetryPolicy::default() };
        assert!(covers(&slow, Outcome::TimedOut, None) && !covers(&slow, Outcome::Cancelled, None));
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
