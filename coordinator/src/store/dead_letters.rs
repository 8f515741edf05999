//! Dead letters: listed as proto3-JSON, tried again, removed.

use std::{fmt, str::FromStr, time::Duration};

use serde_json::Value;
use sqlx::{FromRow, types::Json};
use uuid::Uuid;

use super::{Store, StoreError};

/// Longest time for one redrive: each job of a thousand is copied.
const REDRIVE_WITHIN: Duration = Duration::from_secs(60);

/// The place of a dead letter in their order: by queue, and in each the oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LetterPlace {
    /// When it died, in microseconds since 1970.
    pub died_us: i64,
    /// Its job.
    pub job: Uuid,
    /// Its task.
    pub task: i32,
    /// Its queue.
    pub queue: String,
}

/// One dead letter.
#[derive(Clone, Debug, FromRow)]
pub struct LetterRow {
    queue: String,
    died_us: i64,
    job: Uuid,
    n: i32,
    /// A `DeadLetter`; none where it was removed just now.
    pub shown: Option<Json<Value>>,
}

impl LetterRow {
    /// Where it stands.
    pub fn place(&self) -> LetterPlace {
        let queue = self.queue.clone();
        LetterPlace { died_us: self.died_us, job: self.job, task: self.n, queue }
    }
}

/// Which dead letters are tried again, and how fast.
#[derive(Clone, Copy, Debug)]
pub struct Redrive<'a> {
    /// Those of this queue.
    pub queue: &'a str,
    /// Those of these jobs instead.
    pub jobs: Option<&'a [Uuid]>,
    /// At most so many of the queue.
    pub limit: i32,
    /// Of the queue only those whose job's attributes it holds for; empty: all.
    pub filter: &'a str,
    /// So many begin per second.
    pub rate: Option<f64>,
}

/// A token of the listing; the queue comes last, because it may hold anything.
impl fmt::Display for LetterPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} {}", self.died_us, self.job, self.task, self.queue)
    }
}

/// This is no token of the listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoPlace;

impl FromStr for LetterPlace {
    type Err = NoPlace;

    fn from_str(text: &str) -> Result<Self, NoPlace> {
        let mut parts = text.splitn(4, ' ');
        let mut next = || parts.next().ok_or(NoPlace);
        Ok(Self {
            died_us: next()?.parse().map_err(|_| NoPlace)?,
            job: next()?.parse().map_err(|_| NoPlace)?,
            task: next()?.parse().map_err(|_| NoPlace)?,
            queue: next()?.to_owned(),
        })
    }
}

impl Store {
    /// Dead letters behind `after`, of one queue or of all.
    pub async fn dead_letters(
        &self,
        queue: Option<&str>,
        after: Option<&LetterPlace>,
        limit: i64,
    ) -> Result<Vec<LetterRow>, StoreError> {
        let from_queue = || LetterPlace {
            queue: queue.unwrap_or_default().to_owned(),
            ..LetterPlace::default()
        };
        let after = after.cloned().unwrap_or_else(from_queue);
        self.run("dead_letters", |pool| {
            let after = after.clone();
            async move {
                // A range at both ends of one index, for one queue as for all.
                sqlx::query_as(
                    "/* dead_letters */ select l.queue,
                         (extract(epoch from l.died_at) * 1000000)::bigint as died_us, l.job, l.n,
                         postq.letter_shown(l.job, l.n) as shown
                     from (select d.queue, d.died_at, d.job, d.n from postq.dead_letter d
                           where (d.queue, d.died_at, d.job, d.n)
                                 > ($1, 'epoch'::timestamptz + $2 * interval '1 microsecond', $3, $4)
                             and ($5::text is null or d.queue <= $5)
                           order by d.queue, d.died_at, d.job, d.n limit $6) l
                     order by l.queue, l.died_at, l.job, l.n",
                )
                .bind(after.queue)
                .bind(after.died_us)
                .bind(after.job)
                .bind(after.task)
                .bind(queue)
                .bind(limit)
                .fetch_all(&pool)
                .await
            }
        })
        .await
    }

    /// Tries dead letters again; each job with its new one.
    pub async fn redrive(&self, which: &Redrive<'_>) -> Result<Vec<(Uuid, Uuid)>, StoreError> {
        // Not tried again from here: a second time takes the next ones.
        self.once_within(REDRIVE_WITHIN, "redrive", |pool| async move {
            sqlx::query_as(
                "/* redrive */ select job, new_job from postq.redrive_some($1, $2, $3, $4, $5)",
            )
            .bind(which.queue)
            .bind(which.jobs)
            .bind(which.limit)
            .bind(which.filter)
            .bind(which.rate)
            .fetch_all(&pool)
            .await
        })
        .await
    }

    /// Removes those of some jobs, or else of a queue; how many there were.
    pub async fn purge(&self, queue: &str, jobs: Option<&[Uuid]>) -> Result<i64, StoreError> {
        self.run("purge", |pool| async move {
            sqlx::query_scalar("/* purge */ select postq.purge_some($1, $2)")
                .bind(queue)
                .bind(jobs)
                .fetch_one(&pool)
                .await
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_as_it_was_written() {
        let place = LetterPlace {
            died_us: 1_767_323_045_000_001,
            job: Uuid::from_u128(7),
            task: 3,
            queue: "two words".into(),
        };
        assert_eq!(place.to_string().parse(), Ok(place));
        assert_eq!("1 2 3".parse::<LetterPlace>(), Err(NoPlace));
    }
}
