//! `postq migrate`.

use clap::Args;
use postq_coordinator::store::{self, Migrated, MigrationError};
use sqlx::postgres::PgConnectOptions;

use crate::{
    failure::{Exit, Failure},
    output,
};

/// Bring a database to this release's schema; twice is as good as once.
#[derive(Args, Debug)]
pub struct Migrate {
    /// The database.
    #[arg(long, env = "POSTQ_DATABASE_URL", hide_env_values = true, value_name = "URL")]
    database_url: String,
}

impl Migrate {
    /// Applies what is missing.
    pub async fn run(self) -> Result<Exit, Failure> {
        let options: PgConnectOptions = self.database_url.parse().map_err(|error| {
            let line = format!(
                "--database-url is no address of a database: {error}; write \
                 postgres://USER@HOST:PORT/NAME"
            );
            Failure::new(Exit::Invalid, line)
        })?;
        let done = store::migrate(&options).await.map_err(|error| refused(&error))?;
        output::print(&text(done))?;
        Ok(Exit::Success)
    }
}

fn text(done: Migrated) -> String {
    let functions = if done.functions_replaced { "replaced" } else { "up to date" };
    format!("{} migrations applied, functions {functions}", done.migrations)
}

fn refused(error: &MigrationError) -> Failure {
    use std::error::Error;
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        line = format!("{line}: {cause}");
        source = cause.source();
    }
    match error {
        MigrationError::Database(sqlx::Error::Database(_)) | MigrationError::Migration(_) => {
            Failure::new(Exit::Conflict, format!("{line}; nothing was changed"))
        }
        MigrationError::Database(_) => Failure::new(
            Exit::Unreachable,
            format!("{line}; is it running, and is --database-url right?"),
        ),
    }
}
