//! Which free slot is offered to which lane.
//!
//! It does not know how many tasks a lane has: an offer that finds none is made to the next lane in
//! the next round. Invariant: a slot is offered once, and only to a lane whose tasks it can run; all
//! that is offered to an agent fits beside what it runs already.

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    sync::Arc,
};

use crate::{
    id::{LaneId, SessionId},
    spec::{Executor, Needs, Resources},
};

/// What the tasks of a lane ask of an agent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Kind {
    /// How they run.
    pub executor: Executor,
    /// The function they need, with `Executor::Handler`.
    pub handler: Option<String>,
    /// Resources and labels.
    pub needs: Needs,
}

/// A lane that is believed to have ready tasks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaneView {
    /// Which.
    pub lane: LaneId,
    /// Greater is served first; lanes of equal priority share.
    pub priority: i32,
    /// What its tasks are.
    pub kind: Arc<Kind>,
}

/// What an agent has, whatever it runs now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Abilities {
    /// How it can run tasks.
    pub executors: HashSet<Executor>,
    /// The functions it has.
    pub handlers: HashSet<String>,
    /// What is said of it.
    pub labels: BTreeMap<String, String>,
    /// What all it runs can take together.
    pub resources: Resources,
}

impl Abilities {
    /// Whether it has the executor or the function.
    pub(crate) fn runs(&self, executor: Executor, handler: Option<&str>) -> bool {
        match (executor, handler) {
            (Executor::Handler, Some(handler)) => self.handlers.contains(handler),
            (Executor::Handler, None) => false,
            (executor, _) => self.executors.contains(&executor),
        }
    }

    /// Whether it could run such a task if it ran nothing else.
    pub fn can_run(&self, kind: &Kind) -> bool {
        self.runs(kind.executor, kind.handler.as_deref())
            && kind.needs.labels.iter().all(|need| need.holds(&self.labels))
            && fits(&kind.needs.resources, &self.resources)
    }
}

/// What an agent can take.
#[derive(Clone, Debug)]
pub struct Capacity<'a> {
    /// Its connection.
    pub session: SessionId,
    /// How many attempts more it may run.
    pub free: u32,
    /// What it has.
    pub abilities: &'a Abilities,
    /// What its attempts take of that.
    pub taken: Resources,
}

impl Capacity<'_> {
    /// Whether one more such task fits beside what runs.
    pub(crate) fn has_room(&self, kind: &Kind) -> bool {
        let amount = |of: &Resources, name| of.get(name).copied();
        let left = |name| {
            let taken = amount(&self.taken, name).unwrap_or_default();
            Some(amount(&self.abilities.resources, name)?.saturating_sub(taken))
        };
        let mut wanted = kind.needs.resources.iter();
        self.free > 0 && wanted.all(|(name, amount)| left(name).is_some_and(|left| left >= *amount))
    }
}

/// Whether there is as much of everything.
fn fits(wanted: &Resources, there: &Resources) -> bool {
    wanted.iter().all(|(name, amount)| there.get(name).is_some_and(|there| there >= amount))
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
            if let Some(session) = slots.take(&lane.kind) {
                offers.push((lane.lane, session));
                takers.push_back(lane);
            }
        }
    }
    offers
}

/// What one agent has left.
struct Left {
    slots: u32,
    resources: Resources,
}

impl Left {
    fn of(capacity: &Capacity<'_>) -> Self {
        let mut resources = capacity.abilities.resources.clone();
        for (name, taken) in &capacity.taken {
            if let Some(left) = resources.get_mut(name) {
                *left = left.saturating_sub(*taken);
            }
        }
        Self { slots: capacity.free, resources }
    }

    fn take(&mut self, wanted: &Resources) -> bool {
        if self.slots == 0 || !fits(wanted, &self.resources) {
            return false;
        }
        self.slots -= 1;
        for (name, amount) in wanted {
            if let Some(left) = self.resources.get_mut(name) {
                *left -= amount;
            }
        }
        true
    }
}

/// The free slots, and for each kind the agents in the order they take their turns.
struct Slots<'a> {
    agents: &'a [Capacity<'a>],
    left: Vec<Left>,
    turns: HashMap<&'a Kind, VecDeque<usize>>,
    turn: usize,
}

impl<'a> Slots<'a> {
    fn new(agents: &'a [Capacity<'a>], turn: usize) -> Self {
        let left = agents.iter().map(Left::of).collect();
        Self { agents, left, turns: HashMap::new(), turn }
    }

    /// The next slot that can run tasks of this kind, if there is one. An agent without room for one
    /// has none for another, so it is not asked again.
    fn take(&mut self, kind: &'a Kind) -> Option<SessionId> {
        let turns = self.turns.entry(kind).or_insert_with(|| {
            let agents = self.agents.iter().enumerate();
            let able = agents.filter(|(_, agent)| agent.abilities.can_run(kind));
            let mut able: VecDeque<usize> = able.map(|(at, _)| at).collect();
            let start = self.turn % able.len().max(1);
            able.rotate_left(start);
            able
        });
        while let Some(at) = turns.pop_front() {
            if self.left[at].take(&kind.needs.resources) {
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
