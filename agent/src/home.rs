//! The work directory: that it can be used, that nobody else uses it, and who this agent is.
//!
//! ```text
//! lock        held while an agent runs here
//! agent-id    minted once
//! attempts/   one directory per attempt that is not recorded (`ledger`)
//! logs/       output that is not pushed (`logs`)
//! cache/      directories of finished tasks (`workspace`)
//! images      which images were pulled (`executor::docker`)
//! ```

use std::{
    fs::{self, DirBuilder, File, Permissions, TryLockError},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use uuid::Uuid;

/// Why a work directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// The file system refuses.
    #[error("the work directory {path} cannot be used; name one you may write with --work-dir")]
    Unusable {
        /// The directory.
        path: PathBuf,
        /// What the file system says.
        source: io::Error,
    },
    /// Another agent holds the lock.
    #[error("another agent runs in the work directory {path}; give each its own with --work-dir")]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// The file that names the agent was damaged.
    #[error("{path} does not hold the id of an agent; remove it to get a new one")]
    BadAgentId {
        /// The file.
        path: PathBuf,
    },
}

/// A work directory that this process alone uses, until it is dropped.
#[derive(Debug)]
pub struct Home {
    dir: PathBuf,
    agent_id: Uuid,
    _lock: File,
}

impl Home {
    /// Creates the directory where it is missing, locks it, and finds or mints the agent's id.
    pub fn open(dir: &Path) -> Result<Self, HomeError> {
        let unusable = |source| HomeError::Unusable { path: dir.to_owned(), source };
        fs::create_dir_all(dir).map_err(unusable)?;
        let dir = &fs::canonicalize(dir).map_err(unusable)?;
        let lock = File::options()
            .write(true)
            .create(true)
            .truncate(false)
            .open(dir.join("lock"))
            .map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(HomeError::InUse { path: dir.to_owned() });
            }
            Err(TryLockError::Error(source)) => return Err(unusable(source)),
        }
        // Commands, variables and output of tasks are for nobody else on this host.
        for private in ["attempts", "logs"].map(|name| dir.join(name)) {
            DirBuilder::new().recursive(true).mode(0o700).create(&private).map_err(unusable)?;
            fs::set_permissions(&private, Permissions::from_mode(0o700)).map_err(unusable)?;
        }
        let agent_id = match fs::read_to_string(dir.join("agent-id")) {
            Ok(text) => text
                .trim()
                .parse()
                .map_err(|_| HomeError::BadAgentId { path: dir.join("agent-id") })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => mint(dir).map_err(unusable)?,
            Err(source) => return Err(unusable(source)),
        };
        Ok(Self { dir: dir.to_owned(), agent_id, _lock: lock })
    }

    /// Stays the same for this directory.
    pub fn agent_id(&self) -> Uuid {
        self.agent_id
    }

    /// Of the ledger.
    pub fn attempts_dir(&self) -> PathBuf {
        self.dir.join("attempts")
    }

    /// Of the log spools.
    pub fn logs_dir(&self) -> PathBuf {
        self.dir.join("logs")
    }

    /// The directory itself, for whoever keeps something else in it.
    pub fn dir(&self) -> &Path {
        &self.dir
    }
}

fn mint(dir: &Path) -> io::Result<Uuid> {
    let id = Uuid::new_v4();
    let path = dir.join("agent-id");
    write_whole(&path, format!("{id}\n").as_bytes())?;
    sync(&path)?;
    Ok(id)
}

/// Writes a file that is there whole or not at all, also if the process dies meanwhile. Blocks on
/// the disk.
pub(crate) fn write_whole(path: &Path, content: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("tmp");
    // Made anew: what a task may have put in its place is neither followed nor waited for.
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(&temporary)?;
    file.write_all(content)?;
    fs::rename(&temporary, path)
}

/// Makes a file outlast a loss of power, with its name in its directory. Blocks on the disk.
pub(crate) fn sync(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()?;
    let dir = path.parent().expect("invariant: every file here lies in a directory");
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_stays_and_the_directory_is_locked() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::open(dir.path()).unwrap();
        let id = home.agent_id();
        let error = Home::open(dir.path()).unwrap_err();
        assert!(matches!(error, HomeError::InUse { .. }), "{error}");
        drop(home);
        assert_eq!(Home::open(dir.path()).unwrap().agent_id(), id);
    }

    #[test]
    fn what_tasks_are_told_and_write_is_for_nobody_else_on_the_host() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::open(dir.path()).unwrap();
        for private in [home.attempts_dir(), home.logs_dir()] {
            assert_eq!(fs::metadata(private).unwrap().permissions().mode() & 0o777, 0o700);
        }
    }

    #[test]
    fn a_pipe_in_the_place_of_a_temporary_file_is_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("report");
        nix::unistd::mkfifo(&dir.path().join("report.tmp"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        write_whole(&path, b"whole").unwrap();
        assert_eq!(fs::read(path).unwrap(), b"whole");
    }

    #[test]
    fn a_path_that_is_no_directory_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = Home::open(file.path()).unwrap_err().to_string();
        assert!(error.contains(file.path().to_str().unwrap()), "{error}");
    }
}
