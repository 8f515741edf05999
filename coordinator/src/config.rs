//! What a coordinator is told at its start. Parsed once; secrets are never shown.

use std::{net::SocketAddr, path::PathBuf, str::FromStr};

use clap::Parser;
use sqlx::postgres::PgConnectOptions;

/// PostQ's coordinator: owns the queue in Postgres and streams assignments to agents.
#[derive(Clone, Debug, Parser)]
#[command(name = "postq-coordinator", version)]
pub struct Args {
    /// The database, e.g. postgres://user@host/name.
    #[arg(long, env = "POSTQ_DATABASE_URL", hide_env_values = true)]
    pub database_url: String,
    /// For the connection that waits for notifications, where --database-url leads to a pooler in
    /// transaction mode.
    #[arg(long, env = "POSTQ_LISTEN_URL", hide_env_values = true)]
    pub listen_url: Option<String>,
    /// Where agents and clients connect.
    #[arg(long, env = "POSTQ_LISTEN", default_value = "127.0.0.1:7432")]
    pub listen: SocketAddr,
    /// The blob store for jobs' files: a directory, or s3://BUCKET/PREFIX with the usual AWS_* variables.
    #[arg(long, env = "POSTQ_STORE", default_value = "postq-store")]
    pub store: String,
    /// Bearer tokens, one per line: TOKEN, client TOKEN or agent TOKEN.
    #[arg(long, env = "POSTQ_TOKEN_FILE")]
    pub token_file: Option<PathBuf>,
    /// Listen on an address that is not loopback without any token.
    #[arg(long, env = "POSTQ_INSECURE")]
    pub insecure: bool,
    /// Connections to the database.
    #[arg(long, env = "POSTQ_MAX_CONNECTIONS", default_value_t = 16)]
    pub max_connections: u32,
    /// Days that jobs which have ended are kept; 0: for ever. Those with a dead letter stay.
    #[arg(long, env = "POSTQ_RETAIN_DAYS", default_value_t = 30)]
    pub retain_days: u32,
    /// Seconds that streams may take to end when the coordinator stops.
    #[arg(long, env = "POSTQ_STOP_GRACE", default_value_t = 10)]
    pub stop_grace: u64,
}

/// Why the arguments cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Not a Postgres URL. The text may hold a password, so it is not repeated.
    #[error("--{flag} is not a Postgres URL; write postgres://USER@HOST/DATABASE")]
    BadUrl {
        /// Which.
        flag: &'static str,
        /// What the driver says.
        source: sqlx::Error,
    },
    /// An open door.
    #[error(
        "--listen {0} is reachable from other hosts: give --token-file FILE, or --insecure to let everybody in"
    )]
    OpenDoor(SocketAddr),
}

impl Args {
    /// The way to the database, and the way for the connection that listens.
    pub fn databases(&self) -> Result<(PgConnectOptions, PgConnectOptions), ConfigError> {
        let database = parse("database-url", &self.database_url)?;
        let listen = match &self.listen_url {
            Some(url) => parse("listen-url", url)?,
            None => database.clone(),
        };
        Ok((database, listen))
    }

    /// Refuses an address that other hosts reach without a token.
    pub fn check_door(&self) -> Result<(), ConfigError> {
        let is_open = self.token_file.is_none() && !self.insecure;
        match is_open && !self.listen.ip().is_loopback() {
            true => Err(ConfigError::OpenDoor(self.listen)),
            false => Ok(()),
        }
    }
}

fn parse(flag: &'static str, url: &str) -> Result<PgConnectOptions, ConfigError> {
    PgConnectOptions::from_str(url)
        .map(|options| options.application_name("postq-coordinator"))
        .map_err(|source| ConfigError::BadUrl { flag, source })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(rest: &[&str]) -> Args {
        let name = ["postq-coordinator", "--database-url", "postgres://a@b/c"];
        Args::parse_from(name.iter().chain(rest))
    }

    #[test]
    fn an_open_address_needs_a_token_or_a_word() {
        assert!(args(&[]).check_door().is_ok());
        assert!(args(&["--listen", "[::1]:1"]).check_door().is_ok());
        assert!(args(&["--listen", "0.0.0.0:7432"]).check_door().is_err());
        assert!(args(&["--listen", "0.0.0.0:7432", "--insecure"]).check_door().is_ok());
        assert!(args(&["--listen", "0.0.0.0:7432", "--token-file", "t"]).check_door().is_ok());
    }

    #[test]
    fn a_bad_url_is_refused_without_repeating_it() {
        let bad = Args { database_url: "secret".into(), ..args(&[]) };
        let error = bad.databases().unwrap_err();
        assert!(!crate::errors::chain(&error).contains("secret"));
    }
}
