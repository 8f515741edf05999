//! Tasks that work against their agent fail alone: the job says why, and the agent serves on.

use postq_proto::v1::{Job, attempt, job};
use postq_tests::{Cluster, PATIENCE, states};
use serde_json::json;

fn outcome(job: &Job, task: &str) -> attempt::Outcome {
    job.tasks[task].attempt.as_ref().unwrap().outcome()
}

#[tokio::test]
async fn a_task_that_harms_its_supervisor_or_nests_for_ever_fails_alone_and_says_why() {
    let cluster = Cluster::start(&[4]).await;
    let nest = "perl -e 'for (1..2500) { mkdir \"d\" and chdir \"d\" or die }'";
    let job = cluster
        .client()
        .run(&json!({"tasks": {
            "kills": {"command": "setsid env -i sleep 600 & kill -KILL $PPID; wait"},
            "nests": {"command": nest},
            "stops": {
                "command": "trap '' TERM; while :; do kill -STOP $PPID; done",
                "timeout": "0.5s",
                "grace": "0.2s",
            },
            "works": {"command": "echo fine"},
        }}))
        .await;
    assert_eq!(states(&job), "kills failed, nests failed, stops failed, works succeeded");
    assert_eq!(outcome(&job, "kills"), attempt::Outcome::Failed);
    let reason = &job.tasks["kills"].reason;
    assert!(reason.contains("the task killed its supervisor (SIGKILL)"), "{reason}");
    let reason = &job.tasks["nests"].reason;
    assert!(reason.contains("its files could not be kept"), "{reason}");
    assert_eq!(outcome(&job, "stops"), attempt::Outcome::TimedOut);

    let next = cluster.client().submit(&json!({"tasks": {"a": {"command": "true"}}})).await;
    let next = cluster.client().wait(next, PATIENCE).await;
    assert_eq!(next.state(), job::State::Succeeded);
    let lost = "select count(*) from postq.attempt where outcome = 'lost'";
    assert_eq!(cluster.database.value::<i64>(lost).await, 0, "the agent lived on");
}
