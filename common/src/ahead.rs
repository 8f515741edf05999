//! Which waiting task's files an agent fetches that has no room for it yet.
//!
//! Nothing is claimed: a guess that turns out wrong costs what was fetched. Invariant: no two agents
//! are told of the same task, and who was told of a task is told of no other while that one waits.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use crate::{
    id::{AgentId, JobId, SessionId, TaskNumber},
    place::{Capacity, Kind},
};

/// Guesses that are made at a time: what they start from is read for each.
const MOST: usize = 64;

/// A task, by its job and its number.
pub type TaskKey = (JobId, TaskNumber);

/// A task that waits.
#[derive(Clone, Debug)]
pub struct Upcoming {
    /// Which.
    pub task: TaskKey,
    /// What it asks of an agent.
    pub kind: Arc<Kind>,
    /// The agent that finished its last parent.
    pub prefer: Option<AgentId>,
}

/// An agent that has been busy for some time.
#[derive(Clone, Debug)]
pub struct Busy<'a> {
    /// Whose.
    pub agent: AgentId,
    /// What it can take.
    pub capacity: Capacity<'a>,
    /// The task that it was told of last.
    pub told: Option<TaskKey>,
    /// It may be told of another one now, if that is gone.
    pub may_be_told: bool,
}

impl Busy<'_> {
    /// Whether it could run such a task, but not now.
    pub fn lacks_room(&self, kind: &Kind) -> bool {
        self.capacity.abilities.can_run(kind) && !self.capacity.has_room(kind)
    }
}

/// Tells agents of waiting tasks. Both come in the order in which they are likely to meet: the task that
/// is claimed next, and the agent that has run the same for longest, which is likely to be free first.
pub fn guess(waiting: &[Upcoming], agents: &[Busy<'_>]) -> Vec<(SessionId, TaskKey)> {
    let still: HashSet<TaskKey> = waiting.iter().map(|one| one.task).collect();
    let is_told = |agent: &&Busy<'_>| agent.told.is_some_and(|task| still.contains(&task));
    let mut given: HashSet<TaskKey> =
        agents.iter().filter(is_told).filter_map(|agent| agent.told).collect();
    // Tasks of one lane share it.
    let kinds: HashMap<*const Kind, &Kind> =
        waiting.iter().map(|one| (Arc::as_ptr(&one.kind), &*one.kind)).collect();
    let mut guesses = Vec::new();
    for agent in agents.iter().filter(|agent| agent.may_be_told && !is_told(agent)) {
        if guesses.len() == MOST {
            break;
        }
        let lacking = kinds.iter().filter(|(_, kind)| agent.lacks_room(kind));
        let lacking: HashSet<*const Kind> = lacking.map(|(lane, _)| *lane).collect();
        let open = waiting.iter().filter(|one| lacking.contains(&Arc::as_ptr(&one.kind)));
        let mut open = open.filter(|one| !given.contains(&one.task)).peekable();
        let first = open.peek().map(|one| one.task);
        // What prefers another agent has its files there, so others fetch it last.
        let suits = |one: &&Upcoming| one.prefer.is_none_or(|prefer| prefer == agent.agent);
        if let Some(task) = open.find(suits).map(|one| one.task).or(first) {
            given.insert(task);
            guesses.push((agent.capacity.session, task));
        }
    }
    guesses
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::{
        place::Abilities,
        spec::{Executor, Needs, Resources},
    };

    fn abilities(executor: Executor) -> Abilities {
        Abilities { executors: [executor].into(), ..Abilities::default() }
    }

    fn agent_id(n: u128) -> AgentId {
        AgentId(Uuid::from_u128(n))
    }

    fn busy(n: u32, abilities: &Abilities, told: Option<i32>) -> Busy<'_> {
        let (session, taken) = (SessionId(i64::from(n)), Resources::new());
        let told = told.map(key);
        Busy {
            agent: agent_id(n.into()),
            capacity: Capacity { session, free: 0, abilities, taken },
            told,
            may_be_told: true,
        }
    }

    fn key(n: i32) -> TaskKey {
        (JobId(Uuid::nil()), TaskNumber(n))
    }

    fn task(n: i32, executor: Executor, prefer: Option<u128>) -> Upcoming {
        let kind = Kind { executor, handler: None, needs: Needs::default() };
        Upcoming { task: key(n), kind: Arc::new(kind), prefer: prefer.map(agent_id) }
    }

    fn guessed(waiting: &[Upcoming], agents: &[Busy<'_>]) -> Vec<(i64, i32)> {
        guess(waiting, agents).into_iter().map(|(session, (_, n))| (session.0, n.0)).collect()
    }

    fn shell(n: i32) -> Upcoming {
        task(n, Executor::Shell, None)
    }

    #[test]
    fn the_agents_are_told_of_different_tasks_in_their_order() {
        let able = abilities(Executor::Shell);
        let agents = [busy(1, &able, None), busy(2, &able, None), busy(3, &able, None)];
        assert_eq!(guessed(&[shell(7), shell(8)], &agents), [(1, 7), (2, 8)]);
    }

    #[test]
    fn who_was_told_of_a_task_keeps_it_while_it_waits() {
        let able = abilities(Executor::Shell);
        let agents = [busy(1, &able, None), busy(2, &able, Some(7))];
        assert_eq!(guessed(&[shell(7), shell(8)], &agents), [(1, 8)]);
        assert_eq!(guessed(&[shell(8), shell(9)], &agents), [(1, 8), (2, 9)]);
    }

    #[test]
    fn who_was_told_of_a_task_that_is_gone_may_have_to_wait_for_another() {
        let able = abilities(Executor::Shell);
        let waits = |told| Busy { may_be_told: false, ..busy(1, &able, Some(told)) };
        assert_eq!(guessed(&[shell(7), shell(8)], &[waits(6), busy(2, &able, None)]), [(2, 7)]);
        assert_eq!(guessed(&[shell(7), shell(8)], &[waits(7), busy(2, &able, None)]), [(2, 8)]);
    }

    #[test]
    fn no_more_are_told_at_a_time_than_is_good() {
        let able = abilities(Executor::Shell);
        let agents: Vec<_> = (0..99).map(|n| busy(n, &able, None)).collect();
        let waiting: Vec<_> = (0..99).map(shell).collect();
        assert_eq!(guessed(&waiting, &agents).len(), MOST);
    }

    #[test]
    fn only_who_could_run_it_and_has_no_room_is_told() {
        let (able, other) = (abilities(Executor::Shell), abilities(Executor::Docker));
        let mut idle = busy(1, &able, None);
        idle.capacity.free = 1;
        let agents = [idle, busy(2, &other, None), busy(3, &able, None)];
        assert_eq!(guessed(&[shell(7), shell(8)], &agents), [(3, 7)]);
    }

    #[test]
    fn what_prefers_another_agent_comes_last() {
        let able = abilities(Executor::Shell);
        let prefers = |n, agent| task(n, Executor::Shell, Some(agent));
        let waiting = [prefers(7, 2), prefers(8, 1), shell(9)];
        assert_eq!(guessed(&waiting, &[busy(1, &able, None)]), [(1, 8)]);
        assert_eq!(guessed(&waiting, &[busy(3, &able, None)]), [(3, 9)]);
        assert_eq!(guessed(&waiting[..1], &[busy(3, &able, None)]), [(3, 7)]);
    }
}
