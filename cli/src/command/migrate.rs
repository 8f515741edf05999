//! `postq migrate`.

use std::time::Duration;

use clap::Args;
use postq_coordinator::store::{self, Migrated, MigrationError};
use sqlx::postgres::PgConnectOptions;

use crate::{
    failure::{Exit, Failure, chain},
    output,
};

/// Longer than any migration of tables this young, and than another one's lock.
const LIMIT: Duration = Duration::from_secs(120);

/// Bring a database to this release's schema; twice is as good as once.
#[derive(Args, Debug)]
pub struct Migrate {
    /// The database.
    #[arg(long, env = "POSTQ_DATABASE_URL", hide_env_values = true, value_name = "URL")]
    database_url: String,
    /// Make the roles postq_submitter, postq_consumer, postq_reader and postq_admin as well, which
    /// have rights on functions and views only.
    #[arg(long)]
    roles: bool,
}

impl Migrate {
    /// Applies what is missing.
    pub async fn run(self) -> Result<Exit, Failure> {
        let done = apply(&self.database_url).await?;
        if self.roles {
            bounded(store::create_roles(&address(&self.database_url)?)).await?;
        }
        output::print(&text(done, self.roles))?;
        Ok(Exit::Success)
    }
}

/// Brings the database at `url` up to date, or tells whether the address or the database is at
/// fault.
pub async fn apply(url: &str) -> Result<Migrated, Failure> {
    bounded(store::migrate(&address(url)?)).await
}

fn address(url: &str) -> Result<PgConnectOptions, Failure> {
    url.parse().map_err(|error| {
        let line = format!(
            "--database-url is no address of a database: {error}; write \
             postgres://USER@HOST:PORT/NAME"
        );
        Failure::new(Exit::Invalid, line)
    })
}

async fn bounded<T>(work: impl Future<Output = Result<T, MigrationError>>) -> Result<T, Failure> {
    let done = tokio::time::timeout(LIMIT, work).await;
    done.map_err(|_| unreachable(&format!("no end within {} s", LIMIT.as_secs())))?.map_err(
        |error| match &error {
            MigrationError::Database(sqlx::Error::Database(_)) | MigrationError::Migration(_) => {
                Failure::new(Exit::Conflict, format!("{}; nothing was changed", chain(&error)))
            }
            MigrationError::Database(_) => unreachable(&chain(&error)),
        },
    )
}

fn text(done: Migrated, has_roles: bool) -> String {
    let functions = if done.functions_replaced { "replaced" } else { "up to date" };
    let roles = if has_roles { ", roles made" } else { "" };
    format!("{} migrations applied, functions {functions}{roles}", done.migrations)
}

fn unreachable(why: &str) -> Failure {
    let line = format!("{why}; is the database running, and is --database-url right?");
    Failure::new(Exit::Unreachable, line)
}
