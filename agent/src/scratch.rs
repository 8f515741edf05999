//! The files of an attempt that end with it: its workspace, its home and its temporary directory.
//!
//! It knows nothing of what is in them. Invariant: whatever permissions a task left, its files go.

use std::{
    fs::{self, Permissions},
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

/// A process that is being killed may still be making files.
const REMOVE_TRIES: u32 = 20;
const REMOVE_PAUSE: Duration = Duration::from_millis(25);

/// The directories of one attempt.
#[derive(Clone, Debug)]
pub(crate) struct Scratch {
    dir: PathBuf,
}

impl Scratch {
    /// Makes them anew. Blocks on the disk.
    pub(crate) fn create(dir: PathBuf) -> io::Result<Self> {
        remove_tree(&dir)?;
        let scratch = Self { dir };
        for part in [scratch.workspace(), scratch.home(), scratch.tmp()] {
            fs::create_dir_all(part)?;
        }
        Ok(scratch)
    }

    /// Where the task runs.
    pub(crate) fn workspace(&self) -> PathBuf {
        self.dir.join("workspace")
    }

    /// HOME of the task: empty, so that no two tasks and no two hosts differ by it.
    pub(crate) fn home(&self) -> PathBuf {
        self.dir.join("home")
    }

    /// TMPDIR of the task.
    pub(crate) fn tmp(&self) -> PathBuf {
        self.dir.join("tmp")
    }

    /// For a command line that is too long to be an argument.
    pub(crate) fn script(&self) -> PathBuf {
        self.dir.join("script")
    }
}

/// Removes a directory with all it holds, also where its owner took the right to; one that is not
/// there is fine. Blocks on the disk.
pub(crate) fn remove_tree(dir: &Path) -> io::Result<()> {
    let mut last = Ok(());
    for _ in 0..REMOVE_TRIES {
        match fs::remove_dir_all(dir) {
            Ok(()) => return Ok(()),
            Err(error) => match error.kind() {
                io::ErrorKind::NotFound => return Ok(()),
                io::ErrorKind::PermissionDenied => {
                    open_up(dir);
                    last = Err(error);
                }
                io::ErrorKind::DirectoryNotEmpty => {
                    thread::sleep(REMOVE_PAUSE);
                    last = Err(error);
                }
                _ => return Err(error),
            },
        }
    }
    last
}

/// Removes all that a directory holds. Blocks on the disk.
pub(crate) fn empty(dir: &Path) -> io::Result<()> {
    remove_tree(dir)?;
    fs::create_dir(dir)
}

/// Gives ourselves all rights on the directories of a tree; follows no symlink.
fn open_up(dir: &Path) {
    let _ = fs::set_permissions(dir, Permissions::from_mode(0o700));
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            open_up(&entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locked_directories_go_and_symlinks_are_not_followed() {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("kept"), "").unwrap();
        let base = tempfile::tempdir().unwrap();
        let scratch = Scratch::create(base.path().join("scratch")).unwrap();
        let locked = scratch.workspace().join("a/b");
        fs::create_dir_all(&locked).unwrap();
        fs::write(locked.join("file"), "").unwrap();
        std::os::unix::fs::symlink(outside.path(), locked.join("link")).unwrap();
        fs::set_permissions(&locked, Permissions::from_mode(0o000)).unwrap();
        remove_tree(&scratch.dir).unwrap();
        remove_tree(&scratch.dir).unwrap();
        assert!(outside.path().join("kept").exists());
        assert!(!base.path().join("scratch").exists());
    }
}
