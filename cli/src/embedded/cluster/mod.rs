//! Postgres, a coordinator and agents together, all child processes of this one.
//!
//! The agents have separate directories and share nothing but the coordinator. It knows nothing of
//! jobs.
//!
//! | file | owns |
//! |---|---|
//! | `config` | what is started |
//! | `life` | [`Cluster`]: start, tend, restart, stop |
//! | `coordinator` | the coordinator's process and address |
//! | `agent` | an agent's process |
//! | `ready` | asking whether it is ready |

mod agent;
mod config;
mod coordinator;
mod life;
mod ready;

pub use config::{Agents, ClusterConfig, ClusterTokens};
pub use life::Cluster;
