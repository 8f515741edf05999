//! What one look at a schedule decides.
//!
//! Invariant: a time fires at most once, for the next one is always behind all that were looked at.

use std::{fmt, str::FromStr};

use chrono::{DateTime, TimeDelta, Utc};

use super::Rule;
use crate::spec::words;

/// A time that came so recently was not missed, only looked at late: coordinators take that long to
/// stand in for each other.
const LATE: TimeDelta = TimeDelta::seconds(15);
/// Times that wait for the job before them; more are left out.
const WAITING: usize = 100;
/// Times that one look fires.
const AT_ONCE: usize = 20;

/// What becomes of a time that comes while the job of the one before has not ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overlap {
    /// Its job is made all the same.
    #[default]
    Allow,
    /// It is left out.
    Skip,
    /// Its job is made once that one has ended.
    Queue,
}
words!(Overlap, "overlap": Allow = "allow", Skip = "skip", Queue = "queue");

/// Which of the times are made up for that came while nobody looked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CatchUp {
    /// The last one, where none has come since.
    #[default]
    Last,
    /// None.
    None,
    /// All, the newest ones up to the limit.
    All,
}
words!(CatchUp, "catch_up": Last = "last", None = "none", All = "all");

/// How a schedule deals with what does not go smoothly.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// While the job before has not ended.
    pub overlap: Overlap,
    /// After nobody looked.
    pub catch_up: CatchUp,
    /// Times made up for at most.
    pub catch_up_limit: usize,
}

/// A schedule as it stands.
#[derive(Clone, Debug)]
pub struct View {
    /// Its times lie behind this.
    pub since: DateTime<Utc>,
    /// The next one; none where it was not looked at yet.
    pub next_at: Option<DateTime<Utc>>,
    /// Those that have come and wait, oldest first.
    pub waiting: Vec<DateTime<Utc>>,
    /// The job of the last one has not ended.
    pub is_busy: bool,
    /// Its time has come before, and its job was not taken.
    pub is_deferred: bool,
}

/// What a look decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The times whose jobs are made now, oldest first.
    pub fire: Vec<DateTime<Utc>>,
    /// The next time; none where there is none any more.
    pub next_at: Option<DateTime<Utc>>,
    /// Those that wait.
    pub waiting: Vec<DateTime<Utc>>,
    /// How many were left out because the job before had not ended.
    pub skipped: usize,
}

/// Looks at a schedule.
pub fn step(rule: &Rule, policy: Policy, view: &View, now: DateTime<Utc>) -> Step {
    let next_at = view.next_at.or_else(|| rule.next(view.since, view.since));
    let come = next_at.filter(|at| *at <= now).map(|from| come(rule, policy, view, from, now));
    let (come, next_at) = match come {
        Some(come) => (come, rule.next(view.since, now)),
        None => (Vec::new(), next_at),
    };
    let (fire, waiting, skipped) = match policy.overlap {
        Overlap::Allow => at_once(view, come),
        Overlap::Skip => skip(come, view.is_busy),
        Overlap::Queue => queue(view, come),
    };
    Step { fire, next_at, waiting, skipped }
}

/// The times from `from` to `now` that are to have a job.
fn come(
    rule: &Rule,
    policy: Policy,
    view: &View,
    from: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Vec<DateTime<Utc>> {
    let since = view.since;
    // All that came while its jobs were not taken was missed.
    let late = if view.is_deferred { now } else { now - LATE };
    let limit = match policy.catch_up {
        CatchUp::All => policy.catch_up_limit,
        CatchUp::Last | CatchUp::None => 1,
    };
    let recent = rule.newest(since, from.max(late), now, WAITING);
    let mut all = match from < late {
        true => rule.newest(since, from, late - TimeDelta::microseconds(1), limit),
        false => Vec::new(),
    };
    if policy.catch_up == CatchUp::None || policy.catch_up == CatchUp::Last && !recent.is_empty() {
        all.clear();
    }
    all.extend(recent);
    all
}

type Decided = (Vec<DateTime<Utc>>, Vec<DateTime<Utc>>, usize);

/// Many are made in several looks; one by one where they may not all be taken.
fn at_once(view: &View, come: Vec<DateTime<Utc>>) -> Decided {
    let most = if view.is_deferred { 1 } else { AT_ONCE };
    let mut fire = view.waiting.clone();
    fire.extend(come);
    let mut waiting = fire.split_off(fire.len().min(most));
    let skipped = waiting.len().saturating_sub(WAITING);
    waiting.truncate(WAITING);
    (fire, waiting, skipped)
}

/// Of several only the last is made, for they would overlap each other.
fn skip(mut come: Vec<DateTime<Utc>>, is_busy: bool) -> Decided {
    let count = come.len();
    let fire: Vec<_> = come.pop().into_iter().filter(|_| !is_busy).collect();
    let skipped = count - fire.len();
    (fire, Vec::new(), skipped)
}

fn queue(view: &View, come: Vec<DateTime<Utc>>) -> Decided {
    let mut waiting = view.waiting.clone();
    waiting.extend(come);
    let fire = match view.is_busy || waiting.is_empty() {
        true => Vec::new(),
        false => vec![waiting.remove(0)],
    };
    let skipped = waiting.len().saturating_sub(WAITING);
    waiting.truncate(WAITING);
    (fire, waiting, skipped)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const START: i64 = 1_800_000_000;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(START + seconds, 0).unwrap()
    }

    fn policy(overlap: Overlap, catch_up: CatchUp) -> Policy {
        Policy { overlap, catch_up, catch_up_limit: 3 }
    }

    /// Every ten seconds, next at 10.
    fn look(
        policy: Policy,
        waiting: &[i64],
        is_busy: bool,
        now: i64,
    ) -> (Vec<i64>, Vec<i64>, usize) {
        let rule = Rule::every(Duration::from_secs(10)).unwrap();
        let waiting = waiting.iter().map(|s| at(*s)).collect();
        let view =
            View { since: at(0), next_at: Some(at(10)), waiting, is_busy, is_deferred: false };
        let step = step(&rule, policy, &view, at(now));
        assert_eq!(
            step.next_at,
            Some(at((now / 10 + 1) * 10)).filter(|_| now >= 10).or(Some(at(10)))
        );
        let seconds = |all: Vec<DateTime<Utc>>| -> Vec<i64> {
            all.into_iter().map(|at| at.timestamp() - START).collect()
        };
        (seconds(step.fire), seconds(step.waiting), step.skipped)
    }

    #[test]
    fn a_time_fires_when_it_has_come_and_not_before() {
        let allow = policy(Overlap::Allow, CatchUp::Last);
        assert_eq!(look(allow, &[], true, 9), (vec![], vec![], 0));
        assert_eq!(look(allow, &[], true, 10), (vec![10], vec![], 0));
        assert_eq!(look(allow, &[], true, 21), (vec![10, 20], vec![], 0), "late, not missed");
    }

    #[test]
    fn what_was_missed_is_made_up_for_as_the_policy_says() {
        let of = |catch_up| look(policy(Overlap::Allow, catch_up), &[], false, 100).0;
        assert_eq!(of(CatchUp::None), [90, 100]);
        assert_eq!(of(CatchUp::Last), [90, 100], "what is recent stands for it");
        assert_eq!(of(CatchUp::All), [60, 70, 80, 90, 100]);
        let rule = Rule::every(Duration::from_secs(1000)).unwrap();
        let view = View {
            since: at(0),
            next_at: None,
            waiting: vec![],
            is_busy: false,
            is_deferred: false,
        };
        let last = policy(Overlap::Allow, CatchUp::Last);
        let missed = step(&rule, last, &view, at(2500));
        assert_eq!((missed.fire, missed.next_at), (vec![at(2000)], Some(at(3000))));
        let none = step(&rule, policy(Overlap::Allow, CatchUp::None), &view, at(2500));
        assert_eq!((none.fire, none.next_at), (vec![], Some(at(3000))));
    }

    #[test]
    fn what_came_while_its_jobs_were_not_taken_was_missed_and_is_made_up_for_one_by_one() {
        let of = |catch_up, waiting: &[i64]| {
            let rule = Rule::every(Duration::from_secs(10)).unwrap();
            let waiting = waiting.iter().map(|s| at(*s)).collect();
            let (since, next_at) = (at(0), Some(at(10)));
            let view = View { since, next_at, waiting, is_busy: false, is_deferred: true };
            let step = step(&rule, policy(Overlap::Allow, catch_up), &view, at(35));
            assert_eq!(step.next_at, Some(at(40)));
            let seconds = |all: &[DateTime<Utc>]| -> Vec<i64> {
                all.iter().map(|at| at.timestamp() - START).collect()
            };
            (seconds(&step.fire), seconds(&step.waiting))
        };
        assert_eq!(of(CatchUp::None, &[]), (vec![], vec![]));
        assert_eq!(of(CatchUp::Last, &[]), (vec![30], vec![]));
        assert_eq!(of(CatchUp::All, &[]), (vec![10], vec![20, 30]));
        assert_eq!(of(CatchUp::Last, &[1, 2]), (vec![1], vec![2, 30]));
    }

    #[test]
    fn a_time_that_overlaps_is_allowed_or_skipped_or_waits() {
        let skip = policy(Overlap::Skip, CatchUp::Last);
        assert_eq!(look(skip, &[], true, 10), (vec![], vec![], 1));
        assert_eq!(look(skip, &[], false, 20), (vec![20], vec![], 1));
        let queue = policy(Overlap::Queue, CatchUp::Last);
        assert_eq!(look(queue, &[1, 2], true, 10), (vec![], vec![1, 2, 10], 0));
        assert_eq!(look(queue, &[1, 2], false, 9), (vec![1], vec![2], 0));
        assert_eq!(look(queue, &[], false, 10), (vec![10], vec![], 0));
        let many: Vec<i64> = (-100..0).collect();
        let (fire, waiting, skipped) = look(queue, &many, true, 10);
        assert_eq!((fire.len(), waiting.len(), skipped), (0, 100, 1));
    }
}
