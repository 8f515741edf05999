//! `note_webhooks`, `take_deliveries`, `settle_delivery`: what webhooks are to be told.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{FromRow, types::Json};
use uuid::Uuid;

use super::{Store, StoreError};

/// One thing to be sent.
#[derive(Clone, Debug, FromRow)]
pub struct Delivery {
    /// The job that has ended; each ends once, so this names what is sent.
    pub job: Uuid,
    /// Scheme, host and port of the address.
    pub origin: String,
    /// Where to.
    pub url: String,
    /// The name of what it is signed with.
    pub secret: String,
    /// What is sent.
    pub body: String,
    /// Tries that have failed.
    pub attempts: i32,
    /// Since when it could be sent.
    pub due_at: DateTime<Utc>,
    /// Until when it is the caller's: the fence of what the caller says of it.
    pub lease_until: DateTime<Utc>,
}

/// Which ones [`Store::take_deliveries`] takes.
#[derive(Clone, Debug)]
pub struct Taking<'a> {
    /// Due behind this time; none: all.
    pub after: Option<DateTime<Utc>>,
    /// At most so many.
    pub limit: usize,
    /// At most so many to one origin.
    pub each: usize,
    /// None to these origins.
    pub busy: &'a [String],
    /// For so long they are the caller's.
    pub lease: Duration,
}

impl Store {
    /// Notes where to webhooks may be sent, and the names of the secrets.
    pub async fn note_webhooks(&self, shown: &Value) -> Result<(), StoreError> {
        self.run("note_webhooks", |pool| async move {
            sqlx::query("/* note_webhooks */ select postq.note_webhooks($1)")
                .bind(Json(shown))
                .execute(&pool)
                .await
                .map(drop)
        })
        .await
    }

    /// Takes what is to be sent now.
    pub async fn take_deliveries(&self, taking: &Taking<'_>) -> Result<Vec<Delivery>, StoreError> {
        self.once("take_deliveries", |pool| async move {
            sqlx::query_as(
                "/* take_deliveries */ select * from postq.take_deliveries(
                     coalesce($1, '-infinity'), $2, $3, $4, make_interval(secs => $5))",
            )
            .bind(taking.after)
            .bind(i32::try_from(taking.limit).unwrap_or(i32::MAX))
            .bind(i32::try_from(taking.each).unwrap_or(i32::MAX))
            .bind(taking.busy)
            .bind(taking.lease.as_secs_f64())
            .fetch_all(&pool)
            .await
        })
        .await
    }

    /// Notes how one went: it has arrived, or why not and when it is tried again (none: never). Nothing
    /// where it is somebody else's by now, or to be sent anew.
    pub async fn settle_delivery(
        &self,
        of: &Delivery,
        failed: Option<(&str, Option<Duration>)>,
    ) -> Result<(), StoreError> {
        let (error, pause) = failed.map_or((None, None), |(error, pause)| (Some(error), pause));
        let pause_ms = pause.map(|pause| i64::try_from(pause.as_millis()).unwrap_or(i64::MAX));
        self.run("settle_delivery", |pool| async move {
            sqlx::query("/* settle_delivery */ select postq.settle_delivery($1, $2, $3, $4)")
                .bind(of.job)
                .bind(of.lease_until)
                .bind(error)
                .bind(pause_ms)
                .execute(&pool)
                .await
                .map(drop)
        })
        .await
    }
}
