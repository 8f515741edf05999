//! Users may come through any PgBouncer in transaction mode; coordinators say where they cannot.

use std::{collections::BTreeSet, process::Command, time::Duration};

use postq_cli::embedded::Binaries;
use postq_proto::v1::job;
use postq_tests::{AgentSetup, Cluster, Database, PATIENCE, Pooler, eventually};
use sqlx::{AssertSqlSafe, ConnectOptions, PgPool, Row};
use uuid::Uuid;

/// What a driver does that keeps no prepared statements.
async fn rows(pool: &PgPool, statements: &str) -> Vec<sqlx::postgres::PgRow> {
    sqlx::raw_sql(AssertSqlSafe(statements)).fetch_all(pool).await.expect(statements)
}

async fn consume_all(pool: PgPool) -> Vec<Uuid> {
    let mut mine = Vec::new();
    loop {
        let taken = rows(&pool, "select id, attempt from postq.consume(3)").await;
        if taken.is_empty() {
            return mine;
        }
        for row in taken {
            let (id, attempt): (Uuid, i64) = (row.get("id"), row.get("attempt"));
            rows(&pool, &format!("select postq.ack('{id}', {attempt})")).await;
            mine.push(id);
        }
    }
}

/// Every statement of six clients may go over another one of three connections.
#[tokio::test]
async fn producers_and_consumers_work_through_a_pooler_in_transaction_mode() {
    let database = Database::create().await;
    let pooler = Pooler::start(&database, 3).await;
    let pool = pooler.pool(6);
    let mut published = BTreeSet::new();
    for n in 0..30 {
        let publish = format!("select postq.publish('greet', '{{\"n\": {n}}}') as id");
        published.insert(rows(&pool, &publish).await[0].get::<Uuid, _>("id"));
    }
    rows(&pool, "begin; select postq.publish('greet'); rollback").await;
    let consumers: Vec<_> = (0..6).map(|_| tokio::spawn(consume_all(pool.clone()))).collect();
    let mut consumed = Vec::new();
    for consumer in consumers {
        consumed.extend(consumer.await.unwrap());
    }
    assert_eq!(consumed.len(), 30, "each once");
    assert_eq!(consumed.into_iter().collect::<BTreeSet<_>>(), published);
    let id: Uuid =
        rows(&pool, r#"select postq.submit('{"tasks": {"a": {"command": "true"}}}') as id"#).await
            [0]
        .get("id");
    rows(&pool, &format!("select postq.cancel('{id}')")).await;
    let state: String =
        rows(&pool, &format!("select postq.job_state('{id}') as state")).await[0].get("state");
    assert!(state == "cancelled" || state == "queued", "{state}");
}

/// It keeps prepared statements, which such a pooler mixes up.
#[tokio::test]
async fn a_coordinator_behind_such_a_pooler_says_what_to_do() {
    let database = Database::create().await;
    let pooler = Pooler::start(&database, 2).await;
    let mut coordinator = Command::new(Binaries::locate().unwrap().coordinator);
    let scratch = tempfile::tempdir().unwrap();
    coordinator
        .args(["--listen", "127.0.0.1:0", "--store"])
        .arg(scratch.path())
        .arg("--database-url")
        .arg(pooler.options().to_url_lossy().as_str());
    let ended = tokio::task::spawn_blocking(move || coordinator.output());
    let ended = tokio::time::timeout(Duration::from_secs(60), ended).await;
    let ended = ended.expect("it gives up").unwrap().unwrap();
    assert!(!ended.status.success());
    let told = String::from_utf8_lossy(&ended.stderr);
    assert!(told.contains("pooler") && told.contains("max_prepared_statements"), "{told}");
}

/// Nothing is heard there: the coordinator says so, and finds its work by looking.
#[tokio::test]
async fn a_coordinator_that_hears_no_notification_says_so_and_works() {
    let database = Database::create().await;
    let pooler = Pooler::start(&database, 2).await;
    let way = pooler.options().to_url_lossy().to_string();
    let mut cluster = Cluster::create(database);
    let number = cluster.add_coordinator(&["--listen-url", &way]).await;
    cluster.add_agent(AgentSetup { slots: 1, ..AgentSetup::default() }).await;
    let submit = r#"select postq.submit('{"tasks": {"a": {"command": "true"}}}')"#;
    let id: Uuid = cluster.database.value(submit).await;
    let job = cluster.client().wait(id, PATIENCE).await;
    assert_eq!(job.state(), job::State::Succeeded);
    eventually("it says that it hears nothing", PATIENCE, async || {
        cluster.coordinator(number).log().contains("hears none").then_some(())
    })
    .await;
}
