//! Record and merge, compared with the definition on random graphs and random edits.

use std::collections::BTreeSet;

use proptest::{collection::vec, prelude::*, sample::Index};

use super::{
    Conflict, Merge, Merged, OnConflict, merge,
    model::{Edit, Files, History, Item, State, Store, Task, apply},
};
use crate::{
    provenance::record,
    tree::{Nodes, Snapshot, Step},
};

/// Answers each need from `store`, as a caller does.
fn drive<T>(store: &Store, mut step: impl FnMut(&mut Nodes) -> Step<T>) -> T {
    let mut nodes = Nodes::default();
    loop {
        match step(&mut nodes) {
            Step::Done(done) => return done,
            Step::Need(digests) => {
                assert!(!digests.is_empty());
                for digest in digests {
                    assert!(!nodes.contains(&digest), "asked twice for {digest}");
                    nodes.insert(digest, store[&digest].clone()).unwrap();
                }
            }
        }
    }
}

fn merged(
    store: &mut Store,
    history: &History,
    parents: &[Snapshot],
    task: usize,
    on_conflict: OnConflict,
) -> (Option<Snapshot>, Vec<Conflict>) {
    let is_ancestor = |a: i32, b: i32| history.precedes(a as usize, b as usize);
    let request = Merge { parents, task: task as i32, on_conflict, is_ancestor: &is_ancestor };
    match drive(store, |nodes| merge(nodes, &request).unwrap()) {
        Merged::Conflict(conflicts) => (None, conflicts),
        Merged::Clean { snapshot, nodes, resolved } => {
            store.extend(nodes);
            (Some(snapshot), resolved)
        }
    }
}

fn recorded(store: &mut Store, input: &Snapshot, output: &Snapshot, task: usize) -> Snapshot {
    let result = drive(store, |nodes| record(nodes, input, output.content, task as i32).unwrap());
    store.extend(result.nodes);
    Snapshot { provenance: result.provenance, ..*output }
}

/// Plays a history through both, comparing each input and output by digest.
fn play(tasks: Vec<Task>, base: Files, mode: OnConflict) {
    let mut store = Store::new();
    let start = State { files: base.clone(), ..State::default() }.snapshot(&mut store);
    let mut snapshots: Vec<Option<Snapshot>> = Vec::new();
    let mut history = History { tasks, base, outputs: Vec::new(), wrote: Vec::new() };
    for task in 0..history.tasks.len() {
        if !history.tasks[task].has_files {
            history.run(None);
            snapshots.push(None);
            continue;
        }
        let parents: Vec<Snapshot> =
            history.parents(task).into_iter().map(|parent| snapshots[parent].unwrap()).collect();
        let (input, conflicts) = match parents.as_slice() {
            [] => (Some(start), Vec::new()),
            parents => merged(&mut store, &history, parents, task, mode),
        };
        let (state, expected) = if parents.is_empty() {
            (State { files: history.base.clone(), ..State::default() }, Vec::new())
        } else {
            history.input(task, mode)
        };
        let told: BTreeSet<_> = conflicts.into_iter().collect();
        assert_eq!(told, expected.into_iter().collect(), "conflicts of task {task}");
        let Some(input) = input else {
            check_laws(&mut store, &history, &parents, task);
            history.run(None);
            snapshots.push(None);
            continue;
        };
        assert_eq!(input, state.snapshot(&mut store), "input of task {task}: {state:#?}");
        check_laws(&mut store, &history, &parents, task);
        if let Some(edits) = &history.tasks[task].lost {
            // All that it leaves are nodes in the store, in which its task has written what it never did.
            let mut lost = state.clone();
            edits.iter().for_each(|edit| apply(&mut lost.files, edit));
            let output = lost.snapshot(&mut store);
            recorded(&mut store, &input, &output, task);
        }
        history.run(Some(state));
        let output = history.outputs[task].as_ref().unwrap().snapshot(&mut store);
        assert_eq!(recorded(&mut store, &input, &output, task), output, "output of task {task}");
        snapshots.push(Some(output));
    }
}

/// Without preference: commutative, idempotent; associative but for times.
fn check_laws(store: &mut Store, history: &History, parents: &[Snapshot], task: usize) {
    let fail = OnConflict::Fail;
    let all = merged(store, history, parents, task, fail);
    let reversed: Vec<Snapshot> = parents.iter().rev().copied().collect();
    assert_eq!(merged(store, history, &reversed, task, fail), all, "in reverse");
    let twice = [parents, parents].concat();
    assert_eq!(merged(store, history, &twice, task, fail), all, "twice");
    if let ([first, rest @ ..], Some(whole)) = (parents, all.0)
        && !rest.is_empty()
    {
        let (Some(rest), _) = merged(store, history, rest, task, fail) else { return };
        let (nested, conflicts) = merged(store, history, &[*first, rest], task, fail);
        assert_eq!(conflicts, vec![]);
        let nested = Snapshot { times: whole.times, ..nested.unwrap() };
        assert_eq!(nested, whole, "nested");
    }
}

fn path() -> impl Strategy<Value = String> {
    vec(prop_oneof![Just("a"), Just("b"), Just("b\u{1}")], 1..=3).prop_map(|names| names.join("/"))
}

fn edit() -> impl Strategy<Value = Edit> {
    let bits = || prop_oneof![4 => Just(0o755), 1 => Just(0o700)];
    let item = prop_oneof![
        4 => (0..2_u8, bits()).prop_map(|(content, bits)| Item::File(content, bits)),
        1 => (b'x'..=b'y').prop_map(Item::Link),
        2 => bits().prop_map(Item::Dir),
    ];
    prop_oneof![
        5 => (path(), item, 0..9_i64).prop_map(|(path, item, time)| Edit::Put(path, item, time)),
        3 => path().prop_map(Edit::Delete),
        1 => (path(), 0..99_i64).prop_map(|(path, time)| Edit::Touch(path, time)),
    ]
}

fn tasks() -> impl Strategy<Value = Vec<Task>> {
    let edits = || vec(edit(), 0..=3);
    let lost = prop::option::weighted(0.25, edits());
    let task = (vec(any::<Index>(), 0..=3), prop::bool::weighted(0.85), edits(), lost);
    vec(task, 2..=9).prop_map(|drafts| {
        let numbered = drafts.into_iter().enumerate();
        let task =
            |(number, (depends, has_files, edits, lost)): (usize, (Vec<Index>, bool, _, _))| {
                let mut named: Vec<usize> = Vec::new();
                for parent in depends.iter().filter(|_| number > 0).map(|index| index.index(number))
                {
                    if !named.contains(&parent) {
                        named.push(parent);
                    }
                }
                Task { depends: named, has_files, edits, lost }
            };
        numbered.map(task).collect()
    })
}

fn base() -> impl Strategy<Value = Files> {
    vec(edit(), 0..=6).prop_map(|edits| {
        let mut files = Files::new();
        edits.iter().for_each(|edit| apply(&mut files, edit));
        files
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn merge_follows_the_definition_on_random_graphs(tasks in tasks(), base in base()) {
        play(tasks, base, OnConflict::Fail);
    }

    #[test]
    fn preference_follows_the_definition_on_random_graphs(tasks in tasks(), base in base()) {
        play(tasks, base, OnConflict::PreferLast);
    }
}
