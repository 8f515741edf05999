//! A job is watched as it runs, and its lists are read page by page.

use std::{collections::BTreeSet, fs, process::Command};

use postq_proto::v1::{
    ListJobsRequest, ListTasksRequest, Task, WatchJobRequest, WatchJobResponse, WatchJobsRequest,
    job, task,
};
use postq_tests::{AgentSetup, Client, Cluster, Database, PATIENCE};
use serde_json::{Map, json};
use tokio::time::timeout;
use tonic::{Code, Streaming};
use uuid::Uuid;

async fn watch(client: &Client, id: Uuid, after: i64) -> Streaming<WatchJobResponse> {
    let request = WatchJobRequest { id: id.to_string(), after_revision: after };
    client.jobs().watch_job(request).await.unwrap().into_inner()
}

async fn next(stream: &mut Streaming<WatchJobResponse>) -> Option<WatchJobResponse> {
    timeout(PATIENCE, stream.message()).await.expect("a word in time").unwrap()
}

#[tokio::test]
async fn a_watcher_sees_a_task_run_and_end_and_is_told_when_the_job_has_ended() {
    let cluster = Cluster::start(&[1]).await;
    let go = cluster.path("go");
    let command = format!("until [ -e {} ]; do sleep 0.05; done", go.display());
    let id = cluster
        .submit(&json!({"tasks": {
            "a": {"command": "true"},
            "b": {"depends": ["a"], "command": command},
        }}))
        .await;
    let client = cluster.client();
    let mut stream = watch(&client, id, 0).await;
    let mut seen = BTreeSet::new();
    let mut revision = 0;
    while let Some(message) = next(&mut stream).await {
        assert!(message.revision >= revision, "revisions never fall");
        revision = message.revision;
        let job = message.job.unwrap();
        assert!(job.tasks.is_empty());
        seen.insert(format!("job {}", job.state().as_str_name()));
        for task in message.tasks {
            seen.insert(format!("{} {}", task.name, task.state().as_str_name()));
            if task.name == "b" && task.state() == task::State::Running {
                cluster.touch("go");
            }
        }
    }
    for wanted in ["a SUCCEEDED", "b RUNNING", "b SUCCEEDED", "job RUNNING", "job SUCCEEDED"] {
        assert!(seen.contains(wanted), "{wanted}: {seen:?}");
    }
}

#[tokio::test]
async fn a_watcher_that_comes_back_is_told_only_what_changed_since() {
    let cluster = Cluster::start(&[1]).await;
    let go = cluster.path("go");
    let command = format!("until [ -e {} ]; do sleep 0.05; done", go.display());
    let tasks = (0..50).map(|n| (format!("t{n:02}"), json!({"command": "true"})));
    let mut tasks: Map<_, _> = tasks.collect();
    let all: Vec<_> = tasks.keys().cloned().collect();
    tasks.insert("last".to_owned(), json!({"depends": all, "command": command}));
    let id = cluster.submit(&json!({"tasks": tasks})).await;
    let client = cluster.client();
    let is_last = |job: &postq_proto::v1::Job| job.tasks["last"].state() == task::State::Running;
    client.wait_until(id, "the last task runs", PATIENCE, is_last).await;

    let mut stream = watch(&client, id, 0).await;
    let first = next(&mut stream).await.unwrap();
    assert!(first.complete);
    assert_eq!(first.tasks.len(), 51);
    drop(stream);
    cluster.touch("go");
    client.wait(id, PATIENCE).await;
    let mut stream = watch(&client, id, first.revision).await;
    let second = next(&mut stream).await.unwrap();
    let names: Vec<_> = second.tasks.iter().map(|task| task.name.as_str()).collect();
    assert_eq!(names, ["last"]);
    assert_eq!(second.job.unwrap().state(), job::State::Succeeded);
    assert!(next(&mut stream).await.is_none(), "the stream ends with the job");
}

/// All pages of a listing, each as the ids on it.
async fn pages(client: &Client, request: ListJobsRequest) -> Vec<Vec<String>> {
    let mut pages = Vec::new();
    let mut request = request;
    loop {
        let page = client.jobs().list_jobs(request.clone()).await.unwrap().into_inner();
        pages.push(page.jobs.into_iter().map(|job| job.id).collect());
        if page.next_page_token.is_empty() {
            return pages;
        }
        request.page_token = page.next_page_token;
    }
}

#[tokio::test]
async fn jobs_are_listed_newest_first_in_pages_by_queue_and_state() {
    let cluster = Cluster::start(&[]).await;
    let client = cluster.client();
    let mut ids = Vec::new();
    for n in 0..25 {
        let queue = if n % 5 == 0 { "other" } else { "default" };
        let id = client.submit(&json!({"queue": queue, "tasks": {"a": {"command": "true"}}})).await;
        ids.push(id);
    }
    let newest_first = |wanted: &dyn Fn(usize) -> bool| -> Vec<String> {
        let ids = ids.iter().enumerate().rev().filter(|(n, _)| wanted(*n));
        ids.map(|(_, id)| id.to_string()).collect()
    };
    let all = pages(&client, ListJobsRequest { page_size: 10, ..Default::default() }).await;
    assert_eq!(all.iter().map(Vec::len).collect::<Vec<_>>(), [10, 10, 5]);
    assert_eq!(all.concat(), newest_first(&|_| true));

    client.cancel(ids[10], "").await;
    client.cancel(ids[11], "").await;
    let other = ListJobsRequest { queue: "other".into(), page_size: 2, ..Default::default() };
    assert_eq!(pages(&client, other.clone()).await.concat(), newest_first(&|n| n % 5 == 0));
    let states = vec![job::State::Cancelled.into()];
    let cancelled = ListJobsRequest { states: states.clone(), ..Default::default() };
    assert_eq!(pages(&client, cancelled).await.concat(), newest_first(&|n| n == 10 || n == 11));
    let both = ListJobsRequest { states, ..other };
    assert_eq!(pages(&client, both).await.concat(), newest_first(&|n| n == 10));
    let bad = ListJobsRequest { page_size: 1001, ..Default::default() };
    assert_eq!(client.jobs().list_jobs(bad).await.unwrap_err().code(), Code::InvalidArgument);
}

#[tokio::test]
async fn a_job_too_large_for_one_answer_says_so_and_its_pages_have_all_of_it() {
    const TASKS: usize = 20_000;
    let cluster = Cluster::start(&[]).await;
    let client = cluster.client();
    let long = "x".repeat(200);
    let task = |n: usize| (format!("{n:05}{long}"), json!({"command": "true"}));
    let id = client.submit(&json!({"tasks": (0..TASKS).map(task).collect::<Map<_, _>>()})).await;
    let job = client.get(id).await;
    assert!(job.tasks_truncated);
    assert!(job.tasks.len() > 1000 && job.tasks.len() < TASKS, "{}", job.tasks.len());
    assert_eq!((job.task_count, job.open_tasks), (20_000, 20_000));

    let tasks = client.tasks(id, 1000).await;
    assert_eq!(tasks.len(), TASKS);
    assert!((0..).zip(&tasks).all(|(n, task)| task.number == n), "in the order of the plan");
    assert!(tasks.iter().all(|task| task.state() == task::State::Ready));
    let blocked = ListTasksRequest {
        job_id: id.to_string(),
        states: vec![task::State::Blocked.into()],
        ..Default::default()
    };
    assert!(client.jobs().list_tasks(blocked).await.unwrap().into_inner().tasks.is_empty());
}

#[tokio::test]
async fn a_small_job_is_told_whole() {
    let cluster = Cluster::start(&[]).await;
    let client = cluster.client();
    let task = |n: usize| (format!("t{n}"), json!({"command": "true"}));
    let id = client.submit(&json!({"tasks": (0..1000).map(task).collect::<Map<_, _>>()})).await;
    let job = client.get(id).await;
    assert_eq!((job.tasks.len(), job.tasks_truncated), (1000, false));
}

/// Twenty watchers, half of which come late, are told every task's end by the same few looks.
#[tokio::test]
async fn watchers_of_one_job_share_its_looks() {
    let mut cluster = Cluster::create(Database::create().await);
    cluster.environment.push(("POSTQ_LOG".to_owned(), "info,sqlx::query=debug".into()));
    cluster.add_coordinator(&[]).await;
    cluster.add_agent(AgentSetup { slots: 2, ..AgentSetup::default() }).await;
    cluster.wait_for_agents().await;
    let go = cluster.path("go");
    let command = format!("until [ -e {} ]; do sleep 0.05; done", go.display());
    let mut tasks: Map<_, _> =
        (0..30).map(|n| (format!("t{n:02}"), json!({"command": "sleep 0.1"}))).collect();
    tasks.insert("wait".to_owned(), json!({"command": command}));
    let id = cluster.submit(&json!({"tasks": tasks})).await;
    let client = cluster.client();
    let mut streams = Vec::new();
    for _ in 0..20 {
        if streams.len() == 10 {
            let some = |job: &postq_proto::v1::Job| job.open_tasks < 28;
            client.wait_until(id, "some tasks have ended", PATIENCE, some).await;
        }
        let stream = watch(&client, id, 0).await;
        streams.push(tokio::spawn(all_ended(stream)));
    }
    cluster.touch("go");
    let mut messages = 0;
    for stream in streams {
        let (ended, seen) = stream.await.unwrap();
        assert_eq!(ended.len(), 31, "{ended:?}");
        messages += seen;
    }
    let log = fs::read_to_string(cluster.path("logs").join("coordinator-1.log")).unwrap();
    let looks = log.matches("/* changed_tasks */").count();
    // Each line names its statement twice. Alone, each message would be a look.
    assert!(looks > 0 && looks < messages, "{looks} statements for {messages} messages");
}

/// The tasks of which a watcher is told that they succeeded, and in how many messages.
async fn all_ended(mut stream: Streaming<WatchJobResponse>) -> (BTreeSet<String>, usize) {
    let (mut ended, mut messages) = (BTreeSet::new(), 0);
    while let Some(message) = next(&mut stream).await {
        messages += 1;
        let is_end = |task: &&Task| task.state() == task::State::Succeeded;
        ended.extend(message.tasks.iter().filter(is_end).map(|task| task.name.clone()));
    }
    (ended, messages)
}

/// What a filter chooses is told as it is and whenever it changes, also what comes later and what is older than
/// the newest ones; what it does not choose never is.
#[tokio::test(flavor = "multi_thread")]
async fn jobs_that_a_filter_chooses_are_watched_together() {
    let cluster = Cluster::start(&[4]).await;
    let client = cluster.client();
    let go = cluster.path("go");
    let job = |team: &str, command: &str| json!({"name": team, "attributes": {"team": team}, "tasks": {"a": {"command": command}}});
    let waits = format!("until [ -e {} ]; do sleep 0.05; done", go.display());
    client.run(&job("b", "true")).await;
    let first = client.submit(&job("a", &waits)).await.to_string();
    let request = WatchJobsRequest {
        filter: "$.team == \"a\"".into(),
        max_count: 1,
        until_ended: true,
        ..Default::default()
    };
    let mut stream = client.jobs().watch_jobs(request).await.unwrap().into_inner();
    let look = timeout(PATIENCE, stream.message()).await.unwrap().unwrap().unwrap();
    assert!(look.complete && look.jobs.len() == 1 && look.jobs[0].id == first, "{look:?}");
    let second = client.submit(&job("a", "exit 3")).await.to_string();
    let mut seen = BTreeSet::new();
    while let Some(look) = timeout(PATIENCE, stream.message()).await.unwrap().unwrap() {
        for job in look.jobs {
            assert!(job.id == first || job.id == second, "{job:?}");
            if job.id == second && job.finished_at.is_some() {
                // The first one is not among the newest any more.
                cluster.touch("go");
            }
            let state = job.state().as_str_name();
            assert!(
                seen.insert((job.id, state, job.revision, job.started_at.is_some())),
                "told twice"
            );
        }
    }
    let told =
        |id: &str, wanted: &str| seen.iter().any(|(of, state, ..)| of == id && *state == wanted);
    assert!(told(&first, "SUCCEEDED") && told(&second, "FAILED"), "{seen:?}");

    for bad in [
        WatchJobsRequest { filter: "$.a".into(), ..Default::default() },
        WatchJobsRequest { max_count: 1001, ..Default::default() },
        WatchJobsRequest { max_count: -1, ..Default::default() },
    ] {
        let refused = match client.jobs().watch_jobs(bad).await {
            Ok(stream) => stream.into_inner().message().await.unwrap_err(),
            Err(refused) => refused,
        };
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
    }
    let mut command = Command::new(&cluster.binaries().postq);
    command.args(["watch", "--filter", "$.team == \"a\"", "--until-ended"]);
    command.env("POSTQ_COORDINATOR", cluster.url(0)).env_remove("POSTQ_FORMAT");
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert!(output.status.success() && lines.len() == 2, "{text}");
    assert!(lines[0].contains(&format!("{first} a succeeded 1/1")), "{text}");
    assert!(lines[1].contains(&format!("{second} a failed 1/1: task")), "{text}");
    let output = command.args(["-o", "json"]).output().unwrap();
    let states: Vec<_> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["state"].clone())
        .collect();
    assert_eq!(states, ["SUCCEEDED", "FAILED"]);
}
