//! Fixed graphs with known answers.

use std::collections::BTreeMap;

use super::*;
use crate::spec::{JobSpec, Limits, Problem, RunIf, TaskSpec};

pub(super) fn task(depends: &[&str]) -> TaskSpec {
    TaskSpec {
        command: "true".to_owned(),
        depends: depends.iter().map(|&name| name.to_owned()).collect(),
        ..TaskSpec::default()
    }
}

fn job(tasks: &[(&str, &[&str])]) -> JobSpec {
    let tasks = tasks.iter().map(|&(name, depends)| (name.to_owned(), task(depends))).collect();
    JobSpec { tasks, ..JobSpec::default() }
}

fn planned(tasks: &[(&str, &[&str])]) -> Plan {
    plan(job(tasks), &Limits::default()).unwrap()
}

fn problems(job: JobSpec) -> Vec<String> {
    let problems = plan(job, &Limits::default()).unwrap_err();
    problems.iter().map(Problem::to_string).collect()
}

fn edges(plan: &Plan) -> Vec<(&str, &str)> {
    let name = |number: &u32| plan.task_by_number(*number).unwrap().name();
    let edges_to = |task| PlannedTask::parents(task).iter().map(move |p| (name(p), task.name()));
    plan.tasks().iter().flat_map(edges_to).collect()
}

fn names(tasks: Vec<&PlannedTask>) -> Vec<&str> {
    tasks.into_iter().map(PlannedTask::name).collect()
}

#[test]
fn a_dependency_that_follows_from_others_is_reduced_away_and_kept_as_written() {
    let plan = planned(&[("a", &[]), ("b", &["a"]), ("c", &["a", "b"])]);
    assert_eq!(edges(&plan), [("a", "b"), ("b", "c")]);
    let (a, b) = (plan.task("a").unwrap().number(), plan.task("b").unwrap().number());
    assert_eq!(plan.task("c").unwrap().depends(), [a, b]);
    assert_eq!(plan.edge_count(), 2);
}

#[test]
fn a_dependency_stays_where_the_task_or_one_between_runs_after_failures() {
    for (loose, wanted) in [("a", 2), ("b", 3), ("c", 3)] {
        for run_if in [RunIf::Failed, RunIf::Finished] {
            let mut job = job(&[("a", &[]), ("b", &["a"]), ("c", &["a", "b"])]);
            job.tasks.get_mut(loose).unwrap().run_if = run_if;
            let plan = plan(job, &Limits::default()).unwrap();
            assert_eq!(plan.edge_count(), wanted, "{loose} {run_if}");
        }
    }
}

#[test]
fn ancestors_descendants_and_order_are_those_of_the_fixed_graph() {
    let plan = planned(&[
        ("z", &[]),
        ("b", &["z"]),
        ("a", &[]),
        ("c", &["a", "b"]),
        ("d", &["c"]),
        ("e", &["a"]),
    ]);
    assert_eq!(names(plan.lexicographic_order()), ["a", "e", "z", "b", "c", "d"]);
    assert_eq!(names(plan.ancestors("d").unwrap()), ["a", "z", "b", "c"]);
    assert_eq!(names(plan.ancestors("a").unwrap()), [""; 0]);
    assert_eq!(names(plan.descendants("a").unwrap()), ["e", "c", "d"]);
    assert_eq!(names(plan.descendants("z").unwrap()), ["b", "c", "d"]);
    assert!(plan.ancestors("nobody").is_none());
    assert_eq!(names(plan.sinks().collect()), ["e", "d"]);
    assert_eq!(names(plan.critical_path()), ["z", "b", "c", "d"]);
    assert_eq!(plan.critical_path_length(), 4);
    let levels: Vec<usize> = plan.levels().map(<[_]>::len).collect();
    assert_eq!(levels, [2, 2, 1, 1]);
}

#[test]
fn layers_all_to_all_share_one_gate_per_layer() {
    let name = |layer: usize, n: usize| format!("l{layer}-{n}");
    let mut tasks = BTreeMap::new();
    for layer in 0..10 {
        for n in 0..100 {
            let depends = (0..100).filter(|_| layer > 0).map(|d| name(layer.max(1) - 1, d));
            let spec = TaskSpec { depends: depends.collect(), ..task(&[]) };
            tasks.insert(name(layer, n), spec);
        }
    }
    let plan = plan(JobSpec { tasks, ..JobSpec::default() }, &Limits::default()).unwrap();
    assert_eq!(plan.edge_count(), 90_000);
    assert_eq!(plan.gates().len(), 9);
    assert_eq!(plan.gates().iter().map(|gate| gate.parents().len()).sum::<usize>(), 900);
}

#[test]
fn a_deep_chain_with_shortcuts_is_planned_without_recursion() {
    let name = |n: usize| format!("t{n:06}");
    let depends = |n: usize| (n.saturating_sub(2)..n).map(name).collect();
    let spec = |n| TaskSpec { depends: depends(n), ..task(&[]) };
    let tasks = (0..100_000).map(|n| (name(n), spec(n))).collect();
    let plan = plan(JobSpec { tasks, ..JobSpec::default() }, &Limits::default()).unwrap();
    assert_eq!(plan.edge_count(), 99_999);
    assert_eq!(plan.critical_path_length(), 100_000);
}

#[test]
fn every_problem_of_a_document_is_reported() {
    let mut job = job(&[("a", &["zz"]), ("b", &["b", "yy"]), ("c", &["a", "a"]), ("x/y", &[])]);
    job.priority = 2000;
    job.tasks.get_mut("a").unwrap().command.clear();
    job.tasks.get_mut("c").unwrap().image = Some(String::new());
    assert_eq!(
        problems(job),
        [
            "priority: is 2000; it may be -1000 to 1000",
            "tasks.a.command: is empty; write a command, or set image or handler",
            "tasks.c.image: is empty; name an image, or leave it out for a shell",
            "tasks.x/y: has a \"/\", which separates job and task in paths; use another character",
            "tasks.a.depends[0]: task \"a\" depends on \"zz\", which is not a task of this job",
            "tasks.b.depends[0]: task \"b\" depends on itself",
            "tasks.b.depends[1]: task \"b\" depends on \"yy\", which is not a task of this job",
            "tasks.c.depends[1]: task \"c\" depends on \"a\" twice; name it once",
        ]
    );
}

#[test]
fn each_knot_of_cycles_is_named_once_by_its_shortest_cycle() {
    let told = problems(job(&[
        ("a", &["c"]),
        ("b", &["a"]),
        ("c", &["b", "d"]),
        ("d", &["c"]),
        ("x", &["y", "a"]),
        ("y", &["x"]),
        ("z", &["x"]),
    ]));
    assert_eq!(
        told,
        [
            "tasks.a.depends: these tasks wait for each other: a -> b -> c -> a; remove a dependency",
            "tasks.x.depends: these tasks wait for each other: x -> y -> x; remove a dependency",
        ]
    );
}

#[test]
fn a_cycle_of_many_tasks_is_told_in_one_short_line() {
    let name = |n: usize| format!("t{n:05}");
    let spec = |n: usize| TaskSpec { depends: vec![name((n + 1) % 50_000)], ..task(&[]) };
    let tasks = (0..50_000).map(|n| (name(n), spec(n))).collect();
    let told = problems(JobSpec { tasks, ..JobSpec::default() });
    assert_eq!(told.len(), 1);
    assert!(told[0].contains("(49988 more) -> t00000"), "{}", told[0]);
}

#[test]
fn a_job_without_tasks_is_refused() {
    assert_eq!(problems(job(&[])), ["tasks: the job has no task; add at least one"]);
}

#[test]
fn an_empty_queue_is_the_default_one() {
    assert_eq!(planned(&[("a", &[])]).queue(), "default");
}

#[test]
fn problems_beyond_the_limit_are_counted() {
    let tasks = (0..300).map(|n| (format!("t{n}"), TaskSpec::default())).collect();
    let told = problems(JobSpec { tasks, ..JobSpec::default() });
    assert_eq!(told.len(), 101);
    assert_eq!(told[100], "and 200 more problems");
}

#[test]
fn pictures_show_reduced_edges_and_escape_names() {
    let mut job = job(&[("a\"b", &[]), ("c", &["a\"b"])]);
    job.tasks.get_mut("c").unwrap().run_if = RunIf::Finished;
    let plan = plan(job, &Limits::default()).unwrap();
    assert_eq!(
        plan.to_dot(),
        "digraph job {\n  rankdir=LR;\n  node [shape=box];\n  t0 [label=\"a\\\"b\"];\n  \
         t1 [label=\"c\"];\n  t0 -> t1 [style=dashed, label=\"finished\"];\n}\n"
    );
    assert_eq!(
        plan.to_mermaid(),
        "flowchart LR\n  t0[\"a#34;b\"]\n  t1[\"c\"]\n  t0 -.->|finished| t1\n"
    );
}
