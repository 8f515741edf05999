//! Several coordinators on one database: any of them will do, and each may die.

use postq_proto::v1::{ReadLogsRequest, job};
use postq_tests::{AgentSetup, Cluster, Database, PATIENCE, eventually};
use serde_json::json;
use tokio::time::timeout;

/// Two coordinators, and an agent that knows only the second.
async fn two() -> Cluster {
    let mut cluster = Cluster::create(Database::create().await);
    cluster.add_coordinator(&[]).await;
    cluster.add_coordinator(&[]).await;
    let coordinators = vec![cluster.url(1)];
    cluster.add_agent(AgentSetup { coordinators, ..AgentSetup::default() }).await;
    cluster.wait_for_agents().await;
    cluster
}

#[tokio::test]
async fn a_job_submitted_to_one_runs_on_an_agent_of_the_other() {
    let cluster = two().await;
    let document = json!({"tasks": {
        "a": {"command": "echo hi > f"},
        "b": {"depends": ["a"], "command": "cat f"},
    }});
    for number in [0, 1] {
        let job = cluster.client_of(number).run(&document).await;
        assert_eq!(job.tasks["b"].results, "hi\n");
    }
    let agents = cluster.client_of(0).agents().await.unwrap();
    assert_eq!(agents.keys().collect::<Vec<_>>(), ["agent-1"]);
}

#[tokio::test]
async fn output_is_read_and_jobs_are_cancelled_through_either() {
    let cluster = two().await;
    let held = cluster.path("held");
    let command = format!("echo up; echo up > {0}; tail -f {0}", held.display());
    let id = cluster.submit(&json!({"tasks": {"a": {"command": command}}})).await;
    cluster.wait_for_file("held").await;
    cluster.client_of(0).cancel(id, "enough").await;
    let job = cluster.client_of(0).wait(id, PATIENCE).await;
    assert_eq!(job.state(), job::State::Cancelled);
    let logs = cluster.client_of(0).logs(id).await;
    let output: Vec<u8> = logs.iter().flat_map(|chunk| chunk.data.to_vec()).collect();
    assert!(output.starts_with(b"up\n"), "{output:?}");
    assert_eq!(cluster.processes_with("held"), Vec::<String>::new());
}

#[tokio::test]
async fn output_is_followed_while_it_is_written_through_either() {
    let cluster = two().await;
    let go = cluster.path("go");
    let command = format!("echo one; until [ -e {} ]; do sleep 0.05; done; echo two", go.display());
    let id = cluster.submit(&json!({"tasks": {"a": {"command": command}}})).await;
    let mut streams = Vec::new();
    for number in [0, 1] {
        let request =
            ReadLogsRequest { job_id: id.to_string(), follow: true, ..Default::default() };
        let stream = cluster.client_of(number).jobs().read_logs(request).await.unwrap();
        streams.push(stream.into_inner());
    }
    for wanted in [Some("one\n"), Some("two\n"), None] {
        for stream in &mut streams {
            let chunk = timeout(PATIENCE, stream.message()).await.unwrap().unwrap();
            assert_eq!(chunk.map(|it| it.data).as_deref(), wanted.map(str::as_bytes));
        }
        cluster.touch("go");
    }
}

#[tokio::test]
async fn the_agent_of_a_killed_coordinator_goes_on_at_the_other() {
    let mut cluster = Cluster::create(Database::create().await);
    cluster.add_coordinator(&[]).await;
    cluster.add_coordinator(&[]).await;
    cluster.add_agent(AgentSetup::default()).await;
    cluster.wait_for_agents().await;
    let (runs, go) = (cluster.path("runs"), cluster.path("go"));
    let command = format!(
        "echo run >> {}; until [ -e {} ]; do sleep 0.05; done; echo done",
        runs.display(),
        go.display()
    );
    let id = cluster.submit(&json!({"tasks": {"a": {"command": command}}})).await;
    cluster.wait_for_file("runs").await;
    let agents = cluster.client_of(1).agents().await.unwrap();
    let first = agents["agent-1"].coordinator.clone();
    // An agent tries its coordinators in the order they were given.
    cluster.coordinator(0).kill().await;
    let client = cluster.client_of(1);
    eventually("the agent is at the other coordinator", PATIENCE, async || {
        let agents = client.agents().await.ok()?;
        agents.get("agent-1").filter(|agent| agent.coordinator != first).map(drop)
    })
    .await;
    cluster.touch("go");
    let job = client.wait(id, PATIENCE).await;
    assert_eq!(job.tasks["a"].results, "done\n");
    assert_eq!(cluster.lines("runs"), ["run"]);
    assert_eq!(cluster.database.outcomes(id).await, "a succeeded");
}

/// The survivor ends what nobody is left to end.
#[tokio::test]
async fn a_coordinator_and_its_agent_that_die_together_are_buried_by_the_other_coordinator() {
    let mut cluster = two().await;
    let held = cluster.path("held");
    let held = held.display();
    let command =
        format!("if [ -e {held} ]; then echo again; else echo up > {held}; tail -f {held}; fi");
    let id = cluster.submit(&json!({"tasks": {"a": {"command": command}}})).await;
    cluster.wait_for_file("held").await;
    cluster.agent(0).kill().await;
    cluster.coordinator(1).kill().await;
    let coordinators = vec![cluster.url(0)];
    cluster.add_agent(AgentSetup { coordinators, ..AgentSetup::default() }).await;
    let job = cluster.client().wait(id, PATIENCE).await;
    assert_eq!(job.tasks["a"].results, "again\n");
    assert_eq!(cluster.database.outcomes(id).await, "a lost, a succeeded");
    let query = "select count(*) from postq.coordinator";
    assert_eq!(cluster.database.value::<i64>(query).await, 1);
}

/// Neither dead nor alive: it stands still for longer than the others wait for it.
#[tokio::test]
async fn a_coordinator_that_was_paused_takes_nothing_back_from_the_one_that_went_on() {
    let mut cluster = Cluster::create(Database::create().await);
    cluster.add_coordinator(&[]).await;
    cluster.add_coordinator(&[]).await;
    cluster.add_agent(AgentSetup::default()).await;
    cluster.wait_for_agents().await;
    let (runs, go) = (cluster.path("runs"), cluster.path("go"));
    let (runs, go) = (runs.display(), go.display());
    let command = format!("echo run >> {runs}; until [ -e {go} ]; do sleep 0.05; done");
    let document = json!({"tasks": {
        "a": {"command": command},
        "b": {"depends": ["a"], "command": "echo b"},
    }});
    let id = cluster.submit(&document).await;
    cluster.wait_for_file("runs").await;
    cluster.coordinator(0).pause();
    let database = &cluster.database;
    let is_buried = async || {
        let known: i64 = database.value("select count(*) from postq.coordinator").await;
        (known == 1).then_some(())
    };
    eventually("the other takes it for dead", PATIENCE, is_buried).await;
    cluster.coordinator(0).resume();
    cluster.wait_until_ready(0).await;
    cluster.touch("go");
    for number in [0, 1] {
        let job = cluster.client_of(number).wait(id, PATIENCE).await;
        assert_eq!(job.tasks["b"].results, "b\n");
    }
    assert_eq!(cluster.lines("runs"), ["run"]);
    assert_eq!(cluster.database.outcomes(id).await, "a succeeded, b succeeded");
    let job = cluster.client_of(0).run(&json!({"tasks": {"a": {"command": "true"}}})).await;
    assert_eq!(job.state(), job::State::Succeeded);
}
