//! Keys, lists, filters and jobs that wait for jobs, over the wire and by the command.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use postq_proto::v1::{
    CancelJobsRequest, ListJobsRequest, SubmitJobRequest, SubmitJobsRequest, job,
};
use postq_tests::{Client, Cluster, PATIENCE, eventually, spec, states};
use serde_json::{Value, json};
use tonic::Code;
use uuid::Uuid;

fn request(document: &Value) -> SubmitJobRequest {
    SubmitJobRequest { job: Some(spec(document)), ..Default::default() }
}

async fn submit_many(
    client: &Client,
    jobs: Vec<SubmitJobRequest>,
) -> Result<Vec<(Uuid, bool)>, tonic::Status> {
    let answer = client.jobs().submit_jobs(SubmitJobsRequest { jobs }).await?.into_inner();
    Ok(answer.jobs.into_iter().map(|one| (one.id.parse().unwrap(), one.created)).collect())
}

/// `postq` of this build with these arguments: its exit code and what it printed.
async fn postq(cluster: &Cluster, arguments: &[&str]) -> (i32, String) {
    let program = std::env::current_exe().unwrap().ancestors().nth(2).unwrap().join("postq");
    let mut command = Command::new(program);
    command.args(arguments).args(["--coordinator", &cluster.url(0)]);
    let run = tokio::task::spawn_blocking(move || command.output());
    let done = tokio::time::timeout(PATIENCE, run).await.unwrap().unwrap().unwrap();
    let text = [done.stdout, done.stderr].concat();
    (done.status.code().unwrap(), String::from_utf8(text).unwrap())
}

#[tokio::test]
async fn a_second_submit_with_a_key_is_told_so_until_the_first_job_has_ended() {
    let cluster = Cluster::start(&[1]).await;
    let client = cluster.client();
    let gate = cluster.database.value::<Uuid>("select postq.publish('never')").await;
    let document = json!({"tasks": {"a": {"command": "true"}}, "unique": {"key": "k"}, "after": {"jobs": [gate]}});
    let mut ids = Vec::new();
    for created in [true, false, false] {
        let answer = client.jobs().submit_job(request(&document)).await.unwrap().into_inner();
        assert_eq!(answer.created, created);
        ids.push(answer.id);
    }
    assert!(ids.iter().all(|id| *id == ids[0]));
    let first: Uuid = ids[0].parse().unwrap();
    assert_eq!(client.get(first).await.reason, format!("waits for job {gate}"));
    cluster.database.execute("select postq.ack(id, attempt) from postq.consume(1)").await;
    assert_eq!(client.wait(first, PATIENCE).await.state(), job::State::Succeeded);
    let document = json!({"tasks": {"a": {"command": "true"}}, "unique": {"key": "k"}});
    let answer = client.jobs().submit_job(request(&document)).await.unwrap().into_inner();
    assert!(answer.created && answer.id != ids[0]);
}

/// JQ24, JQ25, JQ26: chains of jobs by gRPC and by SQL, with what becomes of them.
#[tokio::test]
async fn jobs_run_after_the_jobs_they_wait_for() {
    let cluster = Cluster::start(&[4]).await;
    let client = cluster.client();
    let shared = cluster.path("order");
    let task =
        |name: &str| json!({"a": {"command": format!("echo {name} >> {}", shared.display())}});
    let first = client.submit(&json!({"tasks": task("1")})).await;
    let second = client.submit(&json!({"tasks": task("2"), "after": {"jobs": [first]}})).await;
    let third = json!({"tasks": task("3"), "after": {"jobs": [second, first]}});
    let third = cluster.database.submit(&third).await.unwrap();
    let fails = client
        .submit(&json!({"tasks": {"a": {"command": "false"}}, "after": {"jobs": [third]}}))
        .await;
    let skipped = json!({"tasks": {"a": {"command": "true"}, "b": {"command": "true", "run_if": "FINISHED", "depends": ["a"]}},
                         "after": {"jobs": [fails]}});
    let skipped = client.submit(&skipped).await;
    let cleans = client
        .submit(&json!({"tasks": task("4"), "after": {"jobs": [fails], "run_if": "FAILED"}}))
        .await;
    let skipped = client.wait(skipped, PATIENCE).await;
    assert_eq!(
        (skipped.state(), states(&skipped).as_str()),
        (job::State::Failed, "a skipped, b skipped")
    );
    assert!(skipped.reason.contains(&fails.to_string()), "{}", skipped.reason);
    assert_eq!(client.wait(cleans, PATIENCE).await.state(), job::State::Succeeded);
    assert_eq!(std::fs::read_to_string(shared).unwrap(), "1\n2\n3\n4\n");
    let unknown = json!({"tasks": {"a": {"command": "true"}}, "after": {"jobs": [Uuid::now_v7()]}});
    assert_eq!(client.try_submit(&unknown).await.unwrap_err().code(), Code::NotFound);
}

/// JQ32, JQ30, JQ21: lists in, filters and cancels over the wire.
#[tokio::test]
async fn many_jobs_are_submitted_listed_and_cancelled_in_one_call() {
    let cluster = Cluster::start(&[]).await;
    let client = cluster.client();
    let one = |n: usize| json!({"attributes": {"foo": n % 2}, "tasks": {"a": {"command": "true"}}});
    let ids = submit_many(&client, (0..2000).map(|n| request(&one(n))).collect()).await.unwrap();
    assert!(ids.len() == 2000 && ids.iter().all(|(_, created)| *created));

    let odd = request(&json!({"tasks": {"a": {}}}));
    let refused = submit_many(&client, vec![request(&one(0)), odd]).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(refused.message().starts_with("jobs[1].tasks.a.command: "), "{refused}");

    let list = async |request: ListJobsRequest| {
        client.jobs().list_jobs(request).await.map(|answer| answer.into_inner())
    };
    let filter = "$.foo == 1".to_owned();
    let page =
        list(ListJobsRequest { filter: filter.clone(), page_size: 1000, ..Default::default() })
            .await
            .unwrap();
    assert!(page.jobs.len() == 1000 && page.next_page_token.is_empty());
    let wanted = vec![ids[0].0.to_string(), ids[1].0.to_string(), Uuid::now_v7().to_string()];
    let named = list(ListJobsRequest { ids: wanted.clone(), ..Default::default() }).await.unwrap();
    assert_eq!(named.jobs.iter().map(|job| &job.id).collect::<Vec<_>>(), [&wanted[1], &wanted[0]]);
    let bad =
        list(ListJobsRequest { filter: "$.foo".into(), ..Default::default() }).await.unwrap_err();
    assert_eq!(bad.code(), Code::InvalidArgument, "{bad}");

    let cancel = CancelJobsRequest { filter, reason: "enough".into(), ..Default::default() };
    assert_eq!(client.jobs().cancel_jobs(cancel).await.unwrap().into_inner().requested, 1000);
    let left = "select count(*) from postq.job where state = 'queued'";
    eventually("those are cancelled", PATIENCE, async || {
        (cluster.database.value::<i64>(left).await == 1000).then_some(())
    })
    .await;
    let all = ids.iter().map(|(id, _)| id.to_string()).collect();
    let cancel = CancelJobsRequest { ids: all, ..Default::default() };
    assert_eq!(client.jobs().cancel_jobs(cancel).await.unwrap().into_inner().requested, 1000);
    eventually("all are cancelled", PATIENCE, async || {
        (cluster.database.value::<i64>(left).await == 0).then_some(())
    })
    .await;
    let nothing = client.jobs().cancel_jobs(CancelJobsRequest::default()).await.unwrap_err();
    assert_eq!(nothing.code(), Code::InvalidArgument);
}

/// JQ29: what runs is stopped at once, and its agent goes on.
#[tokio::test]
async fn a_running_job_that_is_cancelled_is_interrupted_and_its_agent_goes_on() {
    let cluster = Cluster::start(&[1]).await;
    let client = cluster.client();
    let id =
        client.submit(&json!({"tasks": {"a": {"command": "sleep 1000000", "grace": "1s"}}})).await;
    client.wait_until(id, "it runs", PATIENCE, |job| job.state() == job::State::Running).await;
    let cancel = CancelJobsRequest { ids: vec![id.to_string()], ..Default::default() };
    client.jobs().cancel_jobs(cancel).await.unwrap();
    assert_eq!(client.wait(id, PATIENCE).await.state(), job::State::Cancelled);
    let next = client.run(&json!({"tasks": {"a": {"command": "true"}}})).await;
    assert_eq!(next.state(), job::State::Succeeded);
}

/// JQ8, JQ10: whoever waits is told at once, also after the fact and from another process.
#[tokio::test]
async fn whoever_waits_for_a_job_learns_of_its_end() {
    let cluster = Cluster::start(&[]).await;
    let database = &cluster.database;
    let id: Uuid = database.value("select postq.publish('h', notify => true)").await;
    let text = id.to_string();
    let (code, out) = postq(&cluster, &["wait", &text, "--timeout", "300ms"]).await;
    assert_eq!(code, 9, "{out}");
    let mut watch = cluster
        .client()
        .jobs()
        .watch_job(postq_proto::v1::WatchJobRequest { id: text.clone(), after_revision: 0 })
        .await
        .unwrap()
        .into_inner();
    assert_eq!(watch.message().await.unwrap().unwrap().job.unwrap().state(), job::State::Queued);
    let taken: i64 = database.value("select attempt from postq.consume(1)").await;
    while watch.message().await.unwrap().unwrap().job.unwrap().state() != job::State::Running {}
    database.execute(&format!("select postq.ack('{id}', {taken})")).await;
    let acked = Instant::now();
    while watch
        .message()
        .await
        .unwrap()
        .is_some_and(|told| told.job.unwrap().state() != job::State::Succeeded)
    {}
    // A tenth of a second where nothing else runs; looks come twice a second without the notification.
    assert!(acked.elapsed() < Duration::from_secs(5), "{:?}", acked.elapsed());
    let (code, out) = postq(&cluster, &["wait", &text]).await;
    assert_eq!((code, out.trim()), (0, format!("{id} succeeded").as_str()));
    let failed: Uuid = database.value("select postq.publish('h', max_retries => 1)").await;
    database.execute("select postq.nack(id, attempt, 'no') from postq.consume(1)").await;
    let (code, out) = postq(&cluster, &["wait", &text, &failed.to_string()]).await;
    assert_eq!(code, 1, "{out}");
    let (code, _) = postq(&cluster, &["wait", &Uuid::now_v7().to_string()]).await;
    assert_eq!(code, 4);
}

#[tokio::test]
async fn the_command_lists_and_cancels_by_filter() {
    let cluster = Cluster::start(&[]).await;
    for n in 0..3 {
        let publish = format!("select postq.publish('h', attributes => '{{\"n\": {n}}}')");
        cluster.database.value::<Uuid>(&publish).await;
    }
    let (code, out) = postq(&cluster, &["ls", "--filter", "$.n > 0", "--output", "json"]).await;
    let listed: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, listed["jobs"].as_array().unwrap().len()), (0, 2));
    let (code, out) = postq(&cluster, &["ls", "--filter", "nonsense"]).await;
    assert_eq!(code, 2, "{out}");
    let (code, out) = postq(&cluster, &["cancel", "--filter", "$.n > 0", "--waiting"]).await;
    assert_eq!((code, out.trim()), (0, "2 jobs are being cancelled"));
    let cancelled = "select count(*) from postq.job where state = 'cancelled'";
    assert_eq!(cluster.database.value::<i64>(cancelled).await, 2);
}
