//! What an allocation of slots promises.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::spec::{LabelNeed, LabelTest};

struct Agent {
    free: u32,
    abilities: Abilities,
    taken: Resources,
}

fn agent(free: u32, executors: &[Executor], handlers: &[&str]) -> Agent {
    let abilities = Abilities {
        executors: executors.iter().copied().collect(),
        handlers: handlers.iter().map(|&name| name.to_owned()).collect(),
        ..Abilities::default()
    };
    Agent { free, abilities, taken: Resources::new() }
}

fn lane(lane: i64, priority: i32, executor: Executor, handler: Option<&str>) -> LaneView {
    let kind = Kind { executor, handler: handler.map(str::to_owned), needs: Needs::default() };
    LaneView { lane: LaneId(lane), priority, kind: Arc::new(kind) }
}

fn memory(amount: u64) -> Resources {
    Resources::from([("memory".to_owned(), amount)])
}

fn placed(lanes: &[LaneView], agents: &[Agent], max: usize, turn: usize) -> Vec<(i64, i64)> {
    let capacities: Vec<Capacity<'_>> = (0..)
        .zip(agents)
        .map(|(n, agent)| Capacity {
            session: SessionId(n),
            free: agent.free,
            abilities: &agent.abilities,
            taken: agent.taken.clone(),
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

#[test]
fn an_agent_is_offered_no_more_than_its_resources_hold() {
    let mut big = agent(8, &[Executor::Shell], &[]);
    (big.abilities.resources, big.taken) = (memory(10), memory(3));
    let wide = agent(8, &[Executor::Shell], &[]);
    let mut needy = lane(1, 0, Executor::Shell, None);
    needy.kind = Arc::new(Kind {
        needs: Needs { resources: memory(3), ..Needs::default() },
        ..(*needy.kind).clone()
    });
    // Seven are left; who has declared nothing has nothing.
    assert_eq!(placed(&[needy], &[big, wide], 10, 0), [(1, 0), (1, 0)]);
}

#[test]
fn labels_choose_among_agents() {
    let mut agents = [agent(1, &[Executor::Shell], &[]), agent(1, &[Executor::Shell], &[])];
    agents[1].abilities.labels.insert("gpu".into(), "a100".into());
    let mut picky = lane(1, 0, Executor::Shell, None);
    let wanted = LabelNeed { label: "gpu".into(), test: LabelTest::In(["a100".to_owned()].into()) };
    picky.kind = Arc::new(Kind {
        needs: Needs { labels: [wanted].into(), ..Needs::default() },
        ..(*picky.kind).clone()
    });
    assert_eq!(placed(&[picky], &agents, 10, 0), [(1, 1)]);
}

fn executor() -> impl Strategy<Value = Executor> {
    prop::sample::select(Executor::ALL)
}

fn resources() -> impl Strategy<Value = Resources> {
    prop::collection::btree_map("[mg]", 1..6u64, 0..3)
}

fn labels() -> impl Strategy<Value = BTreeSet<LabelNeed>> {
    let test = prop_oneof![
        any::<bool>().prop_map(LabelTest::Exists),
        prop::collection::btree_set("[uv]", 1..2).prop_map(LabelTest::In),
        prop::collection::btree_set("[uv]", 1..2).prop_map(LabelTest::NotIn),
    ];
    let need = ("[kl]", test).prop_map(|(label, test)| LabelNeed { label, test });
    prop::collection::btree_set(need, 0..2)
}

prop_compose! {
    fn any_lane()(
        priority in -1..2i32, executor in executor(), name in "[xy]",
        resources in resources(), labels in labels(),
    ) -> LaneView {
        let handler = (executor == Executor::Handler).then_some(name);
        let kind = Kind { executor, handler, needs: Needs { resources, labels } };
        LaneView { lane: LaneId(0), priority, kind: Arc::new(kind) }
    }
}

prop_compose! {
    fn any_agent()(
        free in 0..5u32,
        executors in prop::collection::hash_set(executor(), 0..3),
        handlers in prop::collection::hash_set("[xy]", 0..3),
        labels in prop::collection::btree_map("[kl]", "[uv]", 0..3),
        resources in prop::collection::btree_map("[mg]", 0..12u64, 0..3),
        taken in resources(),
    ) -> Agent {
        Agent { free, abilities: Abilities { executors, handlers, labels, resources }, taken }
    }
}

impl std::fmt::Debug for Agent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {:?} less {:?}", self.free, self.abilities, self.taken)
    }
}

/// What a session has left after these offers; negative where it was offered too much.
fn left(agent: &Agent, given: &[&LaneView], name: &str) -> i64 {
    let amount = |of: &Resources| of.get(name).map_or(0, |&n| i64::try_from(n).unwrap());
    let given: i64 = given.iter().map(|lane| amount(&lane.kind.needs.resources)).sum();
    let free = amount(&agent.abilities.resources).saturating_sub(amount(&agent.taken)).max(0);
    free - given
}

fn skilled(lane: &LaneView, agent: &Agent) -> bool {
    let runs = match &lane.kind.handler {
        Some(name) => agent.abilities.handlers.contains(name),
        None => agent.abilities.executors.contains(&lane.kind.executor),
    };
    runs && lane.kind.needs.labels.iter().all(|need| need.holds(&agent.abilities.labels))
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
        let taken = count(offers.iter().map(|&(lane, _)| lane));
        let lane_of = |number: i64| &lanes[number as usize];
        for (session, agent) in (0..).zip(&agents) {
            let given: Vec<&LaneView> =
                offers.iter().filter(|(_, s)| *s == session).map(|&(l, _)| lane_of(l)).collect();
            prop_assert!(given.len() <= agent.free as usize);
            for lane in &given {
                prop_assert!(skilled(lane, agent));
                for name in lane.kind.needs.resources.keys() {
                    prop_assert!(left(agent, &given, name) >= 0);
                }
            }
            // Nothing that fits is left while there is room.
            let has_room = offers.len() < max && given.len() < agent.free as usize;
            let could_run_more = lanes.iter().any(|lane| {
                let mut more = given.clone();
                more.push(lane);
                let mut wanted = lane.kind.needs.resources.keys();
                skilled(lane, agent) && wanted.all(|name| left(agent, &more, name) >= 0)
            });
            prop_assert!(!has_room || !could_run_more);
        }
        // A greater priority is served before a smaller one.
        let priorities: Vec<i32> = offers.iter().map(|&(n, _)| lane_of(n).priority).collect();
        prop_assert!(priorities.is_sorted_by(|a, b| a >= b));
        // Equal lanes with equal needs differ by at most one slot.
        for a in &lanes {
            for b in lanes.iter().filter(|b| b.priority == a.priority) {
                if a.kind == b.kind {
                    let got = |lane: &LaneView| taken.get(&lane.lane.0).copied().unwrap_or(0);
                    prop_assert!(got(a).abs_diff(got(b)) <= 1);
                }
            }
        }
    }
}
