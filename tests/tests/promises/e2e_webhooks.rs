//! The end of jobs is told by HTTP: signed, at least once, tried again, to nobody who was not allowed, and in
//! nobody's way.

use std::fs;

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use postq_tests::{Cluster, Database, PATIENCE, Received, Receiver, eventually};
use serde_json::{Value, json};
use sha2::Sha256;
use tonic::Code;
use uuid::Uuid;

use crate::{consumer::refused, e2e_http::get};

const SECRET: &str = "a secret of the test";

/// A coordinator that may send to these receivers.
async fn cluster(receivers: &[&Receiver]) -> Cluster {
    let mut cluster = Cluster::create(Database::create().await);
    add_coordinator(&mut cluster, receivers).await;
    cluster
}

async fn add_coordinator(cluster: &mut Cluster, receivers: &[&Receiver]) {
    let secrets = cluster.path("secrets");
    fs::create_dir_all(&secrets).unwrap();
    fs::write(secrets.join("default"), SECRET).unwrap();
    let secrets = secrets.display().to_string();
    let allowed: Vec<&str> = receivers.iter().map(|it| it.url()).collect();
    let allowed = allowed.join(",");
    let arguments = ["--webhook-secrets", &secrets, "--webhook-allow", &allowed];
    cluster.add_coordinator(&arguments).await;
}

/// A job of one task for a consumer, that tells `url`.
fn job(url: &str) -> Value {
    json!({"name": "n", "attributes": {"order": 7}, "webhook": {"url": url},
           "tasks": {"a": {"handler": "h"}}})
}

async fn work(cluster: &Cluster) {
    cluster.database.execute("select postq.ack(id, attempt) from postq.consume(100)").await;
}

async fn received(receiver: &Receiver, count: usize) -> Vec<Received> {
    eventually("it was told", PATIENCE, async || {
        Some(receiver.received()).filter(|all| all.len() >= count)
    })
    .await
}

/// Nothing is left to be told.
async fn all_arrived(database: &Database) {
    eventually("all has arrived", PATIENCE, async || {
        let left: i64 = database.value("select count(*) from postq.deliveries").await;
        (left == 0).then_some(())
    })
    .await;
}

/// Lets what waits for its next try be tried now.
async fn hurry(database: &Database) {
    database.execute("update postq.delivery set next_at = postq.now()").await;
}

fn is_signed(received: &Received) -> bool {
    let (id, time) = (&received.headers["webhook-id"], &received.headers["webhook-timestamp"]);
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(format!("{id}.{time}.{}", received.body).as_bytes());
    let signed = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
    received.headers["webhook-signature"] == signed
}

#[tokio::test]
async fn the_end_of_a_job_is_told_signed_with_its_id_state_and_attributes() {
    let receiver = Receiver::start(&[]).await;
    let cluster = cluster(&[&receiver]).await;
    let url = format!("{}/hook?x=1", receiver.url());
    let by_grpc = cluster.submit(&job(&url)).await;
    let by_sql = cluster.database.submit(&job(&url)).await.unwrap();
    let settings = json!({"webhook": {"url": url}});
    let create = format!("select postq.create_queue('told', '{settings}')");
    cluster.database.execute(&create).await;
    let publish = "select postq.publish('h', queue => 'told')";
    let by_queue: Uuid = cluster.database.value(publish).await;
    work(&cluster).await;
    cluster.client().cancel(by_queue, "not needed").await;
    let all = received(&receiver, 3).await;
    for (id, state) in [(by_grpc, "succeeded"), (by_sql, "succeeded"), (by_queue, "cancelled")] {
        let one = all.iter().find(|one| one.job() == id).unwrap();
        assert!(is_signed(one), "{one:?}");
        assert_eq!(
            (one.path.as_str(), &*one.headers["content-type"]),
            ("/hook?x=1", "application/json")
        );
        let told = one.json();
        assert_eq!(told["type"], format!("job.{state}"));
        assert_eq!((&told["job"]["id"], &told["job"]["state"]), (&json!(id), &json!(state)));
        let wanted = if id == by_queue { json!({}) } else { json!({"order": 7}) };
        assert_eq!(told["job"]["attributes"], wanted);
        assert!(told["job"]["finished_at"].as_str().unwrap().ends_with('Z'));
    }
    all_arrived(&cluster.database).await;
    assert_eq!(receiver.received().len(), 3);
    let metrics = get(&cluster, "/metrics").await.1;
    assert!(metrics.contains("postq_webhooks_total{result=\"told\"} 3"), "{metrics}");
}

/// A failure, a redirect and silence: the same is sent again, and says why it was not told yet.
#[tokio::test]
async fn what_was_not_taken_is_told_again_the_same_until_it_is() {
    let receiver = Receiver::start(&[Some(500), Some(301)]).await;
    let cluster = cluster(&[&receiver]).await;
    let id = cluster.submit(&job(&format!("{}/a", receiver.url()))).await;
    work(&cluster).await;
    for (nth, word) in [(1, "500"), (2, "301")] {
        let error = eventually("its failure is shown", PATIENCE, async || {
            let error = format!("select max(error) from postq.deliveries where attempts = {nth}");
            cluster.database.value::<Option<String>>(&error).await
        })
        .await;
        assert!(error.contains(word), "{error}");
        hurry(&cluster.database).await;
    }
    let all = received(&receiver, 3).await;
    all_arrived(&cluster.database).await;
    assert!(all.iter().all(|one| one.job() == id && one.path == "/a" && one.body == all[0].body));
    assert_eq!(receiver.received().len(), 3, "no redirect was followed");
    cluster.database.execute(&format!("select postq.redeliver('{id}')")).await;
    assert_eq!(received(&receiver, 4).await[3].job(), id, "and once more for who asks");
}

/// One server answers nothing, and has a long line; the other one is told all the same.
#[tokio::test]
async fn a_server_that_does_not_answer_is_in_nobodys_way() {
    let (silent, good) = (Receiver::start(&[None; 500]).await, Receiver::start(&[]).await);
    let cluster = cluster(&[&silent, &good]).await;
    let many = vec![sqlx::types::Json(job(silent.url())); 200];
    let submit = sqlx::query("select postq.submit_many($1)").bind(many);
    submit.execute(&cluster.database.pool).await.unwrap();
    work(&cluster).await;
    work(&cluster).await;
    received(&silent, 4).await;
    let id = cluster.submit(&job(good.url())).await;
    work(&cluster).await;
    assert_eq!(received(&good, 1).await[0].job(), id);
    let waiting = silent.received().len();
    assert!(waiting < 100, "{waiting} wait for it at once");
}

#[tokio::test]
async fn a_destination_that_nobody_allowed_is_refused_wherever_it_is_named() {
    let receiver = Receiver::start(&[]).await;
    let mut cluster = cluster(&[&receiver]).await;
    let elsewhere = receiver.url().replace("127.0.0.1", "localhost");
    for (webhook, word) in [
        (json!({"url": elsewhere}), "--webhook-allow"),
        (json!({"url": receiver.url().replace("http:", "https:")}), "--webhook-allow"),
        (json!({"url": receiver.url(), "secret": "other"}), "--webhook-secrets"),
    ] {
        let document = json!({"webhook": webhook, "tasks": {"a": {"command": "true"}}});
        let status = cluster.client().try_submit(&document).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
        assert!(status.message().contains(word), "{status:?}");
        for statement in [
            format!("select postq.submit('{document}')"),
            format!("select postq.create_queue('q', '{}')", json!({"webhook": webhook})),
        ] {
            let (code, message) = refused(&cluster.database, &statement).await;
            assert_eq!(code, "PQ005", "{message}");
            assert!(message.contains(word), "{message}");
        }
    }
    let stored = "select count(*) from postq.job";
    assert_eq!(cluster.database.value::<i64>(stored).await, 0);
    // What slipped in while it was allowed is not sent by one that may not.
    cluster.submit(&job(receiver.url())).await;
    cluster.coordinator(0).kill().await;
    cluster.add_coordinator(&[]).await;
    work(&cluster).await;
    let error = eventually("it says why it is not told", PATIENCE, async || {
        cluster.database.value::<Option<String>>("select max(error) from postq.deliveries").await
    })
    .await;
    assert!(error.contains("--webhook-allow"), "{error}");
    assert_eq!(receiver.received().len(), 0);
}

/// Whoever dies while it sends leaves it to others, who send the same.
#[tokio::test]
async fn what_a_coordinator_was_sending_when_it_died_is_sent_by_another() {
    let receiver = Receiver::start(&[None]).await;
    let mut cluster = cluster(&[&receiver]).await;
    let id = cluster.submit(&job(receiver.url())).await;
    work(&cluster).await;
    received(&receiver, 1).await;
    cluster.coordinator(0).kill().await;
    add_coordinator(&mut cluster, &[&receiver]).await;
    hurry(&cluster.database).await;
    let all = received(&receiver, 2).await;
    assert!(all.iter().all(|one| one.job() == id && is_signed(one) && one.body == all[0].body));
    all_arrived(&cluster.database).await;
}
