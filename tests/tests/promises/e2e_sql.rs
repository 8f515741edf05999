//! Jobs that come by plain SQL are run by agents like any other.

use postq_proto::v1::{Job, job};
use postq_tests::{Cluster, PATIENCE, has_ended, states};
use serde_json::json;
use uuid::Uuid;

/// PQ36: a statement of its own, and one over the rows of a query.
#[tokio::test]
async fn what_is_submitted_by_sql_is_run() {
    let cluster = Cluster::start(&[2]).await;
    let database = &cluster.database;
    let one = r#"select postq.submit('{"tasks": {"a": {"command": "echo Hey!"}}}')"#;
    let id: Uuid = database.value(one).await;
    let job = cluster.client().wait(id, PATIENCE).await;
    assert_eq!(job.tasks["a"].results, "Hey!\n");

    database.execute("create table of_ours (n int, job uuid)").await;
    database
        .execute(
            "insert into of_ours
             select n, postq.submit(jsonb_build_object('tasks', jsonb_build_object(
                 'a', jsonb_build_object('command', 'echo ' || n || ' > f'),
                 'b', jsonb_build_object('command', 'cat f', 'depends', jsonb_build_array('a')))))
             from generate_series(1, 5) n",
        )
        .await;
    let ids: Vec<Uuid> = database.value("select array_agg(job order by n) from of_ours").await;
    for (n, id) in (1..).zip(ids) {
        let job = cluster.client().wait(id, PATIENCE).await;
        assert_eq!(job.tasks["b"].results, format!("{n}\n"));
    }
}

/// PQ37: the job and the application's own row exist together or not at all.
#[tokio::test]
async fn a_job_of_a_rolled_back_transaction_never_was_and_of_a_committed_one_runs() {
    let cluster = Cluster::start(&[1]).await;
    let database = &cluster.database;
    database.execute("create table orders (job uuid)").await;
    let mut session = database.session().await;
    let order = r#"insert into orders select postq.submit(
        '{"tasks": {"a": {"command": "true"}, "b": {"command": "true", "depends": ["a"]}}}')"#;
    session.execute("begin").await;
    session.execute(order).await;
    let undone: Uuid = session.value("select job from orders").await;
    session.execute("rollback").await;
    session.execute("begin").await;
    session.execute(order).await;
    let done: Uuid = session.value("select job from orders").await;
    let client = cluster.client();
    assert_eq!(client.try_get(done).await.unwrap_err().code(), tonic::Code::NotFound);
    session.execute("commit").await;
    assert_eq!(states(&client.wait(done, PATIENCE).await), "a succeeded, b succeeded");
    assert_eq!(client.try_get(undone).await.unwrap_err().code(), tonic::Code::NotFound);
}

/// PQ41: a stored document that no longer plans, as an earlier release may have left it.
#[tokio::test]
async fn a_stored_document_that_cannot_be_planned_fails_its_job_and_the_next_one_runs() {
    let cluster = Cluster::start(&[1]).await;
    let database = &cluster.database;
    let two = json!({"tasks": {"a": {"command": "true"}, "b": {"command": "echo b"}}});
    let mut bad = Vec::new();
    for document in [
        r#"{"tasks": {"a": {"command": "true", "depends": ["zz"]}, "b": {"command": "true"}}}"#,
        r#"{"tasks": {"a": {"command": "true", "forgotten": 1}, "b": {"command": "true"}}}"#,
        r#"[]"#,
    ] {
        let mut session = database.session().await;
        session.execute("begin").await;
        let submit = format!("select postq.submit('{two}')");
        let id: Uuid = session.value(&submit).await;
        let change =
            format!("update postq.submission set document = '{document}' where job = '{id}'");
        session.execute(&change).await;
        session.execute("commit").await;
        bad.push(id);
    }
    let good = database.submit(&two).await.unwrap();
    let client = cluster.client();
    assert_eq!(client.wait(good, PATIENCE).await.state(), job::State::Succeeded);
    let mut reasons = Vec::new();
    for id in bad {
        let job: Job = client.wait_until(id, "it fails", PATIENCE, has_ended).await;
        assert_eq!(job.state(), job::State::Failed);
        reasons.push(job.reason);
    }
    assert!(reasons[0].contains("tasks.a.depends") && reasons[0].contains("zz"), "{reasons:?}");
    assert!(reasons[1].contains("forgotten"), "{reasons:?}");
    assert!(!reasons[2].is_empty());
    let left: i64 = database.value("select count(*) from postq.submission").await;
    assert_eq!(left, 0);
}
