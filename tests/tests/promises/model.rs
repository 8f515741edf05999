//! What a job should be like, by the rules of `postq_common::state` alone.

use std::collections::{BTreeMap, VecDeque};

use postq_common::{
    dag::Plan,
    spec::Delivery,
    state::{
        DEFAULT_CRASH_LIMIT, Event, GateCounts, JobEvent, JobState, Next, TaskCounts, TaskState,
        TaskView, next_job_state, next_task_state,
    },
};
use postq_tests::TaskLook;

/// What a job should be like.
pub(crate) struct Model {
    plan: Plan,
    /// Of the job.
    pub(crate) state: JobState,
    /// By number.
    pub(crate) tasks: Vec<TaskView>,
    gates: Vec<GateCounts>,
}

impl Model {
    /// A job that was just admitted.
    pub(crate) fn new(plan: Plan) -> Self {
        let view = |task: &postq_common::dag::PlannedTask| TaskView {
            state: if task.gate().is_some() { TaskState::Blocked } else { TaskState::Ready },
            run_if: task.spec().run_if,
            max_attempts: task.spec().retry.max_attempts,
            attempts: 0,
            crashes: 0,
            crash_limit: DEFAULT_CRASH_LIMIT,
            is_cancel_requested: false,
            is_at_most_once: task.spec().delivery == Delivery::AtMostOnce,
        };
        let gate = |gate: &postq_common::dag::Gate| {
            GateCounts::waiting_for(u32::try_from(gate.parents().len()).unwrap())
        };
        let tasks = plan.tasks().iter().map(view).collect();
        let gates = plan.gates().iter().map(gate).collect();
        Self { plan, state: JobState::Queued, tasks, gates }
    }

    /// Lets something happen to a task; what cannot happen to it changes nothing.
    pub(crate) fn apply(&mut self, n: usize, event: Event) {
        let mut open = VecDeque::from([(n, event)]);
        while let Some((n, event)) = open.pop_front() {
            let Ok(moved) = next_task_state(&self.tasks[n], event) else { continue };
            let task = &mut self.tasks[n];
            task.state = moved.next.state();
            (task.attempts, task.crashes) = (moved.attempts, moved.crashes);
            task.is_cancel_requested =
                matches!(moved.next, Next::Running { is_cancel_requested: true });
            if task.state.is_terminal() {
                let after_failure = matches!(moved.next, Next::Skipped { after_failure: true });
                open.extend(self.ended(n, after_failure));
            }
        }
    }

    /// Counts a task that ended at the gates behind it; returns what that means for others.
    fn ended(&mut self, n: usize, after_failure: bool) -> Vec<(usize, Event)> {
        let state = self.tasks[n].state;
        let mut events = Vec::new();
        for gate in self.plan.gates() {
            if gate.parents().iter().any(|&parent| parent as usize == n) {
                let counts = &mut self.gates[gate.number() as usize];
                *counts = counts.with_ended(state, after_failure);
                let behind = gate.first() as usize..=gate.last() as usize;
                events.extend(behind.map(|task| (task, Event::ParentEnded(*counts))));
            }
        }
        events
    }

    /// A task was given to an agent.
    pub(crate) fn claimed(&mut self, n: usize) {
        self.apply(n, Event::Claimed);
        self.state = next_job_state(self.state, JobEvent::TaskClaimed).unwrap();
    }

    /// To be called after tasks have moved.
    pub(crate) fn settle(&mut self) {
        let counts = TaskCounts::of(self.tasks.iter().map(|task| task.state));
        if !self.state.is_terminal() {
            self.state = next_job_state(self.state, JobEvent::TasksMoved(counts)).unwrap();
        }
    }

    /// Somebody asked for its end.
    pub(crate) fn cancel(&mut self) {
        // All at once: a child is not judged by a parent that is cancelled with it.
        for n in (0..self.tasks.len()).rev() {
            self.apply(n, Event::CancelRequested);
        }
        self.settle();
    }

    /// As the tests compare it.
    pub(crate) fn look(&self) -> (JobState, BTreeMap<String, TaskLook>) {
        let task = |task: &postq_common::dag::PlannedTask| {
            let view = &self.tasks[task.number() as usize];
            let look =
                TaskLook { state: view.state, attempts: view.attempts, crashes: view.crashes };
            (task.name().to_owned(), look)
        };
        (self.state, self.plan.tasks().iter().map(task).collect())
    }
}
