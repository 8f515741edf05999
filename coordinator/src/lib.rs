//! The coordinator: owns the queue and the graph state in Postgres and streams assignments to
//! agents. It keeps nothing that a restart may not lose.
//!
//! | room | owns |
//! |---|---|
//! | [`api`] | the gRPC services, who may come in, errors as statuses |
//! | [`http`] | health and metrics |
//! | [`dispatch`] | from ready tasks to agents and back |
//! | [`upkeep`] | sweepers |
//! | [`workspace`] | blobs, and the merge at joins |
//! | [`store`] | all SQL |
//! | [`coordinator`] | all of it put together, started and stopped |

pub mod api;
pub mod config;
pub mod coordinator;
pub mod dispatch;
pub mod errors;
pub mod graphs;
pub mod http;
pub mod metrics;
pub mod store;
pub mod upkeep;
pub mod watch;
pub mod workspace;
