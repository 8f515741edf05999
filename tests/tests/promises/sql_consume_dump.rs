//! The queue is part of the database, and so of its backup.

use std::process::{Command, Stdio};

use postq_tests::Database;
use sqlx::{Connection, PgConnection, postgres::PgConnectOptions};

use crate::consumer::{consume, publish, take};

/// One of Postgres' own programs, for that database.
fn program(name: &str, options: &PgConnectOptions) -> Command {
    let host = options
        .get_socket()
        .map_or_else(|| options.get_host().into(), |it| it.clone().into_os_string());
    let mut command = Command::new(name);
    command
        .env("PGHOST", host)
        .env("PGPORT", options.get_port().to_string())
        .env("PGUSER", options.get_username())
        .env("PGDATABASE", options.get_database().expect("the test's database"));
    command
}

/// PT20: what was dumped and restored goes on.
#[tokio::test]
async fn a_queue_that_was_dumped_and_restored_goes_on() {
    let database = Database::create().await;
    for n in 0..5 {
        publish(&database, &format!("'mail', '{n}'")).await;
    }
    let held = take(&database, "1").await;
    database.session().await.execute("select postq.sweep()").await;
    let name = format!("restored_{}", std::process::id());
    database.execute(&format!("create database {name}")).await;
    let target = database.options().clone().database(&name);
    let mut dump = program("pg_dump", database.options()).stdout(Stdio::piped()).spawn().unwrap();
    let restored = program("psql", &target)
        .args(["--quiet", "--set=ON_ERROR_STOP=1", "--output=/dev/null"])
        .stdin(dump.stdout.take().unwrap())
        .status()
        .unwrap();
    assert!(dump.wait().unwrap().success() && restored.success());

    let mut connection = PgConnection::connect_with(&target).await.unwrap();
    let taken = consume(&mut connection, "9").await;
    assert_eq!(taken.len(), 4, "the fifth is still leased");
    assert!(taken.iter().all(|one| one.attempt > held.attempt));
    for word in taken.iter().chain([&held]).map(|one| one.ack()) {
        sqlx::raw_sql(sqlx::AssertSqlSafe(word)).execute(&mut connection).await.unwrap();
    }
    // The floors wait for transactions of the server they were noted on; here they start anew.
    sqlx::raw_sql("update postq.lane set floor_candidate = 1, floor_horizon = '9000000000000', time_candidate = now()")
        .execute(&mut connection)
        .await
        .unwrap();
    sqlx::raw_sql("select postq.sweep()").execute(&mut connection).await.unwrap();
    let anew = "select floor_horizon < '9000000000000' from postq.lane";
    assert!(sqlx::query_scalar::<_, bool>(anew).fetch_one(&mut connection).await.unwrap());
    connection.close().await.unwrap();
    database.execute(&format!("drop database {name} with (force)")).await;
}
