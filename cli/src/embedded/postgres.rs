//! The private Postgres: made, started, waited for, stopped.
//!
//! It listens on a Unix socket in a directory that only its owner may enter, never on TCP, which
//! is why it needs no password. It knows nothing of PostQ's schema. Invariant: a data directory is
//! either whole or not there.

use std::{
    fs,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    time::Duration,
};

use nix::sys::signal::Signal;
use tokio::time::{Instant, sleep};

use super::{
    Daemon, DaemonSpec, EmbeddedError, Stop,
    account::Account,
    directory::{ScratchDirectory, create_passable, create_private},
    initdb::initialize,
    server_binaries::ServerBinaries,
    stale::wait_for_end_of_another,
};

/// Nobody else listens in the directory, so the number is free; it names the socket's file.
const PORT: u16 = 5432;
/// What the shortest of the kernels' socket addresses holds, its closing NUL included.
const SOCKET_PATH_LIMIT: usize = 104;
/// Recovery after a crash of the machine is part of a start.
const START_LIMIT: Duration = Duration::from_secs(120);
/// How often the file that tells its state is looked at while it starts.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// From "end your connections and write everything" to "stop where you are".
const STOP_GRACE: Duration = Duration::from_secs(20);

/// Whether data must survive a crash of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// It must.
    Durable,
    /// It is thrown away with the process: nothing waits for the disk.
    Throwaway,
}

/// What to start.
#[derive(Clone, Debug)]
pub struct PostgresConfig {
    /// The `postq` program, which supervises the server.
    pub postq: PathBuf,
    /// Its own directory, below which `data` and `socket` are made.
    pub directory: PathBuf,
    /// The file its log is added to.
    pub log: PathBuf,
    /// Whether data must survive a crash of the machine.
    pub durability: Durability,
    /// More settings, which win over ours.
    pub settings: Vec<(String, String)>,
}

/// A running private Postgres.
#[derive(Debug)]
pub struct Postgres {
    daemon: Daemon,
    socket: PathBuf,
    /// Where the socket is when the directory's path is too long for one.
    _short: Option<ScratchDirectory>,
}

impl Postgres {
    /// Makes the data directory where there is none, starts the server and waits until it accepts
    /// connections.
    pub async fn start(config: PostgresConfig) -> Result<Self, EmbeddedError> {
        let account = Account::for_postgres()?;
        create_passable(&config.directory)?;
        let data = config.directory.join("data");
        if let Some(account) = &account {
            account.can_reach(&data)?;
        }
        let server = server_for(&data)?;
        if !data.exists() {
            let is_durable = config.durability == Durability::Durable;
            initialize(&server, &data, account.as_ref(), is_durable).await?;
        }
        wait_for_end_of_another(&data).await?;
        let short = short_directory(&config.directory)?;
        let socket =
            short.as_ref().map_or(&*config.directory, ScratchDirectory::path).join("socket");
        create_private(&socket, account.as_ref())?;
        let spec = spec(&config, &server, &data, &socket, account);
        let mut daemon = Daemon::start(&config.postq, spec).await?;
        wait_until_ready(&mut daemon, &data).await?;
        Ok(Self { daemon, socket, _short: short })
    }

    /// The address of the database `name`, of the superuser.
    pub fn url_of(&self, name: &str) -> String {
        format!("postgres://postgres@localhost:{PORT}/{name}?host={}", percent(&self.socket))
    }

    /// The address of the database `postgres`, of the superuser.
    pub fn url(&self) -> String {
        self.url_of("postgres")
    }

    /// Its process.
    pub fn daemon(&mut self) -> &mut Daemon {
        &mut self.daemon
    }

    /// Stops it in order.
    pub async fn stop(mut self) {
        self.daemon.stop().await;
    }
}

/// The programs for the data that is there, or the newest.
fn server_for(data: &Path) -> Result<ServerBinaries, EmbeddedError> {
    let newest = ServerBinaries::find()?;
    let written = fs::read_to_string(data.join("PG_VERSION")).ok();
    match written.and_then(|text| text.trim().parse().ok()) {
        Some(major) if major != newest.major => ServerBinaries::newest(Some(major))
            .ok_or_else(|| EmbeddedError::OtherRelease { path: data.to_owned(), wanted: major }),
        _ => Ok(newest),
    }
}

fn spec(
    config: &PostgresConfig,
    server: &ServerBinaries,
    data: &Path,
    socket: &Path,
    user: Option<Account>,
) -> DaemonSpec {
    let mut arguments = vec!["-D".into(), data.into(), "-k".into(), socket.into()];
    let own = settings(config.durability);
    let given = config.settings.iter().map(|(name, value)| (&**name, &**value));
    for (name, value) in own.into_iter().chain(given) {
        arguments.extend(["-c".into(), format!("{name}={value}").into()]);
    }
    DaemonSpec {
        name: "postgres".to_owned(),
        program: server.postgres(),
        arguments,
        // These would speak to the server of a cluster that is not its own.
        environment: ["PGDATA", "PGPORT", "PGHOST", "PGOPTIONS"]
            .map(|name| (name.to_owned(), None))
            .into(),
        directory: config.directory.clone(),
        log: config.log.clone(),
        user,
        stop: Stop { polite: Signal::SIGINT, certain: Signal::SIGQUIT, grace: STOP_GRACE },
    }
}

fn settings(durability: Durability) -> Vec<(&'static str, &'static str)> {
    let mut settings = vec![
        ("listen_addresses", ""),
        ("unix_socket_permissions", "0700"),
        ("max_connections", "200"),
        ("logging_collector", "off"),
        ("log_destination", "stderr"),
        ("timezone", "UTC"),
        ("log_timezone", "UTC"),
    ];
    if durability == Durability::Throwaway {
        settings.extend([
            ("fsync", "off"),
            ("synchronous_commit", "off"),
            ("full_page_writes", "off"),
        ]);
    }
    settings
}

/// The server tells its state in the last line of its pid file, which spares us a client.
async fn wait_until_ready(daemon: &mut Daemon, data: &Path) -> Result<(), EmbeddedError> {
    let deadline = Instant::now() + START_LIMIT;
    loop {
        if let Some(status) = daemon.ended() {
            return Err(daemon.not_started(format!("ended at once ({status})")));
        }
        let file = fs::read_to_string(data.join("postmaster.pid")).unwrap_or_default();
        let is_of_this_one = file.lines().next() == Some(&daemon.pid().to_string());
        if is_of_this_one && file.lines().nth(7).is_some_and(|line| line.trim() == "ready") {
            return Ok(());
        }
        if Instant::now() > deadline {
            daemon.stop().await;
            let what = format!("was not ready within {} s", START_LIMIT.as_secs());
            return Err(daemon.not_started(what));
        }
        sleep(LOOK_EVERY).await;
    }
}

fn short_directory(directory: &Path) -> Result<Option<ScratchDirectory>, EmbeddedError> {
    let socket = directory.join("socket").join(format!(".s.PGSQL.{PORT}"));
    if socket.as_os_str().len() < SOCKET_PATH_LIMIT {
        return Ok(None);
    }
    ScratchDirectory::create_in(Path::new("/tmp")).map(Some)
}

/// A path as a value of a query of an address.
fn percent(path: &Path) -> String {
    path.as_os_str()
        .as_bytes()
        .iter()
        .map(|&byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_throwaway_data_is_not_synced() {
        let off = ("fsync", "off");
        assert!(settings(Durability::Throwaway).contains(&off));
        assert!(!settings(Durability::Durable).contains(&off));
    }

    #[test]
    fn a_socket_path_is_escaped_in_the_address() {
        assert_eq!(percent(Path::new("/tmp/a b/ü")), "/tmp/a%20b/%C3%BC");
    }

    #[test]
    fn a_directory_too_deep_for_a_socket_gets_a_short_one() {
        assert!(short_directory(Path::new("/var/lib/postq/postgres")).unwrap().is_none());
        let deep = PathBuf::from(format!("/{}", "d".repeat(100)));
        assert!(short_directory(&deep).unwrap().is_some());
    }
}
