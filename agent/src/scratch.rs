//! The files of an attempt that end with it: its workspace, its home, its temporary directory, what
//! it is told and what it gives.
//!
//! It knows nothing of what is in them. Invariant: whatever permissions a task left, its files go.

mod removal;

use std::{
    fs::{self, Permissions},
    io,
    os::unix::fs::{PermissionsExt, chown, lchown},
    path::{Path, PathBuf},
    time::Duration,
};

use nix::unistd::geteuid;

/// The files of one attempt take no longer to remove; what is left then is tried again later.
const PATIENCE: Duration = Duration::from_secs(120);

/// The directories of one attempt.
#[derive(Clone, Debug)]
pub(crate) struct Scratch {
    dir: PathBuf,
}

impl Scratch {
    /// Those that lie, or lay, in `dir`.
    pub(crate) fn at(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// Makes them anew. Blocks on the disk.
    pub(crate) fn create(dir: PathBuf) -> io::Result<Self> {
        remove_tree(&dir)?;
        let scratch = Self::at(dir);
        let all = [
            scratch.workspace(),
            scratch.home(),
            scratch.tmp(),
            scratch.papers(),
            scratch.output(),
        ];
        for part in all {
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

    /// What the task is told in files.
    pub(crate) fn papers(&self) -> PathBuf {
        self.dir.join("papers")
    }

    /// Where the task may leave its output.
    pub(crate) fn output(&self) -> PathBuf {
        self.dir.join("output")
    }

    /// Who guards the task, for a later life of the agent.
    pub(crate) fn guard(&self) -> PathBuf {
        self.dir.join("guard")
    }

    /// Which GPUs the task has, for a later life of the agent.
    pub(crate) fn gpus(&self) -> PathBuf {
        self.dir.join("gpus")
    }

    /// Makes another user the owner of what a task may use, and lets it pass to there. Before the
    /// task starts: nothing in here was made by one yet.
    pub(crate) fn give_to(&self, uid: u32, gid: u32) -> io::Result<()> {
        // Of the attempt's own directories and the one of all attempts: through, and no more.
        for way in self.dir.ancestors().take(3) {
            chown(way, None, Some(gid))?;
            fs::set_permissions(way, Permissions::from_mode(0o710))?;
        }
        let parts = [self.workspace(), self.home(), self.tmp(), self.output()];
        for part in &parts {
            fs::set_permissions(part, Permissions::from_mode(0o700))?;
        }
        let script = Some(self.script()).filter(|script| script.exists());
        give(parts.into_iter().chain(script).collect(), uid, Some(gid))
    }

    /// Lets another user of a container write where the task may. What a name means, only the
    /// image knows, so then everybody may; nobody but the container can reach it here.
    pub(crate) fn open_to(&self, user: &str) -> io::Result<()> {
        let parts = vec![self.workspace(), self.output()];
        let (name, group) = user.split_once(':').unwrap_or((user, ""));
        match name.parse() {
            _ if user.is_empty() => Ok(()),
            Ok(uid) if geteuid().is_root() => give(parts, uid, group.parse().ok()),
            _ => parts
                .iter()
                .try_for_each(|part| fs::set_permissions(part, Permissions::from_mode(0o777))),
        }
    }

    /// For a command line that is too long to be an argument.
    pub(crate) fn script(&self) -> PathBuf {
        self.dir.join("script")
    }
}

/// Makes another user the owner of all that there is.
fn give(mut all: Vec<PathBuf>, uid: u32, gid: Option<u32>) -> io::Result<()> {
    let mut listed = 0;
    while listed < all.len() {
        if fs::symlink_metadata(&all[listed])?.is_dir() {
            for entry in fs::read_dir(&all[listed])? {
                all.push(entry?.path());
            }
        }
        listed += 1;
    }
    // What is below first: another task of that user must not change a path on our way.
    all.iter().rev().try_for_each(|path| lchown(path, Some(uid), gid))
}

/// Removes what lies at `path` with all it holds, also where its owner took the right to; that
/// nothing is there is fine. Blocks on the disk, for little more than [`PATIENCE`].
pub(crate) fn remove_tree(path: &Path) -> io::Result<()> {
    removal::remove(path, PATIENCE)
}

/// As [`remove_tree`], for whoever has less time.
pub(crate) fn remove_tree_within(path: &Path, patience: Duration) -> io::Result<()> {
    removal::remove(path, patience)
}

/// Removes all that a directory holds. Blocks on the disk.
pub(crate) fn empty(dir: &Path) -> io::Result<()> {
    remove_tree(dir)?;
    fs::create_dir(dir)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    /// Needs root, as the option that it is for.
    #[test]
    fn what_is_given_away_belongs_to_the_user_and_nothing_behind_a_link_does() {
        if !nix::unistd::geteuid().is_root() {
            return;
        }
        let owner = |path: &Path| fs::symlink_metadata(path).unwrap().uid();
        let base = tempfile::tempdir().unwrap();
        let outside = base.path().join("outside");
        fs::write(&outside, "").unwrap();
        let scratch = Scratch::create(base.path().join("attempts/7/scratch")).unwrap();
        fs::create_dir(scratch.workspace().join("a")).unwrap();
        fs::write(scratch.workspace().join("a/file"), "").unwrap();
        std::os::unix::fs::symlink(&outside, scratch.workspace().join("link")).unwrap();
        scratch.give_to(12345, 54321).unwrap();
        for name in ["", "a", "a/file", "link"] {
            assert_eq!(owner(&scratch.workspace().join(name)), 12345, "{name}");
        }
        assert_eq!((owner(&outside), owner(&scratch.dir)), (0, 0));
        let way = fs::metadata(base.path().join("attempts")).unwrap();
        assert_eq!((way.gid(), way.permissions().mode() & 0o777), (54321, 0o710));
    }

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
