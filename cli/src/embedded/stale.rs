//! What an earlier Postgres left in a data directory: a pid file of a server that is about to end,
//! or of one that is long gone.
//!
//! Invariant: no pid file of a process that is a Postgres is ever removed.

use std::{fs, io::ErrorKind, path::Path, process::Command, time::Duration};

use tokio::time::{Instant, sleep};

use super::EmbeddedError;

/// A server whose `postq up` was killed is being stopped by its supervisor.
const END_LIMIT: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Waits for the server of an earlier run to end, and removes a pid file that names a process
/// which is no Postgres: after a restart of the machine its number may be anybody's.
pub(super) async fn wait_for_end_of_another(data: &Path) -> Result<(), EmbeddedError> {
    let file = data.join("postmaster.pid");
    let deadline = Instant::now() + END_LIMIT;
    while let Some(pid) = first_number(&file) {
        if !is_postgres(pid) {
            return match fs::remove_file(&file) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    Err(EmbeddedError::io("remove", file)(error))
                }
                _ => Ok(()),
            };
        }
        if Instant::now() > deadline {
            return Err(EmbeddedError::InUse { path: data.to_owned() });
        }
        sleep(LOOK_EVERY).await;
    }
    Ok(())
}

fn first_number(file: &Path) -> Option<u32> {
    fs::read_to_string(file).ok()?.lines().next()?.trim().parse().ok()
}

fn is_postgres(pid: u32) -> bool {
    if Path::new("/proc/self/comm").exists() {
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        return name.starts_with("postgres");
    }
    let answer = Command::new("ps").args(["-o", "comm=", "-p", &pid.to_string()]).output();
    answer.is_ok_and(|answer| String::from_utf8_lossy(&answer.stdout).contains("postgres"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn pid_file_that_names_another_program_is_removed() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("postmaster.pid");
        fs::write(&file, format!("{}\n/data\n", std::process::id())).unwrap();
        wait_for_end_of_another(directory.path()).await.unwrap();
        assert!(!file.exists());
    }
}
