//! Lanes, their floors, and gates that are too wide for one transaction.

use postq_common::state::JobState;
use postq_tests::{Database, Graph, PATIENCE, Task, Worker, eventually};
use serde_json::json;

const ONE: &str = r#"select postq.submit('{"tasks": {"a": {"command": "true"}}}')"#;

/// The floor of the only lane.
async fn floor(database: &Database) -> i64 {
    database.value("select max(floor) from postq.lane").await
}

async fn sweep(database: &Database) {
    // A connection of its own: it must be the first statement of its transaction.
    database.session().await.execute("select postq.sweep_lanes()").await;
}

#[tokio::test]
async fn a_floor_never_passes_a_seq_that_is_not_committed_yet() {
    let database = Database::create().await;
    let worker = Worker::connect(&database).await;
    database.execute(ONE).await;
    let mut late = database.session().await;
    late.execute("begin").await;
    late.execute(ONE).await;
    // Others come later and commit first; one of them only has an id and is still open.
    let mut unrelated = database.session().await;
    unrelated.execute("begin; select pg_current_xact_id()").await;
    database.execute(ONE).await;
    assert_eq!(worker.work(&database, |_| "succeeded").await.len(), 2);
    for _ in 0..4 {
        sweep(&database).await;
        assert!(floor(&database).await < 2, "the late one took seq 2");
    }
    unrelated.execute("commit").await;
    sweep(&database).await;
    assert!(floor(&database).await < 2);
    late.execute("commit").await;
    for _ in 0..4 {
        sweep(&database).await;
        assert!(floor(&database).await < 2, "it is there and not claimed");
    }
    assert_eq!(worker.claim(&database, 9).await.len(), 1, "a claim from the floor finds it");
}

#[tokio::test]
async fn a_floor_waits_for_the_newest_transaction_too() {
    let database = Database::create().await;
    let worker = Worker::connect(&database).await;
    database.execute(ONE).await;
    assert_eq!(worker.work(&database, |_| "succeeded").await.len(), 1);
    // Nothing has ended after it began: it is the newest of all.
    let mut late = database.session().await;
    late.execute("begin").await;
    late.execute(ONE).await;
    for _ in 0..4 {
        sweep(&database).await;
    }
    late.execute("commit").await;
    assert!(floor(&database).await < 2);
    assert_eq!(worker.claim(&database, 9).await.len(), 1);
}

#[tokio::test]
async fn a_floor_follows_what_was_taken_although_somebody_reads_for_long() {
    let database = Database::create().await;
    let worker = Worker::connect(&database).await;
    for _ in 0..5 {
        database.execute(ONE).await;
    }
    worker.work(&database, |_| "succeeded").await;
    let mut reader = database.session().await;
    reader.execute("begin isolation level repeatable read; select count(*) from postq.job").await;
    // Transactions of other databases count as well.
    eventually("a floor that has moved", PATIENCE, async || {
        sweep(&database).await;
        (floor(&database).await == 5).then_some(())
    })
    .await;
    database.execute(ONE).await;
    assert_eq!(worker.claim(&database, 9).await.len(), 1);
}

#[tokio::test]
async fn a_floor_stays_below_the_lowest_task_that_waits() {
    let database = Database::create().await;
    let worker = Worker::connect(&database).await;
    for _ in 0..5 {
        database.execute(ONE).await;
    }
    assert_eq!(worker.claim(&database, 3).await.len(), 3);
    // Transactions of other databases count as well.
    eventually("a floor that has moved", PATIENCE, async || {
        sweep(&database).await;
        (floor(&database).await > 0).then_some(())
    })
    .await;
    sweep(&database).await;
    sweep(&database).await;
    assert_eq!(floor(&database).await, 3);
    assert_eq!(worker.claim(&database, 9).await.len(), 2);
}

#[tokio::test]
async fn a_sweep_of_lanes_refuses_to_run_late_in_a_transaction() {
    let database = Database::create().await;
    let mut session = database.session().await;
    session.execute("begin; select pg_current_xact_id()").await;
    let refused = session.try_execute("select postq.sweep_lanes()").await.unwrap_err();
    assert_eq!(refused.as_database_error().unwrap().code().as_deref(), Some("25000"));
}

/// Releases pages until none is left; returns how many there were.
async fn release_all(database: &Database) -> usize {
    for pages in 0..1000 {
        let answer = database.json("select postq.release_opening(10)").await;
        if answer["gates"] == 0 {
            return pages;
        }
    }
    panic!("no end of pages");
}

#[tokio::test]
async fn a_gate_with_thousands_of_dependants_opens_in_pages() {
    let database = Database::create().await;
    for (outcome, state, wanted) in
        [("succeeded", "ready", JobState::Running), ("failed", "skipped", JobState::Failed)]
    {
        let names: Vec<String> = (0..12_000).map(|n| format!("t{n:05}")).collect();
        let graph = Graph::of(&[("a", &[])]);
        let graph = names.iter().fold(graph, |graph, name| graph.with(name, Task::after(["a"])));
        let job = graph.admit(&database).await;
        let worker = Worker::connect(&database).await;
        let a = worker.claim(&database, 1).await;
        worker.end(&database, &a[0], outcome).await;
        let count =
            format!("select count(*) from postq.task where job = '{job}' and state = '{state}'");
        assert_eq!(database.value::<i64>(&count).await, 5000);
        assert_eq!(database.look(job).await.state, JobState::Running);
        assert_eq!(release_all(&database).await, 2);
        assert_eq!(database.value::<i64>(&count).await, 12_000);
        assert_eq!(database.look(job).await.state, wanted);
        let ready = format!("delete from postq.ready where job = '{job}'");
        database.execute(&ready).await;
    }
}

#[tokio::test]
async fn a_long_chain_behind_a_failure_is_skipped_to_its_end() {
    let database = Database::create().await;
    let names: Vec<String> = (0..1500).map(|n| format!("t{n:05}")).collect();
    let graph = names.windows(2).fold(Graph::of(&[("t00000", &[])]), |graph, pair| {
        graph.with(&pair[1], Task::after([pair[0].as_str()]))
    });
    let job = graph.admit(&database).await;
    let worker = Worker::connect(&database).await;
    let first = worker.claim(&database, 1).await;
    worker.end(&database, &first[0], "failed").await;
    assert_eq!(database.look(job).await.state, JobState::Running, "one transaction has its limit");
    release_all(&database).await;
    let look = database.look(job).await;
    assert_eq!(look.state, JobState::Failed);
    assert_eq!(look.states().matches("skipped").count(), 1499);
}

#[tokio::test]
async fn a_cancel_ends_a_job_whose_gate_is_still_opening() {
    let database = Database::create().await;
    let names: Vec<String> = (0..6000).map(|n| format!("t{n:05}")).collect();
    let graph = Graph::of(&[("a", &[])]);
    let graph = names.iter().fold(graph, |graph, name| graph.with(name, Task::after(["a"])));
    let job = graph.admit(&database).await;
    let worker = Worker::connect(&database).await;
    let a = worker.claim(&database, 1).await;
    worker.end(&database, &a[0], "succeeded").await;
    database.execute(&format!("select postq.cancel('{job}')")).await;
    let answer = database.json("select postq.apply_inbox(0, 100)").await;
    assert_eq!(answer["ended"], json!([job]));
    assert_eq!(release_all(&database).await, 0);
    assert_eq!(database.value::<i64>("select count(*) from postq.ready").await, 0);
}

#[tokio::test]
async fn twin_lanes_of_two_transactions_are_both_claimed_from() {
    let database = Database::create().await;
    let worker = Worker::connect(&database).await;
    let (mut left, mut right) = (database.session().await, database.session().await);
    for session in [&mut left, &mut right] {
        session.execute("begin").await;
        session.execute(ONE).await;
    }
    left.execute("commit").await;
    right.execute("commit").await;
    assert_eq!(database.value::<i64>("select count(*) from postq.lane").await, 2);
    assert_eq!(worker.claim(&database, 1).await.len(), 2, "one from each");
    database.execute(ONE).await;
    assert_eq!(database.value::<i64>("select count(*) from postq.lane").await, 2);
}

/// Files are where the last parent ran: its dependants go there first, the others to whoever has room.
#[tokio::test]
async fn tasks_go_first_to_the_agent_that_finished_what_they_waited_for() {
    let database = Database::create().await;
    let (left, right) = (Worker::connect(&database).await, Worker::connect(&database).await);
    let fork = Graph::of(&[("a", &[]), ("b", &["a"]), ("c", &["a"]), ("d", &["a"])]);
    fork.admit(&database).await;
    let first = right.claim(&database, 1).await;
    right.end(&database, &first[0], "succeeded").await;
    database.execute(ONE).await;
    // Two slots of either, offered in turn to the only lane.
    let sessions = vec![left.session, right.session, left.session, right.session];
    let went: Vec<(i64, i64)> = sqlx::query_as(
        "select c.seq, c.session from postq.lane l, postq.claim(array[l.id], array[l.floor],
             array_fill(l.id, array[4]), $1) c order by c.seq",
    )
    .bind(&sessions)
    .fetch_all(&database.pool)
    .await
    .unwrap();
    let sessions: Vec<i64> = went.iter().map(|(_, session)| *session).collect();
    // Three prefer the right one, which has two slots; nobody is preferred by the last.
    assert_eq!(sessions, [right.session, right.session, left.session, left.session]);
}
