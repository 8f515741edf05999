//! Two sessions at once: whoever comes second finds the world as it is, and nobody waits for a
//! user's transaction.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use futures::future::join_all;
use postq_common::state::{JobState, TaskState};
use postq_tests::{Claimed, Database, End, Graph, Session, Task, Worker, eventually, finish_on};
use serde_json::json;
use tokio::sync::Barrier;
use uuid::Uuid;

/// So many tasks without dependencies.
fn wide(size: usize) -> Graph {
    let names: Vec<String> = (0..size).map(|n| format!("t{n:05}")).collect();
    names.iter().fold(Graph::default(), |graph, name| graph.with(name, Task::after([])))
}

/// Claims ten at a time until nothing is left.
async fn claim_all(worker: Worker, mut session: Session, start: Arc<Barrier>) -> Vec<Claimed> {
    start.wait().await;
    let mut all = Vec::new();
    loop {
        let claimed = worker.claim_on(&mut session.connection, 10).await.unwrap();
        if claimed.is_empty() {
            return all;
        }
        all.extend(claimed);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_claimers_never_share_a_task() {
    let database = Database::create().await;
    wide(1000).admit(&database).await;
    let start = Arc::new(Barrier::new(4));
    let mut claimers = Vec::new();
    for _ in 0..4 {
        let worker = Worker::connect(&database).await;
        claimers.push(tokio::spawn(claim_all(
            worker,
            database.session().await,
            Arc::clone(&start),
        )));
    }
    let mut tasks = Vec::new();
    for claimed in join_all(claimers).await {
        tasks.extend(claimed.unwrap().into_iter().map(|one| one.n));
    }
    assert_eq!(tasks.len(), tasks.iter().collect::<BTreeSet<_>>().len(), "a task claimed twice");
    // One that skipped what the other held may stop early, so something may be left to claim.
    let left: i64 = database.value("select count(*) from postq.ready").await;
    assert_eq!(tasks.len() + usize::try_from(left).unwrap(), 1000);
    assert_eq!(database.value::<i64>("select count(*) from postq.open_attempt").await, 1000 - left);
}

#[tokio::test]
async fn a_claim_passes_over_what_another_open_transaction_has_taken() {
    let database = Database::create().await;
    let worker = Worker::connect(&database).await;
    wide(10).admit(&database).await;
    // The first start of the job is over.
    assert_eq!(worker.claim(&database, 1).await.len(), 1);
    let (mut left, mut right) = (database.session().await, database.session().await);
    left.execute("begin").await;
    let first = worker.claim_on(&mut left.connection, 4).await.unwrap();
    right.execute("set statement_timeout = '1s'").await;
    let second = worker.claim_on(&mut right.connection, 9).await.unwrap();
    assert_eq!((first.len(), second.len()), (4, 5));
    left.execute("rollback").await;
    assert_eq!(worker.claim(&database, 9).await.len(), 4, "it has taken nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_reports_at_once_exactly_one_is_recorded() {
    let database = Database::create().await;
    let worker = Worker::connect(&database).await;
    for _ in 0..20 {
        let job = Graph::default().with("a", Task::after([])).admit(&database).await;
        let claimed = worker.claim(&database, 1).await.remove(0);
        let (mut left, mut right) = (database.session().await, database.session().await);
        let succeeded = [(&claimed, End::from("succeeded"))];
        let lost = [(&claimed, End::from("lost"))];
        let (left, right) = tokio::join!(
            finish_on(&mut left.connection, &succeeded),
            finish_on(&mut right.connection, &lost),
        );
        let mut verdicts = [left, right].map(|one| one.unwrap().verdicts[&claimed.attempt].clone());
        let won = if verdicts[0] == "recorded" { TaskState::Succeeded } else { TaskState::Ready };
        verdicts.sort();
        assert_eq!(verdicts, ["recorded", "repeated"]);
        assert_eq!(database.look(job).await.tasks["a"].state, won);
        worker.work(&database, |_| "succeeded").await;
    }
}

#[tokio::test]
async fn an_attempt_that_is_adopted_while_it_is_declared_lost_stays_with_its_agent() {
    let database = Database::create().await;
    let job = wide(1).admit(&database).await;
    let mut worker = Worker::connect(&database).await;
    let held = worker.claim(&database, 1).await.remove(0);
    worker.reconnect(&database, Uuid::new_v4()).await;
    let (mut adopting, mut losing) = (database.session().await, database.session().await);
    let (agent, session, attempt) = (worker.agent, worker.session, held.attempt);
    adopting.execute("begin").await;
    let adopt = format!("select postq.adopt('{agent}', {session}, array[{attempt}]::bigint[])");
    adopting.execute(&adopt).await;
    let lost = [(&held, End::from("lost"))];
    let commit_once_the_other_waits = async {
        let waits = "select exists (select from pg_stat_activity
            where datname = current_database() and wait_event_type = 'Lock')";
        eventually("the other waits", Duration::from_secs(10), async || {
            database.value::<bool>(waits).await.then_some(())
        })
        .await;
        adopting.execute("commit").await;
    };
    let (lost, ()) =
        tokio::join!(finish_on(&mut losing.connection, &lost), commit_once_the_other_waits);
    assert_eq!(lost.unwrap().verdicts[&attempt], "stale");
    let adopted = Claimed { session, ..held };
    assert_eq!(worker.end(&database, &adopted, "succeeded").await, "recorded");
    assert_eq!(database.look(job).await.state, JobState::Succeeded);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_claimed_while_its_job_is_cancelled_is_either_stopped_or_never_started() {
    let database = Database::create().await;
    let worker = Worker::connect(&database).await;
    for _ in 0..30 {
        let job = wide(5).admit(&database).await;
        database.execute(&format!("select postq.cancel('{job}')")).await;
        let (mut left, mut right) = (database.session().await, database.session().await);
        let (claimed, ()) = tokio::join!(
            worker.claim_on(&mut left.connection, 5),
            right.execute("select postq.apply_inbox(0, 10)"),
        );
        let running: BTreeSet<i32> = claimed.unwrap().iter().map(|one| one.n).collect();
        let asked: Vec<i32> = database
            .value("select coalesce(array_agg(n order by n), '{}') from postq.open_attempt where cancel_requested_at is not null")
            .await;
        assert_eq!(asked, running.iter().copied().collect::<Vec<_>>());
        let look = database.look(job).await;
        for (name, task) in &look.tasks {
            let n: i32 = name[1..].parse().unwrap();
            let wanted =
                if running.contains(&n) { TaskState::Running } else { TaskState::Cancelled };
            assert_eq!(task.state, wanted, "{name}");
        }
        assert_eq!(look.state == JobState::Cancelled, running.is_empty());
        assert_eq!(database.value::<i64>("select count(*) from postq.ready").await, 0);
        database
            .execute("select postq.finish(array[attempt], array[session], array[job], array[n], array['cancelled'],
                '{}', '{}', array['x'], '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}') from postq.open_attempt")
            .await;
    }
}

/// Asks for the end of a job and applies that, once the other is ready too.
async fn cancel_at(mut session: Session, start: Arc<Barrier>, job: Uuid) {
    start.wait().await;
    session.execute(&format!("select postq.cancel('{job}')")).await;
    session.execute("select postq.apply_inbox(0, 100)").await;
}

/// Whichever comes first: a success that was reported is one, anything else ends the job as cancelled, at once
/// or when it would be tried again, and nothing of it runs once more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_that_ends_while_its_job_is_cancelled_ends_once_and_does_not_run_again() {
    let database = Database::create().await;
    let worker = Worker::connect(&database).await;
    for outcome in ["succeeded", "failed", "lost", "released"].repeat(10) {
        let job = Graph::default().with("a", Task::after([]).attempts(3)).admit(&database).await;
        let claimed = worker.claim(&database, 1).await.remove(0);
        let start = Arc::new(Barrier::new(2));
        let cancel = tokio::spawn(cancel_at(database.session().await, Arc::clone(&start), job));
        let mut finishing = database.session().await;
        start.wait().await;
        let ends = [(&claimed, End::from(outcome))];
        let finished = finish_on(&mut finishing.connection, &ends).await.unwrap();
        cancel.await.unwrap();
        assert_eq!(finished.verdicts[&claimed.attempt], "recorded");
        // What the other had at hand was left for now.
        database.execute("select postq.apply_inbox(0, 100)").await;
        let look = database.look(job).await;
        let wanted = match outcome {
            "succeeded" => (JobState::Succeeded, TaskState::Succeeded),
            _ => (JobState::Cancelled, TaskState::Cancelled),
        };
        assert_eq!((look.state, look.tasks["a"].state), wanted, "{outcome}");
        for table in ["ready", "scheduled", "open_attempt", "inbox", "dead_letter"] {
            let left: i64 = database.value(&format!("select count(*) from postq.{table}")).await;
            assert_eq!(left, 0, "{outcome} left something in {table}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_submits_of_one_id_at_once_are_one_job() {
    let database = Database::create().await;
    for _ in 0..10 {
        let id = Uuid::now_v7();
        let submit = format!(
            "select postq.submit('{}', '{id}')",
            json!({"tasks": {"a": {"command": "true"}}})
        );
        let (mut left, mut right) = (database.session().await, database.session().await);
        tokio::join!(left.execute(&submit), right.execute(&submit));
        let count = format!("select count(*) from postq.ready where job = '{id}'");
        assert_eq!(database.value::<i64>(&count).await, 1);
    }
}

/// Everything that a coordinator and its agents do, none of which may wait.
async fn the_rest_goes_on(database: &Database, worker: &Worker, held: &[Claimed]) {
    let mut session = database.session().await;
    let (agent, coordinator, number) = (worker.agent, worker.coordinator, worker.session);
    let attempts: Vec<String> = held.iter().map(|one| one.attempt.to_string()).collect();
    session.execute("set statement_timeout = '1s'; set lock_timeout = '100ms'").await;
    let ends: Vec<_> = held.iter().take(1).map(|one| (one, End::from("succeeded"))).collect();
    finish_on(&mut session.connection, &ends).await.unwrap();
    worker.claim_on(&mut session.connection, 2).await.unwrap();
    for verb in [
        format!("postq.beat('{coordinator}')"),
        format!("postq.doze('{coordinator}', true)"),
        format!("postq.doze('{coordinator}', false)"),
        format!("postq.adopt('{agent}', {number}, array[{}]::bigint[])", attempts.join(",")),
        "postq.sweep_lanes()".to_owned(),
        "postq.sweep_lanes()".to_owned(),
        "postq.apply_inbox(0, 100)".to_owned(),
        "postq.promote('-infinity', 100)".to_owned(),
        "postq.release_opening(100)".to_owned(),
        "postq.cancels(null)".to_owned(),
        "postq.orphans()".to_owned(),
        format!("postq.submit('{}')", json!({"tasks": {"a": {"command": "true"}}})),
    ] {
        session.execute(&format!("select {verb}")).await;
    }
    Graph::of(&[("a", &[]), ("b", &["a"])]).admit(database).await;
}

#[tokio::test]
async fn nobody_waits_for_a_transaction_that_submits() {
    let database = Database::create().await;
    let worker = Worker::connect(&database).await;
    wide(6).admit(&database).await;
    for document in [
        json!({"tasks": {"a": {"command": "true"}}}),
        json!({"tasks": {"a": {"command": "true"}, "b": {"command": "true"}}}),
        json!({"queue": "new", "tasks": {"a": {"command": "true"}}}),
    ] {
        let held = worker.claim(&database, 2).await;
        let mut user = database.session().await;
        user.execute("begin").await;
        let submit = format!("select postq.submit('{document}')");
        let job: Uuid = user.value(&submit).await;
        the_rest_goes_on(&database, &worker, &held).await;
        // The same document from another transaction meanwhile, in the same new lane.
        database.submit(&document).await.unwrap();
        user.execute("commit").await;
        assert_eq!(database.look(job).await.state, JobState::Queued);
    }
}

#[tokio::test]
async fn nobody_waits_for_a_transaction_that_cancels_and_it_takes_effect_with_its_commit() {
    let database = Database::create().await;
    let worker = Worker::connect(&database).await;
    let job = wide(6).admit(&database).await;
    let held = worker.claim(&database, 2).await;
    let mut user = database.session().await;
    user.execute("begin").await;
    user.execute(&format!("select postq.cancel('{job}')")).await;
    the_rest_goes_on(&database, &worker, &held).await;
    assert_eq!(database.look(job).await.state, JobState::Running);
    user.execute("commit").await;
    database.json("select postq.apply_inbox(0, 100)").await;
    let states = database.states(job).await;
    assert!(states.contains("cancelled") && !states.contains("ready"), "{states}");
}

#[tokio::test]
async fn what_a_trigger_of_the_application_submits_exists_with_its_row() {
    let database = Database::create().await;
    database
        .execute(
            "create table orders (id int);
             create function enqueue() returns trigger language plpgsql as $$
             begin
                 perform postq.submit(jsonb_build_object('tasks', jsonb_build_object(
                     'ship', jsonb_build_object('command', 'ship ' || new.id))));
                 return new;
             end $$;
             create trigger enqueue after insert on orders for each row execute function enqueue()",
        )
        .await;
    database.execute("insert into orders select generate_series(1, 3)").await;
    let mut session = database.session().await;
    session.execute("begin; insert into orders values (4); rollback").await;
    let jobs = "select count(*) from postq.job";
    assert_eq!(database.value::<i64>(jobs).await, 3);
    database
        .execute(
            "create table sent (job uuid);
             insert into sent select postq.submit(jsonb_build_object('tasks',
                 jsonb_build_object('mail', jsonb_build_object('command', 'mail ' || id)))) from orders",
        )
        .await;
    let found = "select count(*) from sent join postq.job j on j.id = sent.job";
    assert_eq!(database.value::<i64>(found).await, 3);
    let worker = Worker::connect(&database).await;
    assert_eq!(worker.work(&database, |_| "succeeded").await.len(), 6);
}
