//! Plain HTTP beside gRPC on the same port: `/healthz`, `/readyz`, `/metrics`.

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    response::{IntoResponse, Response},
    routing::get,
};
use http::StatusCode;
use tonic::Status;

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

/// Whatever is neither a service nor a page.
pub async fn unknown(request: Request) -> Response {
    let kind = request.headers().get(http::header::CONTENT_TYPE);
    match kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc")) {
        true => Status::unimplemented("there is no such method here").into_http::<Body>(),
        false => {
            (StatusCode::NOT_FOUND, "here are /healthz, /readyz and /metrics\n").into_response()
        }
    }
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
