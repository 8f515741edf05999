//! The `postq` command.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    postq_cli::options::Options::parse().run()
}
