//! What the tests of PostQ's promises stand on: a private Postgres, a database per test, the verbs
//! of the queue as a coordinator would call them, and coordinators and agents as real processes.
//!
//! | file | owns |
//! |---|---|
//! | `server` | the one Postgres of a test run |
//! | `database` | a fresh database per test, with a clock that the test moves |
//! | `session` | one connection, to hold transactions open and to race with another |
//! | `graph` | jobs by their edges, planned and admitted |
//! | `worker` | an agent's side of the queue: connect, claim, finish |
//! | `look` | the states of jobs and tasks as the tests compare them |
//! | `cluster` | the coordinators and agents of one test |
//! | `cluster_history` | the executions of a job that have ended |
//! | `cluster_waits` | what a test waits for in a cluster, and files to talk with its tasks |
//! | `host` | one process that can be killed, paused and started again |
//! | `client` | a client of one coordinator |
//! | `docker` | the real engine, and an image made from the machine's static busybox |
//! | `pooler` | PgBouncer before the database |
//! | `receiver` | a server that receives webhooks |
//! | `s3` | a bucket, served as S3 is |
//! | `eventually` | waiting for a condition, with a bound |

mod client;
mod cluster;
mod cluster_history;
mod cluster_waits;
mod database;
mod docker;
mod eventually;
mod graph;
mod host;
mod look;
mod pooler;
mod receiver;
mod s3;
mod server;
mod session;
mod worker;

pub use client::{Client, PATIENCE, has_ended, spec, states};
pub use cluster::{AgentSetup, Cluster};
pub use cluster_history::{Execution, successes};
pub use database::Database;
pub use docker::{BARE_IMAGE, IMAGE, NO_ENGINE, docker, make_bare_image, make_image};
pub use eventually::eventually;
pub use graph::{Graph, Task};
pub use host::{Host, processes_with};
pub use look::{JobLook, TaskLook};
pub use pooler::Pooler;
pub use receiver::{Received, Receiver};
pub use s3::Bucket;
pub use session::Session;
pub use worker::{Claimed, End, Finished, Worker, finish_on};
