//! The promises of PostQ, one module each.
#![allow(clippy::unwrap_used)] // tests

mod bad_documents;
mod e2e_auth;
mod e2e_chaos;
mod e2e_coordinators;
mod e2e_docker;
mod e2e_endings;
mod e2e_graph;
mod e2e_http;
mod e2e_lanes;
mod e2e_logs;
mod e2e_recovery;
mod e2e_shell;
mod e2e_silence;
mod e2e_soak;
mod e2e_sql;
mod e2e_start;
mod e2e_submit;
mod e2e_trace;
mod e2e_watch;
mod e2e_workspace;
mod house;
mod manifest;
mod model;
mod sql_cancel;
mod sql_catalog;
mod sql_doors;
mod sql_lanes;
mod sql_life;
mod sql_model;
mod sql_plans;
mod sql_races;
mod sql_sessions;
mod sql_submit;
