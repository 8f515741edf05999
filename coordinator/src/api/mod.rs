//! The wire side: one file per gRPC service and who may come in.

pub mod agent_service;
pub mod artifact_service;
pub mod auth;
pub mod bulk;
pub mod dead_letter_service;
pub mod deadline;
pub mod dispatch_service;
pub mod job_service;
pub mod left;
pub mod log_tail;
pub mod logs;
mod lost;
pub mod page;
pub mod queue_service;
pub mod schedule_service;
pub mod watch;
pub mod watch_jobs;
pub mod workspace_service;
