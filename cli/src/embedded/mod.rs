//! A private PostQ: Postgres, a coordinator and agents as child processes of this one.
//!
//! `postq run`, `postq up`, the end-to-end tests and the benchmarks share it. It knows nothing of
//! jobs. Invariant: every process started here ends with the process that started it, also when
//! that one is killed.
//!
//! | room | owns |
//! |---|---|
//! | [`account`] | the unprivileged user that Postgres runs under when we are root |
//! | [`binaries`] | where `postq`, `postq-coordinator` and `postq-agent` are |
//! | [`cluster`] | Postgres, a coordinator and agents together |
//! | [`daemon`] | one child process with its log, under a supervisor |
//! | [`directory`] | where data lives: a state directory that stays, or a temporary one |
//! | [`error`] | what can go wrong, and what to do about it |
//! | `initdb` | making a data directory |
//! | [`postgres`] | the private Postgres |
//! | `scratch` | temporary directories whose process was killed |
//! | [`server_binaries`] | the newest Postgres server programs of the machine |
//! | `stale` | what an earlier Postgres left in a data directory |
//! | [`supervise`] | the process between us and a child that ends the child when we are gone |

pub mod account;
pub mod binaries;
pub mod cluster;
pub mod daemon;
pub mod directory;
pub mod error;
mod initdb;
pub mod postgres;
mod scratch;
pub mod server_binaries;
mod stale;
pub mod supervise;

pub use binaries::Binaries;
pub use cluster::{Agents, Cluster, ClusterConfig, ClusterTokens};
pub use daemon::{Daemon, DaemonSpec, Stop};
pub use error::EmbeddedError;
pub use postgres::{Durability, Postgres, PostgresConfig};
