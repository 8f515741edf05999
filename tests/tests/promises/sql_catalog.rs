//! What the schema lets whom do, and how its functions are made.

use postq_tests::Database;
use serde_json::json;

/// Those that applications may be given: they run with the rights of the schema's owner.
pub(crate) const FOR_USERS: [&str; 34] = [
    "ack",
    "ack_many",
    "alter_queue",
    "cancel",
    "cancel_many",
    "cancel_matching",
    "consume",
    "create_queue",
    "delete_queue",
    "find_jobs",
    "job_state",
    "listen",
    "nack",
    "pause",
    "pause_schedule",
    "publish",
    "publish_bulk",
    "purge",
    "queue_depth",
    "redeliver",
    "redrive",
    "redrive_all",
    "release",
    "renew",
    "resume",
    "resume_schedule",
    "retry",
    "retry_matching",
    "schedule",
    "submit",
    "submit_many",
    "submit_unique",
    "trigger_schedule",
    "unschedule",
];

/// The functions for which that holds, by name.
async fn functions_where(database: &Database, condition: &str) -> Vec<String> {
    let query = format!(
        "select coalesce(array_agg(distinct p.proname::text order by p.proname::text), '{{}}') from pg_proc p
         where p.pronamespace = 'postq'::regnamespace and ({condition})"
    );
    database.value(&query).await
}

const NOBODY: [&str; 0] = [];

#[tokio::test]
async fn every_function_finds_its_tables_whatever_the_callers_search_path() {
    let database = Database::create().await;
    // A body in standard SQL was bound to what it names when the function was made.
    let condition = "p.prosqlbody is null
        and not coalesce('search_path=pg_catalog, postq, pg_temp' = any (p.proconfig), false)";
    assert_eq!(functions_where(&database, condition).await, NOBODY);
}

#[tokio::test]
async fn nothing_is_open_to_everybody() {
    let database = Database::create().await;
    // The clock was replaced by the tests.
    let condition = "has_function_privilege('public', p.oid, 'execute') and p.proname <> 'now'";
    assert_eq!(functions_where(&database, condition).await, NOBODY);
    let tables: Vec<String> = database
        .value(
            "select coalesce(array_agg(c.relname::text), '{}') from pg_class c
             where c.relnamespace = 'postq'::regnamespace and c.relkind in ('r', 'v', 'p', 'm')
               and has_table_privilege('public', c.oid, 'select, insert, update, delete, truncate')",
        )
        .await;
    assert_eq!(tables, NOBODY);
    let usage = "select has_schema_privilege('public', 'postq', 'usage, create')";
    assert!(!database.value::<bool>(usage).await);
}

#[tokio::test]
async fn only_what_users_call_runs_with_the_owners_rights() {
    let database = Database::create().await;
    assert_eq!(functions_where(&database, "p.prosecdef").await, FOR_USERS);
}

#[tokio::test]
async fn the_hot_functions_pin_their_plans() {
    let database = Database::create().await;
    for name in [
        "claim",
        "finish",
        "settle",
        "release_gates",
        "make_ready",
        "advance",
        "promote",
        "record",
        "succeed_singles",
    ] {
        for setting in ["jit", "enable_seqscan", "enable_hashjoin", "enable_mergejoin"] {
            let condition = format!(
                "p.proname = '{name}' and not coalesce('{setting}=off' = any (p.proconfig), false)"
            );
            assert_eq!(functions_where(&database, &condition).await, NOBODY, "{setting}");
        }
    }
}

#[tokio::test]
async fn an_application_needs_no_right_but_to_submit_and_cancel() {
    let database = Database::create().await;
    let role = format!("application_{}", std::process::id());
    database
        .execute(&format!(
            "create role {role};
             grant usage on schema postq to {role};
             grant execute on function postq.submit(jsonb, uuid, text, interval, boolean), postq.cancel(uuid, text) to {role}"
        ))
        .await;
    let mut session = database.session().await;
    session.execute(&format!("set role {role}; set search_path = ''")).await;
    for document in [
        json!({"tasks": {"a": {"command": "true"}}}),
        json!({"tasks": {"a": {"command": "true"}, "b": {"command": "true"}}}),
    ] {
        let job: uuid::Uuid = session.value(&format!("select postq.submit('{document}')")).await;
        session.execute(&format!("select postq.cancel('{job}')")).await;
    }
    for refused in [
        "select * from postq.job",
        "delete from postq.ready",
        "select postq.create_job('{}')",
        "select postq.apply_inbox(0, 1)",
        "select nextval('postq.attempt_id')",
    ] {
        let error = session.try_execute(refused).await.unwrap_err();
        assert_eq!(
            error.as_database_error().unwrap().code().as_deref(),
            Some("42501"),
            "{refused}"
        );
    }
    session.execute("reset role").await;
    session.execute(&format!("drop owned by {role}; drop role {role}")).await;
}

#[tokio::test]
async fn new_ids_are_uuids_of_version_7_in_the_order_of_time() {
    let database = Database::create().await;
    let mut last = None;
    for _ in 0..50 {
        let mut ids: Vec<uuid::Uuid> =
            database.value("select array_agg(postq.new_id()) from generate_series(1, 20)").await;
        assert!(ids.iter().all(|id| id.get_version_num() == 7));
        assert!(ids.iter().all(|id| id.get_variant() == uuid::Variant::RFC4122));
        ids.sort();
        let distinct = ids.windows(2).all(|pair| pair[0] != pair[1]);
        assert!(distinct);
        let millis = |id: &uuid::Uuid| id.get_timestamp().unwrap().to_unix().0;
        assert!(last.is_none_or(|last| last <= millis(&ids[0])), "later ids sort later");
        last = ids.last().map(millis);
    }
    let skew = "select abs(extract(epoch from clock_timestamp()) - ('x' || left(replace(postq.new_id()::text, '-', ''), 12))::bit(48)::bigint / 1000.0) < 5";
    assert!(database.value::<bool>(skew).await);
}
