//! What a task may take of its agent is held on it.

use std::collections::BTreeMap;

use postq_proto::v1::{self, attempt::Outcome};
use tempfile::tempdir;

use crate::{
    docker::{connected_with, container},
    process::connected,
    support::shell,
};

const MIB: i64 = 1 << 20;

fn bound(assignment: v1::Assignment, memory: i64) -> v1::Assignment {
    let resources = BTreeMap::from([("memory".to_owned(), memory), ("cpus".to_owned(), 500)]);
    v1::Assignment { resources, ..assignment }
}

/// A program that needs 200 MiB at once.
const GREEDY: &str = "dd if=/dev/zero of=/dev/null bs=200M count=1";

#[tokio::test(flavor = "multi_thread")]
async fn a_process_of_a_task_gets_no_more_memory_than_the_task_asked_for() {
    let dir = tempdir().unwrap();
    let (_fake, _agent, mut session) = connected(dir.path(), &[]).await;
    let report = session.run(bound(shell(1, GREEDY), 64 * MIB)).await;
    assert_eq!(report.outcome(), Outcome::Failed, "{report:?}");
    for (attempt, memory) in [(2, 0), (3, 400 * MIB)] {
        let resources = (memory > 0).then(|| ("memory".to_owned(), memory)).into_iter().collect();
        let report = session.run(v1::Assignment { resources, ..shell(attempt, GREEDY) }).await;
        assert_eq!(report.outcome(), Outcome::Succeeded, "{report:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_that_wants_more_memory_than_asked_for_is_told_as_out_of_memory() {
    let dir = tempdir().unwrap();
    let (_fake, _agent, mut session) = connected_with(dir.path(), &[]).await;
    // The engine does not hear of what comes before it listens.
    let late = format!("sleep 1; exec {GREEDY}");
    let report = session.run(bound(container(1, &late), 32 * MIB)).await;
    assert_eq!(report.outcome(), Outcome::Failed, "{report:?}");
    assert_eq!(report.reason, "exit code 137: killed: out of memory (limit 32 MiB)");
    let report = session.run(bound(container(2, "true"), 32 * MIB)).await;
    assert_eq!(report.outcome(), Outcome::Succeeded, "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_has_no_more_processes_than_its_agent_lets_a_task_have() {
    let dir = tempdir().unwrap();
    let (_fake, _agent, mut session) = connected_with(dir.path(), &["--pids-limit=16"]).await;
    let fork =
        |count: u32| format!("i=0; while [ $i -lt {count} ]; do sleep 60 & i=$((i+1)); done");
    let report = session.run(container(1, &fork(8))).await;
    assert_eq!(report.outcome(), Outcome::Succeeded, "{report:?}");
    let report = session.run(container(2, &fork(40))).await;
    assert_eq!(report.outcome(), Outcome::Failed, "{report:?}");
    let errors = String::from_utf8_lossy(&report.stderr);
    assert!(errors.contains("can't fork"), "{errors}");
}
