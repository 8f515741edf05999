//! The wire side: one file per gRPC service, who may come in, and errors as statuses.

pub mod agent_service;
pub mod auth;
pub mod convert;
pub mod deadline;
pub mod dispatch_service;
pub mod job_service;
pub mod left;
pub mod logs;
pub mod page;
pub mod status;
pub mod submit;
pub mod watch;
pub mod workspace_service;
