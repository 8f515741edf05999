//! What an allocation of slots promises.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

struct Agent {
    free: u32,
    executors: HashSet<Executor>,
    handlers: HashSet<String>,
}

fn agent(free: u32, executors: &[Executor], handlers: &[&str]) -> Agent {
    Agent {
        free,
        executors: executors.iter().copied().collect(),
        handlers: handlers.iter().map(|&name| name.to_owned()).collect(),
    }
}

fn lane(lane: i64, priority: i32, executor: Executor, handler: Option<&str>) -> LaneView {
    LaneView { lane: LaneId(lane), priority, executor, handler: handler.map(str::to_owned) }
}

fn placed(lanes: &[LaneView], agents: &[Agent], max: usize, turn: usize) -> Vec<(i64, i64)> {
    let capacities: Vec<Capacity<'_>> = (0..)
        .zip(agents)
        .map(|(n, agent)| Capacity {
            session: SessionId(n),
            free: agent.free,
            executors: &agent.executors,
            handlers: &agent.handlers,
        })
        .collect();
    place(lanes, &capacities, max, turn).into_iter().map(|(l, s)| (l.0, s.0)).collect()
}

#[test]
fn the_greater_priority_takes_all_it_can_use() {
    let lanes = [lane(1, 0, Executor::Shell, None), lane(2, 9, Executor::Docker, None)];
    let agents =
        [agent(2, &[Executor::Shell, Executor::Docker], &[]), agent(1, &[Executor::Shell], &[])];
    assert_eq!(placed(&lanes, &agents, 10, 0), [(2, 0), (2, 0), (1, 1)]);
}

#[test]
fn equal_lanes_and_agents_take_turns() {
    let lanes = [lane(1, 0, Executor::Shell, None), lane(2, 0, Executor::Shell, None)];
    let agents = [agent(2, &[Executor::Shell], &[]), agent(2, &[Executor::Shell], &[])];
    assert_eq!(placed(&lanes, &agents, 10, 0), [(1, 0), (2, 1), (1, 0), (2, 1)]);
}

#[test]
fn a_single_slot_goes_to_another_equal_lane_each_round() {
    let lanes: Vec<_> = (0..3).map(|n| lane(n, 0, Executor::Shell, None)).collect();
    let agents = [agent(1, &[Executor::Shell], &[])];
    let served: HashSet<_> = (0..3).map(|turn| placed(&lanes, &agents, 1, turn)[0].0).collect();
    assert_eq!(served.len(), 3);
}

#[test]
fn a_handler_lane_goes_to_agents_that_have_the_function() {
    let lanes = [lane(1, 0, Executor::Handler, Some("mail"))];
    let agents = [agent(1, &[Executor::Shell], &["sum"]), agent(1, &[], &["mail"])];
    assert_eq!(placed(&lanes, &agents, 10, 0), [(1, 1)]);
}

fn executor() -> impl Strategy<Value = Executor> {
    prop::sample::select(Executor::ALL)
}

prop_compose! {
    fn any_lane()(priority in -1..2i32, executor in executor(), name in "[xy]") -> LaneView {
        lane(0, priority, executor, (executor == Executor::Handler).then_some(name.as_str()))
    }
}

prop_compose! {
    fn any_agent()(
        free in 0..5u32,
        executors in prop::collection::hash_set(executor(), 0..3),
        handlers in prop::collection::hash_set("[xy]", 0..3),
    ) -> Agent {
        Agent { free, executors, handlers }
    }
}

impl std::fmt::Debug for Agent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {:?} {:?}", self.free, self.executors, self.handlers)
    }
}

fn fits(lane: &LaneView, agent: &Agent) -> bool {
    match &lane.handler {
        Some(name) => agent.handlers.contains(name),
        None => agent.executors.contains(&lane.executor),
    }
}

fn count(numbers: impl Iterator<Item = i64>) -> BTreeMap<i64, u32> {
    let mut counts = BTreeMap::new();
    numbers.for_each(|number| *counts.entry(number).or_default() += 1);
    counts
}

proptest! {
    #[test]
    fn slots_are_offered_once_to_fitting_lanes_by_priority_and_fairly(
        mut lanes in prop::collection::vec(any_lane(), 0..8),
        agents in prop::collection::vec(any_agent(), 0..6),
        max in 0..20usize,
        turn: usize,
    ) {
        (0..).zip(&mut lanes).for_each(|(n, lane)| lane.lane = LaneId(n));
        let offers = placed(&lanes, &agents, max, turn);
        prop_assert!(offers.len() <= max);
        let used = count(offers.iter().map(|&(_, session)| session));
        let taken = count(offers.iter().map(|&(lane, _)| lane));
        for (&session, &slots) in &used {
            prop_assert!(slots <= agents[session as usize].free);
        }
        let lane_of = |number: i64| &lanes[number as usize];
        for &(number, session) in &offers {
            prop_assert!(fits(lane_of(number), &agents[session as usize]));
        }
        // Nothing that fits is left while there is room.
        if offers.len() < max {
            for (agent, session) in agents.iter().zip(0..) {
                let left = agent.free - used.get(&session).copied().unwrap_or(0);
                prop_assert!(left == 0 || !lanes.iter().any(|lane| fits(lane, agent)));
            }
        }
        // A greater priority is served before a smaller one.
        let priorities: Vec<i32> = offers.iter().map(|&(n, _)| lane_of(n).priority).collect();
        prop_assert!(priorities.is_sorted_by(|a, b| a >= b));
        // Equal lanes with equal needs differ by at most one slot.
        for a in &lanes {
            for b in lanes.iter().filter(|b| b.priority == a.priority) {
                if (a.executor, &a.handler) == (b.executor, &b.handler) {
                    let got = |lane: &LaneView| taken.get(&lane.lane.0).copied().unwrap_or(0);
                    prop_assert!(got(a).abs_diff(got(b)) <= 1);
                }
            }
        }
    }
}
