//! The way of tasks that do nothing, from the queue to a worker and back: a real coordinator over a
//! real database, and a worker in this process that ends whatever it is given at once; beside the
//! barest queue one could write in the same Postgres.
//!
//! | file | owns |
//! |---|---|
//! | `bed` | a coordinator with a database of its own, and the processor time of its processes |
//! | `worker` | a language worker whose handler does nothing |
//! | `bare` | the queue beside it: one table, `for update skip locked`, a delete |
//! | `drain` | how long a full queue takes to be worked off |
//! | `submit` | how long it takes to be filled |
//! | `hop` | from the end of a task to the start of the next one |

mod bare;
mod bed;
mod drain;
mod hop;
mod submit;
mod worker;

use clap::Args;

use self::bed::Bed;
use crate::report::{Case, print_table};

/// What to measure, and how large.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Rounds per case; medians are reported.
    #[arg(long, default_value_t = 5)]
    pub(crate) rounds: usize,
    /// Only cases whose name contains this.
    #[arg(long, default_value = "")]
    pub(crate) only: String,
    /// How many tasks.
    #[arg(long, default_value_t = 20_000)]
    pub(crate) tasks: usize,
    /// How many tasks the worker holds at a time.
    #[arg(long, default_value_t = 500)]
    pub(crate) slots: usize,
}

/// Measures.
pub(crate) async fn run(options: &Options) -> anyhow::Result<()> {
    let mut cases = Vec::new();
    let names = ["submit jobs", "drain jobs of one task", "drain one job", "hop in a chain"];
    for name in names.into_iter().filter(|name| name.contains(&options.only)) {
        let bed = Bed::make().await?;
        let rounds = match name {
            "submit jobs" => submit::measure(&bed, options).await?,
            "drain jobs of one task" => drain::jobs(&bed, options).await?,
            "drain one job" => drain::one_job(&bed, options).await?,
            _ => hop::measure(&bed, options).await?,
        };
        let reference = match name {
            "submit jobs" => "insert into one table",
            "hop in a chain" => "notify, skip locked, delete",
            _ => "skip locked and delete",
        };
        let case = Case::new(name, reference, f64::NAN, &rounds);
        case.print_line()?;
        cases.push(case);
    }
    print_table(&cases);
    Ok(())
}
