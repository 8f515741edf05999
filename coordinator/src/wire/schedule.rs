//! Between schedules as they are stored and the messages of the wire.

use std::time::Duration;

use chrono::{DateTime, Utc};
use postq_common::{
    schedule::{BadRule, CatchUp, Overlap, Policy, Rule},
    spec::{Limits, Problem},
    state::JobState,
};
use postq_proto::{convert, document, v1};
use serde_json::{Value, json};

use crate::store::ScheduleRow;

/// Times made up for where the client does not say.
const CATCH_UP_LIMIT: i32 = 100;
/// Bytes of a name.
const NAME: usize = 255;

/// When a stored schedule fires, and how it deals with what does not go smoothly.
pub fn rule(row: &ScheduleRow) -> Result<(Rule, Policy), BadRule> {
    let rule = match (&row.cron, row.every_ms) {
        (Some(cron), _) => Rule::cron(cron, &row.time_zone, row.now)?,
        (None, every) => {
            Rule::every(Duration::from_millis(every.unwrap_or(0).try_into().unwrap_or(0)))?
        }
    };
    let policy = Policy {
        overlap: row.overlap.parse().unwrap_or_default(),
        catch_up: row.catch_up.parse().unwrap_or_default(),
        catch_up_limit: usize::try_from(row.catch_up_limit).unwrap_or(1),
    };
    Ok((rule, policy))
}

/// A schedule for the wire. Its next time is told also where nobody has looked at it yet.
pub fn shown(row: ScheduleRow) -> v1::Schedule {
    let first = || rule(&row).ok().and_then(|(rule, _)| rule.next(row.since, row.since));
    let next_at = match row.is_paused || row.error.is_some() && row.retry_at.is_none() {
        true => None,
        false => row.next_at.or_else(first),
    };
    let overlap: Overlap = row.overlap.parse().unwrap_or_default();
    let catch_up: CatchUp = row.catch_up.parse().unwrap_or_default();
    let state: Option<JobState> = row.last_state.and_then(|state| state.parse().ok());
    v1::Schedule {
        name: row.name,
        cron: row.cron.unwrap_or_default(),
        every: row.every_ms.and_then(|ms| {
            let every = Duration::from_millis(u64::try_from(ms).ok()?);
            Some(pbjson_types::Duration::from(every))
        }),
        time_zone: row.time_zone,
        overlap: v1::schedule::Overlap::from(overlap) as i32,
        catch_up: v1::schedule::CatchUp::from(catch_up) as i32,
        catch_up_limit: row.catch_up_limit,
        job: document::job_from_json(&row.job).ok(),
        is_paused: row.is_paused,
        next_at: next_at.map(Into::into),
        last_at: row.last_at.map(Into::into),
        last_job_id: row.last_job.map(|id| id.to_string()).unwrap_or_default(),
        last_job_state: state.map_or(0, |state| v1::job::State::from(state) as i32),
        fired: row.fired,
        skipped: row.skipped,
        waiting: i32::try_from(row.waiting.len()).unwrap_or(i32::MAX),
        error: row.error.unwrap_or_default(),
        created_at: Some(row.created_at.into()),
    }
}

/// A schedule as `postq.put_schedule` takes it, or all that is wrong with it.
pub fn stored(schedule: &v1::Schedule, now: DateTime<Utc>) -> Result<Value, Vec<Problem>> {
    let mut problems = Vec::new();
    if let Some(message) = name_fault(&schedule.name) {
        problems.push(Problem::new("schedule.name", message));
    }
    if let Err((field, message)) = check_rule(schedule, now) {
        problems.push(Problem::new(format!("schedule.{field}"), message));
    }
    let limit = match schedule.catch_up_limit {
        0 => CATCH_UP_LIMIT,
        limit => limit,
    };
    if !(1..=1000).contains(&limit) {
        let message = format!("is {limit}; write 1 to 1000");
        problems.push(Problem::new("schedule.catch_up_limit", message));
    }
    let (overlap, catch_up) = words(schedule, &mut problems);
    let job = job(schedule, &mut problems);
    if !problems.is_empty() {
        return Err(problems);
    }
    let every = schedule.every.as_ref().and_then(|every| convert::duration(every).ok());
    Ok(json!({
        "name": schedule.name,
        "cron": Some(schedule.cron.trim()).filter(|cron| !cron.is_empty()),
        "every_ms": every.and_then(|every| i64::try_from(every.as_millis()).ok()),
        "time_zone": zone(schedule), "overlap": overlap.as_str(), "catch_up": catch_up.as_str(),
        "catch_up_limit": limit, "job": job,
    }))
}

fn zone(schedule: &v1::Schedule) -> &str {
    match schedule.time_zone.as_str() {
        "" => "UTC",
        zone => zone,
    }
}

fn name_fault(name: &str) -> Option<String> {
    match name {
        "" => Some("is empty; name the schedule".to_owned()),
        name if name.len() > NAME => {
            Some(format!("has {} bytes; a schedule may have {NAME}", name.len()))
        }
        name if name.chars().any(char::is_control) => {
            Some("has a control character; a schedule is printable text".to_owned())
        }
        _ => None,
    }
}

/// The field that does not say when, and why.
fn check_rule(schedule: &v1::Schedule, now: DateTime<Utc>) -> Result<Rule, (&'static str, String)> {
    let told = |field| move |bad: BadRule| (field, bad.to_string());
    match (schedule.cron.as_str(), &schedule.every) {
        ("", Some(every)) => {
            Rule::cron("* * * * *", zone(schedule), now).map_err(told("time_zone"))?;
            let every = convert::duration(every).map_err(|bad| ("every", bad.to_string()))?;
            Rule::every(every).map_err(told("every"))
        }
        ("", None) | (_, Some(_)) => {
            Err(("cron", "and every say when it fires; set one of them".to_owned()))
        }
        (cron, None) => Rule::cron(cron, zone(schedule), now).map_err(|bad| match bad {
            BadRule::Zone(_) => told("time_zone")(bad),
            _ => told("cron")(bad),
        }),
    }
}

fn words(schedule: &v1::Schedule, problems: &mut Vec<Problem>) -> (Overlap, CatchUp) {
    let overlap = v1::schedule::Overlap::try_from(schedule.overlap).unwrap_or_else(|_| {
        problems.push(Problem::new("schedule.overlap", "is unknown; write ALLOW, SKIP or QUEUE"));
        v1::schedule::Overlap::Allow
    });
    let catch_up = v1::schedule::CatchUp::try_from(schedule.catch_up).unwrap_or_else(|_| {
        problems.push(Problem::new("schedule.catch_up", "is unknown; write LAST, NONE or ALL"));
        v1::schedule::CatchUp::Last
    });
    (overlap.into(), catch_up.into())
}

fn job(schedule: &v1::Schedule, problems: &mut Vec<Problem>) -> Value {
    let Some(job) = &schedule.job else {
        problems.push(Problem::new("schedule.job", "missing; a job is what it makes"));
        return Value::Null;
    };
    if let Err(faults) = convert::plan(job, &Limits::default()) {
        let below = |fault: Problem| match fault.path.as_str() {
            "" => Problem::new("schedule.job", fault.message),
            path => Problem::new(format!("schedule.job.{path}"), fault.message),
        };
        problems.extend(faults.into_iter().map(below));
        return Value::Null;
    }
    document::job_to_json(job).unwrap_or_else(|error| {
        problems.push(Problem::new("schedule.job", error.to_string()));
        Value::Null
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_wrong_with_a_schedule_is_told_together() {
        let schedule = v1::Schedule {
            cron: "61 * * * *".into(),
            catch_up_limit: -1,
            overlap: 9,
            ..Default::default()
        };
        let faults = stored(&schedule, DateTime::UNIX_EPOCH).unwrap_err();
        let paths: Vec<_> = faults.iter().map(|fault| fault.path.as_str()).collect();
        assert_eq!(
            paths,
            [
                "schedule.name",
                "schedule.cron",
                "schedule.catch_up_limit",
                "schedule.overlap",
                "schedule.job"
            ]
        );
    }
}
