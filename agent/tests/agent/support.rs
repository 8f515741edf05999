//! What many tests need: assignments, and waiting for what comes about.

use std::time::Duration;

use postq_proto::v1;

/// Nothing in these tests takes longer unless it is broken.
const PATIENCE: Duration = Duration::from_secs(20);

/// A shell task.
pub(crate) fn shell(attempt: i64, command: &str) -> v1::Assignment {
    v1::Assignment {
        attempt,
        job_id: "0193d0a0-0000-7000-8000-000000000001".into(),
        task: 3,
        task_name: "build".into(),
        job_name: "demo".into(),
        queue: "default".into(),
        attempt_number: 1,
        executor: v1::assignment::Executor::Shell.into(),
        command: command.into(),
        ..Default::default()
    }
}

pub(crate) fn seconds(seconds: i64) -> Option<pbjson_types::Duration> {
    Some(pbjson_types::Duration { seconds, nanos: 0 })
}

pub(crate) fn millis(millis: i32) -> Option<pbjson_types::Duration> {
    Some(pbjson_types::Duration { seconds: 0, nanos: millis * 1_000_000 })
}

/// Fails the test where something does not come about.
pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("waited {PATIENCE:?} for {what}"),
    }
}

/// Looks again and again, for what nobody tells.
pub(crate) async fn eventually(what: &str, holds: impl Fn() -> bool) {
    within(what, async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}
