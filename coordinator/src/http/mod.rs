//! Plain HTTP beside gRPC on the same port: `/healthz`, `/readyz`, `/metrics`.

use std::sync::Arc;

use axum::{Router, extract::State, response::IntoResponse, routing::get};
use http::StatusCode;

use crate::{dispatch::Roster, errors, metrics::Metrics, store::Store};

/// What the pages show.
#[derive(Clone)]
pub struct Pages {
    /// The database.
    pub store: Store,
    /// The agents connected here.
    pub roster: Arc<Roster>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
}

/// The routes.
pub fn routes(pages: Pages) -> Router {
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(pages)
}

/// Ready: the database answers and carries at least this binary's functions.
async fn ready(State(pages): State<Pages>) -> impl IntoResponse {
    match pages.store.is_current().await {
        Ok(true) => (StatusCode::OK, "ready\n".to_owned()),
        Ok(false) => (
            StatusCode::SERVICE_UNAVAILABLE,
            "the database's schema is older than this coordinator; run `postq migrate`\n"
                .to_owned(),
        ),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, format!("{}\n", errors::chain(&error))),
    }
}

async fn metrics(State(pages): State<Pages>) -> impl IntoResponse {
    let counts = tokio::try_join!(pages.store.open_jobs(), pages.store.open_tasks());
    let (jobs, tasks) = match counts {
        Ok(counts) => counts,
        Err(error) => {
            return (
                StatusCode::SERVICE_UNAVAILABLE,
                [("content-type", "text/plain")],
                errors::chain(&error),
            );
        }
    };
    match pages.metrics.render(pages.roster.count(), jobs, tasks) {
        Ok(text) => (
            StatusCode::OK,
            [("content-type", "application/openmetrics-text; version=1.0.0; charset=utf-8")],
            text,
        ),
        Err(error) => {
            (StatusCode::INTERNAL_SERVER_ERROR, [("content-type", "text/plain")], error.to_string())
        }
    }
}
