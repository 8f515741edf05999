//! Measures PostQ beside what one would use instead, in one run on one machine.
//!
//! | file | owns |
//! |---|---|
//! | `report` | rounds, medians and ratios; JSON lines and a table |
//! | `agents` | what an agent costs, one kind of figure per file |
//! | `spent` | time by the wall and on processors |
//! | `dispatch` | tasks that do nothing, one scenario per file |
//! | `workspace` | files between tasks, one scenario per file |

mod agents;
mod dispatch;
mod report;
mod spent;
mod workspace;

use clap::{Parser, Subcommand};

/// Measures PostQ beside what one would use instead.
#[derive(Debug, Parser)]
#[command(name = "postq-bench")]
struct Arguments {
    #[command(subcommand)]
    subject: Subject,
}

#[derive(Debug, Subcommand)]
enum Subject {
    /// Tasks that do nothing, beside the barest queue in the same Postgres.
    Dispatch(dispatch::Options),
    /// What an agent costs: memory, short tasks, output, containers.
    Agents(agents::Options),
    /// Files between tasks, beside rsync, find, cp and sha256sum.
    Workspace(workspace::Options),
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    match Arguments::parse().subject {
        Subject::Dispatch(options) => dispatch::run(&options).await,
        Subject::Agents(options) => agents::run(&options).await,
        Subject::Workspace(options) => workspace::run(&options).await,
    }
}
