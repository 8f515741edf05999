//! The coordinator: owns the queue and the graph state in Postgres and streams assignments to
//! agents. It keeps nothing that a restart may not lose.
//!
//! | room | owns |
//! |---|---|
//! | [`admission`] | the one door for jobs |
//! | [`api`] | the gRPC services, and who may come in |
//! | [`http`] | health and metrics |
//! | [`dispatch`] | from ready tasks to agents and back |
//! | [`upkeep`] | sweepers |
//! | [`webhook`] | what may be sent to whom, and one request |
//! | [`wire`] | between what it knows and the words of the protocol |
//! | [`workspace`] | blobs, and the merge at joins |
//! | [`store`] | all SQL |
//! | [`coordinator`] | all of it put together, started and stopped |

pub mod admission;
pub mod api;
pub mod config;
pub mod coordinator;
pub mod dispatch;
pub mod errors;
pub mod graphs;
pub mod http;
pub mod metrics;
pub mod signals;
pub mod store;
pub mod upkeep;
pub mod watch;
pub mod webhook;
pub mod wire;
pub mod workspace;
