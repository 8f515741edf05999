//! The trace of who submitted goes on in the task.

use postq_proto::v1::SubmitJobRequest;
use postq_tests::{Cluster, PATIENCE, spec};
use serde_json::json;
use tonic::Request;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

#[tokio::test]
async fn the_submitters_trace_reaches_the_task() {
    let cluster = Cluster::start(&[1]).await;
    let client = cluster.client();
    let document = json!({"tasks": {
        "a": {"command": "echo $TRACEPARENT"},
        "b": {"depends": ["a"], "command": "echo $TRACEPARENT"},
    }});
    let mut request =
        Request::new(SubmitJobRequest { job: Some(spec(&document)), ..Default::default() });
    let traceparent = format!("00-{TRACE}-b7ad6b7169203331-01");
    request.metadata_mut().insert("traceparent", traceparent.parse().unwrap());
    let id = client.jobs().submit_job(request).await.unwrap().into_inner().id;
    let job = client.wait(id.parse().unwrap(), PATIENCE).await;
    assert!(job.traceparent.contains(TRACE), "{}", job.traceparent);
    for name in ["a", "b"] {
        let words: Vec<_> = job.tasks[name].results.trim_end().split('-').collect();
        assert_eq!(
            (words.len(), words[0], words[1]),
            (4, "00", TRACE),
            "{}",
            job.tasks[name].results
        );
    }
}

#[tokio::test]
async fn the_trace_given_by_sql_reaches_the_task() {
    let cluster = Cluster::start(&[1]).await;
    let two = r#"{"tasks": {"a": {"command": "echo $TRACEPARENT"}, "b": {"command": "true"}}}"#;
    let one = r#"{"tasks": {"a": {"command": "echo $TRACEPARENT"}}}"#;
    for document in [one, two] {
        let query =
            format!("select postq.submit('{document}', null, '00-{TRACE}-b7ad6b7169203331-01')");
        let id = cluster.database.value(&query).await;
        let job = cluster.client().wait(id, PATIENCE).await;
        assert!(job.tasks["a"].results.contains(TRACE), "{:?}", job.tasks["a"].results);
    }
}
