//! Consumers that speak only SQL beside coordinators and agents.

use postq_common::state::JobState;
use postq_tests::{Cluster, PATIENCE, eventually, states};
use serde_json::json;
use uuid::Uuid;

use crate::consumer::{consume, publish};

/// A consumer's task in the middle of a job whose other tasks are an agent's.
#[tokio::test]
async fn a_job_goes_from_an_agent_to_a_consumer_and_back() {
    let cluster = Cluster::start(&[1]).await;
    let database = &cluster.database;
    let document = json!({"tasks": {
        "a": {"command": "echo in > file"},
        "b": {"depends": ["a"], "handler": "sign", "arguments": {"key": 1}},
        "c": {"depends": ["b"], "command": "cat file"},
    }});
    let id = database.submit(&document).await.unwrap();
    let taken = eventually("the consumer's task", PATIENCE, async || {
        consume(&database.pool, "1").await.pop()
    })
    .await;
    assert_eq!((taken.id, taken.task.as_str()), (id, "sign"));
    database.execute(&taken.ack()).await;
    let job = cluster.client().wait(id, PATIENCE).await;
    assert_eq!(states(&job), "a succeeded, b succeeded, c succeeded");
    assert_eq!(job.tasks["c"].results, "in\n");
}

/// Without anybody who consumes, the coordinators see that a lease is over.
#[tokio::test]
async fn a_coordinator_ends_the_attempts_of_consumers_that_vanished() {
    let cluster = Cluster::start(&[1]).await;
    let database = &cluster.database;
    let id: Uuid = publish(database, "'mail', timeout => '0.5 s', max_retries => 1").await;
    assert_eq!(consume(&database.pool, "1").await.len(), 1);
    eventually("the end of the lease", PATIENCE, async || {
        (database.look(id).await.state == JobState::Failed).then_some(())
    })
    .await;
    assert_eq!(consume(&database.pool, "1, 'dlq@default'").await.len(), 1);
}
