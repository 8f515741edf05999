//! Starting: on an empty database, several at once, and with everything that can be wrong.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use postq_tests::{AgentSetup, Cluster, Database};
use serde_json::json;

/// PQ44, JQ3
#[tokio::test]
async fn the_schema_is_applied_once_however_often_it_is_asked_for() {
    let database = Database::create_empty().await;
    let first = postq_coordinator::store::migrate(database.options()).await.unwrap();
    assert!(first.functions_replaced && first.migrations > 0, "{first:?}");
    let look =
        "select md5(string_agg(pg_get_functiondef(p.oid), '' order by p.oid::regprocedure::text))
                from pg_proc p where p.pronamespace = 'postq'::regnamespace";
    let before: String = database.value(look).await;
    let second = postq_coordinator::store::migrate(database.options()).await.unwrap();
    assert!(!second.functions_replaced, "{second:?}");
    assert_eq!(second.migrations, first.migrations);
    assert_eq!(database.value::<String>(look).await, before);
    let applied: i64 = database.value("select count(*) from postq.migration").await;
    assert_eq!(applied, first.migrations as i64);
}

/// Between two releases the functions change while their number stays.
#[tokio::test]
async fn functions_of_one_revision_that_differ_are_replaced() {
    let database = Database::create_empty().await;
    postq_coordinator::store::migrate(database.options()).await.unwrap();
    database
        .execute(
            "drop function postq.ack(uuid, bigint, jsonb);
             update postq.fact set value = 'another' where key = 'functions_digest'",
        )
        .await;
    let again = postq_coordinator::store::migrate(database.options()).await.unwrap();
    assert!(again.functions_replaced, "{again:?}");
    let ack = "select to_regprocedure('postq.ack(uuid, bigint, jsonb)') is not null";
    assert!(database.value::<bool>(ack).await);
    database.execute("update postq.fact set value = '9' where key = 'functions_revision'").await;
    database.execute("delete from postq.fact where key = 'functions_digest'").await;
    let older = postq_coordinator::store::migrate(database.options()).await.unwrap();
    assert!(!older.functions_replaced, "a newer release is there: {older:?}");
}

/// PQ44: every coordinator migrates at its start.
#[tokio::test]
async fn coordinators_that_start_at_once_on_an_empty_database_all_come_up() {
    let mut cluster = Cluster::create(Database::create_empty().await);
    cluster.add_coordinators(4).await;
    cluster.add_agent(AgentSetup::default()).await;
    cluster.wait_for_agents().await;
    for number in 0..4 {
        let job =
            cluster.client_of(number).run(&json!({"tasks": {"a": {"command": "echo up"}}})).await;
        assert_eq!(job.tasks["a"].results, "up\n");
    }
    let applied: i64 = cluster.database.value("select count(*) from postq.migration").await;
    let distinct: i64 =
        cluster.database.value("select count(distinct version) from postq.migration").await;
    assert_eq!(applied, distinct);
}

/// How a program that must not start ends: what it says, each line of which is for the user.
fn refused(program: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> String {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("POSTQ_")) {
        command.env_remove(name);
    }
    command.args(arguments).envs(variables.iter().copied()).stdin(Stdio::null());
    let ended = command.output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(!ended.status.success(), "{arguments:?}: {said}");
    let name = program.file_name().unwrap().to_str().unwrap();
    // Beside its log, which goes the same way.
    let words: Vec<_> =
        said.lines().chain(std::str::from_utf8(&ended.stdout).unwrap().lines()).collect();
    let ours: Vec<_> = words.iter().filter(|line| line.starts_with(&format!("{name}: "))).collect();
    assert_eq!(ours.len(), 1, "{arguments:?}: one line is wanted: {words:#?}");
    assert_eq!(words.last(), ours.last().copied(), "{words:#?}");
    ours[0].to_string()
}

#[tokio::test]
async fn a_coordinator_that_cannot_start_says_why_in_one_line() {
    let cluster = Cluster::start(&[]).await;
    let (program, database) = (cluster.binaries().coordinator.clone(), cluster.database_url());
    let [store, own, tokens] = ["another-store", "store", "tokens"].map(|name| cluster.path(name));
    let (store, own) = (store.to_str().unwrap(), own.to_str().unwrap());
    std::fs::write(&tokens, "three words here\n").unwrap();
    let taken = cluster.url(0).replace("http://", "");
    let nowhere = "postgres://nobody@127.0.0.1:1/none";
    let cases: [(&[&str], &[&str]); 7] = [
        (&["--database-url", nowhere, "--listen", "127.0.0.1:0", "--store", store], &["database"]),
        (&["--database-url", "localhost/x"], &["--database-url", "postgres://"]),
        (&["--database-url", &database, "--listen", "0.0.0.0:0"], &["--token-file", "--insecure"]),
        (&["--database-url", &database, "--token-file", "/nowhere"], &["/nowhere"]),
        (
            &["--database-url", &database, "--token-file", tokens.to_str().unwrap()],
            &["line 1", "client TOKEN"],
        ),
        // The database belongs to the store that its first coordinator made.
        (&["--database-url", &database, "--listen", "127.0.0.1:0", "--store", store], &[store]),
        (&["--database-url", &database, "--listen", &taken, "--store", own], &[&taken]),
    ];
    for (arguments, wanted) in cases {
        let said = refused(&program, arguments, &[]);
        for word in wanted {
            assert!(said.contains(word), "{said} lacks {word}");
        }
        assert!(!said.contains("panicked"), "{said}");
    }
}

#[tokio::test]
async fn an_agent_that_cannot_start_says_why_in_one_line() {
    let cluster = Cluster::start(&[1]).await;
    let program = cluster.binaries().agent.clone();
    let (fresh, busy) = (cluster.path("fresh"), cluster.path("agent-1"));
    let (fresh, busy) = (fresh.to_str().unwrap(), busy.to_str().unwrap());
    let cases: [(&[&str], &[&str]); 4] = [
        (&["--work-dir", fresh, "--coordinator", "ftp://x"], &["ftp://x", "http://"]),
        (&["--work-dir", busy], &[busy, "--work-dir"]),
        (&["--work-dir", "/dev/null/x"], &["/dev/null/x"]),
        (&["--work-dir", fresh, "--executors", "docker"], &["Docker engine"]),
    ];
    for (arguments, wanted) in cases {
        let said = refused(&program, arguments, &[("DOCKER_HOST", "unix:///nowhere.sock")]);
        for word in wanted {
            assert!(said.contains(word), "{said} lacks {word}");
        }
    }
}
