//! Lanes that are empty do not stand in the way of others.

use std::time::Duration;

use postq_tests::{Cluster, states};
use serde_json::json;

/// The only slot is offered to the lane of the greatest priority first, which has nothing any more.
#[tokio::test(flavor = "multi_thread")]
async fn an_empty_lane_of_higher_priority_does_not_keep_the_only_slot() {
    let cluster = Cluster::start(&[1]).await;
    let client = cluster.client();
    let task = |command: &str| json!({"a": {"command": command, "workspace": "NONE"}});
    client.run(&json!({"priority": 10, "tasks": task("true")})).await;
    let mut jobs = Vec::new();
    for _ in 0..4 {
        // Longer than the dispatcher stays awake without finding anything.
        jobs.push(client.submit(&json!({"tasks": task("sleep 1.5")})).await);
    }
    for job in jobs {
        let ended = client.wait(job, Duration::from_secs(60)).await;
        assert_eq!(states(&ended), "a succeeded");
    }
}
