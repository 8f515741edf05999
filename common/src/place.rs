//! Which free slot is offered to which lane.
//!
//! It does not know how many tasks a lane has: an offer that finds none is made to the next lane in
//! the next round. Invariant: a slot is offered once, and only to a lane whose tasks it can run.

use std::collections::{HashMap, HashSet, VecDeque};

use crate::{
    id::{LaneId, SessionId},
    spec::Executor,
};

/// A lane that is believed to have ready tasks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaneView {
    /// Which.
    pub lane: LaneId,
    /// Greater is served first; lanes of equal priority share.
    pub priority: i32,
    /// How its tasks run.
    pub executor: Executor,
    /// The function they need, with `Executor::Handler`.
    pub handler: Option<String>,
}

/// What an agent can take.
#[derive(Clone, Copy, Debug)]
pub struct Capacity<'a> {
    /// Its connection.
    pub session: SessionId,
    /// How many attempts more it may run.
    pub free: u32,
    /// How it can run them.
    pub executors: &'a HashSet<Executor>,
    /// The functions it has.
    pub handlers: &'a HashSet<String>,
}

impl Capacity<'_> {
    fn can_run(&self, need: Need<'_>) -> bool {
        match (need.executor, need.handler) {
            (Executor::Handler, Some(handler)) => self.handlers.contains(handler),
            (Executor::Handler, None) => false,
            (executor, _) => self.executors.contains(&executor),
        }
    }
}

/// What the tasks of a lane ask of an agent.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Need<'a> {
    executor: Executor,
    handler: Option<&'a str>,
}

impl<'a> From<&'a LaneView> for Need<'a> {
    fn from(lane: &'a LaneView) -> Self {
        Self { executor: lane.executor, handler: lane.handler.as_deref() }
    }
}

/// Offers free slots to lanes, at most `max_slots`, one entry per slot. Lanes of the greatest
/// priority take all they can use; equal ones take in turns, and so do the agents. `turn` is any
/// number that changes from round to round: it moves on who begins, so that nobody starves where
/// slots are fewer than takers.
pub fn place(
    lanes: &[LaneView],
    agents: &[Capacity<'_>],
    max_slots: usize,
    turn: usize,
) -> Vec<(LaneId, SessionId)> {
    let mut by_priority: Vec<&LaneView> = lanes.iter().collect();
    by_priority.sort_by_key(|lane| std::cmp::Reverse(lane.priority));
    let mut slots = Slots::new(agents, turn);
    let mut offers = Vec::new();
    for group in by_priority.chunk_by(|a, b| a.priority == b.priority) {
        let mut takers: VecDeque<&LaneView> = group.iter().copied().collect();
        takers.rotate_left(turn % group.len());
        while offers.len() < max_slots
            && let Some(lane) = takers.pop_front()
        {
            if let Some(session) = slots.take(lane.into()) {
                offers.push((lane.lane, session));
                takers.push_back(lane);
            }
        }
    }
    offers
}

/// The free slots, and for each need the agents in the order they take their turns.
struct Slots<'a> {
    agents: &'a [Capacity<'a>],
    free: Vec<u32>,
    turns: HashMap<Need<'a>, VecDeque<usize>>,
    turn: usize,
}

impl<'a> Slots<'a> {
    fn new(agents: &'a [Capacity<'a>], turn: usize) -> Self {
        let free = agents.iter().map(|agent| agent.free).collect();
        Self { agents, free, turns: HashMap::new(), turn }
    }

    /// The next slot that can run `need`, if there is one.
    fn take(&mut self, need: Need<'a>) -> Option<SessionId> {
        let turns = self.turns.entry(need).or_insert_with(|| {
            let able = self.agents.iter().enumerate().filter(|(_, agent)| agent.can_run(need));
            let mut able: VecDeque<usize> = able.map(|(at, _)| at).collect();
            let start = self.turn % able.len().max(1);
            able.rotate_left(start);
            able
        });
        while let Some(at) = turns.pop_front() {
            if let Some(left) = self.free[at].checked_sub(1) {
                self.free[at] = left;
                turns.push_back(at);
                return Some(self.agents[at].session);
            }
        }
        None
    }
}

#[cfg(test)]
#[path = "place_tests.rs"]
mod tests;
