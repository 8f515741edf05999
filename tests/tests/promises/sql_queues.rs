//! Declared queues by SQL: settings, pause, limits, bounds, defaults, dead letters, statistics.

use postq_tests::{Database, End, Graph, Worker};
use serde_json::json;
use uuid::Uuid;

use crate::consumer::{code, consume, publish, refused, state, take};

async fn create(database: &Database, name: &str, settings: &str) -> bool {
    database.value(&format!("select postq.create_queue('{name}', '{settings}')")).await
}

/// JQ1: declaring twice is harmless, and so is deleting twice.
#[tokio::test]
async fn a_queue_is_created_once_and_deleted_once() {
    let database = Database::create().await;
    assert!(create(&database, "mails", r#"{"max_running": 3}"#).await);
    assert!(!create(&database, "mails", r#"{"max_running": 5}"#).await);
    let limit = "select max_running from postq.queues where name = 'mails'";
    assert_eq!(database.value::<i32>(limit).await, 3, "the second one changed nothing");
    let delete = "select postq.delete_queue('mails')";
    assert!(database.value::<bool>(delete).await);
    assert!(!database.value::<bool>(delete).await);
    assert!(create(&database, "mails", "{}").await);
}

/// JQ2: names and settings that cannot be are refused before anything is written.
#[tokio::test]
async fn names_and_settings_of_queues_are_checked() {
    let database = Database::create().await;
    for (call, wanted) in [
        ("create_queue('')", "queue is empty; name a queue"),
        ("create_queue(null)", "queue is empty; name a queue"),
        ("create_queue('dlq@x')", "queue is where dead letters are consumed; name another queue"),
        ("create_queue(repeat('x', 256))", "queue has 256 bytes; a queue name may have 255"),
        ("create_queue(e'a\\nb')", "queue has a control character; a queue name is printable text"),
        ("create_queue('q', '[]')", "settings is not a JSON object"),
        (
            "create_queue('q', '{\"max_running\": -1}')",
            "max_running is -1; write 1 or more, or 0 for no limit",
        ),
        (
            "create_queue('q', '{\"max_jobs\": 1.5}')",
            "max_jobs is 1.5; write 1 or more, or 0 for no limit",
        ),
        ("create_queue('q', '{\"max_jobs\": \"many\"}')", "max_jobs is a string; write a number"),
        ("create_queue('q', '{\"colour\": \"red\"}')", "colour is no setting of a queue"),
        (
            "create_queue('q', '{\"timeout\": \"0s\"}')",
            "timeout: is zero; give the task some time, or leave it out for no limit",
        ),
        (
            "create_queue('q', '{\"expires_after\": \"-1s\"}')",
            "expires_after: is negative; write zero seconds or more",
        ),
        (
            "create_queue('q', '{\"retry\": {\"backoff\": \"-1s\"}}')",
            "retry.backoff: is negative; write zero seconds or more",
        ),
        (
            "create_queue('q', '{\"retry\": {\"max_attempts\": -2}}')",
            "retry.max_attempts: -2 is not a number of attempts; write 1 or more, or -1 for no limit",
        ),
        ("create_queue('q', '{\"retry\": {\"colour\": 1}}')", "retry.colour: unknown field"),
        (
            "create_queue('q', '{\"aging\": -1}')",
            "aging is out of range; it may be 0 to 1000000 points per minute",
        ),
        ("alter_queue('q', '{\"max_running\": \"x\"}')", "max_running is a string; write a number"),
        ("pause('')", "queue is empty; name a queue"),
    ] {
        let (code, message) = refused(&database, &format!("select postq.{call}")).await;
        assert_eq!(code, "PQ005", "{call}: {message}");
        assert!(message.starts_with(wanted), "{call}: {message}");
    }
    assert_eq!(database.value::<i64>("select count(*) from postq.queue").await, 0);
    assert_eq!(code(&database, "select postq.alter_queue('q', '{}')").await, "PQ011");
}

/// JQ1: a queue with work is not deleted by accident; by force its jobs are cancelled.
#[tokio::test]
async fn a_queue_with_open_jobs_is_deleted_by_force_only() {
    let database = Database::create().await;
    create(&database, "mails", "{}").await;
    let job = publish(&database, "'mail', queue => 'mails'").await;
    let (code, message) = refused(&database, "select postq.delete_queue('mails')").await;
    assert_eq!(
        (code.as_str(), message.as_str()),
        ("PQ012", "queue \"mails\" has 1 jobs that have not ended")
    );
    assert!(database.value::<bool>("select postq.delete_queue('mails', true)").await);
    database.execute("select postq.sweep()").await;
    assert_eq!(state(&database, job).await, "cancelled");
}

/// Neither consumers nor agents start anything of a paused queue; what waits says so.
#[tokio::test]
async fn nothing_of_a_paused_queue_is_started() {
    let database = Database::create().await;
    let worker = Worker::connect(&database).await;
    let job = publish(&database, "'mail', queue => 'mails'").await;
    let graph = Graph::of(&[("a", &[])]).queue("mails").admit(&database).await;
    database.execute("select postq.pause('mails')").await;
    assert!(consume(&database.pool, "5, 'mails'").await.is_empty());
    assert!(worker.claim(&database, 5).await.is_empty());
    let shown = format!("select reason from postq.tasks where job_id = '{job}'");
    assert_eq!(database.value::<String>(&shown).await, "its queue \"mails\" is paused");
    let rows: i64 = database.value("select count(*) from postq.ready").await;
    assert_eq!(rows, 2, "no row has moved");
    // What runs elsewhere goes on.
    publish(&database, "'mail'").await;
    take(&database, "1").await;
    database.execute("select postq.resume('mails')").await;
    assert_eq!(take(&database, "5, 'mails'").await.id, job);
    assert_eq!(worker.claim(&database, 5).await[0].job, graph);
}

/// PQ9: as many run at a time as the limit allows, whoever runs them, and one more when one has ended.
#[tokio::test]
async fn a_limit_on_running_tasks_counts_agents_and_consumers_together() {
    let database = Database::create().await;
    create(&database, "mails", r#"{"max_running": 3}"#).await;
    let worker = Worker::connect(&database).await;
    for _ in 0..5 {
        publish(&database, "'mail', queue => 'mails'").await;
        Graph::of(&[("a", &[])]).queue("mails").admit(&database).await;
    }
    let taken = consume(&database.pool, "2, 'mails'").await;
    assert_eq!(taken.len(), 2);
    let claimed = worker.claim(&database, 5).await;
    assert_eq!(claimed.len(), 1, "the third");
    assert!(consume(&database.pool, "5, 'mails'").await.is_empty());
    let shown = "select distinct reason from postq.tasks where state = 'ready'";
    assert_eq!(
        database.value::<String>(shown).await,
        "its queue \"mails\" runs 3 tasks, which is its limit"
    );
    for (word, is_free) in
        [(taken[0].ack(), true), (taken[1].renew("1 min"), false), (taken[1].nack("no"), true)]
    {
        database.execute(&word).await;
        assert_eq!(
            consume(&database.pool, "5, 'mails'").await.len(),
            usize::from(is_free),
            "{word}"
        );
    }
    let mut running = claimed[0].clone();
    for outcome in ["lost", "released", "failed", "succeeded"] {
        assert!(worker.claim(&database, 5).await.is_empty(), "{outcome}");
        worker.end(&database, &running, outcome).await;
        let next = worker.claim(&database, 5).await;
        assert_eq!(next.len(), 1, "{outcome}");
        running = next[0].clone();
    }
    // Leases that are over leave their places too.
    database.advance_clock("2 min").await;
    assert_eq!(consume(&database.pool, "5, 'mails'").await.len(), 2);
}

/// A limit that is set or lowered later counts what runs already.
#[tokio::test]
async fn a_limit_counts_what_ran_before_it_was_set() {
    let database = Database::create().await;
    for _ in 0..6 {
        publish(&database, "'mail', queue => 'mails'").await;
    }
    let taken = consume(&database.pool, "3, 'mails'").await;
    create(&database, "mails", r#"{"max_running": 4}"#).await;
    assert_eq!(consume(&database.pool, "5, 'mails'").await.len(), 1);
    database.execute("select postq.alter_queue('mails', '{\"max_running\": 2}')").await;
    database.execute(&taken[0].ack()).await;
    database.execute(&taken[1].ack()).await;
    assert!(consume(&database.pool, "5, 'mails'").await.is_empty(), "two still run");
    database.execute(&taken[2].ack()).await;
    assert_eq!(consume(&database.pool, "5, 'mails'").await.len(), 1);
    database.execute("select postq.alter_queue('mails', '{\"max_running\": null}')").await;
    assert_eq!(consume(&database.pool, "5, 'mails'").await.len(), 1, "the rest");
}

/// Whatever the planner thinks of the tables: each of them has a place of its own.
#[tokio::test]
async fn a_limit_counts_many_that_ran_before_although_statistics_say_there_is_one() {
    let database = Database::create().await;
    for _ in 0..5 {
        publish(&database, "'h', queue => 'late'").await;
    }
    take(&database, "1, 'late'").await;
    database.execute("analyze postq.open_attempt; analyze postq.job").await;
    assert_eq!(consume(&database.pool, "4, 'late'").await.len(), 4);
    assert!(create(&database, "late", r#"{"max_running": 6}"#).await);
    publish(&database, "'h', queue => 'late'").await;
    publish(&database, "'h', queue => 'late'").await;
    assert_eq!(consume(&database.pool, "9, 'late'").await.len(), 1);
}

/// JQ39: with room for one, the second is taken once the first is acked.
#[tokio::test]
async fn a_bound_refuses_what_is_beyond_it() {
    let database = Database::create().await;
    create(&database, "mails", r#"{"max_jobs": 1}"#).await;
    publish(&database, "'mail', queue => 'mails'").await;
    let more = "select postq.publish('mail', queue => 'mails')";
    let (code, message) = refused(&database, more).await;
    assert_eq!(
        (code.as_str(), message.as_str()),
        ("PQ010", "queue \"mails\" holds 1 jobs, which is its bound")
    );
    let one = take(&database, "1, 'mails'").await;
    assert_eq!(crate::consumer::code(&database, more).await, "PQ010", "it is not done yet");
    database.execute(&one.ack()).await;
    database.execute(more).await;
    // So with documents, of many tasks too.
    let document =
        json!({"queue": "mails", "tasks": {"a": {"command": "x"}, "b": {"command": "x"}}});
    let error = database.submit(&document).await.unwrap_err();
    assert_eq!(error.as_database_error().unwrap().code().as_deref(), Some("PQ010"));
    let left: i64 = database.value("select count(*) from postq.job where queue = 'mails'").await;
    assert_eq!(left, 2, "nothing is half-written");
    // The same job again is not one more.
    let id: Uuid = database.value("select id from postq.jobs where state = 'queued'").await;
    let same = format!("select postq.publish('mail', queue => 'mails', id => '{id}')");
    assert_eq!(database.value::<Uuid>(&same).await, id);
}

/// JQ39: a submit waits for room as long as it says.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_submit_waits_for_room() {
    let database = Database::create().await;
    create(&database, "mails", r#"{"max_jobs": 1}"#).await;
    publish(&database, "'mail', queue => 'mails'").await;
    let soon = "select postq.publish('mail', queue => 'mails', wait => '0.2 s')";
    assert_eq!(code(&database, soon).await, "PQ010");
    let one = take(&database, "1, 'mails'").await;
    let mut waiting = database.session().await;
    let patient = tokio::spawn(async move {
        waiting.execute("select postq.publish('second', queue => 'mails', wait => '1 min')").await;
    });
    let sleeps = "select count(*) from pg_stat_activity where wait_event = 'PgSleep' and datname = current_database()";
    postq_tests::eventually("a submit that waits", postq_tests::PATIENCE, async || {
        (database.value::<i64>(sleeps).await > 0).then_some(())
    })
    .await;
    database.execute(&one.ack()).await;
    patient.await.unwrap();
    assert_eq!(take(&database, "1, 'mails'").await.task, "second");
}

/// JQ40: many producers and consumers at once never bring the queue above its bound.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_producers_never_exceed_a_bound() {
    let database = Database::create().await;
    create(&database, "mails", r#"{"max_jobs": 20}"#).await;
    let mut producers = Vec::new();
    for _ in 0..10 {
        let mut session = database.session().await;
        producers.push(tokio::spawn(async move {
            for _ in 0..30 {
                session
                    .execute("select postq.publish('mail', queue => 'mails', wait => '1 min')")
                    .await;
            }
        }));
    }
    let mut done = 0;
    let open = "select count(*) from postq.job where queue = 'mails' and finished_at is null";
    while done < 300 {
        assert!(database.value::<i64>(open).await <= 20, "above the bound");
        for one in consume(&database.pool, "7, 'mails'").await {
            database.execute(&one.ack()).await;
            done += 1;
        }
    }
    for producer in producers {
        producer.await.unwrap();
    }
    let counted: i64 =
        database.value("select jobs from postq.queue_stats where queue = 'mails'").await;
    assert_eq!(counted, 0);
}

/// A submit in an open transaction keeps its place, and gives it back where it is rolled back. Jobs end
/// meanwhile without waiting for it.
#[tokio::test]
async fn nobody_but_submitters_waits_for_a_submit_that_is_open() {
    let database = Database::create().await;
    create(&database, "mails", r#"{"max_jobs": 2}"#).await;
    publish(&database, "'first', queue => 'mails'").await;
    let mut holder = database.session().await;
    holder.execute("begin; select postq.publish('held', queue => 'mails')").await;
    let mut other = database.session().await;
    other.execute("set statement_timeout = '1s'").await;
    let one = take(&database, "1, 'mails'").await;
    other.execute(&one.ack()).await;
    other
        .execute("select postq.pause('mails'); select postq.resume('mails'); select postq.sweep()")
        .await;
    other.execute("select * from postq.queue_stats").await;
    other.execute("select postq.publish('elsewhere')").await;
    holder.execute("rollback").await;
    publish(&database, "'a', queue => 'mails'").await;
    publish(&database, "'b', queue => 'mails'").await;
    assert_eq!(code(&database, "select postq.publish('c', queue => 'mails')").await, "PQ010");
}

/// JQ41: what the statistics say while jobs come and go.
#[tokio::test]
async fn statistics_follow_what_is_in_a_queue() {
    let database = Database::create().await;
    create(&database, "mails", r#"{"max_jobs": 9}"#).await;
    let stats = "select jsonb_build_array(jobs, max_jobs, ready, running) from postq.queue_stats where queue = 'mails'";
    assert_eq!(database.json(stats).await, json!([0, 9, 0, 0]));
    publish(&database, "'mail', queue => 'mails'").await;
    publish(&database, "'mail', queue => 'mails'").await;
    assert_eq!(database.json(stats).await, json!([2, 9, 2, 0]));
    let one = take(&database, "1, 'mails'").await;
    assert_eq!(database.json(stats).await, json!([2, 9, 1, 1]));
    database.execute(&one.ack()).await;
    assert_eq!(database.json(stats).await, json!([1, 9, 1, 0]));
    database.execute(&take(&database, "1, 'mails'").await.ack()).await;
    assert_eq!(database.json(stats).await, json!([0, 9, 0, 0]));
}

/// What a queue says for tasks and jobs that say nothing themselves.
#[tokio::test]
async fn a_queue_has_defaults_for_what_is_not_stated() {
    let database = Database::create().await;
    let settings = r#"{"retry": {"max_attempts": 7, "backoff": "9s"}, "timeout": "2.5s", "expires_after": "60s"}"#;
    create(&database, "mails", settings).await;
    let looks = async |job: Uuid| {
        let look = format!(
            "select jsonb_build_array(max_attempts, backoff_ms, spec ->> 'timeout',
                 (select count(*) from postq.deadline where job = s.job)) from postq.task_spec s where job = '{job}'"
        );
        database.json(&look).await
    };
    let plain = json!({"queue": "mails", "tasks": {"a": {"handler": "x"}}});
    let job = database.submit(&plain).await.unwrap();
    assert_eq!(looks(job).await, json!([7, 9000, "2.5s", 1]));
    let own = json!({"queue": "mails", "expires_after": "9s", "tasks":
        {"a": {"handler": "x", "retry": {"max_attempts": 1}, "timeout": "8s"}}});
    let job = database.submit(&own).await.unwrap();
    assert_eq!(looks(job).await, json!([1, 1000, "8s", 1]));
    let job = publish(&database, "'x', queue => 'mails'").await;
    assert_eq!(looks(job).await, json!([7, 9000, "2.5s", 1]));
    let job = publish(&database, "'x', queue => 'mails', max_retries => 2, timeout => '1 s'").await;
    assert_eq!(looks(job).await, json!([2, 3000, "1s", 1]));
    let job = publish(&database, "'x'").await;
    assert_eq!(looks(job).await, json!([3, 3000, "60s", 0]));
}

/// JQ12, JQ13: each queue has dead letters of its own, and may do without.
#[tokio::test]
async fn dead_letters_are_kept_by_queue() {
    let database = Database::create().await;
    create(&database, "silent", r#"{"dead_letters": false}"#).await;
    let mut jobs = Vec::new();
    for queue in ["a", "b", "c", "silent"] {
        let publish = format!(
            "'mail', '{{\"to\": \"{queue}\"}}', queue => '{queue}', max_retries => 1, attributes => '{{\"team\": \"{queue}\"}}'"
        );
        jobs.push(self::publish(&database, &publish).await);
        let one = take(&database, &format!("1, '{queue}'")).await;
        database.execute(&one.nack("no")).await;
    }
    for (queue, job) in ["a", "b", "c"].iter().zip(&jobs) {
        let letter = take(&database, &format!("5, 'dlq@{queue}'")).await;
        assert_eq!((letter.id, letter.task.as_str()), (*job, "mail"));
        assert_eq!(letter.arguments.unwrap().0, json!({"to": queue}));
        assert_eq!(letter.attributes.0, json!({"team": queue}));
    }
    assert!(consume(&database.pool, "5, 'dlq@silent'").await.is_empty());
    assert_eq!(state(&database, jobs[3]).await, "failed");
}

/// PQ31, PT22: queues need no declaration, and a consumer of one takes nothing of another.
#[tokio::test]
async fn queues_are_apart() {
    let database = Database::create().await;
    publish(&database, "'a'").await;
    publish(&database, "'b', queue => 'playq'").await;
    assert_eq!(consume(&database.pool, "5").await.len(), 1);
    assert!(consume(&database.pool, "5").await.is_empty());
    assert!(consume(&database.pool, "5, 'other'").await.is_empty());
    assert_eq!(take(&database, "5, 'playq'").await.task, "b");
}

/// PT11: a hundred tasks come out in the order in which they went in, those of a greater priority
/// before; a task may have another priority than its job.
#[tokio::test]
async fn tasks_come_in_the_order_of_priority_and_arrival() {
    let database = Database::create().await;
    for n in 0..100 {
        publish(&database, &format!("'t{n}'")).await;
    }
    let document = |name: &str, priority: i32| json!({"priority": -5, "tasks": {"a": {"handler": name, "priority": priority}}});
    database.submit(&document("urgent", 7)).await.unwrap();
    database.submit(&document("idle", -7)).await.unwrap();
    let tasks: Vec<String> =
        consume(&database.pool, "200").await.into_iter().map(|one| one.task).collect();
    let wanted = (0..100).map(|n| format!("t{n}"));
    let wanted: Vec<String> =
        ["urgent".to_owned()].into_iter().chain(wanted).chain(["idle".to_owned()]).collect();
    assert_eq!(tasks, wanted);
}

/// A task of each priority in a graph, claimed by an agent's side.
#[tokio::test]
async fn a_task_of_a_graph_may_have_a_priority_of_its_own() {
    let database = Database::create().await;
    let worker = Worker::connect(&database).await;
    let document = json!([
        {"n": 0, "name": "a", "spec": {}}, {"n": 1, "name": "b", "priority": 9, "spec": {}},
    ]);
    let job = format!(
        "select postq.admit(jsonb_build_object('id', postq.new_id(), 'queue', 'default', 'priority', 0, 'name', '',
            'task_count', 2, 'spec', '{{}}'::jsonb, 'digest', '00'), '{document}', '[]')"
    );
    database.execute(&job).await;
    let priorities = "select array_agg(l.priority order by t.n) from postq.task t join postq.lane l on l.id = t.lane";
    assert_eq!(database.value::<Vec<i32>>(priorities).await, [0, 9]);
    let claimed = worker.claim(&database, 1).await;
    let ends: Vec<_> = claimed.iter().map(|one| (one, End::from("succeeded"))).collect();
    worker.finish(&database, &ends).await;
}

/// Nothing waits for ever behind greater priorities where the queue lets tasks age.
#[tokio::test]
async fn a_task_that_ages_passes_greater_priorities() {
    let database = Database::create().await;
    create(&database, "mails", r#"{"aging": 10}"#).await;
    publish(&database, "'old', queue => 'mails'").await;
    publish(&database, "'old2', queue => 'mails'").await;
    publish(&database, "'new', queue => 'mails', priority => 15").await;
    assert_eq!(take(&database, "1, 'mails'").await.task, "new");
    database.advance_clock("2 min").await;
    for _ in 0..3 {
        publish(&database, "'new', queue => 'mails', priority => 15").await;
    }
    let tasks: Vec<String> =
        consume(&database.pool, "4, 'mails'").await.into_iter().map(|one| one.task).collect();
    assert_eq!(tasks, ["old", "old2", "new", "new"]);
    // Without aging the greater priority always goes first.
    publish(&database, "'old', queue => 'plain'").await;
    database.advance_clock("1 day").await;
    publish(&database, "'new', queue => 'plain', priority => 1").await;
    assert_eq!(take(&database, "1, 'plain'").await.task, "new");
}

/// JQ46: a submit may insist on a queue that somebody has declared.
#[tokio::test]
async fn an_unknown_queue_is_refused_where_one_is_required() {
    let database = Database::create().await;
    let publish = "select postq.publish('mail', queue => 'mails', require_queue => true)";
    let (code, message) = refused(&database, publish).await;
    assert_eq!((code.as_str(), message.as_str()), ("PQ011", "there is no queue \"mails\""));
    let submit = "select postq.submit('{\"queue\": \"mails\", \"tasks\": {\"a\": {\"command\": \"x\"}}}', p_require_queue => true)";
    assert_eq!(crate::consumer::code(&database, submit).await, "PQ011");
    assert_eq!(database.value::<i64>("select count(*) from postq.job").await, 0);
    create(&database, "mails", "{}").await;
    database.execute(publish).await;
    database.execute(submit).await;
}
