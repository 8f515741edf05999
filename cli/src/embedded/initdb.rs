//! Makes a data directory of Postgres.
//!
//! Invariant: a data directory is either whole or not there.

use std::{fs, path::Path};

use tokio::process::Command;

use super::{
    EmbeddedError, account::Account, directory::create_private, server_binaries::ServerBinaries,
};

/// Makes the data aside and renames it, so that a killed attempt leaves no half of it.
pub(super) async fn initialize(
    server: &ServerBinaries,
    data: &Path,
    account: Option<&Account>,
    is_durable: bool,
) -> Result<(), EmbeddedError> {
    let unfinished = data.with_extension("new");
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished).map_err(EmbeddedError::io("remove", &unfinished))?;
    }
    create_private(&unfinished, account)?;
    let mut command = Command::new(server.initdb());
    // Who may connect is decided by who may enter the socket's directory.
    command.args(["--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-locale"]);
    if !is_durable {
        command.arg("--no-sync");
    }
    command.arg("-D").arg(&unfinished).current_dir(&unfinished).kill_on_drop(true);
    if let Some(account) = account {
        command.uid(account.uid().as_raw()).gid(account.gid().as_raw());
    }
    let output = command.output().await.map_err(EmbeddedError::io("run", server.initdb()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let message = said.lines().find(|line| line.contains("error:")).or(said.lines().last());
        return Err(EmbeddedError::Failed {
            name: "initdb",
            message: message.unwrap_or("it said nothing").to_owned(),
        });
    }
    fs::rename(&unfinished, data).map_err(EmbeddedError::io("create", data))
}
