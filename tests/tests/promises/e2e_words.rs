//! Several words in one message of an agent's stream: for whoever reads them so, and for nobody else.

use std::{collections::HashSet, iter, time::Duration};

use postq_proto::v1::{
    ConnectRequest, ConnectResponse, Held, Hello, Holding, Report, attempt, connect_request,
    connect_response::Message, dispatch_service_client::DispatchServiceClient,
};
use postq_tests::{Cluster, Database};
use serde_json::json;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

const TASKS: usize = 50;

fn word(message: connect_request::Message) -> ConnectRequest {
    ConnectRequest { message: Some(message), ..Default::default() }
}

/// A worker with a place for each task, and what it hears.
async fn connect(
    cluster: &Cluster,
    reads_more: bool,
) -> (mpsc::Sender<ConnectRequest>, Streaming<ConnectResponse>) {
    let (said, words) = mpsc::channel(TASKS + 1);
    let hello = Hello {
        agent_id: uuid::Uuid::new_v4().to_string(),
        boot_id: uuid::Uuid::new_v4().to_string(),
        name: "words".into(),
        slots: TASKS.try_into().unwrap(),
        handlers: vec!["word".into()],
        reads_more,
        ..Hello::default()
    };
    said.send(word(connect_request::Message::Hello(hello))).await.unwrap();
    let mut dispatch = DispatchServiceClient::new(cluster.client().channel());
    let heard = dispatch.connect(ReceiverStream::new(words)).await.unwrap().into_inner();
    (said, heard)
}

/// All words until there are as many as `wanted` of those that `choose` takes, and how many there were
/// in the largest message.
async fn hear<T>(
    heard: &mut Streaming<ConnectResponse>,
    wanted: usize,
    choose: impl Fn(Message) -> Option<T>,
) -> (Vec<T>, usize) {
    let (mut chosen, mut most) = (Vec::new(), 0);
    while chosen.len() < wanted {
        let message = heard.message().await.unwrap().expect("the coordinator left");
        most = most.max(1 + message.more.len());
        assert!(message.more.iter().all(|next| next.more.is_empty()));
        chosen.extend(message.words().flatten().filter_map(&choose));
    }
    (chosen, most)
}

async fn work_off(reads_more: bool) -> usize {
    let mut cluster = Cluster::create(Database::create().await);
    cluster.add_coordinator(&[]).await;
    let (said, mut heard) = connect(&cluster, reads_more).await;
    let tasks: serde_json::Map<_, _> =
        (0..TASKS).map(|n| (format!("t{n}"), json!({"handler": "word"}))).collect();
    let job = cluster.client().submit(&json!({"tasks": tasks})).await;

    let (given, most) = hear(&mut heard, TASKS, |message| match message {
        Message::Assignment(assignment) => Some(assignment),
        _ => None,
    })
    .await;
    let mut reports = given.iter().map(|task| {
        let of = Held { attempt: task.attempt, job_id: task.job_id.clone(), task: task.task };
        let outcome = attempt::Outcome::Succeeded.into();
        word(connect_request::Message::Report(Report {
            of: Some(of),
            outcome,
            ..Default::default()
        }))
    });
    let mut all = reports.next().unwrap();
    all.more = reports.collect();
    said.send(all).await.unwrap();
    let (recorded, _) = hear(&mut heard, TASKS, |message| match message {
        Message::Recorded(recorded) => Some(recorded.attempt),
        _ => None,
    })
    .await;
    let expected: HashSet<i64> = given.iter().map(|task| task.attempt).collect();
    assert_eq!(recorded.into_iter().collect::<HashSet<_>>(), expected);
    let job = cluster.client().wait(job, Duration::from_secs(60)).await;
    assert!(job.tasks.values().all(|task| task.attempts == 1));
    most
}

#[tokio::test]
async fn who_reads_several_words_in_one_message_is_given_them_so() {
    assert!(work_off(true).await > 1);
}

#[tokio::test]
async fn who_does_not_say_so_is_given_one_at_a_time() {
    assert_eq!(work_off(false).await, 1);
}

#[tokio::test]
async fn very_many_words_in_one_message_end_its_stream_and_nothing_else() {
    let mut cluster = Cluster::create(Database::create().await);
    cluster.add_coordinator(&[]).await;
    let (said, mut heard) = connect(&cluster, true).await;
    hear(&mut heard, 1, |message| matches!(message, Message::Welcome(_)).then_some(())).await;
    let holding = || word(connect_request::Message::Holding(Holding::default()));
    let mut all = holding();
    all.more = iter::repeat_with(holding).take(20_000).collect();
    said.send(all).await.unwrap();
    let end = async { while heard.message().await.is_ok_and(|message| message.is_some()) {} };
    tokio::time::timeout(Duration::from_secs(30), end).await.expect("the stream goes on");
    let (_said, mut heard) = connect(&cluster, true).await;
    hear(&mut heard, 1, |message| matches!(message, Message::Welcome(_)).then_some(())).await;
}
