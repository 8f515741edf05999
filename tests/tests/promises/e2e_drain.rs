//! Agents that are to leave take nothing new, end or hand back what they run, and lose nothing.

use std::{process::Command, time::Duration};

use postq_proto::v1::{Agent, attempt, task};
use postq_tests::{AgentSetup, Cluster, eventually, states};
use serde_json::{Map, Value, json};

const LIMIT: Duration = Duration::from_secs(60);

fn drain(cluster: &Cluster, agent: &str, more: &[&str]) -> (bool, String) {
    let told = Command::new(&cluster.binaries().postq)
        .args(["agents", "drain", agent, "--coordinator", &cluster.url(0)])
        .args(more)
        .output()
        .unwrap();
    let text = [told.stdout, told.stderr].concat();
    (told.status.success(), String::from_utf8_lossy(&text).into_owned())
}

async fn agent(cluster: &Cluster, name: &str) -> Option<Agent> {
    cluster.client().agents().await.ok()?.remove(name)
}

async fn goes(cluster: &mut Cluster, number: usize) {
    let host = cluster.agent(number);
    let status = eventually("the agent goes", LIMIT, async || host.ended()).await;
    assert!(status.success(), "{status}");
}

/// DQ19
#[tokio::test(flavor = "multi_thread")]
async fn a_drained_agent_ends_what_it_runs_takes_nothing_new_and_goes() {
    let mut cluster = Cluster::start(&[4, 4]).await;
    let client = cluster.client();
    let held = format!(
        "echo >> {}; while ! test -e {}; do sleep 0.05; done",
        cluster.path("started").display(),
        cluster.path("go").display()
    );
    let job = client.submit(&json!({"tasks": {"a": {"command": held, "workspace": "NONE"}}})).await;
    cluster.wait_for_file("started").await;
    let running = client.get(job).await.tasks["a"].attempt.clone().unwrap().agent;
    let (is_well, told) = drain(&cluster, &running, &[]);
    assert!(is_well && told.contains("takes nothing new; it runs 1"), "{told}");
    assert!(agent(&cluster, &running).await.unwrap().is_draining);
    // Again is the same.
    assert!(drain(&cluster, &running, &[]).0);
    let tasks: Map<String, Value> = (0..12)
        .map(|n| (format!("t{n}"), json!({"command": "true", "workspace": "NONE"})))
        .collect();
    let others = client.run(&json!({"tasks": tasks})).await;
    for task in others.tasks.values() {
        assert_ne!(task.attempt.as_ref().unwrap().agent, running);
    }
    cluster.touch("go");
    let ended = client.wait(job, LIMIT).await;
    assert_eq!((states(&ended).as_str(), ended.tasks["a"].attempts), ("a succeeded", 1));
    let number = cluster.agent_named(&running);
    goes(&mut cluster, number).await;
    eventually("it is gone", LIMIT, async || {
        agent(&cluster, &running).await.is_none().then_some(())
    })
    .await;
    let (is_well, told) = drain(&cluster, &running, &[]);
    assert!(!is_well && told.contains("no agent named"), "{told}");
}

/// DQ19
#[tokio::test(flavor = "multi_thread")]
async fn what_outlives_the_drain_timeout_is_handed_back_uncounted() {
    let mut cluster = Cluster::start(&[1]).await;
    let client = cluster.client();
    let held = format!(
        "echo >> {}; test -e {} || sleep 600",
        cluster.path("started").display(),
        cluster.path("go").display()
    );
    let job = client.submit(&json!({"tasks": {"a": {"command": held, "workspace": "NONE"}}})).await;
    cluster.wait_for_file("started").await;
    let (is_well, told) = drain(&cluster, "agent-1", &["--timeout", "0s"]);
    assert!(is_well, "{told}");
    goes(&mut cluster, 0).await;
    let back = client
        .wait_until(job, "it is back", LIMIT, |job| job.tasks["a"].state() == task::State::Ready)
        .await;
    assert_eq!((back.tasks["a"].attempts, back.tasks["a"].crashes), (0, 0));
    assert_eq!(back.tasks["a"].attempt.as_ref().unwrap().outcome(), attempt::Outcome::Released);
    let nobody = "waiting: no agent is connected that takes new tasks";
    client.wait_until(job, nobody, LIMIT, |job| job.tasks["a"].reason == nobody).await;
    cluster.touch("go");
    cluster.agent(0).restart().await;
    let ended = client.wait(job, LIMIT).await;
    assert_eq!((states(&ended).as_str(), ended.tasks["a"].attempts), ("a succeeded", 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_restart_loses_nothing_and_counts_nothing() {
    let mut cluster = Cluster::start(&[3]).await;
    let setup = AgentSetup { slots: 3, ..AgentSetup::default() };
    cluster.add_agent(setup).await;
    cluster.wait_for_agents().await;
    let client = cluster.client();
    let ran = cluster.path("ran").display().to_string();
    let tasks: Map<String, Value> = (0..60)
        .map(|n| {
            (
                format!("t{n}"),
                json!({"command": format!("sleep 0.2; echo {n} >> {ran}"), "workspace": "NONE"}),
            )
        })
        .collect();
    let job = client.submit(&json!({"tasks": tasks})).await;
    for number in [0, 1] {
        let before = cluster.lines("ran").len();
        eventually("work goes on", LIMIT, async || {
            (cluster.lines("ran").len() > before).then_some(())
        })
        .await;
        let name = format!("agent-{}", number + 1);
        assert!(drain(&cluster, &name, &[]).0);
        goes(&mut cluster, number).await;
        cluster.agent(number).restart().await;
        eventually("it is back", LIMIT, async || {
            agent(&cluster, &name).await.filter(|agent| !agent.is_draining).map(drop)
        })
        .await;
    }
    let ended = client.wait(job, LIMIT).await;
    for task in ended.tasks.values() {
        assert_eq!((task.state(), task.attempts, task.crashes), (task::State::Succeeded, 1, 0));
    }
    let mut ran = cluster.lines("ran");
    ran.sort();
    ran.dedup();
    assert_eq!((ran.len(), cluster.lines("ran").len()), (60, 60), "each exactly once");
}
