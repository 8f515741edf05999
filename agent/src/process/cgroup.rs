//! A cgroup (version 2) around one task, where this host lets us make one.
//!
//! It is named after the guard's process id beneath the cgroup the agent was started in, so that
//! whoever finds it knows whether its guard is alive. A cgroup that bounds those beneath it may hold no
//! process itself: an agent that has one for itself moves into a leaf of it. Invariant: failing to make
//! one is not an error; the guard then goes by kinship.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use nix::unistd::Pid;

use super::wire::Bounds;

const PREFIX: &str = "postq-task-";
/// Where the agent itself is.
const LEAF: &str = "postq-agent";
/// What bounds tasks.
const CONTROLLERS: [&str; 3] = ["cpu", "memory", "pids"];
const REMOVE_TRIES: u32 = 50;

/// A cgroup that holds the processes of one task and nothing else.
#[derive(Debug)]
pub(super) struct Cgroup {
    path: PathBuf,
}

impl Cgroup {
    /// Makes the cgroup of the guard `guard`.
    pub(super) fn create(guard: Pid) -> Option<Self> {
        let path = base()?.join(format!("{PREFIX}{guard}"));
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

    /// Sets the bounds that this cgroup can hold: those whose controllers it was given. Returns
    /// whether memory is among them.
    pub(super) fn bound(&self, bounds: &Bounds) -> bool {
        if let Some(cpus) = bounds.thousandths_of_cpus {
            // Microseconds in every tenth of a second.
            let _ = self.set("cpu.max", &format!("{} 100000", (cpus * 100).max(1000)));
        }
        if let Some(processes) = bounds.processes {
            let _ = self.set("pids.max", &processes.to_string());
        }
        let Some(bytes) = bounds.memory_bytes else { return false };
        let is_bound = self.set("memory.max", &bytes.to_string()).is_ok();
        if is_bound {
            // Whoever lacks these is bound all the same.
            let _ = self.set("memory.swap.max", "0");
            let _ = self.set("memory.oom.group", "1");
        }
        is_bound
    }

    /// Whether the kernel killed somebody inside for want of memory.
    pub(super) fn was_out_of_memory(&self) -> bool {
        let events = fs::read_to_string(self.path.join("memory.events")).unwrap_or_default();
        let kills = events.lines().find_map(|line| line.strip_prefix("oom_kill "));
        kills.and_then(|kills| kills.trim().parse::<u64>().ok()).is_some_and(|kills| kills > 0)
    }

    /// Never makes a file: one that is not there is a controller that is not there.
    fn set(&self, file: &str, value: &str) -> io::Result<()> {
        let mut file = fs::OpenOptions::new().write(true).open(self.path.join(file))?;
        file.write_all(value.as_bytes())
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

/// Makes room for cgroups of tasks with bounds, where this process is alone in a cgroup that it may
/// change, such as that of a service; elsewhere nothing changes.
pub fn settle() {
    let Some(base) = base() else { return };
    let leaf = base.join(LEAF);
    let this = std::process::id().to_string();
    let members = fs::read_to_string(base.join("cgroup.procs")).unwrap_or_default();
    if members.lines().eq([this.as_str()]) {
        let _ = fs::create_dir(&leaf);
        let _ = enter(&leaf);
    }
    if own().as_ref() == Some(&leaf) {
        for controller in CONTROLLERS {
            // One by one: those that are not here cannot be handed down.
            let _ = fs::write(base.join("cgroup.subtree_control"), format!("+{controller}"));
        }
    }
}

/// Which bounds the cgroup of a task can hold here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// CPU time per time.
    pub cpus: bool,
    /// Memory of all processes together; without it each of them may have so much data.
    pub memory: bool,
    /// Processes and threads at a time.
    pub processes: bool,
}

/// Finds out by making such a cgroup. After [`settle`].
pub fn held() -> Held {
    let Some(cgroup) = Cgroup::create(Pid::this()) else { return Held::default() };
    let has = |file: &str| cgroup.path.join(file).exists();
    let held = Held { cpus: has("cpu.max"), memory: has("memory.max"), processes: has("pids.max") };
    cgroup.remove();
    held
}

/// The smallest bound of memory of the cgroups that this process is in.
pub fn memory_limit() -> Option<u64> {
    let own = own()?;
    let limits = own.ancestors().map(|path| fs::read_to_string(path.join("memory.max")));
    limits.filter_map(|limit| limit.ok()?.trim().parse().ok()).min()
}

/// Kills and removes the cgroups of tasks whose guard is dead.
pub(super) fn reap_orphans() {
    let Some(entries) = base().and_then(|base| fs::read_dir(base).ok()) else { return };
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

/// What holds the cgroups of tasks.
fn base() -> Option<PathBuf> {
    let own = own()?;
    match own.ends_with(LEAF) {
        true => own.parent().map(Path::to_owned),
        false => Some(own),
    }
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

    /// The kernel of a test may give no controller, so a directory stands in for the cgroup.
    #[test]
    fn bounds_are_written_where_their_controllers_are() {
        let dir = tempfile::tempdir().unwrap();
        let cgroup = Cgroup { path: dir.path().to_owned() };
        let bounds = Bounds {
            memory_bytes: Some(1 << 20),
            thousandths_of_cpus: Some(1500),
            processes: Some(64),
        };
        assert!(!cgroup.bound(&bounds), "there is no controller");
        assert!(fs::read_dir(dir.path()).unwrap().next().is_none());
        for file in ["memory.max", "memory.swap.max", "cpu.max", "pids.max", "memory.events"] {
            fs::write(dir.path().join(file), "").unwrap();
        }
        assert!(cgroup.bound(&bounds) && !cgroup.was_out_of_memory());
        let read = |file: &str| fs::read_to_string(dir.path().join(file)).unwrap();
        assert_eq!(
            ["memory.max", "cpu.max", "pids.max"].map(read),
            ["1048576", "150000 100000", "64"]
        );
        fs::write(dir.path().join("memory.events"), "low 0\noom 1\noom_kill 2\n").unwrap();
        assert!(cgroup.was_out_of_memory());
    }

    #[test]
    fn without_version_2_there_is_none() {
        assert_eq!(locate("31 24 0:27 / /c rw - cgroup cgroup rw,memory\n", "4:memory:/x\n"), None);
    }
}
