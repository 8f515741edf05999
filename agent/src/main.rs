//! `postq-agent`: parses its options, runs the agent, leaves on signals. The hidden sub-command
//! `exec` is the guard of one task.

use std::process::ExitCode;

use clap::Parser;
use postq_agent::{
    Agent, Config, Leave, Options,
    process::{self, guard},
};
use postq_runtime::telemetry;
use tikv_jemallocator::Jemalloc;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{error, info};

/// glibc's has an arena per thread and gives little back: what the look at a very large workspace freed stayed
/// beside what the next one got. `.cargo/config.toml` says how soon this one does.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() -> ExitCode {
    // Before anything else: a guard has one thread and no options.
    if std::env::args_os().nth(1).is_some_and(|first| first == "exec") {
        return guard::main();
    }
    let options = Options::parse();
    // Tasks run as our user; without this they could read our environment, tokens included, from
    // /proc. (Tasks of root can whatever we do.)
    let _ = nix::sys::prctl::set_dumpable(false);
    process::settle();
    match run(options) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("postq-agent: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn run(options: Options) -> anyhow::Result<ExitCode> {
    let _telemetry = telemetry::init("postq-agent")?;
    let leave = Leave::default();
    leave_on_signals(leave.clone())?;
    let agent = Agent::open(Config::try_from(options)?).await?;
    match agent.run(leave).await {
        true => Ok(ExitCode::SUCCESS),
        false => {
            error!("a part of the agent failed; see above");
            Ok(ExitCode::FAILURE)
        }
    }
}

/// The first signal drains, the second stops.
fn leave_on_signals(leave: Leave) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    postq_runtime::spawn_alone("signals", async move {
        for word in [&leave.drain, &leave.now] {
            tokio::select! {
                _ = terminate.recv() => info!("SIGTERM received"),
                _ = interrupt.recv() => info!("SIGINT received"),
            }
            word.cancel();
        }
    });
    Ok(())
}
