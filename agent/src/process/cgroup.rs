//! A cgroup (version 2) around one task, where this host lets us make one.
//!
//! It is named after the guard's process id beneath the cgroup the agent runs in, so that whoever
//! finds it knows whether its guard is alive. Invariant: failing to make one is not an error; the
//! guard then goes by kinship.

use std::{
    fs, io,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use nix::unistd::Pid;

const PREFIX: &str = "postq-task-";
const REMOVE_TRIES: u32 = 50;

/// A cgroup that holds the processes of one task and nothing else.
#[derive(Debug)]
pub(super) struct Cgroup {
    path: PathBuf,
}

impl Cgroup {
    /// Makes the cgroup of the guard `guard`.
    pub(super) fn create(guard: Pid) -> Option<Self> {
        let path = own()?.join(format!("{PREFIX}{guard}"));
        fs::create_dir(&path).ok()?;
        let cgroup = Self { path };
        if cgroup.path.join("cgroup.kill").exists() {
            return Some(cgroup);
        }
        cgroup.remove();
        None
    }

    /// Runs `start` inside the cgroup and comes back, so that what it starts is inside from its
    /// first instruction and the guard itself is not.
    pub(super) fn around<T>(&self, start: impl FnOnce() -> T) -> T {
        let home = own();
        let entered = home.is_some() && enter(&self.path).is_ok();
        let started = start();
        if entered && let Some(home) = home {
            // Staying inside costs no more than being killed with the task.
            let _ = enter(&home);
        }
        started
    }

    /// SIGKILL to every process inside, at one instant.
    pub(super) fn kill(&self) {
        let _ = fs::write(self.path.join("cgroup.kill"), "1");
    }

    /// Removes the empty cgroup; the kernel may need a moment after the last process.
    pub(super) fn remove(&self) {
        for _ in 0..REMOVE_TRIES {
            match fs::remove_dir(&self.path) {
                Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {
                    thread::sleep(Duration::from_millis(2));
                }
                _ => return,
            }
        }
    }
}

/// Kills and removes the cgroups beneath our own whose guard is dead.
pub(super) fn reap_orphans() {
    let Some(entries) = own().and_then(|own| fs::read_dir(own).ok()) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.strip_prefix(PREFIX)) else { continue };
        if !Path::new("/proc").join(pid).exists() {
            let cgroup = Cgroup { path: entry.path() };
            cgroup.kill();
            cgroup.remove();
        }
    }
}

fn enter(cgroup: &Path) -> io::Result<()> {
    fs::write(cgroup.join("cgroup.procs"), "0")
}

/// The directory of the cgroup this process is in.
fn own() -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    let memberships = fs::read_to_string("/proc/self/cgroup").ok()?;
    locate(&mounts, &memberships).filter(|path| path.is_dir())
}

fn locate(mounts: &str, memberships: &str) -> Option<PathBuf> {
    let path = memberships.lines().find_map(|line| line.strip_prefix("0::"))?;
    let mount = mounts.lines().find_map(|line| {
        let (fields, kind) = line.split_once(" - ")?;
        let mut fields = fields.split(' ').skip(3);
        let (root, mount_point) = (fields.next()?, fields.next()?);
        kind.starts_with("cgroup2 ").then_some((root, mount_point))
    })?;
    // In a container the mount may show only a part of the tree.
    let below = Path::new(path).strip_prefix(mount.0).ok()?;
    Some(Path::new(mount.1).join(below))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_cgroup_is_found_beneath_its_mount() {
        let mounts = "31 24 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
                      32 24 0:28 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n";
        let memberships = "4:memory:/x\n0::/system.slice/postq.service\n";
        assert_eq!(
            locate(mounts, memberships).unwrap(),
            Path::new("/sys/fs/cgroup/unified/system.slice/postq.service")
        );
    }

    #[test]
    fn without_version_2_there_is_none() {
        assert_eq!(locate("31 24 0:27 / /c rw - cgroup cgroup rw,memory\n", "4:memory:/x\n"), None);
    }
}
