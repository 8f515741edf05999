//! Dead letters over a real coordinator: listed, tried again and removed, by gRPC and by the command.

use std::process::Command;

use postq_proto::v1::{
    DeadLetter, ListDeadLettersRequest, PurgeDeadLettersRequest, RedriveDeadLettersRequest,
    RetryJobsRequest, attempt::Outcome, dead_letter_service_client::DeadLetterServiceClient, job,
};
use postq_runtime::channel::Channel;
use postq_tests::{Client, Cluster, PATIENCE, states};
use serde_json::json;
use tonic::Code;
use uuid::Uuid;

use crate::consumer::{consume, publish, state, take};

fn service(client: &Client) -> DeadLetterServiceClient<Channel> {
    DeadLetterServiceClient::new(client.channel())
}

/// Jobs of a queue that have failed for good, oldest first.
async fn dead(cluster: &Cluster, queue: &str, count: usize) -> Vec<Uuid> {
    let mut jobs = Vec::new();
    for n in 0..count {
        let arguments = format!(
            "'sum', '{{\"n\": {n}, \"none\": null}}', queue => '{queue}', max_retries => 1, attributes => '{{\"team\": \"a\"}}'"
        );
        jobs.push(publish(&cluster.database, &arguments).await);
        let taken = take(&cluster.database, &format!("1, '{queue}'")).await;
        cluster.database.execute(&taken.nack("no such colour")).await;
    }
    jobs
}

/// All pages of a listing.
async fn listed(client: &Client, queue: &str, page_size: i32) -> Vec<DeadLetter> {
    let mut all = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = ListDeadLettersRequest { queue: queue.into(), page_size, page_token };
        let page = service(client).list_dead_letters(request).await.unwrap().into_inner();
        assert!(page.dead_letters.len() <= usize::try_from(page_size).unwrap());
        all.extend(page.dead_letters);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return all;
        }
    }
}

fn jobs_of(letters: &[DeadLetter]) -> Vec<Uuid> {
    letters.iter().map(|letter| letter.job_id.parse().unwrap()).collect()
}

/// JQ12, PT17: what failed for good is told with all that is known of it, by queue and oldest first.
#[tokio::test]
async fn dead_letters_are_listed_page_by_page_with_all_that_is_known() {
    let cluster = Cluster::start(&[]).await;
    let client = cluster.client();
    let (sums, mails) = (dead(&cluster, "sums", 5).await, dead(&cluster, "mails", 2).await);
    let all = listed(&client, "", 3).await;
    assert_eq!(jobs_of(&all), [mails.clone(), sums.clone()].concat());
    assert_eq!(jobs_of(&listed(&client, "sums", 2).await), sums);
    assert_eq!(jobs_of(&listed(&client, "mails", 1).await), mails);
    let letter = &all[3];
    let known = (letter.task.as_str(), letter.handler.as_str(), letter.queue.as_str());
    assert_eq!(known, ("sum", "sum", "sums"));
    assert_eq!((letter.reason.as_str(), letter.attempts), ("no such colour", 1));
    let arguments = serde_json::to_value(letter.arguments.as_ref().unwrap()).unwrap();
    assert_eq!(arguments, json!({"n": 1.0, "none": null}));
    let attributes = serde_json::to_value(letter.attributes.as_ref().unwrap()).unwrap();
    assert_eq!(attributes, json!({"team": "a"}));
    assert!(letter.died_at.is_some() && letter.leased_until.is_none());
    let [attempt] = letter.history.as_slice() else { panic!("{:?}", letter.history) };
    assert_eq!((attempt.outcome(), attempt.reason.as_str()), (Outcome::Failed, "no such colour"));

    for bad in [
        ListDeadLettersRequest { queue: "dlq@sums".into(), ..Default::default() },
        ListDeadLettersRequest { page_token: "x".into(), ..Default::default() },
    ] {
        let refused = service(&client).list_dead_letters(bad).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
    }
}

/// JQ12: they are tried again as new jobs, named or by queue; what a consumer has at hand stays.
#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_tried_again_but_those_at_hand() {
    let cluster = Cluster::start(&[]).await;
    let client = cluster.client();
    let mut service = service(&client);
    let jobs = dead(&cluster, "sums", 4).await;
    let at_hand = take(&cluster.database, "1, 'dlq@sums'").await;
    assert_eq!(at_hand.id, jobs[0]);
    let shown = &listed(&client, "sums", 10).await[0];
    assert!(shown.leased_until.is_some(), "{shown:?}");

    let named = |jobs: &[Uuid]| RedriveDeadLettersRequest {
        job_ids: jobs.iter().map(Uuid::to_string).collect(),
        ..Default::default()
    };
    let unknown = Uuid::now_v7();
    let request = named(&[jobs[0], jobs[1], unknown]);
    let redriven = service.redrive_dead_letters(request.clone()).await.unwrap().into_inner();
    let [one] = redriven.redriven.as_slice() else { panic!("{redriven:?}") };
    assert_eq!(one.job_id, jobs[1].to_string());
    let again = service.redrive_dead_letters(request).await.unwrap().into_inner();
    assert_eq!(again.redriven, [], "it is no dead letter any more");
    let new: Uuid = one.new_job_id.parse().unwrap();
    assert_eq!(states(&client.get(new).await), "sum ready");
    assert_eq!(state(&cluster.database, jobs[1]).await, "failed", "the old job stays");

    let by_queue = |max_count| RedriveDeadLettersRequest {
        queue: "sums".into(),
        max_count,
        ..Default::default()
    };
    let first = service.redrive_dead_letters(by_queue(1)).await.unwrap().into_inner();
    assert_eq!(first.redriven[0].job_id, jobs[2].to_string(), "the oldest first");
    let rest = service.redrive_dead_letters(by_queue(0)).await.unwrap().into_inner();
    assert_eq!(rest.redriven.len(), 1);
    assert_eq!(jobs_of(&listed(&client, "sums", 10).await), [jobs[0]]);
    cluster.database.execute(&at_hand.ack()).await;
    assert_eq!(consume(&cluster.database.pool, "9, 'sums'").await.len(), 3);

    for bad in [
        RedriveDeadLettersRequest::default(),
        RedriveDeadLettersRequest { queue: "sums".into(), ..named(&jobs) },
        by_queue(-1),
        by_queue(1001),
        named(&[]),
    ] {
        let refused = service.redrive_dead_letters(bad.clone()).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{bad:?}");
    }
}

/// Of a job with several tasks all that did not succeed runs again, once, whichever of its letters is meant.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_with_several_dead_letters_is_tried_again_as_one() {
    let cluster = Cluster::start(&[2]).await;
    let client = cluster.client();
    let document = json!({"tasks": {
        "good": {"command": "true"}, "bad": {"command": "false"}, "worse": {"command": "exit 3"},
        "last": {"command": "true", "depends": ["good", "bad"]}}});
    let job = client.run(&document).await;
    let letters = listed(&client, "default", 10).await;
    assert_eq!(letters.len(), 2, "{letters:?}");
    assert_eq!(
        letters.iter().find(|letter| letter.task == "worse").unwrap().history[0].exit_code,
        Some(3)
    );
    let request = RedriveDeadLettersRequest { queue: "default".into(), ..Default::default() };
    let redriven = service(&client).redrive_dead_letters(request).await.unwrap().into_inner();
    let [one] = redriven.redriven.as_slice() else { panic!("{redriven:?}") };
    assert_eq!(one.job_id, job.id);
    let again = client.wait(one.new_job_id.parse().unwrap(), PATIENCE).await;
    assert_eq!(states(&again), "bad failed, good succeeded, last skipped, worse failed");
}

fn postq(cluster: &Cluster, arguments: &[&str]) -> (i32, String) {
    command(cluster, &[&["dead-letters"], arguments].concat())
}

fn command(cluster: &Cluster, arguments: &[&str]) -> (i32, String) {
    let mut command = Command::new(&cluster.binaries().postq);
    command.args(arguments);
    command.env("POSTQ_COORDINATOR", cluster.url(0)).env_remove("POSTQ_FORMAT");
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    (output.status.code().unwrap(), text.trim().to_owned())
}

/// The same by the command, and what is purged is gone while its job stays.
#[tokio::test]
async fn the_command_lists_redrives_and_purges_dead_letters() {
    let cluster = Cluster::start(&[]).await;
    let client = cluster.client();
    let jobs = dead(&cluster, "sums", 3).await;
    let (code, text) = postq(&cluster, &["ls", "--limit", "2"]);
    assert!(
        code == 0 && text.contains("no such colour") && text.ends_with("(more; see --limit)"),
        "{text}"
    );
    let (_, text) = postq(&cluster, &["redrive", &jobs[0].to_string()]);
    assert_eq!(states(&client.get(text.parse().unwrap()).await), "sum ready");
    assert_eq!(
        postq(&cluster, &["purge", &jobs[1].to_string()]),
        (0, "1 dead letter removed".into())
    );
    assert_eq!(state(&cluster.database, jobs[1]).await, "failed");
    assert_eq!(postq(&cluster, &["purge", "--queue", "sums"]), (0, "1 dead letter removed".into()));
    assert_eq!(postq(&cluster, &["ls"]), (0, "no dead letters".into()));
    assert_eq!(postq(&cluster, &["redrive", "--queue", "sums"]).1, "no dead letters to try again");
    assert_eq!(postq(&cluster, &["purge"]).0, 2, "nothing is named");
    assert_eq!(postq(&cluster, &["purge", "--queue", "a", "b"]).0, 2, "two ways at once");
    let request = PurgeDeadLettersRequest::default();
    let refused = service(&client).purge_dead_letters(request).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
}

/// What a filter chooses of a queue's dead letters, and of jobs that have failed, runs again at a rate: by the
/// command and by gRPC, each once.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_filter_chooses_runs_again_at_a_rate() {
    let cluster = Cluster::start(&[4]).await;
    let client = cluster.client();
    let fails = |name: &str| {
        json!({"queue": name, "attributes": {"team": name}, "tasks": {
            "a": {"command": "true"}, "b": {"command": "test -e /nowhere", "depends": ["a"]}}})
    };
    for name in ["left", "left", "right", "right", "right"] {
        client.run(&fails(name)).await;
    }
    let redrive = ["redrive", "--queue", "left", "--rate", "0.001", "--filter"];
    let none = [&redrive[..], &["$.team == \"right\""]].concat();
    assert_eq!(postq(&cluster, &none), (0, "no dead letters to try again".into()));
    let (code, new) = postq(&cluster, &[&redrive[..], &["$.team == \"left\""]].concat());
    assert_eq!((code, new.lines().count()), (0, 2), "{new}");
    let [now, later] = new.lines().collect::<Vec<_>>()[..] else { panic!("{new}") };
    let job = client.wait(now.parse().unwrap(), PATIENCE).await;
    assert_eq!(states(&job), "a succeeded, b failed");
    let job = client.get(later.parse().unwrap()).await;
    assert_eq!(states(&job), "a succeeded, b scheduled");
    assert_eq!(job.state(), job::State::Scheduled);

    let retry = ["retry", "--filter", "$.team == \"right\"", "--rate", "10"];
    let (code, new) = command(&cluster, &retry);
    assert_eq!((code, new.lines().count()), (0, 3), "{new}");
    for id in new.lines() {
        let job = client.wait(id.parse().unwrap(), PATIENCE).await;
        assert_eq!(states(&job), "a succeeded, b failed");
    }
    let request = RetryJobsRequest { queue: "right".into(), max_count: 2, ..Default::default() };
    let retried = client.jobs().retry_jobs(request).await.unwrap().into_inner().retried;
    assert_eq!(retried.len(), 2, "of the retries that failed again");
    for one in &retried {
        assert!(new.contains(&one.job_id));
        client.wait(one.new_job_id.parse().unwrap(), PATIENCE).await;
    }
    for bad in [
        RetryJobsRequest::default(),
        RetryJobsRequest { filter: "$.a".into(), ..Default::default() },
        RetryJobsRequest { queue: "right".into(), rate: -1.0, ..Default::default() },
        RetryJobsRequest { queue: "right".into(), max_count: 10_001, ..Default::default() },
        RetryJobsRequest {
            queue: "right".into(),
            states: vec![job::State::Running.into()],
            ..Default::default()
        },
    ] {
        let refused = client.jobs().retry_jobs(bad).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
    }
    let request = RedriveDeadLettersRequest {
        job_ids: vec![retried[0].job_id.clone()],
        filter: "$.a == 1".into(),
        ..Default::default()
    };
    let refused = service(&client).redrive_dead_letters(request).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert_eq!(command(&cluster, &["retry"]).0, 2, "nothing is named");
    assert_eq!(command(&cluster, &["retry", now, "--filter", "$.a == 1"]).0, 2, "two ways at once");
}
