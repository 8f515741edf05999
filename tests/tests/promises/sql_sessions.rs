//! Agents come, leave and come back: who may claim what, and who holds what.

use postq_tests::{Claimed, Database, Graph, Worker};
use serde_json::json;
use uuid::Uuid;

#[tokio::test]
async fn an_old_session_claims_nothing() {
    let database = Database::create().await;
    Graph::of(&[("a", &[])]).admit(&database).await;
    let mut worker = Worker::connect(&database).await;
    let old = worker.clone();
    worker.reconnect(&database, Uuid::new_v4()).await;
    assert!(worker.session > old.session);
    assert!(old.claim(&database, 1).await.is_empty());
    assert_eq!(worker.claim(&database, 1).await.len(), 1);
}

#[tokio::test]
async fn an_agent_that_left_claims_nothing_and_leaves_its_attempts_behind() {
    let database = Database::create().await;
    let graph = Graph::of(&[("a", &[]), ("b", &[])]);
    graph.admit(&database).await;
    let worker = Worker::connect(&database).await;
    let held = worker.claim(&database, 1).await;
    let left = format!(
        "select array_agg(attempt) from postq.disconnect('{}', {})",
        worker.agent, worker.session
    );
    assert_eq!(database.value::<Vec<i64>>(&left).await, [held[0].attempt]);
    assert!(worker.claim(&database, 1).await.is_empty());
    assert_eq!(worker.end(&database, &held[0], "lost").await, "recorded");
}

#[tokio::test]
async fn a_coordinator_whose_beat_stands_still_is_buried_with_its_agents() {
    let database = Database::create().await;
    Graph::of(&[("a", &[])]).admit(&database).await;
    let worker = Worker::connect(&database).await;
    let held = worker.claim(&database, 1).await;
    let beat = format!("select postq.beat('{}') is not null", worker.coordinator);
    assert!(database.value::<bool>(&beat).await);
    let bury = |seen: i64| {
        let coordinator = worker.coordinator;
        format!(
            "select coalesce(array_agg(attempt), '{{}}') from postq.bury('{coordinator}', {seen})"
        )
    };
    assert_eq!(database.value::<Vec<i64>>(&bury(0)).await, [0_i64; 0], "it has beaten since");
    assert_eq!(database.value::<Vec<i64>>(&bury(1)).await, [held[0].attempt]);
    assert!(!database.value::<bool>(&beat).await, "the buried one learns it by its next beat");
}

#[tokio::test]
async fn both_sides_agree_on_what_an_agent_holds_after_it_connects_again() {
    let database = Database::create().await;
    Graph::of(&[("a", &[]), ("b", &[]), ("c", &[])]).admit(&database).await;
    let mut worker = Worker::connect(&database).await;
    let held = worker.claim(&database, 2).await;
    let old = worker.session;
    let boot = Uuid::new_v4();
    worker.reconnect(&database, boot).await;
    let never_arrived = worker.claim(&database, 1).await[0].attempt;
    worker.reconnect(&database, boot).await;
    let (known, lost, made_up) = (held[0].attempt, held[1].attempt, 4_711);
    let adopt = |session: i64| {
        let agent = worker.agent;
        format!(
            "select coalesce(jsonb_object_agg(attempt, verdict), '{{}}')
             from postq.adopt('{agent}', {session}, array[{known}, {made_up}])"
        )
    };
    assert_eq!(database.json(&adopt(old)).await, json!({}), "of a session that is over");
    let verdicts = database.json(&adopt(worker.session)).await;
    let wanted = json!({
        known.to_string(): "adopted", lost.to_string(): "died",
        never_arrived.to_string(): "missing", made_up.to_string(): "unknown",
    });
    assert_eq!(verdicts, wanted);
    assert_eq!(worker.end(&database, &held[0], "succeeded").await, "stale", "by its old session");
    let adopted = Claimed { session: worker.session, ..held[0].clone() };
    assert_eq!(worker.end(&database, &adopted, "succeeded").await, "recorded");
}

#[tokio::test]
async fn the_claim_gives_a_task_first_to_the_agent_that_finished_its_parent() {
    let database = Database::create().await;
    Graph::of(&[("a", &[]), ("b", &[]), ("c", &["a"]), ("d", &["b"])]).admit(&database).await;
    let (left, right) = (Worker::connect(&database).await, Worker::connect(&database).await);
    let a = left.claim(&database, 1).await;
    let b = right.claim(&database, 1).await;
    right.end(&database, &b[0], "succeeded").await;
    left.end(&database, &a[0], "succeeded").await;
    let claim = format!(
        "select jsonb_object_agg(s.name, c.session) from postq.lane l,
            postq.claim(array[l.id], array[0::bigint], array[l.id, l.id], array[{}, {}]::bigint[]) c
            join postq.task_spec s using (job, n)",
        left.session, right.session
    );
    let wanted = json!({"c": left.session, "d": right.session});
    assert_eq!(database.json(&claim).await, wanted);
}
