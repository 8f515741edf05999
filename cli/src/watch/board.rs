//! The state of every task of a job, as far as it was told.
//!
//! Pure but for the clock that durations of running tasks need, which is an argument. Invariant:
//! the counts are those of the tasks.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use postq_proto::v1::{Attempt, Job, Task, WatchJobResponse, attempt::Outcome, task::State};

use super::words;
use crate::output;

/// Everything known of a job.
#[derive(Clone, Debug, Default)]
pub struct Board {
    /// The job, without its tasks.
    pub job: Job,
    tasks: BTreeMap<i32, Entry>,
    counts: BTreeMap<i32, usize>,
    running: BTreeSet<i32>,
}

/// One task and since when we know it to run.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The task as told last.
    pub task: Task,
    running_since: Option<Instant>,
}

/// A task that is not what it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its position in the plan.
    pub number: i32,
    /// The attempt that ended without ending the task, if that is what happened.
    pub lost: Option<i64>,
}

impl Board {
    /// Takes a message of the watch; gives the tasks whose state or attempt changed.
    pub fn take(&mut self, told: WatchJobResponse, now: Instant) -> Vec<Change> {
        if let Some(job) = told.job {
            self.job = job;
        }
        told.tasks.into_iter().filter_map(|task| self.take_task(task, now)).collect()
    }

    /// Takes tasks as they are.
    pub fn take_tasks(&mut self, tasks: impl IntoIterator<Item = Task>) {
        let now = Instant::now();
        for task in tasks {
            self.take_task(task, now);
        }
    }

    fn take_task(&mut self, task: Task, now: Instant) -> Option<Change> {
        let number = task.number;
        let before = self.tasks.remove(&number);
        let old_state = before.as_ref().map(|entry| entry.task.state());
        let old_attempt = before.as_ref().and_then(|entry| attempt_id(&entry.task));
        if let Some(state) = old_state {
            *self.counts.entry(state.into()).or_default() -= 1;
        }
        let state = task.state();
        *self.counts.entry(state.into()).or_default() += 1;
        if state == State::Running {
            self.running.insert(number);
        } else {
            self.running.remove(&number);
        }
        let is_same = old_state == Some(state)
            && (old_attempt == attempt_id(&task) || state != State::Running);
        let since = before.filter(|_| is_same).and_then(|entry| entry.running_since);
        let running_since = (state == State::Running).then(|| since.unwrap_or(now));
        let was_running = old_state == Some(State::Running);
        let lost = old_attempt.filter(|_| was_running && !words::is_final(state) && !is_same);
        self.tasks.insert(number, Entry { task, running_since });
        (!is_same).then_some(Change { number, lost })
    }

    /// A task by its position in the plan.
    pub fn entry(&self, number: i32) -> Option<&Entry> {
        self.tasks.get(&number)
    }

    /// All tasks in the order of the plan.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.tasks.values()
    }

    /// The tasks that run, in the order of the plan.
    pub fn running(&self) -> impl Iterator<Item = (i32, &Entry)> {
        self.running.iter().filter_map(|&number| Some((number, self.tasks.get(&number)?)))
    }

    /// Whether a task runs.
    pub fn is_running(&self, number: i32) -> bool {
        self.running.contains(&number)
    }

    /// How many tasks are in `state`.
    pub fn count(&self, state: State) -> usize {
        self.counts.get(&i32::from(state)).copied().unwrap_or(0)
    }

    /// How many tasks have ended.
    pub fn ended(&self) -> usize {
        [State::Succeeded, State::Failed, State::Cancelled, State::Skipped]
            .map(|state| self.count(state))
            .iter()
            .sum()
    }

    /// How many tasks the job has.
    pub fn total(&self) -> usize {
        usize::try_from(self.job.task_count).unwrap_or(0).max(self.tasks.len())
    }

    /// Whether the job has ended.
    pub fn is_over(&self) -> bool {
        words::is_over(self.job.state())
    }

    /// `3 succeeded, 2 running, 1 blocked`.
    pub fn counts(&self) -> String {
        let order = [
            State::Succeeded,
            State::Failed,
            State::Cancelled,
            State::Skipped,
            State::Running,
            State::Ready,
            State::Scheduled,
            State::Parked,
            State::Blocked,
        ];
        let told = order.into_iter().filter(|&state| self.count(state) > 0);
        let told = told.map(|state| format!("{} {}", self.count(state), words::task_state(state)));
        told.collect::<Vec<_>>().join(", ")
    }
}

impl Entry {
    /// The agent of the latest attempt.
    pub fn agent(&self) -> &str {
        self.task.attempt.as_ref().map_or("", |attempt| &attempt.agent)
    }

    /// How long the latest attempt took, or has taken so far.
    pub fn duration(&self, now: Instant) -> Option<Duration> {
        if let Some(since) = self.running_since {
            return Some(now.saturating_duration_since(since));
        }
        let of_attempt = |attempt: &Attempt| {
            output::between(attempt.started_at.as_ref(), attempt.finished_at.as_ref())
        };
        self.task.attempt.as_ref().and_then(of_attempt)
    }

    /// Why the task is what it is, where the state alone does not tell.
    pub fn reason(&self) -> String {
        let attempt = self.task.attempt.as_ref();
        if !self.task.reason.is_empty() || self.task.state() == State::Succeeded {
            return self.task.reason.clone();
        }
        match attempt.map(|attempt| (attempt, attempt.outcome())) {
            None | Some((_, Outcome::Unspecified | Outcome::Succeeded)) => String::new(),
            Some((attempt, outcome)) if attempt.reason.is_empty() => words::outcome(outcome),
            Some((attempt, _)) => attempt.reason.clone(),
        }
    }
}

fn attempt_id(task: &Task) -> Option<i64> {
    task.attempt.as_ref().map(|attempt| attempt.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(number: i32, state: State, attempt: i64) -> Task {
        Task {
            name: format!("t{number}"),
            number,
            state: state.into(),
            attempt: (attempt > 0).then(|| Attempt { id: attempt, ..Attempt::default() }),
            ..Task::default()
        }
    }

    fn told(tasks: impl IntoIterator<Item = Task>) -> WatchJobResponse {
        WatchJobResponse { tasks: tasks.into_iter().collect(), ..WatchJobResponse::default() }
    }

    #[test]
    fn counts_follow_every_change() {
        let mut board = Board::default();
        let now = Instant::now();
        board.take(told([task(0, State::Ready, 0), task(1, State::Blocked, 0)]), now);
        board.take(told([task(0, State::Running, 5)]), now);
        assert_eq!(board.counts(), "1 running, 1 blocked");
        board.take(told([task(0, State::Succeeded, 5), task(1, State::Running, 6)]), now);
        assert_eq!((board.ended(), board.total(), board.running().count()), (1, 2, 1));
    }

    #[test]
    fn a_task_told_again_is_no_change() {
        let mut board = Board::default();
        let now = Instant::now();
        let running = || told([task(0, State::Running, 5)]);
        assert_eq!(board.take(running(), now).len(), 1);
        assert_eq!(board.take(running(), now + Duration::from_secs(3)), []);
        let entry = board.entry(0).unwrap();
        assert_eq!(entry.duration(now + Duration::from_secs(3)), Some(Duration::from_secs(3)));
    }

    #[test]
    fn an_attempt_that_ended_alone_is_told_as_lost() {
        let mut board = Board::default();
        let now = Instant::now();
        board.take(told([task(0, State::Running, 5)]), now);
        let changes = board.take(told([task(0, State::Ready, 5)]), now);
        assert_eq!(changes, [Change { number: 0, lost: Some(5) }]);
        let changes = board.take(told([task(0, State::Running, 8)]), now);
        assert_eq!(changes, [Change { number: 0, lost: None }]);
        let changes = board.take(told([task(0, State::Running, 9)]), now);
        assert_eq!(changes, [Change { number: 0, lost: Some(8) }]);
    }
}
