//! Queues over real coordinators and agents: settings, pause, limits, bounds, keys, aging, by gRPC and
//! by the command.

use std::{process::Command, time::Duration};

use postq_proto::v1::{
    DeleteQueueRequest, GetQueueRequest, GetQueueStatsRequest, PauseQueueRequest, PutQueueRequest,
    QueueSettings, ResumeQueueRequest, SubmitJobRequest, queue_service_client::QueueServiceClient,
    task,
};
use postq_runtime::channel::Channel;
use postq_tests::{Client, Cluster, PATIENCE, eventually, spec, states};
use serde_json::json;
use tonic::Code;

use crate::consumer::{consume, publish};

fn queues(client: &Client) -> QueueServiceClient<Channel> {
    QueueServiceClient::new(client.channel())
}

async fn put(client: &Client, name: &str, settings: QueueSettings) {
    let request =
        PutQueueRequest { name: name.into(), settings: Some(settings), ..Default::default() };
    queues(client).put_queue(request).await.unwrap();
}

/// Most executions of a cluster's jobs that were open at one time, by the recorded starts and ends.
async fn most_at_once(cluster: &Cluster, which: &str) -> i64 {
    let query = format!(
        "select max(n) from (
             select count(*) as n from postq.attempt a
             join postq.task_spec s on s.job = a.job and s.n = a.n
             join postq.attempt b on b.started_at <= a.started_at and b.finished_at > a.started_at
             join postq.task_spec t on t.job = b.job and t.n = b.n
             where {which} group by a.id) x"
    );
    cluster.database.value(&query).await
}

/// JQ1, JQ2: declared, read, changed, paused, resumed and deleted by gRPC.
#[tokio::test]
async fn queues_are_looked_after_by_grpc() {
    let cluster = Cluster::start(&[]).await;
    let client = cluster.client();
    let mut service = queues(&client);
    let settings = QueueSettings { max_running: 2, max_jobs: 9, aging: 1.5, ..Default::default() };
    let request = PutQueueRequest {
        name: "mails".into(),
        settings: Some(settings),
        fields: Vec::new(),
        if_absent: true,
    };
    let answer = service.put_queue(request.clone()).await.unwrap().into_inner();
    assert!(answer.created);
    let again = service.put_queue(request).await.unwrap().into_inner();
    assert!(!again.created);
    let change = PutQueueRequest {
        name: "mails".into(),
        settings: Some(QueueSettings { max_running: 5, ..Default::default() }),
        fields: vec!["max_running".into()],
        if_absent: false,
    };
    let queue = service.put_queue(change).await.unwrap().into_inner().queue.unwrap();
    let settings = queue.settings.unwrap();
    assert_eq!((settings.max_running, settings.max_jobs, settings.aging), (5, 9, 1.5));
    let name = || "mails".to_owned();
    let paused = service.pause_queue(PauseQueueRequest { name: name() }).await.unwrap();
    assert!(paused.into_inner().queue.unwrap().settings.unwrap().paused);
    let resumed = service.resume_queue(ResumeQueueRequest { name: name() }).await.unwrap();
    assert!(!resumed.into_inner().queue.unwrap().settings.unwrap().paused);
    let delete = DeleteQueueRequest { name: name(), force: false };
    assert!(service.delete_queue(delete.clone()).await.unwrap().into_inner().deleted);
    assert!(!service.delete_queue(delete).await.unwrap().into_inner().deleted);
    let gone = service.get_queue(GetQueueRequest { name: name() }).await.unwrap_err();
    assert_eq!(gone.code(), Code::NotFound);
    let bad = PutQueueRequest { name: "dlq@x".into(), ..Default::default() };
    assert_eq!(service.put_queue(bad).await.unwrap_err().code(), Code::InvalidArgument);
    let bad = PutQueueRequest {
        name: "x".into(),
        settings: Some(QueueSettings { max_jobs: -1, ..Default::default() }),
        ..Default::default()
    };
    assert_eq!(service.put_queue(bad).await.unwrap_err().code(), Code::InvalidArgument);
}

/// A paused queue keeps its jobs, says so, and starts them at once when it is resumed.
#[tokio::test(flavor = "multi_thread")]
async fn a_paused_queue_starts_nothing_until_it_is_resumed() {
    let cluster = Cluster::start(&[2]).await;
    let client = cluster.client();
    queues(&client).pause_queue(PauseQueueRequest { name: "night".into() }).await.unwrap();
    let id = client.submit(&json!({"queue": "night", "tasks": {"a": {"command": "true"}}})).await;
    // Others go on meanwhile.
    client.run(&json!({"tasks": {"a": {"command": "true"}}})).await;
    let job = client.get(id).await;
    assert_eq!(states(&job), "a ready");
    assert_eq!(job.tasks["a"].reason, "its queue \"night\" is paused");
    queues(&client).resume_queue(ResumeQueueRequest { name: "night".into() }).await.unwrap();
    let job = client.wait(id, PATIENCE).await;
    assert_eq!(states(&job), "a succeeded");
}

/// PQ9: with two coordinators and more slots than that, as many run at a time as the queue allows,
/// and where it has no limit as many as the graph is wide.
#[tokio::test(flavor = "multi_thread")]
async fn as_many_run_at_a_time_as_width_and_limit_allow() {
    let mut cluster = Cluster::start(&[8]).await;
    cluster.add_coordinator(&[]).await;
    let client = cluster.client();
    put(&client, "narrow", QueueSettings { max_running: 3, ..Default::default() }).await;
    let tasks: serde_json::Map<_, _> = (0..8)
        .map(|n| (format!("t{n}"), json!({"command": "sleep 0.3", "workspace": "NONE"})))
        .collect();
    let narrow = client.submit(&json!({"queue": "narrow", "tasks": tasks})).await;
    let job = client.wait(narrow, PATIENCE).await;
    assert_eq!(job.open_tasks, 0, "{}", states(&job));
    let of = |job| format!("a.job = '{job}' and b.job = a.job");
    assert_eq!(most_at_once(&cluster, &of(narrow)).await, 3);
    let wide = client.submit(&json!({"queue": "wide", "tasks": tasks})).await;
    client.wait(wide, PATIENCE).await;
    let most = most_at_once(&cluster, &of(wide)).await;
    assert!((4..=8).contains(&most), "{most} at once, with 8 slots for 8 tasks");
}

/// Two coordinators start no more of a queue than its rate allows.
#[tokio::test(flavor = "multi_thread")]
async fn a_queue_starts_no_more_in_a_time_than_its_rate() {
    let mut cluster = Cluster::start(&[8]).await;
    cluster.add_coordinator(&[]).await;
    let client = cluster.client();
    let set = ["queue", "create", "slow", "--rate-limit", "2", "--rate-period", "3s"];
    assert_eq!(postq(&cluster, &set), (0, "queue slow created\n".into()));
    assert!(postq(&cluster, &["queue", "get", "slow"]).1.contains("rate: 2 in 3.0s"));
    let tasks: serde_json::Map<_, _> = (0..6)
        .map(|n| (format!("t{n}"), json!({"command": "true", "workspace": "NONE"})))
        .collect();
    let job = client.submit(&json!({"queue": "slow", "tasks": tasks})).await;
    client.wait(job, PATIENCE).await;
    let most = "select max(n) from (
         select count(*) as n from postq.attempt a join postq.attempt b
             on b.started_at >= a.started_at and b.started_at < a.started_at + interval '3 s'
         group by a.id) x";
    assert_eq!(cluster.database.value::<i64>(most).await, 2);
    // A limit without a period is none.
    let (exit, _) = postq(&cluster, &["queue", "set", "slow", "--rate-limit", "2"]);
    assert_eq!(exit, 2);
    assert_eq!(postq(&cluster, &["queue", "set", "slow", "--unset", "rate"]).0, 0);
    client.run(&json!({"queue": "slow", "tasks": tasks})).await;
}

/// JQ39: by gRPC a submit beyond the bound is refused, or waits for room.
#[tokio::test(flavor = "multi_thread")]
async fn a_submit_beyond_the_bound_is_refused_or_waits() {
    let cluster = Cluster::start(&[]).await;
    let client = cluster.client();
    put(&client, "mails", QueueSettings { max_jobs: 1, ..Default::default() }).await;
    let document = json!({"queue": "mails", "tasks": {"a": {"handler": "mail"}}});
    client.submit(&document).await;
    let refused = client.try_submit(&document).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused:?}");
    let request = |seconds: u64| SubmitJobRequest {
        job: Some(spec(&document)),
        wait: Some(Duration::from_secs(seconds).into()),
        ..Default::default()
    };
    let refused = client.jobs().submit_job(request(1)).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    let too_long = client.jobs().submit_job(request(1000)).await.unwrap_err();
    assert_eq!(too_long.code(), Code::InvalidArgument);
    let mut jobs = client.jobs();
    let patient = request(60);
    let patient = tokio::spawn(async move { jobs.submit_job(patient).await });
    let one = consume(&cluster.database.pool, "1, 'mails'").await.remove(0);
    assert!(!patient.is_finished(), "it is not done yet");
    cluster.database.execute(&one.ack()).await;
    assert!(patient.await.unwrap().unwrap().into_inner().created);
    let mut service = queues(&client);
    let stats = service.get_queue_stats(GetQueueStatsRequest { name: "mails".into() });
    let stats = stats.await.unwrap().into_inner().stats.unwrap();
    assert_eq!((stats.jobs, stats.ready), (1, 1));
}

/// JQ46: NOT_FOUND where the queue must have been declared.
#[tokio::test]
async fn a_submit_may_require_a_declared_queue() {
    let cluster = Cluster::start(&[]).await;
    let client = cluster.client();
    let document = json!({"queue": "mails", "tasks": {"a": {"handler": "mail"}}});
    let request =
        SubmitJobRequest { job: Some(spec(&document)), require_queue: true, ..Default::default() };
    let refused = client.jobs().submit_job(request.clone()).await.unwrap_err();
    assert_eq!(
        (refused.code(), refused.message()),
        (Code::NotFound, "there is no queue \"mails\"")
    );
    put(&client, "mails", QueueSettings::default()).await;
    assert!(client.jobs().submit_job(request).await.unwrap().into_inner().created);
}

/// Tasks with one key run one after the other on two agents and two coordinators, whichever door they
/// came by; what waits says for what.
#[tokio::test(flavor = "multi_thread")]
async fn tasks_with_one_key_run_one_after_the_other() {
    let mut cluster = Cluster::start(&[4, 4]).await;
    cluster.add_coordinator(&[]).await;
    let client = cluster.client();
    let task = json!({"command": "sleep 0.2", "workspace": "NONE", "concurrency": {"key": "k", "limit": 1}});
    let job = client.submit(&json!({"tasks": {"a": task, "b": task, "c": task}})).await;
    let is_parked = |job: &postq_proto::v1::Job| {
        let parked = job.tasks.values().filter(|task| task.state() == task::State::Parked);
        parked.clone().count() > 0
            && parked.clone().all(|task| task.reason.contains("concurrency key \"k\""))
    };
    client.wait_until(job, "a task waits for its key", PATIENCE, is_parked).await;
    let by_sql = json!({"tasks": {"a": task}});
    let others = [
        cluster.database.submit(&by_sql).await.unwrap(),
        cluster.database.submit(&by_sql).await.unwrap(),
    ];
    for job in [job].into_iter().chain(others) {
        assert_eq!(client.wait(job, PATIENCE).await.open_tasks, 0);
    }
    assert_eq!(
        most_at_once(&cluster, "t.concurrency_key = 'k' and s.concurrency_key = 'k'").await,
        1
    );
}

/// At most two of a rate start within a second, and all of them do in the end.
#[tokio::test(flavor = "multi_thread")]
async fn tasks_with_a_rate_start_no_faster() {
    let cluster = Cluster::start(&[8]).await;
    let client = cluster.client();
    let task = json!({"command": "true", "workspace": "NONE", "rate": {"key": "api", "limit": 2, "period": "1s"}});
    let tasks: serde_json::Map<_, _> = (0..5).map(|n| (format!("t{n}"), task.clone())).collect();
    let job = client.run(&json!({"tasks": tasks})).await;
    assert_eq!(job.open_tasks, 0);
    let fastest: i64 = cluster
        .database
        .value(
            "select max(n) from (select count(*) as n from postq.attempt a
             join postq.attempt b on b.started_at >= a.started_at and b.started_at < a.started_at + interval '1 s'
             group by a.id) x",
        )
        .await;
    assert_eq!(fastest, 2);
}

/// Where a queue lets tasks age, an old one passes a steady stream of greater priority.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_starves_where_tasks_age() {
    let cluster = Cluster::start(&[1]).await;
    let client = cluster.client();
    // Ten points are gained within a second.
    put(&client, "mails", QueueSettings { aging: 600.0, ..Default::default() }).await;
    let document = |priority: i32| json!({"queue": "mails", "priority": priority, "tasks": {"a": {"command": "sleep 0.1", "workspace": "NONE"}}});
    for _ in 0..3 {
        client.submit(&document(10)).await;
    }
    let old = client.submit(&document(0)).await;
    // More than can be done meanwhile, and always more.
    eventually("the old task has run", PATIENCE, async || {
        client.submit(&document(10)).await;
        client.submit(&document(10)).await;
        (states(&client.get(old).await) == "a succeeded").then_some(())
    })
    .await;
    let waiting: i64 = cluster.database.value("select count(*) from postq.ready").await;
    assert!(waiting > 0, "others of a greater priority still waited");
}

/// JQ45: a consumer of a queue that does not exist yet is woken by its first job.
#[tokio::test]
async fn a_queue_may_be_listened_to_before_it_is_there() {
    let cluster = Cluster::start(&[]).await;
    let mut session = cluster.database.session().await;
    assert!(consume(&mut session.connection, "1, 'later'").await.is_empty());
    let channel: String = session.value("select postq.listen('later')").await;
    let mut listener =
        sqlx::postgres::PgListener::connect_with(&cluster.database.pool).await.unwrap();
    listener.listen(&channel).await.unwrap();
    let job = publish(&cluster.database, "'mail', queue => 'later'").await;
    tokio::time::timeout(Duration::from_secs(10), listener.recv()).await.unwrap().unwrap();
    assert_eq!(consume(&mut session.connection, "1, 'later'").await[0].id, job);
}

/// JQ15: who sleeps on dead letters is woken by the first one.
#[tokio::test]
async fn dead_letters_wake_who_waits_for_them() {
    let cluster = Cluster::start(&[1]).await;
    let mut session = cluster.database.session().await;
    let channel: String = session.value("select postq.listen('dlq@mails')").await;
    let mut listener =
        sqlx::postgres::PgListener::connect_with(&cluster.database.pool).await.unwrap();
    listener.listen(&channel).await.unwrap();
    let client = cluster.client();
    client.run(&json!({"queue": "mails", "tasks": {"a": {"command": "exit 1"}}})).await;
    tokio::time::timeout(Duration::from_secs(1), listener.recv()).await.unwrap().unwrap();
    assert_eq!(consume(&mut session.connection, "1, 'dlq@mails'").await.len(), 1);
}

/// PT19, PJ30: SQL, gRPC and /metrics count the same in each state.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_a_queue_is_counted_alike_everywhere() {
    let cluster = Cluster::start(&[]).await;
    let client = cluster.client();
    let database = &cluster.database;
    for _ in 0..4 {
        publish(database, "'mail', queue => 'mails'").await;
    }
    publish(database, "'mail', queue => 'mails', scheduled_at => now() + interval '1 hour'").await;
    let keyed = json!({"queue": "mails", "tasks": {"a": {"handler": "x", "concurrency": {"key": "k", "limit": 1}}}});
    for _ in 0..3 {
        client.submit(&keyed).await;
    }
    for one in consume(&database.pool, "2, 'mails', '{mail}'").await {
        database
            .execute(&format!(
                "update postq.task_spec set max_attempts = 1 where job = '{}'",
                one.id
            ))
            .await;
        database.execute(&one.nack("no")).await;
    }
    consume(&database.pool, "1, 'mails', '{mail}'").await;
    let by_sql = database
        .json("select jsonb_build_array(jobs, ready, scheduled, parked, running, dead_letters) from postq.queue_stats where queue = 'mails'")
        .await;
    assert_eq!(by_sql, json!([6, 2, 1, 2, 1, 2]));
    let mut service = queues(&client);
    let stats = service.get_queue_stats(GetQueueStatsRequest { name: "mails".into() });
    let stats = stats.await.unwrap().into_inner().stats.unwrap();
    let by_grpc =
        [stats.jobs, stats.ready, stats.scheduled, stats.parked, stats.running, stats.dead_letters];
    assert_eq!(json!(by_grpc), by_sql);
    assert!(stats.oldest_ready_age.is_some());
    let (_, metrics) = crate::e2e_http::get(&cluster, "/metrics").await;
    for (state, count) in [("ready", 2), ("scheduled", 1), ("parked", 2), ("running", 1)] {
        let line = format!("postq_tasks{{queue=\"mails\",state=\"{state}\"}} {count}");
        assert!(metrics.contains(&line), "{line}: {metrics}");
    }
}

fn postq(cluster: &Cluster, arguments: &[&str]) -> (i32, String) {
    let output = Command::new(&cluster.binaries().postq)
        .args(arguments)
        .env("POSTQ_COORDINATOR", cluster.url(0))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    (output.status.code().unwrap(), text)
}

/// The command says the same as the service.
#[tokio::test(flavor = "multi_thread")]
async fn queues_are_looked_after_by_the_command() {
    let cluster = Cluster::start(&[]).await;
    let said = |arguments: &[&str]| postq(&cluster, arguments);
    let create =
        ["queue", "create", "mails", "--max-jobs", "1", "--retry", r#"{"max_attempts": 3}"#];
    assert_eq!(said(&create), (0, "queue mails created\n".into()));
    assert_eq!(said(&create), (0, "queue mails was there already; nothing was changed\n".into()));
    assert_eq!(
        said(&["queue", "set", "mails", "--aging", "2"]),
        (0, "queue mails changed\n".into())
    );
    let (_, shown) = said(&["queue", "get", "mails"]);
    for wanted in ["0/1", "open", "max_attempts", "aging: 2 points a minute"] {
        assert!(shown.contains(wanted), "{wanted}: {shown}");
    }
    assert!(said(&["queue", "pause", "mails"]).1.contains("paused"));
    assert!(said(&["queue", "ls"]).1.contains("paused"));
    assert!(said(&["queue", "resume", "mails"]).1.contains("open"));
    let job = cluster.path("job.yaml");
    std::fs::write(&job, "queue: mails\ntasks: {a: {handler: mail}}\n").unwrap();
    let job = job.to_str().unwrap();
    assert_eq!(said(&["submit", job]).0, 0);
    let (exit, full) = said(&["submit", job, "--wait-for-room", "300ms"]);
    assert_eq!(exit, 6, "{full}");
    assert!(full.contains("queue \"mails\" holds 1 jobs, which is its bound"), "{full}");
    let (exit, _) = said(&["queue", "rm", "mails"]);
    assert_eq!(exit, 6, "it has a job");
    assert_eq!(said(&["queue", "rm", "mails", "--force"]).0, 0);
    assert_eq!(said(&["queue", "rm", "mails"]), (0, "queue mails was not declared\n".into()));
    assert_eq!(said(&["submit", job, "--require-queue"]).0, 4);
    assert_eq!(said(&["queue", "get", "nowhere"]).0, 4);
}
