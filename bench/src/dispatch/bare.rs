//! The barest queue in the same Postgres: one table, claimed by `for update skip locked`, deleted when
//! done. It has no graph, no history, no retries and no fence; nothing that keeps a job can be faster.

use postq_tests::Database;
use sqlx::{AssertSqlSafe, Row, postgres::PgListener};

/// Makes the table, empty.
pub(super) async fn make(database: &Database) {
    database
        .execute(
            "drop table if exists bare; create table bare (id bigserial primary key, payload jsonb,
             is_taken boolean not null default false); create index on bare (id) where not is_taken",
        )
        .await;
}

/// Inserts so many jobs, a thousand in a statement.
pub(super) async fn fill(database: &Database, jobs: usize) -> anyhow::Result<()> {
    for from in (0..jobs).step_by(1000) {
        let count = 1000.min(jobs - from);
        let insert = "insert into bare (payload) select '{\"handler\": \"nothing\"}' from generate_series(1, $1)";
        sqlx::query(insert).bind(i32::try_from(count)?).execute(&database.pool).await?;
    }
    Ok(())
}

/// Takes and deletes all that is there, so many at a time, in two transactions as any queue does
/// whose work is not in the database.
pub(super) async fn drain(database: &Database, batch: usize) -> anyhow::Result<()> {
    let take = format!(
        "update bare set is_taken = true where id = any (array(select id from bare
         where not is_taken order by id limit {batch} for update skip locked)) returning id"
    );
    loop {
        let rows = sqlx::query(AssertSqlSafe(take.as_str())).fetch_all(&database.pool).await?;
        if rows.is_empty() {
            return Ok(());
        }
        let ids: Vec<i64> = rows.iter().map(|row| row.get(0)).collect();
        sqlx::query("delete from bare where id = any ($1)")
            .bind(ids)
            .execute(&database.pool)
            .await?;
    }
}

/// One job after another: insert and notify, wake, take, delete.
pub(super) async fn hop(database: &Database, jobs: usize) -> anyhow::Result<()> {
    let mut listener = PgListener::connect_with(&database.pool).await?;
    listener.listen("bare").await?;
    for _ in 0..jobs {
        sqlx::query(
            "with i as (insert into bare (payload) values ('{}')) select pg_notify('bare', '')",
        )
        .execute(&database.pool)
        .await?;
        listener.recv().await?;
        drain(database, 1).await?;
    }
    Ok(())
}
