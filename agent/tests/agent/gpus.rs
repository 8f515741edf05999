//! Which GPUs an attempt sees. None has to be there: an agent has those that it was told of.

use postq_proto::v1::{self, attempt::Outcome, task_spec::Container};
use tempfile::tempdir;

use crate::{
    docker::{connected_with, container},
    process::connected,
    support::shell,
};

fn asking(assignment: v1::Assignment, gpus: &[(&str, i64)]) -> v1::Assignment {
    let resources = gpus.iter().map(|&(name, count)| (name.to_owned(), count)).collect();
    v1::Assignment { resources, ..assignment }
}

#[tokio::test(flavor = "multi_thread")]
async fn attempts_that_run_at_once_see_different_gpus_and_who_asked_for_none_sees_none() {
    let dir = tempdir().unwrap();
    let args = ["--gpus=a100=2,t4=1", "--slots=4"];
    let (_fake, _agent, mut session) = connected(dir.path(), &args).await;
    let tell = "echo \"$CUDA_VISIBLE_DEVICES $CUDA_DEVICE_ORDER $NVIDIA_VISIBLE_DEVICES\"";
    let held = format!("{tell}; until [ -e {}/go ]; do sleep 0.02; done", dir.path().display());
    session.assign(asking(shell(1, &held), &[("gpus.a100", 1)])).await;
    session.assign(asking(shell(2, &held), &[("gpus.t4", 1)])).await;
    session.assign(asking(shell(3, &held), &[("gpus.a100", 1)])).await;
    let report = session.run(shell(4, tell)).await;
    assert_eq!(report.stdout, b" PCI_BUS_ID void\n");
    std::fs::write(dir.path().join("go"), "").unwrap();
    let mut seen = Vec::new();
    for _ in 1..=3 {
        let report = session.report().await;
        seen.push((report.of.unwrap().attempt, String::from_utf8(report.stdout).unwrap()));
    }
    seen.sort();
    let of_second = seen.remove(1).1;
    assert_eq!(of_second, "2 PCI_BUS_ID 2\n");
    let mut others: Vec<String> = seen.into_iter().map(|(_, seen)| seen).collect();
    others.sort();
    assert_eq!(others, ["0 PCI_BUS_ID 0\n", "1 PCI_BUS_ID 1\n"]);
    // What was given back is given again.
    let report = session.run(asking(shell(5, tell), &[("gpus.a100", 2)])).await;
    assert_eq!(report.stdout, b"0,1 PCI_BUS_ID 0,1\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_counts_no_gpus_says_nothing_of_them() {
    let dir = tempdir().unwrap();
    let (_fake, _agent, mut session) = connected(dir.path(), &[]).await;
    let report = session.run(shell(1, "env | grep -c -e CUDA -e NVIDIA")).await;
    assert_eq!(report.stdout, b"0\n");
}

/// No engine of these tests has a GPU, so what it is asked for is known by its refusal.
#[tokio::test(flavor = "multi_thread")]
async fn a_container_gets_the_gpus_of_its_attempt_and_is_refused_any_others() {
    let dir = tempdir().unwrap();
    let (_fake, _agent, mut session) = connected_with(dir.path(), &["--gpus=2"]).await;
    let report = session.run(container(1, "echo $NVIDIA_VISIBLE_DEVICES")).await;
    assert_eq!(report.stdout, b"void\n", "{}", report.reason);
    let report = session.run(asking(container(2, "true"), &[("gpus", 1)])).await;
    assert!(report.reason.contains("could not select device driver"), "{}", report.reason);
    let with = |attempt, gpus: &str| v1::Assignment {
        spec: Some(v1::TaskSpec {
            container: Some(Container { gpus: gpus.into(), ..Container::default() }),
            ..v1::TaskSpec::default()
        }),
        ..container(attempt, "true")
    };
    for refused in [with(3, "all"), asking(with(4, "2"), &[("gpus", 1)])] {
        let report = session.run(refused).await;
        assert_eq!((report.outcome(), report.is_final), (Outcome::Failed, true));
        assert!(report.reason.contains("ask for them in resources"), "{}", report.reason);
    }
    let report = session.run(asking(with(5, "1"), &[("gpus", 2)])).await;
    assert!(report.reason.contains("could not select device driver"), "{}", report.reason);
}
