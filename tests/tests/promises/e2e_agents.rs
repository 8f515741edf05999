//! Tasks run where they can, agents hold no more than they have, and what waits for an agent that is
//! not there says so.

use std::{process::Command, time::Duration};

use postq_proto::v1::{WatchJobRequest, task};
use postq_tests::{AgentSetup, Cluster, Database, eventually, states};
use serde_json::{Value, json};
use uuid::Uuid;

const LIMIT: Duration = Duration::from_secs(60);

fn setup(slots: u32, variables: &[(&str, &str)]) -> AgentSetup {
    let environment =
        variables.iter().map(|&(name, value)| (name.to_owned(), value.into())).collect();
    AgentSetup { slots, environment, ..AgentSetup::default() }
}

async fn cluster(agents: &[AgentSetup]) -> Cluster {
    let mut cluster = Cluster::create(Database::create().await);
    cluster.add_coordinator(&[]).await;
    for agent in agents {
        cluster.add_agent(agent.clone()).await;
    }
    cluster.wait_for_agents().await;
    cluster
}

fn task(more: Value) -> Value {
    let mut task = json!({"command": "true", "workspace": "NONE"});
    task.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({"tasks": {"a": task}})
}

/// Waits until the only task is ready for this reason.
async fn waits_for(cluster: &Cluster, job: Uuid, reason: &str) {
    let is_so = |job: &postq_proto::v1::Job| {
        let task = &job.tasks["a"];
        task.state() == task::State::Ready && task.reason == reason
    };
    cluster.client().wait_until(job, reason, LIMIT, is_so).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_runs_only_where_labels_and_resources_are_and_says_what_it_waits_for() {
    let mut cluster =
        cluster(&[setup(4, &[("POSTQ_LABELS", "zone=eu"), ("POSTQ_MEMORY", "1GiB")])]).await;
    let client = cluster.client();
    let rule = |rule: Value| task(json!({"requires": [rule]}));
    let gpu = client.submit(&rule(json!({"label": "gpu", "in": ["a100"]}))).await;
    let memory = client.submit(&task(json!({"resources": {"memory": "64GiB"}}))).await;
    let docker = client.submit(&task(json!({"image": "postq-test"}))).await;
    let handler = client.submit(&json!({"tasks": {"a": {"handler": "mail"}}})).await;
    for (job, wanted) in [
        (gpu, "waiting: no agent has label gpu=a100"),
        (memory, "waiting: no agent has 64 GiB of memory"),
        (docker, "waiting: no agent runs docker"),
        (handler, "waiting: no agent serves handler mail"),
    ] {
        waits_for(&cluster, job, wanted).await;
        assert_eq!(client.tasks(job, 10).await[0].reason, wanted);
        let by_sql = format!("select reason from postq.tasks where job_id = '{job}'");
        assert_eq!(cluster.database.value::<String>(&by_sql).await, wanted);
    }
    for good in [
        rule(json!({"label": "zone", "in": ["us", "eu"]})),
        rule(json!({"label": "zone", "not_in": ["us"]})),
        rule(json!({"label": "zone", "exists": true})),
        rule(json!({"label": "gpu", "exists": false})),
        task(json!({"resources": {"memory": "1GiB"}})),
    ] {
        assert_eq!(states(&client.run(&good).await), "a succeeded");
    }
    // What was missing arrives.
    cluster.add_agent(setup(1, &[("POSTQ_LABELS", "gpu=a100"), ("POSTQ_MEMORY", "64GiB")])).await;
    for job in [gpu, memory] {
        let ended = client.wait(job, LIMIT).await;
        assert_eq!(states(&ended), "a succeeded");
        assert_eq!(ended.tasks["a"].attempt.as_ref().unwrap().agent, "agent-2");
        assert_eq!(ended.tasks["a"].reason, "");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_never_holds_more_than_it_has_and_takes_what_fits_beside_it() {
    let mut cluster =
        cluster(&[setup(16, &[("POSTQ_CPUS", "3"), ("POSTQ_RESOURCES", "licence=2")])]).await;
    let client = cluster.client();
    let go = cluster.path("go");
    let held = format!(
        "echo >> {}; while ! test -e {}; do sleep 0.05; done",
        cluster.path("started").display(),
        go.display()
    );
    let tasks: serde_json::Map<String, Value> = (0..6)
        .map(|n| (format!("t{n}"), json!({"command": held, "workspace": "NONE", "resources": {"licence": 1, "cpus": 0.5}})))
        .collect();
    let job = client.submit(&json!({"tasks": tasks})).await;
    eventually("two of them to run", LIMIT, async || {
        (cluster.lines("started").len() == 2).then_some(())
    })
    .await;
    // What needs none of it passes by, and so does what fits in the rest.
    assert_eq!(states(&client.run(&task(json!({}))).await), "a succeeded");
    assert_eq!(states(&client.run(&task(json!({"resources": {"cpus": 2}}))).await), "a succeeded");
    let waiting = client.submit(&task(json!({"resources": {"cpus": 2.5}}))).await;
    // Somebody has them, and is busy.
    waits_for(&cluster, waiting, "").await;
    let agent = client.agents().await.unwrap().remove("agent-1").unwrap();
    assert_eq!((agent.running, agent.attempts.len()), (2, 2));
    assert_eq!(agent.resources["cpus"], 3000);
    assert_eq!(
        agent.resources_in_use,
        [("cpus".to_owned(), 1000), ("licence".to_owned(), 2)].into()
    );
    assert!(agent.attempts.iter().all(|running| running.job_id == job.to_string()));
    // A coordinator that starts anew knows what is held.
    cluster.coordinator(0).restart().await;
    cluster.wait_until_ready(0).await;
    cluster.wait_for_agents().await;
    let client = cluster.client();
    assert_eq!(states(&client.run(&task(json!({}))).await), "a succeeded");
    assert_eq!(cluster.lines("started").len(), 2);
    cluster.touch("go");
    let ended = client.wait(job, LIMIT).await;
    assert!(ended.tasks.values().all(|task| task.state() == task::State::Succeeded));
    assert_eq!(states(&client.wait(waiting, LIMIT).await), "a succeeded");
}

/// What keeps a task changes while nothing of its job does, and whoever watches is told.
#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_is_told_that_the_last_agent_that_could_run_a_task_has_gone() {
    let mut cluster = cluster(&[setup(1, &[("POSTQ_LABELS", "gpu=a100")])]).await;
    let client = cluster.client();
    let held = json!({"command": "sleep 600", "workspace": "NONE"});
    let holding = client.submit(&json!({"tasks": {"a": held}})).await;
    let runs = |job: &postq_proto::v1::Job| job.tasks["a"].state() == task::State::Running;
    client.wait_until(holding, "it runs", LIMIT, runs).await;
    let waiting =
        client.submit(&task(json!({"requires": [{"label": "gpu", "in": ["a100"]}]}))).await;
    waits_for(&cluster, waiting, "").await;
    let request = WatchJobRequest { id: waiting.to_string(), after_revision: 0 };
    let mut stream = client.jobs().watch_job(request).await.unwrap().into_inner();
    let first = tokio::time::timeout(LIMIT, stream.message()).await.unwrap().unwrap().unwrap();
    assert_eq!((first.tasks[0].state(), first.tasks[0].reason.as_str()), (task::State::Ready, ""));
    cluster.agent(0).kill().await;
    let told = async {
        loop {
            let news = stream.message().await.unwrap().expect("the job has not ended");
            assert_eq!(news.revision, first.revision, "nothing of the job has changed");
            if let Some(task) = news.tasks.into_iter().find(|task| !task.reason.is_empty()) {
                return task.reason;
            }
        }
    };
    let told = tokio::time::timeout(LIMIT, told).await.expect("a word in time");
    assert_eq!(told, "waiting: no agent is connected that takes new tasks");
}

/// PQ39: each of them ends only once all four have begun, so that three at a time would wait for ever.
#[tokio::test(flavor = "multi_thread")]
async fn four_slots_run_four_sleeps_at_the_same_time() {
    let cluster = Cluster::start(&[4]).await;
    let began = cluster.path("began").display().to_string();
    let command =
        format!("echo >> {began}; until [ $(wc -l < {began}) = 4 ]; do sleep 0.1; done; sleep 1");
    let tasks: serde_json::Map<String, Value> = (0..4)
        .map(|n| (format!("t{n}"), json!({"command": command, "workspace": "NONE"})))
        .collect();
    let ended = cluster.client().run(&json!({"tasks": tasks})).await;
    assert!(ended.tasks.values().all(|task| task.state() == task::State::Succeeded));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_of_agents_tells_what_each_has_what_it_runs_and_when_it_was_seen() {
    let variables = [
        ("POSTQ_LABELS", "gpu=t4,zone=eu"),
        ("POSTQ_CPUS", "2"),
        ("POSTQ_MEMORY", "1GiB"),
        ("POSTQ_RESOURCES", "licence=3"),
    ];
    let mut cluster = cluster(&[setup(3, &variables)]).await;
    let client = cluster.client();
    let held = json!({"command": "sleep 600", "workspace": "NONE", "resources": {"cpus": 0.5, "licence": 2}});
    let job = client.submit(&json!({"tasks": {"a": held}})).await;
    let runs = |job: &postq_proto::v1::Job| job.tasks["a"].state() == task::State::Running;
    client.wait_until(job, "it runs", LIMIT, runs).await;
    let text = list(&cluster, &[]);
    let lines: Vec<&str> = text.lines().collect();
    let headings = [
        "name",
        "host",
        "state",
        "running",
        "slots",
        "executors",
        "labels",
        "in use",
        "last seen",
        "version",
    ];
    let told = lines[0].to_lowercase();
    let mut rest = told.as_str();
    for heading in headings {
        let at = rest.find(heading).unwrap_or_else(|| panic!("no {heading} in {told:?}"));
        rest = &rest[at + heading.len()..];
    }
    for part in [
        "agent-1",
        "connected",
        " 1 ",
        " 3 ",
        "shell",
        "gpu=t4,zone=eu",
        "cpus 0.5/2, licence 2/3, memory 0.0/1.0 GiB",
        env!("CARGO_PKG_VERSION"),
    ] {
        assert!(lines[1].contains(part), "{part}: {text}");
    }
    let seen = &client.agents().await.unwrap()["agent-1"];
    assert!(seen.last_seen_at.is_some() && seen.attempts[0].job_id == job.to_string());
    cluster.agent(0).kill().await;
    eventually("it to be gone", LIMIT, async || {
        list(&cluster, &[]).starts_with("no agents").then_some(())
    })
    .await;
    assert!(list(&cluster, &["--all"]).contains(" left "));
}

/// What `postq agents` prints.
fn list(cluster: &Cluster, more: &[&str]) -> String {
    let told = Command::new(&cluster.binaries().postq)
        .args(["agents", "--coordinator", &cluster.url(0)])
        .args(more)
        .output()
        .unwrap();
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    String::from_utf8(told.stdout).unwrap()
}

/// PQ24
#[test]
fn an_agent_refuses_an_executor_it_does_not_have_and_names_those_it_has() {
    let binaries = postq_cli::embedded::Binaries::locate().unwrap();
    let agent = Command::new(&binaries.agent).args(["--executors", "kubernetes"]).output().unwrap();
    let told = String::from_utf8_lossy(&agent.stderr);
    assert!(!agent.status.success() && told.contains("this agent has shell and docker"), "{told}");
}

/// PQ25
#[tokio::test(flavor = "multi_thread")]
async fn a_task_without_an_image_runs_on_an_agent_that_has_only_a_shell() {
    let cluster = Cluster::start(&[1]).await;
    let agent = cluster.client().agents().await.unwrap().remove("agent-1").unwrap();
    assert_eq!(agent.executors, ["shell"]);
    assert_eq!(states(&cluster.client().run(&task(json!({}))).await), "a succeeded");
}
