//! The coordinator's process and address.

use std::{
    ffi::OsString,
    net::{Ipv4Addr, SocketAddr, TcpListener},
};

use tokio::time::{Instant, sleep};

use super::{
    config::ClusterConfig,
    ready::{LOOK_EVERY, START_LIMIT, client, connected},
};
use crate::embedded::{Daemon, EmbeddedError, directory::create_passable};

/// A port that was free may be taken by another process before the coordinator has it.
const PORT_TRIES: usize = 3;

/// Starts it and waits until it answers.
pub(super) async fn start(
    config: &ClusterConfig,
    database_url: &str,
) -> Result<(Daemon, SocketAddr), EmbeddedError> {
    let mut tries = 1;
    loop {
        let address = match config.listen {
            Some(address) => address,
            None => free_address()?,
        };
        let mut daemon = spawn(config, database_url, address).await?;
        match wait(config, &mut daemon, address).await {
            Err(_) if config.listen.is_none() && tries < PORT_TRIES && is_taken(address) => {
                tries += 1;
            }
            outcome => return outcome.map(|()| (daemon, address)),
        }
    }
}

/// Starts it.
pub(super) async fn spawn(
    config: &ClusterConfig,
    database_url: &str,
    address: SocketAddr,
) -> Result<Daemon, EmbeddedError> {
    let store = config.store.clone().unwrap_or_else(|| config.directory.join("store"));
    create_passable(&store)?;
    let mut arguments: Vec<OsString> =
        vec!["--listen".into(), address.to_string().into(), "--store".into(), store.into()];
    if let Some(tokens) = &config.tokens {
        arguments.extend(["--token-file".into(), (&tokens.file).into()]);
    }
    arguments.extend(config.coordinator_arguments.iter().cloned());
    let mut spec = config.daemon("coordinator", &config.binaries.coordinator, arguments);
    // Not as an argument: it may hold a password.
    spec.environment.push(("POSTQ_DATABASE_URL".to_owned(), Some(database_url.into())));
    Daemon::start(&config.binaries.postq, spec).await
}

/// Waits until it answers.
pub(super) async fn wait(
    config: &ClusterConfig,
    daemon: &mut Daemon,
    address: SocketAddr,
) -> Result<(), EmbeddedError> {
    let client = client(config, address);
    let deadline = Instant::now() + START_LIMIT;
    while connected(&client).await.is_none() {
        if let Some(status) = daemon.ended() {
            return Err(daemon.not_started(format!("ended at once ({status})")));
        }
        if Instant::now() > deadline {
            daemon.stop().await;
            let what = format!("was not ready within {} s", START_LIMIT.as_secs());
            return Err(daemon.not_started(what));
        }
        sleep(LOOK_EVERY).await;
    }
    Ok(())
}

fn free_address() -> Result<SocketAddr, EmbeddedError> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map_err(EmbeddedError::io("find a free port of", "127.0.0.1"))
}

fn is_taken(address: SocketAddr) -> bool {
    TcpListener::bind(address).is_err()
}
