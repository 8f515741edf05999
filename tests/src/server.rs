//! The one Postgres of a test run: started by the first test that wants it, ended with the process.
//!
//! `POSTQ_TEST_DATABASE_URL` names a server to use instead, to run the tests on another release.
//! Invariant: the template has the schema of this build, and nobody is connected to it.

use std::{env, path::PathBuf, str::FromStr, sync::mpsc, thread};

use anyhow::{Context, Result};
use postq_cli::embedded::{Durability, Postgres, PostgresConfig, directory::ScratchDirectory};
use sqlx::{AssertSqlSafe, Connection, PgConnection, postgres::PgConnectOptions};
use tokio::{runtime, sync::OnceCell};

use crate::database::CLOCK;

/// A server, and the name of the database that each test gets a copy of.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    options: PgConnectOptions,
    pub(crate) template: String,
}

impl Server {
    /// The server of this process.
    pub(crate) async fn get() -> &'static Self {
        static SERVER: OnceCell<Server> = OnceCell::const_new();
        SERVER
            .get_or_init(|| async { Self::start().await.expect("a Postgres for the tests") })
            .await
    }

    async fn start() -> Result<Self> {
        let url = match env::var("POSTQ_TEST_DATABASE_URL") {
            Ok(url) => url,
            Err(_) => start_private()?,
        };
        let options =
            PgConnectOptions::from_str(&url).context("cannot read the server's address")?;
        let template = format!("postq_test_{}", std::process::id());
        let server = Self { options, template };
        server.create_template().await?;
        Ok(server)
    }

    /// How to connect to a database of it.
    pub(crate) fn options_of(&self, database: &str) -> PgConnectOptions {
        self.options.clone().database(database)
    }

    /// Does one statement outside of every test's database.
    pub(crate) async fn execute(&self, statement: String) -> Result<()> {
        let mut connection = PgConnection::connect_with(&self.options).await?;
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await?;
        Ok(connection.close().await?)
    }

    async fn create_template(&self) -> Result<()> {
        let name = &self.template;
        self.execute(format!("drop database if exists {name} with (force)")).await?;
        self.execute(format!("create database {name}")).await?;
        let options = self.options_of(name);
        postq_coordinator::store::migrate(&options).await.context("cannot apply the schema")?;
        let mut connection = PgConnection::connect_with(&options).await?;
        sqlx::raw_sql(CLOCK).execute(&mut connection).await?;
        Ok(connection.close().await?)
    }
}

/// Starts a Postgres on a thread of its own, whose runtime lives as long as the process: a test's
/// runtime ends with the test.
fn start_private() -> Result<String> {
    let (answer, url) = mpsc::channel();
    thread::Builder::new().name("postgres".to_owned()).spawn(move || {
        let run = || -> Result<()> {
            let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
            let directory = ScratchDirectory::create()?;
            runtime.block_on(async {
                let postgres = Postgres::start(PostgresConfig {
                    postq: postq_program()?,
                    directory: directory.path().join("postgres"),
                    log: directory.path().join("postgres.log"),
                    durability: Durability::Throwaway,
                    settings: vec![
                        ("max_connections".to_owned(), "400".to_owned()),
                        // Whole statements can be read there.
                        ("track_activity_query_size".to_owned(), "16384".to_owned()),
                    ],
                })
                .await?;
                let _ = answer.send(Ok(postgres.url()));
                std::future::pending::<()>().await;
                drop(postgres);
                Ok(())
            })
        };
        if let Err(error) = run() {
            let _ = answer.send(Err(error));
        }
    })?;
    url.recv().context("the thread of Postgres ended")?
}

/// The `postq` of this build: beside the program that runs, or above where tests are.
fn postq_program() -> Result<PathBuf> {
    let current = env::current_exe()?;
    let beside = current.parent().context("no build directory")?;
    let places = [Some(beside), beside.parent()].map(|place| place.map(|it| it.join("postq")));
    let found = places.into_iter().flatten().find(|program| program.is_file());
    found.with_context(|| {
        let place = beside.display();
        format!("no postq in {place} or above; build it with: cargo build --workspace --bins")
    })
}
