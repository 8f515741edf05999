//! The times of a schedule: a cron expression in a time zone, or an interval.
//!
//! What days and zones do to an expression is the business of its library: a time that a change of
//! the clocks leaves out comes right after the gap, and one that it repeats comes once.
//! Invariant: a rule that exists has a next time.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use croner::{
    Cron,
    parser::{CronParser, Seconds, Year},
};
use thiserror::Error;

/// When a schedule fires.
#[derive(Clone, Debug)]
pub enum Rule {
    /// At the times of an expression.
    Cron {
        /// 5 fields, or 6 with seconds first.
        cron: Box<Cron>,
        /// Where these times are.
        zone: Tz,
    },
    /// Every so long, at least a second.
    Every(TimeDelta),
}

/// What does not say when.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BadRule {
    /// No expression.
    #[error(
        "{text:?} is no cron expression: {why}; write 5 fields (minute hour day month weekday), or 6 with seconds first"
    )]
    Cron {
        /// As written.
        text: String,
        /// What the parser says.
        why: String,
    },
    /// An expression whose time never comes.
    #[error("{0:?} is a cron expression whose time never comes")]
    Never(String),
    /// No zone.
    #[error("{0:?} is no time zone; write a name as Europe/Berlin")]
    Zone(String),
    /// Too short or too long.
    #[error("an interval is 1 s to 3660 days")]
    Every,
}

impl Rule {
    /// The longest interval.
    const LONGEST: Duration = Duration::from_secs(3660 * 24 * 60 * 60);

    /// At the times of an expression in the zone of that name. `now` is for asking whether any comes.
    pub fn cron(text: &str, zone: &str, now: DateTime<Utc>) -> Result<Self, BadRule> {
        let zone: Tz = zone.parse().map_err(|_| BadRule::Zone(zone.to_owned()))?;
        let parser =
            CronParser::builder().seconds(Seconds::Optional).year(Year::Disallowed).build();
        let cron = parser.parse(text).map_err(|error| {
            let why = error.to_string();
            BadRule::Cron { text: text.to_owned(), why: why.trim_end_matches('.').to_owned() }
        })?;
        let rule = Self::Cron { cron: Box::new(cron), zone };
        match rule.next(now, now) {
            Some(_) => Ok(rule),
            None => Err(BadRule::Never(text.to_owned())),
        }
    }

    /// Every so long.
    pub fn every(interval: Duration) -> Result<Self, BadRule> {
        let is_usual = (Duration::from_secs(1)..=Self::LONGEST).contains(&interval);
        let interval = TimeDelta::from_std(interval).ok().filter(|_| is_usual);
        interval.map(Self::Every).ok_or(BadRule::Every)
    }

    /// The first time behind `after`; intervals are counted from `since`.
    pub fn next(&self, since: DateTime<Utc>, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match self {
            Self::Cron { cron, zone } => {
                let after = after.with_timezone(zone);
                cron.find_next_occurrence(&after, false).ok().map(|at| at.with_timezone(&Utc))
            }
            Self::Every(_) if after < since => self.next(since, since),
            Self::Every(interval) => {
                let step = interval.num_microseconds()?;
                let gone = (after - since).num_microseconds()?;
                since.checked_add_signed(TimeDelta::microseconds(
                    (gone / step + 1).checked_mul(step)?,
                ))
            }
        }
    }

    /// The newest times from `from` to `until`, both included, at most so many; the oldest first.
    pub fn newest(
        &self,
        since: DateTime<Utc>,
        from: DateTime<Utc>,
        until: DateTime<Utc>,
        at_most: usize,
    ) -> Vec<DateTime<Utc>> {
        let mut found = Vec::new();
        let mut before = until;
        let mut is_inclusive = true;
        while found.len() < at_most {
            match self.previous(since, before, is_inclusive).filter(|at| *at >= from) {
                Some(at) => {
                    found.push(at);
                    (before, is_inclusive) = (at, false);
                }
                None => break,
            }
        }
        found.reverse();
        found
    }

    /// The last time before `before`, or at it where that counts.
    fn previous(
        &self,
        since: DateTime<Utc>,
        before: DateTime<Utc>,
        is_inclusive: bool,
    ) -> Option<DateTime<Utc>> {
        match self {
            Self::Cron { cron, zone } => {
                let before = before.with_timezone(zone);
                let found = cron.find_previous_occurrence(&before, is_inclusive).ok()?;
                Some(found.with_timezone(&Utc))
            }
            Self::Every(interval) => {
                let step = interval.num_microseconds()?;
                let gone = (before - since).num_microseconds()?;
                let gone = if is_inclusive { gone } else { gone - 1 };
                let count = gone.div_euclid(step);
                (count > 0).then(|| since + TimeDelta::microseconds(count * step))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn next(cron: &str, zone: &str, after: &str) -> String {
        let after = at(after);
        let found = Rule::cron(cron, zone, after).unwrap().next(after, after).unwrap();
        found.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
    }

    #[test]
    fn a_time_of_day_comes_the_same_day_or_the_next_and_not_twice_at_the_same_moment() {
        assert_eq!(next("30 12 * * *", "UTC", "2026-03-01T12:00:00Z"), "2026-03-01T12:30:00Z");
        assert_eq!(next("30 12 * * *", "UTC", "2026-03-01T13:00:00Z"), "2026-03-02T12:30:00Z");
        assert_eq!(next("30 12 * * *", "UTC", "2026-03-01T12:30:00Z"), "2026-03-02T12:30:00Z");
        assert_eq!(next("0 9 * * MON", "UTC", "2026-03-03T00:00:00Z"), "2026-03-09T09:00:00Z");
    }

    #[test]
    fn a_time_of_day_stays_one_when_the_clocks_change() {
        let berlin = "Europe/Berlin";
        assert_eq!(next("0 8 * * *", berlin, "2026-03-28T08:00:00Z"), "2026-03-29T06:00:00Z");
        assert_eq!(next("0 8 * * *", berlin, "2026-10-24T07:00:00Z"), "2026-10-25T07:00:00Z");
        // 02:30 is left out on the first of these days, and is there twice on the second.
        assert_eq!(next("30 2 * * *", berlin, "2026-03-28T12:00:00Z"), "2026-03-29T01:00:00Z");
        assert_eq!(next("30 2 * * *", berlin, "2026-10-24T12:00:00Z"), "2026-10-25T00:30:00Z");
        assert_eq!(next("30 2 * * *", berlin, "2026-10-25T00:30:00Z"), "2026-10-26T01:30:00Z");
        assert_eq!(
            next("0 12 * * *", "Asia/Kolkata", "2026-01-01T00:00:00Z"),
            "2026-01-01T06:30:00Z"
        );
    }

    #[test]
    fn seconds_come_first_where_there_are_six_fields() {
        assert_eq!(next("*/15 * * * * *", "UTC", "2026-03-01T00:00:16Z"), "2026-03-01T00:00:30Z");
        assert_eq!(next("@hourly", "UTC", "2026-03-01T00:00:16Z"), "2026-03-01T01:00:00Z");
    }

    #[test]
    fn what_says_no_time_is_refused() {
        let now = at("2026-03-01T00:00:00Z");
        for bad in ["", "* * * *", "61 * * * *", "a b c d e", "* * * * * * *", "0 0 30 2 *"] {
            assert!(Rule::cron(bad, "UTC", now).is_err(), "{bad:?}");
        }
        assert_eq!(Rule::cron("* * * * *", "Mars", now).unwrap_err(), BadRule::Zone("Mars".into()));
        assert_eq!(Rule::every(Duration::from_millis(900)).unwrap_err(), BadRule::Every);
        assert_eq!(Rule::every(Duration::from_secs(u64::MAX)).unwrap_err(), BadRule::Every);
    }

    #[test]
    fn an_interval_is_counted_from_its_beginning() {
        let rule = Rule::every(Duration::from_secs(10)).unwrap();
        let since = at("2026-03-01T00:00:03Z");
        let next = |after| rule.next(since, at(after)).unwrap();
        assert_eq!(next("2026-03-01T00:00:03Z"), at("2026-03-01T00:00:13Z"));
        assert_eq!(next("2026-03-01T00:00:13Z"), at("2026-03-01T00:00:23Z"));
        assert_eq!(next("2026-02-01T00:00:00Z"), at("2026-03-01T00:00:13Z"));
        let newest = rule.newest(since, at("2026-03-01T00:00:13Z"), at("2026-03-01T00:00:33Z"), 2);
        assert_eq!(newest, [at("2026-03-01T00:00:23Z"), at("2026-03-01T00:00:33Z")]);
        assert!(rule.newest(since, since, since, 9).is_empty());
    }

    #[test]
    fn the_newest_times_of_an_expression_end_with_the_one_that_is_now() {
        let until = at("2026-03-01T00:05:00Z");
        let rule = Rule::cron("* * * * *", "UTC", until).unwrap();
        let newest = rule.newest(until, at("2026-03-01T00:03:00Z"), until, 9);
        assert_eq!(newest.len(), 3);
        assert_eq!((newest[0], newest[2]), (at("2026-03-01T00:03:00Z"), until));
    }
}
