//! The life of a job through the functions of the schema, from its admission to its end.

use postq_common::{
    spec::RunIf,
    state::{JobState, TaskState},
};
use postq_tests::{Claimed, Database, End, Graph, Task, Worker};
use serde_json::json;
use uuid::Uuid;

/// One task, claimed.
pub(crate) async fn running(database: &Database, task: Task) -> (Uuid, Worker, Claimed) {
    let job = Graph::default().with("a", task).admit(database).await;
    let worker = Worker::connect(database).await;
    let claimed = worker.claim(database, 1).await;
    assert_eq!(claimed.len(), 1);
    (job, worker, claimed[0].clone())
}

/// A task without dependencies.
pub(crate) fn shell() -> Task {
    Task::after([])
}

#[tokio::test]
async fn descendants_of_a_failed_task_are_skipped_while_its_siblings_go_on() {
    let database = Database::create().await;
    let edges: &[(&str, &[&str])] = &[
        ("a", &[]),
        ("b", &["a"]),
        ("c", &["a"]),
        ("d", &["b"]),
        ("e", &["c"]),
        ("f", &["d", "e"]),
    ];
    let job = Graph::of(edges).admit(&database).await;
    let worker = Worker::connect(&database).await;
    let b = database.number(job, "b").await;
    worker.work(&database, |one| if one.n == b { "failed" } else { "succeeded" }).await;
    assert_eq!(
        database.states(job).await,
        "a succeeded, b failed, c succeeded, d skipped, e succeeded, f skipped"
    );
    let look = database.look(job).await;
    assert_eq!(look.state, JobState::Failed);
    assert_eq!(look.reason.as_deref(), Some("task \"b\" failed: it failed"));
}

#[tokio::test]
async fn a_job_ends_when_every_task_has_ended_and_has_a_time_of_its_end() {
    let database = Database::create().await;
    let job = Graph::of(&[("a", &[]), ("b", &["a"])]).admit(&database).await;
    let worker = Worker::connect(&database).await;
    let ended = "select finished_at is not null from postq.jobs";
    let a = worker.claim(&database, 9).await;
    assert_eq!(a.len(), 1, "b waits for a");
    assert_eq!(database.look(job).await.state, JobState::Running);
    let finished = worker.finish(&database, &[(&a[0], "succeeded".into())]).await;
    assert!(finished.ended.is_empty());
    assert!(!database.value::<bool>(ended).await);
    let b = worker.claim(&database, 9).await;
    let finished = worker.finish(&database, &[(&b[0], "succeeded".into())]).await;
    assert_eq!(finished.ended, [job]);
    assert!(database.value::<bool>(ended).await);
    assert_eq!(database.look(job).await.state, JobState::Succeeded);
    assert_eq!(database.value::<i32>("select open_tasks from postq.jobs").await, 0);
}

#[tokio::test]
async fn every_change_of_a_job_raises_its_revision_and_marks_the_changed_tasks() {
    let database = Database::create().await;
    let job = Graph::of(&[("a", &[]), ("b", &[]), ("c", &["a"])]).admit(&database).await;
    let worker = Worker::connect(&database).await;
    let revision = "select revision from postq.jobs";
    let first: i64 = database.value(revision).await;
    let claimed = worker.claim(&database, 9).await;
    assert_eq!(database.value::<i64>(revision).await, first, "a claim raises none");
    worker.end(&database, &claimed[0], "succeeded").await;
    assert_eq!(database.value::<i64>(revision).await, first + 1);
    let changed = format!(
        "select string_agg(s.name, ' ' order by s.name) from postq.task t
         join postq.task_spec s using (job, n) where t.job = '{job}' and t.revision > {first}"
    );
    assert_eq!(database.value::<String>(&changed).await, "a c");
}

#[tokio::test]
async fn a_long_job_keeps_a_short_ledger_of_its_progress() {
    let database = Database::create().await;
    let names: Vec<String> = (0..200).map(|n| format!("t{n}")).collect();
    let graph = names.iter().fold(Graph::default(), |graph, name| graph.with(name, shell()));
    let job = graph.admit(&database).await;
    let worker = Worker::connect(&database).await;
    for claimed in worker.claim(&database, 200).await {
        worker.end(&database, &claimed, "succeeded").await;
    }
    assert_eq!(database.look(job).await.state, JobState::Succeeded);
    let rows: i64 = database.value("select count(*) from postq.job_progress").await;
    assert!(rows <= 65, "{rows}");
}

#[tokio::test]
async fn a_failed_attempt_is_tried_again_after_its_pause_until_none_is_left() {
    let database = Database::create().await;
    let (job, worker, first) = running(&database, shell().attempts(2)).await;
    let finished = worker.finish(&database, &[(&first, "failed".into())]).await;
    assert!(finished.is_due_later);
    assert_eq!(database.states(job).await, "a scheduled");
    assert!(worker.claim(&database, 1).await.is_empty(), "it waits for its time");
    database.advance_clock("1 minute").await;
    let promoted = database.json("select postq.promote('-infinity', 100)").await;
    assert_eq!(promoted["moved"], 1);
    assert_eq!(database.states(job).await, "a ready");
    let second = worker.claim(&database, 1).await;
    assert!(second[0].attempt > first.attempt);
    worker.end(&database, &second[0], "timed_out").await;
    assert_eq!(database.states(job).await, "a failed");
    assert_eq!(database.look(job).await.tasks["a"].attempts, 2);
}

#[tokio::test]
async fn pauses_between_attempts_double_up_to_the_longest_less_up_to_one_half() {
    let database = Database::create().await;
    let pause = |n: i32, jitter: f64| {
        let database = &database;
        async move {
            let query = format!("select postq.backoff_ms(1000, 6000, {n}, {jitter})");
            database.value::<i64>(&query).await
        }
    };
    for (n, wanted) in [(1, 1000), (2, 2000), (3, 4000), (4, 6000), (5, 6000), (1_000_000, 6000)] {
        assert_eq!(pause(n, 0.0).await, wanted);
        assert_eq!(pause(n, 1.0).await, wanted / 2);
    }
}

#[tokio::test]
async fn a_failure_that_is_final_is_not_tried_again() {
    let database = Database::create().await;
    let (job, worker, claimed) = running(&database, shell().attempts(5)).await;
    worker.end(&database, &claimed, End { outcome: "failed", is_final: true }).await;
    assert_eq!(database.states(job).await, "a failed");
}

#[tokio::test]
async fn lost_attempts_count_against_the_crash_limit_only() {
    let database = Database::create().await;
    let (job, worker, mut claimed) = running(&database, shell()).await;
    for crashes in 1..=5_u32 {
        assert_eq!(worker.end(&database, &claimed, "lost").await, "recorded");
        let task = database.look(job).await.tasks["a"];
        assert_eq!((task.attempts, task.crashes), (0, crashes));
        if crashes < 5 {
            assert_eq!(task.state, TaskState::Ready);
            claimed = worker.claim(&database, 1).await.remove(0);
        }
    }
    assert_eq!(database.states(job).await, "a failed");
    let reason = database.look(job).await.reason.unwrap();
    assert!(reason.contains("lost 5 times"), "{reason}");
}

#[tokio::test]
async fn a_released_attempt_is_given_again_uncounted() {
    let database = Database::create().await;
    let (job, worker, claimed) = running(&database, shell()).await;
    let release = format!(
        "select postq.release(array[{}::bigint], array[{}::bigint], array['{job}'::uuid], array[0], 'drained')",
        claimed.attempt, claimed.session
    );
    let answer = database.json(&release).await;
    assert_eq!(answer["verdicts"], json!([[claimed.attempt, "recorded"]]));
    let task = database.look(job).await.tasks["a"];
    assert_eq!((task.state, task.attempts, task.crashes), (TaskState::Ready, 0, 0));
    let again = worker.claim(&database, 1).await;
    assert!(again[0].attempt > claimed.attempt);
    assert_eq!(worker.end(&database, &again[0], "succeeded").await, "recorded");
}

#[tokio::test]
async fn an_attempt_is_recorded_once_and_a_word_too_late_is_stale() {
    let database = Database::create().await;
    let (job, worker, claimed) = running(&database, shell()).await;
    let stranger = Claimed { session: claimed.session + 1, ..claimed.clone() };
    assert_eq!(worker.end(&database, &stranger, "failed").await, "stale");
    let unknown = Claimed { attempt: claimed.attempt + 1, ..claimed.clone() };
    assert_eq!(worker.end(&database, &unknown, "failed").await, "stale");
    assert_eq!(worker.end(&database, &claimed, "succeeded").await, "recorded");
    assert_eq!(worker.end(&database, &claimed, "failed").await, "repeated");
    assert_eq!(database.states(job).await, "a succeeded");
    let once = "select count(*) from postq.attempt";
    assert_eq!(database.value::<i64>(once).await, 1);
}

#[tokio::test]
async fn the_same_report_twice_in_one_call_is_recorded_once() {
    let database = Database::create().await;
    let (job, worker, claimed) = running(&database, shell()).await;
    let twice = [(&claimed, End::from("succeeded")), (&claimed, End::from("failed"))];
    worker.finish(&database, &twice).await;
    assert_eq!(database.states(job).await, "a succeeded");
    assert_eq!(database.value::<i64>("select count(*) from postq.attempt").await, 1);
}

#[tokio::test]
async fn run_if_decides_by_what_became_of_the_parents() {
    let database = Database::create().await;
    for (outcome, on_failure, in_any_case) in
        [("succeeded", "skipped", "succeeded"), ("failed", "succeeded", "succeeded")]
    {
        let job = Graph::of(&[("a", &[]), ("b", &["a"])])
            .with("c", Task::after(["b"]).run_if(RunIf::Failed))
            .with("d", Task::after(["b"]).run_if(RunIf::Finished))
            .admit(&database)
            .await;
        let worker = Worker::connect(&database).await;
        let a = database.number(job, "a").await;
        worker.work(&database, |one| if one.n == a { outcome } else { "succeeded" }).await;
        let b = if outcome == "failed" { "skipped" } else { "succeeded" };
        let wanted = format!("a {outcome}, b {b}, c {on_failure}, d {in_any_case}");
        assert_eq!(database.states(job).await, wanted);
    }
}
