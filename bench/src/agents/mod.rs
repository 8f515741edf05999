//! What an agent costs: a coordinator over a private database and one agent, all real processes on
//! this machine; beside the tools one would use instead. Figures to report, never to assert.
//!
//! | file | figures |
//! |---|---|
//! | `bed` | what all of them stand on |
//! | `figure` | one figure, as a JSON line and as a row |
//! | `memory` | of an agent that is idle, and of one with many running tasks |
//! | `rate` | short tasks per second |
//! | `output` | what tasks print, to whoever reads it |
//! | `container` | one task in a container |
//! | `ahead` | jobs whose files are fetched while the one before runs |

mod ahead;
mod bed;
mod container;
mod figure;
mod memory;
mod output;
mod rate;

use clap::Args;

use self::figure::{Figure, print_table};

/// How much to measure.
#[derive(Args, Clone, Debug)]
pub(crate) struct Options {
    /// Rounds per figure; medians are reported.
    #[arg(long, default_value_t = 5)]
    pub(crate) rounds: usize,
    /// Only figures whose file's name contains this.
    #[arg(long, default_value = "")]
    pub(crate) only: String,
    /// How many tasks run at once for the figure of memory.
    #[arg(long, default_value_t = 200)]
    pub(crate) running: usize,
    /// How many short tasks.
    #[arg(long, default_value_t = 1000)]
    pub(crate) short: usize,
    /// How much is printed, in MiB.
    #[arg(long, default_value_t = 256)]
    pub(crate) printed: usize,
}

/// Measures.
pub(crate) async fn run(options: &Options) -> anyhow::Result<()> {
    let mut figures: Vec<Figure> = Vec::new();
    for name in ["memory", "rate", "output", "container", "ahead"] {
        if !name.contains(&options.only) {
            continue;
        }
        let more = match name {
            "memory" => memory::measure(options).await?,
            "rate" => rate::measure(options).await?,
            "output" => output::measure(options).await?,
            "ahead" => ahead::measure(options).await?,
            _ => container::measure(options).await?,
        };
        for figure in &more {
            println!("{}", serde_json::to_string(figure)?);
        }
        figures.extend(more);
    }
    print_table(&figures);
    Ok(())
}
