//! The real PgBouncer in transaction mode, before the Postgres of the tests.

use std::{fs, path::PathBuf, time::Duration};

use nix::sys::signal::Signal;
use postq_cli::embedded::{
    Binaries, Daemon, DaemonSpec, Stop, account::Account, directory::ScratchDirectory,
};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions, PgSslMode};

use crate::{cluster::free_port, database::Database, eventually};

/// Where Debian puts it; others have it in the PATH.
const PROGRAMS: [&str; 2] = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer"];

/// A pooler that lives as long as the test.
#[derive(Debug)]
pub struct Pooler {
    _daemon: Daemon,
    _directory: ScratchDirectory,
    options: PgConnectOptions,
}

impl Pooler {
    /// Starts one that leads to the database over `connections` connections.
    pub async fn start(database: &Database, connections: u32) -> Self {
        let program = PROGRAMS.iter().map(PathBuf::from).find(|program| program.exists());
        let program = program.expect("PgBouncer: `apt-get install pgbouncer`, or `make test`");
        let directory = ScratchDirectory::create().expect("a directory for the pooler");
        let account = Account::for_postgres().expect("a user for the pooler");
        let port = free_port("127.0.0.1");
        let settings = directory.path().join("pgbouncer.ini");
        fs::write(&settings, settings_for(database.options(), port, connections))
            .expect("settings");
        if let Some(account) = &account {
            account.own(directory.path()).expect("a directory of its own");
            account.own(&settings).expect("settings of its own");
        }
        let spec = DaemonSpec {
            name: "pgbouncer".to_owned(),
            program,
            arguments: vec![settings.into()],
            environment: Vec::new(),
            directory: directory.path().to_owned(),
            log: directory.path().join("log"),
            user: account,
            stop: Stop {
                polite: Signal::SIGKILL,
                certain: Signal::SIGKILL,
                grace: Duration::from_millis(1),
            },
        };
        let binaries = Binaries::locate().unwrap_or_else(|error| panic!("{error}"));
        let daemon = Daemon::start(&binaries.postq, spec).await.expect("a pooler");
        let options = PgConnectOptions::new_without_pgpass()
            .host("127.0.0.1")
            .port(port)
            .username(database.options().get_username())
            .database(database.options().get_database().expect("a named database"))
            .ssl_mode(PgSslMode::Disable);
        let pooler = Self { _daemon: daemon, _directory: directory, options };
        eventually("the pooler answers", Duration::from_secs(10), async || {
            sqlx::raw_sql("select 1").execute(&pooler.pool(1)).await.ok()
        })
        .await;
        pooler
    }

    /// How to connect through it.
    pub fn options(&self) -> &PgConnectOptions {
        &self.options
    }

    /// Clients of it.
    pub fn pool(&self, connections: u32) -> PgPool {
        PgPoolOptions::new().max_connections(connections).connect_lazy_with(self.options.clone())
    }
}

fn settings_for(server: &PgConnectOptions, port: u16, connections: u32) -> String {
    let socket = server.get_socket().map(|path| path.display().to_string());
    let host = socket.unwrap_or_else(|| server.get_host().to_owned());
    let database = server.get_database().expect("a named database");
    format!(
        "[databases]\n{database} = host={host} port={} user={}\n\
         [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
         auth_type = any\npool_mode = transaction\ndefault_pool_size = {connections}\n\
         ignore_startup_parameters = extra_float_digits,options\n",
        server.get_port(),
        server.get_username(),
    )
}
