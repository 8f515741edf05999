//! Where data lives: a state directory that stays, or a temporary one.
//!
//! Invariant: while a [`StateDirectory`] exists, no other process has one at the same place; a
//! [`ScratchDirectory`] is removed when it is dropped, but for logs that were to be kept.

use std::{
    env,
    fs::{self, File, TryLockError},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use nix::unistd::geteuid;
use tempfile::TempDir;

use super::{EmbeddedError, account::Account, scratch};

/// Enough to pass through for Postgres' user, and for nobody to read.
const PASSABLE: u32 = 0o711;
const PRIVATE: u32 = 0o700;

/// The directory of `postq up`, locked.
#[derive(Debug)]
pub struct StateDirectory {
    path: PathBuf,
    _lock: File,
}

impl StateDirectory {
    /// Opens `POSTQ_STATE_DIR`, or the place that is usual for state.
    pub fn open_default() -> Result<Self, EmbeddedError> {
        Self::open(&default_path()?)
    }

    /// Opens, and creates where it is missing, the directory at `path`.
    pub fn open(path: &Path) -> Result<Self, EmbeddedError> {
        create_passable(path)?;
        let path = fs::canonicalize(path).map_err(EmbeddedError::io("look at", path))?;
        let file = path.join("lock");
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&file)
            .map_err(EmbeddedError::io("write", &file))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path, _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(EmbeddedError::InUse { path }),
            Err(TryLockError::Error(error)) => Err(EmbeddedError::io("lock", file)(error)),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// The directory of one `postq run`, locked as long as its process lives.
#[derive(Debug)]
pub struct ScratchDirectory {
    directory: TempDir,
    _lock: File,
}

impl ScratchDirectory {
    /// Makes an empty one in the system's directory for temporary files.
    pub fn create() -> Result<Self, EmbeddedError> {
        Self::create_in(&env::temp_dir())
    }

    /// Makes an empty one in `above`, and removes those there whose processes were killed.
    pub fn create_in(above: &Path) -> Result<Self, EmbeddedError> {
        scratch::remove_abandoned(above);
        let directory = tempfile::Builder::new()
            .prefix(scratch::PREFIX)
            .permissions(fs::Permissions::from_mode(PASSABLE))
            .tempdir_in(above)
            .map_err(EmbeddedError::io("create a directory in", above))?;
        // The umask may have taken bits away.
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(PASSABLE))
            .map_err(EmbeddedError::io("open", directory.path()))?;
        let lock = scratch::lock(directory.path())?;
        Ok(Self { directory, _lock: lock })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Removes everything but the folder `logs`, which stays for whoever reads the error.
    pub fn keep_logs(self) {
        let path = self.directory.keep();
        for entry in fs::read_dir(&path).into_iter().flatten().flatten() {
            if entry.file_name() != "logs" {
                // What cannot be removed is left in the system's temporary directory.
                let _ = fs::remove_dir_all(entry.path()).or_else(|_| fs::remove_file(entry.path()));
            }
        }
    }
}

/// Creates a directory, and those above it, that Postgres' user may pass through.
pub fn create_passable(path: &Path) -> Result<(), EmbeddedError> {
    if !path.is_dir() {
        fs::create_dir_all(path).map_err(EmbeddedError::io("create", path))?;
        fs::set_permissions(path, fs::Permissions::from_mode(PASSABLE))
            .map_err(EmbeddedError::io("open", path))?;
    }
    Ok(())
}

/// Creates a directory that only `account` (or, without one, we) may enter.
pub fn create_private(path: &Path, account: Option<&Account>) -> Result<(), EmbeddedError> {
    fs::create_dir_all(path).map_err(EmbeddedError::io("create", path))?;
    fs::set_permissions(path, fs::Permissions::from_mode(PRIVATE))
        .map_err(EmbeddedError::io("close", path))?;
    account.map_or(Ok(()), |account| account.own(path))
}

/// Where `postq up` keeps its data when nobody says otherwise.
pub fn default_path() -> Result<PathBuf, EmbeddedError> {
    let variable = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    choose(
        variable("POSTQ_STATE_DIR"),
        variable("XDG_STATE_HOME"),
        variable("HOME"),
        geteuid().is_root(),
    )
    .ok_or(EmbeddedError::NoStateDirectory)
}

/// Where the files of jobs in a database that was given are kept: always at the same place for the
/// same database, since the two belong together.
pub fn store_of(database_url: &str) -> Result<PathBuf, EmbeddedError> {
    Ok(default_path()?.join("stores").join(store_name(database_url)))
}

/// The address without user, password and parameters, as a file name.
fn store_name(database_url: &str) -> String {
    let place = database_url.rsplit_once('@').map_or(database_url, |(_, place)| place);
    let place = place.rsplit_once("://").map_or(place, |(_, place)| place);
    let place = place.split_once('?').map_or(place, |(place, _)| place);
    place.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '-' }).collect()
}

/// Root's home is closed to the user that Postgres then runs under, so root has a place of its own.
fn choose(
    own: Option<PathBuf>,
    state_home: Option<PathBuf>,
    home: Option<PathBuf>,
    is_root: bool,
) -> Option<PathBuf> {
    let in_state_home = state_home.filter(|path| path.is_absolute()).map(|home| home.join("postq"));
    let in_home = || home.map(|home| home.join(".local/state/postq"));
    let fallback = || if is_root { Some(PathBuf::from("/var/lib/postq")) } else { in_home() };
    own.or(in_state_home).or_else(fallback)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn state_directory_is_the_one_named_or_the_usual_one() {
        let path = |text: &str| Some(PathBuf::from(text));
        assert_eq!(choose(path("/own"), path("/xdg"), path("/h"), true), path("/own"));
        assert_eq!(choose(None, path("/xdg"), path("/h"), true), path("/xdg/postq"));
        assert_eq!(
            choose(None, path("relative"), path("/h"), false),
            path("/h/.local/state/postq")
        );
        assert_eq!(choose(None, None, path("/root"), true), path("/var/lib/postq"));
        assert_eq!(choose(None, None, None, false), None);
    }

    #[test]
    fn a_database_has_one_store_whoever_asks() {
        let name = store_name("postgres://me:secret@db:5432/jobs?sslmode=require");
        assert_eq!(name, "db-5432-jobs");
        assert_eq!(store_name("postgres://db:5432/jobs"), name);
    }

    #[test]
    fn a_state_directory_is_open_once_at_a_time() {
        let scratch = ScratchDirectory::create().unwrap();
        let path = scratch.path().join("state");
        let first = StateDirectory::open(&path).unwrap();
        assert!(matches!(StateDirectory::open(&path), Err(EmbeddedError::InUse { .. })));
        drop(first);
        StateDirectory::open(&path).unwrap();
    }

    #[test]
    fn only_logs_are_kept_of_a_failed_run() {
        let scratch = ScratchDirectory::create().unwrap();
        let path = scratch.path().to_owned();
        fs::create_dir_all(path.join("logs")).unwrap();
        fs::create_dir_all(path.join("data/base")).unwrap();
        scratch.keep_logs();
        // Without a lock nobody takes it for abandoned.
        let left: Vec<_> = fs::read_dir(&path).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(left, ["logs"]);
        fs::remove_dir_all(path).unwrap();
    }
}
