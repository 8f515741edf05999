//! The agent: executes attempts in a shell or in Docker, in the job's workspace, and reports how
//! they ended.
//!
//! | room | owns |
//! |---|---|
//! | [`agent`] | the parts put together |
//! | [`config`] | options and variables |
//! | `home`, `ledger`, `scratch` | the work directory: lock and identity, open attempts, their files |
//! | `session`, `coordinators` | the stream to a coordinator, and which one |
//! | `supervisor` | which attempts there are, and what becomes of them |
//! | `gpus` | which GPUs each attempt has |
//! | `attempt`, `stop` | one attempt, straight down the page, and the word that ends it early |
//! | [`executor`] | shell and Docker |
//! | `secrets` | where the values of secrets come from |
//! | [`process`] | commands that leave nothing behind; `postq-agent exec` |
//! | [`logs`] | output as numbered chunks, spooled and pushed |
//! | [`workspace`] | the files of a task: checkout and snapshot |
//!
//! It never imports the coordinator: they meet only in the protocol.

pub mod agent;
mod attempt;
pub mod config;
pub mod coordinators;
pub mod executor;
mod gpus;
pub mod home;
mod ledger;
pub mod logs;
pub mod process;
mod resources;
mod scratch;
mod secrets;
mod session;
mod stop;
mod supervisor;
pub mod workspace;

pub use agent::{Agent, StartError};
pub use config::{Config, Options};
pub use supervisor::{Leave, WhenAlone};
