//! Files between tasks: a coordinator over a real database and a store on this disk, and agents that
//! reach it by the loopback, all in this process; beside the tools one would use instead.
//!
//! | file | case |
//! |---|---|
//! | `bed` | what all of them stand on |
//! | `large_file` | one large file from agent to agent, new and changed a little |
//! | `small_files` | many small files: to another agent, one changed, nothing changed |
//! | `join` | what a hundred siblings wrote |
//! | `chain` | tasks in a chain on one agent over files that nobody touches |

mod bed;
mod chain;
mod join;
mod large_file;
mod small_files;

use std::path::PathBuf;

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
    /// Bytes of the large file.
    #[arg(long, default_value_t = 1 << 30)]
    pub(crate) large: usize,
    /// How many small files.
    #[arg(long, default_value_t = 100_000)]
    pub(crate) small: usize,
    /// Where to work: a disk with ten times the large file free.
    #[arg(long, default_value = "target/bench")]
    pub(crate) dir: PathBuf,
}

/// Measures.
pub(crate) async fn run(options: &Options) -> anyhow::Result<()> {
    std::fs::create_dir_all(&options.dir)?;
    let (mut cases, mut left) = (Vec::new(), Vec::new());
    let names = [
        "large file, new",
        "large file, 1 % in ten runs",
        "large file, 1 % in random blocks",
        "small files, to another agent",
        "small files, one changed",
        "small files, scan of nothing changed",
        "join of 100 siblings",
        "chain of 20 tasks",
    ];
    for name in names.into_iter().filter(|name| name.contains(&options.only)) {
        let bed = Bed::make(&options.dir).await?;
        let case = measure(name, &bed, options).await?;
        case.print_line()?;
        cases.push(case);
        let directory = bed.end().await;
        // See `bed`; large files are few, and there is not room for all.
        if !name.starts_with("large") {
            left.push(directory);
        }
    }
    print_table(&cases);
    Ok(())
}

async fn measure(name: &'static str, bed: &Bed, options: &Options) -> anyhow::Result<Case> {
    let twice = "rsync -a, sync, rsync -a";
    Ok(match name {
        "large file, new" => Case::new(name, twice, 1.0, &large_file::new(bed, options).await?),
        "large file, 1 % in ten runs" => {
            let rounds = large_file::changed(bed, options, large_file::Change::Runs).await?;
            Case::new(name, "rsync -a --no-whole-file, twice", 0.3, &rounds)
        }
        "large file, 1 % in random blocks" => {
            let rounds = large_file::changed(bed, options, large_file::Change::Blocks).await?;
            Case::new(name, "rsync -a --no-whole-file, twice", f64::NAN, &rounds)
        }
        "small files, to another agent" => {
            Case::new(name, "rsync -a, twice", 0.8, &small_files::moved(bed, options).await?)
        }
        "small files, one changed" => {
            Case::new(name, "rsync -a again", 1.0, &small_files::one_changed(bed, options).await?)
        }
        "small files, scan of nothing changed" => {
            Case::new(name, "find -printf", 1.5, &small_files::scanned(bed, options).await?)
        }
        "join of 100 siblings" => {
            Case::new(name, "cp -a", 1.5, &join::measure(bed, options).await?)
        }
        _ => Case::new(name, "sha256sum", 0.5, &chain::measure(bed, options).await?),
    })
}
