//! The `postq-coordinator` command: arguments in, a coordinator out.

use std::{process::ExitCode, time::Duration};

use anyhow::Context;
use clap::Parser;
use postq_coordinator::{
    api::auth::Tokens,
    config::Args,
    coordinator::{Coordinator, Options},
    webhook::Door,
};
use postq_runtime::{Shutdown, telemetry};

#[tokio::main]
async fn main() -> ExitCode {
    match run(Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("postq-coordinator: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> anyhow::Result<()> {
    let _telemetry = telemetry::init("postq-coordinator").context("telemetry")?;
    args.check_door()?;
    let (database, listen_database) = args.databases()?;
    let tokens = match &args.token_file {
        Some(path) => Tokens::read(path)?,
        None => Tokens::default(),
    };
    let options = Options {
        database,
        listen_database,
        max_connections: args.max_connections,
        store: args.store.clone(),
        tokens,
        retain: retain(args.retain_days),
        webhooks: Door::read(&args.webhook_allow, args.webhook_secrets.as_deref())?,
    };
    let shutdown = Shutdown::new();
    shutdown.begin_on_signal().context("cannot handle signals")?;
    let coordinator = Coordinator::open(options, args.listen).await?;
    let served = coordinator.serve(shutdown.clone()).await;
    shutdown.begin();
    shutdown.wait(Duration::from_secs(args.stop_grace)).await;
    served?;
    Ok(())
}

/// How long ended jobs stay; none: for ever.
fn retain(days: u32) -> Option<Duration> {
    (days > 0).then(|| Duration::from_secs(u64::from(days) * 24 * 60 * 60))
}
