//! Output that is in the blob store: `take_logs`, `move_logs`, and what is read of it.

use std::time::Duration;

use postq_common::id::AttemptId;
use sqlx::FromRow;

use super::{Chunk, Store, StoreError, garbage::interval};

/// An attempt that has ended, whose output was taken to be looked through.
#[derive(Clone, Debug, FromRow)]
pub struct TakenLog {
    /// Whose output.
    #[sqlx(rename = "o_attempt")]
    pub attempt: i64,
    /// What comes behind this chunk is to be moved,
    #[sqlx(rename = "o_first")]
    pub behind: i64,
    /// up to this one; none: it stays where it is.
    #[sqlx(rename = "o_last")]
    pub last: Option<i64>,
}

/// Neighbouring chunks of one attempt in one blob.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct LogPage {
    /// Whose output.
    pub attempt: i64,
    /// The number of its last chunk.
    pub last: i64,
    /// Output in it, in bytes.
    pub size_bytes: i64,
    /// Of the blob.
    pub digest: Vec<u8>,
}

/// What comes next of an attempt's output.
#[derive(Clone, Debug)]
pub enum Logged {
    /// Chunks that are in Postgres; none: there are no more yet.
    Chunks(Vec<Chunk>),
    /// A page that is in the blob store. It may begin with chunks that were read before.
    Page(LogPage),
}

/// Either of them.
#[derive(FromRow)]
struct Row {
    number: i64,
    size_bytes: Option<i64>,
    stream: Option<i16>,
    data: Vec<u8>,
}

impl Logged {
    fn of(attempt: AttemptId, rows: Vec<Row>) -> Self {
        if let [Row { number, size_bytes: Some(size_bytes), data, .. }] = &rows[..] {
            let (last, size_bytes, digest) = (*number, *size_bytes, data.clone());
            return Self::Page(LogPage { attempt: attempt.0, last, size_bytes, digest });
        }
        let chunk =
            |row: Row| Some(Chunk { number: row.number, stream: row.stream?, data: row.data });
        Self::Chunks(rows.into_iter().filter_map(chunk).collect())
    }
}

impl Store {
    /// Output of one attempt behind the chunk `after`: the next page, or at most `limit` chunks. One
    /// statement, so that what moves meanwhile is seen at one of its two places.
    pub async fn logged(
        &self,
        attempt: AttemptId,
        after: i64,
        limit: i64,
    ) -> Result<Logged, StoreError> {
        let rows: Vec<Row> = self
            .run("logged", |pool| async move {
                sqlx::query_as(
                    "/* logged */ with page as (
                         select last, size_bytes, digest from postq.log_page
                         where attempt = $1 and last > $2 order by last limit 1)
                     select last as number, size_bytes, null::smallint as stream, digest as data from page
                     union all
                     (select number, null, stream, data from postq.log_chunk
                      where attempt = $1 and number > $2 and not exists (select from page)
                      order by number limit $3)
                     order by number",
                )
                .bind(attempt.0)
                .bind(after)
                .bind(limit)
                .fetch_all(&pool)
                .await
            })
            .await?;
        Ok(Logged::of(attempt, rows))
    }

    /// Output of one attempt before the chunk `before`: the page that holds the chunk before it, or at most `limit`
    /// chunks. Both are in the order in which they were written, and in one statement, as above. A page may go on with
    /// chunks that were read before.
    pub async fn logged_before(
        &self,
        attempt: AttemptId,
        before: i64,
        limit: i64,
    ) -> Result<Logged, StoreError> {
        let rows: Vec<Row> = self
            .run("logged_before", |pool| async move {
                sqlx::query_as(
                    "/* logged_before */ with page as (
                         select last, size_bytes, digest from postq.log_page
                         where attempt = $1 and last >= $2 - 1 order by last limit 1),
                     moved as (select max(last) as last from postq.log_page where attempt = $1)
                     select last as number, size_bytes, null::smallint as stream, digest as data from page
                     union all
                     (select number, null, stream, data from postq.log_chunk
                      where attempt = $1 and number < $2 and not exists (select from page)
                        and number > coalesce((select last from moved), 0)
                      order by number desc limit $3)
                     order by number",
                )
                .bind(attempt.0)
                .bind(before)
                .bind(limit)
                .fetch_all(&pool)
                .await
            })
            .await?;
        Ok(Logged::of(attempt, rows))
    }

    /// Takes up to `limit` attempts that have ended, with their output or `settled` ago, for `lease`;
    /// of the output of each at least `tail` bytes are to stay, where it has so many.
    pub async fn take_logs(
        &self,
        limit: i32,
        tail: i64,
        settled: Duration,
        lease: Duration,
    ) -> Result<Vec<TakenLog>, StoreError> {
        self.once("take_logs", |pool| async move {
            sqlx::query_as("/* take_logs */ select * from postq.take_logs($1, $2, $3, $4)")
                .bind(limit)
                .bind(tail)
                .bind(interval(settled))
                .bind(interval(lease))
                .fetch_all(&pool)
                .await
        })
        .await
    }

    /// Notes pages whose blobs are durable and deletes the chunks in them. With each page, whether it is
    /// the last one of its attempt.
    pub async fn move_logs(&self, pages: &[(LogPage, bool)]) -> Result<(), StoreError> {
        self.run("move_logs", |pool| async move {
            sqlx::query("/* move_logs */ select postq.move_logs($1, $2, $3, $4, $5)")
                .bind(pages.iter().map(|(page, _)| page.attempt).collect::<Vec<_>>())
                .bind(pages.iter().map(|(page, _)| page.last).collect::<Vec<_>>())
                .bind(pages.iter().map(|(page, _)| page.size_bytes).collect::<Vec<_>>())
                .bind(pages.iter().map(|(page, _)| page.digest.clone()).collect::<Vec<_>>())
                .bind(pages.iter().map(|(_, is_last)| *is_last).collect::<Vec<_>>())
                .execute(&pool)
                .await
                .map(drop)
        })
        .await
    }

    /// Pages in the order of their attempts, behind the one that ends with the chunk `after`.
    pub async fn log_pages(
        &self,
        after: (i64, i64),
        limit: i64,
    ) -> Result<Vec<LogPage>, StoreError> {
        self.run("log_pages", |pool| async move {
            sqlx::query_as(
                "/* log_pages */ select attempt, last, size_bytes, digest from postq.log_page
                 where (attempt, last) > ($1, $2) order by attempt, last limit $3",
            )
            .bind(after.0)
            .bind(after.1)
            .bind(limit)
            .fetch_all(&pool)
            .await
        })
        .await
    }
}
