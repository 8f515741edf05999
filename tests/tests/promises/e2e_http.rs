//! Plain HTTP on the coordinator's port: health, readiness, metrics.

use postq_tests::{Cluster, PATIENCE, eventually};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// The status and the body of a page.
pub(crate) async fn get(cluster: &Cluster, path: &str) -> (u16, String) {
    let address = cluster.url(0).replace("http://", "");
    let mut stream = TcpStream::connect(&address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

#[tokio::test]
async fn the_pages_of_a_healthy_coordinator_tell_what_it_does() {
    let cluster = Cluster::start(&[1]).await;
    assert_eq!(get(&cluster, "/healthz").await, (200, "ok\n".to_owned()));
    assert_eq!(get(&cluster, "/readyz").await, (200, "ready\n".to_owned()));
    assert_eq!(get(&cluster, "/nowhere").await.0, 404);
    cluster.client().run(&json!({"tasks": {"a": {"command": "true"}}})).await;
    let go = cluster.path("go");
    let waits = format!("until [ -e {} ]; do sleep 0.05; done", go.display());
    let id = cluster.submit(&json!({"queue": "of ours", "tasks": {"a": {"command": waits}}})).await;
    let is_shown = async || {
        let (status, text) = get(&cluster, "/metrics").await;
        assert_eq!(status, 200);
        let has = |name: &str, labels: &[&str], value: &str| {
            let mut lines = text.lines().filter(|line| line.starts_with(name));
            lines.any(|line| {
                line.ends_with(&format!(" {value}")) && labels.iter().all(|it| line.contains(it))
            })
        };
        let is_whole = has("postq_finished_attempts_total", &["succeeded"], "1")
            && has("postq_claimed_attempts_total", &[], "2")
            && has("postq_jobs{", &["queue=\"of ours\"", "state=\"running\""], "1")
            && has("postq_tasks{", &["queue=\"of ours\"", "state=\"running\""], "1")
            && has("postq_agents", &[], "1");
        is_whole.then_some(())
    };
    eventually("the metrics tell of both jobs", PATIENCE, is_shown).await;
    cluster.touch("go");
    cluster.client().wait(id, PATIENCE).await;
}

#[tokio::test]
async fn a_coordinator_without_its_database_lives_but_is_not_ready() {
    let cluster = Cluster::start(&[]).await;
    cluster.database.take_away().await;
    let is_unready = async || (get(&cluster, "/readyz").await.0 == 503).then_some(());
    eventually("it is not ready", PATIENCE, is_unready).await;
    assert_eq!(get(&cluster, "/healthz").await.0, 200);
}
