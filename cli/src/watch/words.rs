//! States as people read and write them: the names of the contract, in lower case.

use postq_proto::v1::{attempt, job, task};

/// `RUNNING` as `running`.
pub fn job_state(state: job::State) -> String {
    state.as_str_name().to_lowercase()
}

/// `RUNNING` as `running`.
pub fn task_state(state: task::State) -> String {
    state.as_str_name().to_lowercase()
}

/// `TIMED_OUT` as `timed out`.
pub fn outcome(outcome: attempt::Outcome) -> String {
    outcome.as_str_name().to_lowercase().replace('_', " ")
}

/// `1 task`, `2 tasks`.
pub fn many(count: impl Into<i64>, thing: &str) -> String {
    match count.into() {
        1 => format!("1 {thing}"),
        count => format!("{count} {thing}s"),
    }
}

/// Whether a task in this state changes no more.
pub fn is_final(state: task::State) -> bool {
    matches!(
        state,
        task::State::Succeeded
            | task::State::Failed
            | task::State::Cancelled
            | task::State::Skipped
    )
}

/// Whether a job in this state changes no more.
pub fn is_over(state: job::State) -> bool {
    matches!(state, job::State::Succeeded | job::State::Failed | job::State::Cancelled)
}

/// Reads a job's state in any case.
pub fn parse_job_state(text: &str) -> Result<job::State, String> {
    job::State::from_str_name(&text.to_uppercase())
        .filter(|&state| state != job::State::Unspecified)
        .ok_or_else(|| "want scheduled, queued, running, succeeded, failed or cancelled".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_no_plural() {
        assert_eq!(
            [many(0, "task"), many(1, "task"), many(2, "task")],
            ["0 tasks", "1 task", "2 tasks"]
        );
    }

    #[test]
    fn a_state_is_read_as_it_is_written() {
        assert_eq!(parse_job_state(&job_state(job::State::Running)), Ok(job::State::Running));
        assert!(parse_job_state("unspecified").is_err());
        assert!(parse_job_state("done").is_err());
    }
}
