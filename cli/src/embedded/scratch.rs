//! Temporary directories whose process was killed before it could remove them.
//!
//! Invariant: only a directory of our own user is removed, and only when no process holds its lock.

use std::{
    fs::{self, File},
    os::unix::fs::MetadataExt,
    path::Path,
    time::{Duration, SystemTime},
};

use nix::unistd::geteuid;

use super::EmbeddedError;

/// How their names begin.
pub(super) const PREFIX: &str = "postq-";
const LOCK: &str = "lock";
/// Its processes may still be ending when the one that held the lock is gone.
const OLD: Duration = Duration::from_secs(60);

/// Holds the directory as long as the file is open.
pub(super) fn lock(directory: &Path) -> Result<File, EmbeddedError> {
    let path = directory.join(LOCK);
    let file = File::create(&path).map_err(EmbeddedError::io("create", &path))?;
    file.lock().map_err(EmbeddedError::io("lock", path))?;
    Ok(file)
}

/// Removes what was left behind in `above`. What cannot be removed stays.
pub(super) fn remove_abandoned(above: &Path) {
    for entry in fs::read_dir(above).into_iter().flatten().flatten() {
        let is_ours = entry.file_name().to_string_lossy().starts_with(PREFIX);
        if is_ours && is_abandoned(&entry.path()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn is_abandoned(directory: &Path) -> bool {
    let Ok(metadata) = fs::symlink_metadata(directory) else { return false };
    let Ok(lock) = File::open(directory.join(LOCK)) else { return false };
    let changed = lock.metadata().and_then(|metadata| metadata.modified());
    let age = changed.map(|at| SystemTime::now().duration_since(at).unwrap_or_default());
    metadata.is_dir()
        && metadata.uid() == geteuid().as_raw()
        && age.is_ok_and(|age| age >= OLD)
        && lock.try_lock().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn age(directory: &Path) {
        let lock = File::options().write(true).open(directory.join(LOCK)).unwrap();
        lock.set_modified(SystemTime::now() - 2 * OLD).unwrap();
    }

    #[test]
    fn only_old_directories_without_a_process_are_removed() {
        let above = tempfile::tempdir().unwrap();
        let make = |name: &str| {
            let path = above.path().join(name);
            fs::create_dir(&path).unwrap();
            path
        };
        let held = make("postq-held");
        let _lock = lock(&held).unwrap();
        age(&held);
        let fresh = make("postq-fresh");
        drop(lock(&fresh).unwrap());
        let abandoned = make("postq-abandoned");
        drop(lock(&abandoned).unwrap());
        age(&abandoned);
        let logs = make("postq-logs");
        let other = make("other");
        drop(lock(&other).unwrap());
        age(&other);
        remove_abandoned(above.path());
        assert!(!abandoned.exists());
        assert!([held, fresh, logs, other].iter().all(|path| path.exists()));
    }
}
