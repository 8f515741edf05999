//! Which failures are tried again, after what pause, and what ends a task: the functions of the
//! schema and the rules of `postq_common` agree.

use postq_common::{
    retry::{covers, delay},
    spec::{Failure, MaxAttempts, RetryPolicy, RunIf},
    state::{DEFAULT_CRASH_LIMIT, Event, Outcome, TaskState, TaskView, next_task_state},
};
use postq_proto::{convert, document};
use postq_tests::{Claimed, Database, Worker};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::consumer::{consume, state, take};

/// What documents say about retries.
fn policies() -> Vec<Value> {
    vec![
        json!({"max_attempts": 4}),
        json!({"max_attempts": 4, "backoff": "2s", "factor": 3, "jitter": 0}),
        json!({"max_attempts": -1, "backoff": "1s", "factor": 1, "increment": "2s", "jitter": 1}),
        json!({"max_attempts": 9, "backoff": "7s", "factor": 10, "max_backoff": "90s"}),
        json!({"max_attempts": 4, "delays": ["1s", "0.25s", "30s"], "jitter": 0}),
        json!({"max_attempts": 4, "delays": ["10s"]}),
        json!({"max_attempts": 3, "outcomes": ["TIMED_OUT"]}),
        json!({"max_attempts": 3, "outcomes": ["FAILED"], "exit_codes": [75, 3]}),
        json!({"max_attempts": 3, "exit_codes": [75]}),
        json!({"max_attempts": 1}),
    ]
}

fn policy(written: &Value) -> RetryPolicy {
    let job = document::job_from_json(&document(written, "AT_LEAST_ONCE")).unwrap();
    convert::task_spec(&job.tasks["a"]).unwrap().retry
}

fn document(retry: &Value, delivery: &str) -> Value {
    json!({"tasks": {"a": {"command": "true", "retry": retry, "delivery": delivery}}})
}

/// PT14, JQ42: linear, exponential, fixed and listed pauses; each is what the policy says.
#[tokio::test]
async fn pauses_are_those_of_the_policy_at_the_first_retry_and_at_the_thousandth() {
    let database = Database::create().await;
    for written in policies() {
        let job = database.submit(&document(&written, "AT_LEAST_ONCE")).await.unwrap();
        let policy = policy(&written);
        for nth in [1, 2, 3, 4, 10, 1000] {
            for chance in [0.0, 0.25, 1.0] {
                let pause = format!(
                    "select postq.pause_ms(s, {nth}, {chance}) from postq.task_spec s where job = '{job}'"
                );
                let got: i64 = database.value(&pause).await;
                let wanted = delay(&policy, nth, chance).as_secs_f64() * 1000.0;
                let difference = (wanted - got as f64).abs();
                assert!(difference <= 1.0, "{written}, retry {nth}, {chance}: {got} and {wanted}");
            }
        }
    }
}

/// Submits a task and claims it.
async fn claimed(database: &Database, worker: &Worker, document: &Value) -> (Uuid, Claimed) {
    let job = database.submit(document).await.unwrap();
    let claimed = worker.claim(database, 1).await;
    assert_eq!(claimed.len(), 1);
    (job, claimed[0].clone())
}

async fn end(database: &Database, of: &Claimed, outcome: &str, code: Option<i32>) {
    let code = code.map_or("null".to_owned(), |code| code.to_string());
    let finish = format!(
        "select postq.finish(array[{}::bigint], array[{}::bigint], array['{}'::uuid], array[{}], array['{outcome}'],
             array[{code}::int], '{{}}', array['it did'], '{{}}', '{{}}', '{{}}', '{{}}', '{{}}', '{{}}', '{{}}', '{{}}')",
        of.attempt, of.session, of.job, of.n
    );
    database.execute(&finish).await;
}

/// PT14: the whole table of outcome, exit code, policy and delivery, and the model beside it.
#[tokio::test]
async fn what_becomes_of_a_failed_attempt_is_what_the_model_says() {
    let database = Database::create().await;
    let worker = Worker::connect(&database).await;
    for written in policies() {
        for delivery in ["AT_LEAST_ONCE", "AT_MOST_ONCE"] {
            for &outcome in Outcome::ALL {
                for code in [None, Some(1), Some(75)] {
                    let is_at_most_once = delivery == "AT_MOST_ONCE";
                    // Given back with an exit code: it had been started (see below).
                    if outcome == Outcome::Released && code.is_some() {
                        continue;
                    }
                    let (job, claimed) =
                        claimed(&database, &worker, &document(&written, delivery)).await;
                    end(&database, &claimed, outcome.as_str(), code).await;
                    let policy = policy(&written);
                    let view = TaskView {
                        state: TaskState::Running,
                        run_if: RunIf::Succeeded,
                        max_attempts: policy.max_attempts,
                        attempts: 0,
                        crashes: 0,
                        crash_limit: DEFAULT_CRASH_LIMIT,
                        is_cancel_requested: false,
                        is_at_most_once,
                    };
                    let is_final = !covers(&policy, outcome, code);
                    let event = Event::AttemptEnded { outcome, is_final };
                    let wanted = next_task_state(&view, event).unwrap();
                    let got = database.look(job).await.tasks["a"];
                    assert_eq!(
                        (got.state, got.attempts, got.crashes),
                        (wanted.next.state(), wanted.attempts, wanted.crashes),
                        "{written} {delivery} {outcome} {code:?}"
                    );
                    database.execute("delete from postq.ready").await;
                }
            }
        }
    }
    assert_eq!(MaxAttempts::default(), policy(&json!({"max_attempts": 1})).max_attempts);
    assert!(policy(&json!({"outcomes": ["TIMED_OUT"]})).outcomes == [Failure::TimedOut]);
}

#[tokio::test]
async fn what_is_delivered_at_most_once_and_was_started_is_not_given_back() {
    let database = Database::create().await;
    let worker = Worker::connect(&database).await;
    let once = document(&json!({"max_attempts": 9}), "AT_MOST_ONCE");
    let (job, held) = claimed(&database, &worker, &once).await;
    end(&database, &held, "released", None).await;
    assert_eq!(database.states(job).await, "a ready", "it never started");
    let again = worker.claim(&database, 1).await.remove(0);
    end(&database, &again, "released", Some(143)).await;
    assert_eq!(database.states(job).await, "a failed", "its agent left while it ran");
    let reason = database.look(job).await.reason.unwrap();
    assert!(reason.contains("at most once"), "{reason}");
    let (job, held) = claimed(&database, &worker, &once).await;
    end(&database, &held, "lost", None).await;
    assert_eq!(database.states(job).await, "a failed");
}

#[tokio::test]
async fn a_crash_limit_of_its_own_ends_a_task_sooner() {
    let database = Database::create().await;
    let worker = Worker::connect(&database).await;
    let written = json!({"tasks": {"a": {"command": "true", "crash_limit": 2}}});
    let (job, held) = claimed(&database, &worker, &written).await;
    end(&database, &held, "lost", None).await;
    assert_eq!(database.states(job).await, "a ready");
    let again = worker.claim(&database, 1).await.remove(0);
    end(&database, &again, "lost", None).await;
    assert_eq!(database.states(job).await, "a failed");
}

/// A consumer's lease that ends is a timeout, whoever notices it.
#[tokio::test]
async fn a_lease_that_ends_is_tried_again_only_where_the_policy_says_so() {
    let database = Database::create().await;
    for (retry, again, once) in [
        (json!({"max_attempts": 3, "outcomes": ["FAILED"]}), 0, "AT_LEAST_ONCE"),
        (json!({"max_attempts": 3, "delays": ["5s"], "jitter": 0}), 1, "AT_LEAST_ONCE"),
        (json!({"max_attempts": 3, "delays": ["0s"]}), 0, "AT_MOST_ONCE"),
    ] {
        for is_swept in [true, false] {
            let document =
                json!({"tasks": {"a": {"handler": "h", "retry": retry, "delivery": once}}});
            let job = database.submit(&document).await.unwrap();
            take(&database, "1, lease => '10 s'").await;
            database.advance_clock("11 s").await;
            if is_swept {
                database.execute("select postq.sweep()").await;
            }
            let early = consume(&database.pool, "1").await.len();
            assert_eq!(early, 0, "{retry}");
            database.advance_clock("6 s").await;
            let later = consume(&database.pool, "1").await;
            assert_eq!(later.len(), again, "{retry}, swept: {is_swept}");
            for one in later {
                database.execute(&one.ack()).await;
            }
            let ended = if again == 1 { "succeeded" } else { "failed" };
            assert_eq!(state(&database, job).await, ended, "{retry}, swept: {is_swept}");
        }
    }
}
