//! Names a guard so that a later life of the agent finds it, and never takes another process for
//! it.

use std::{fmt, fs, str::FromStr};

use super::table::{Table, kin_of};

/// A process, named for good: by its number, when it was started, and in which world of numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuardId {
    pid: i32,
    started: u64,
    /// Of the running kernel and of the container: elsewhere the number is somebody else's.
    world: String,
}

impl GuardId {
    /// Of a process that was not waited for.
    pub(super) fn of(pid: i32) -> Option<Self> {
        Some(Self { pid, started: kin_of(pid)?.started, world: world()? })
    }

    /// The guard itself where it lives, and those of its session that are surely its.
    pub(super) fn relatives(&self, table: &Table, marker: &[String]) -> Vec<i32> {
        if world().as_ref() != Some(&self.world) {
            return Vec::new();
        }
        match table.get(self.pid) {
            Some(kin) if kin.started == self.started => {
                let mut all: Vec<i32> = table.session(self.pid).collect();
                all.push(self.pid);
                all
            }
            // The number is another's now.
            Some(_) => Vec::new(),
            // Its session may live on, or the number was used again by a process that is gone as
            // well; the marker tells.
            None => {
                let marked: Vec<i32> = table.marked(marker).collect();
                let has_marked = table.session(self.pid).any(|pid| marked.contains(&pid));
                if has_marked { table.session(self.pid).collect() } else { Vec::new() }
            }
        }
    }
}

impl fmt::Display for GuardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.pid, self.started, self.world)
    }
}

/// The text is no [`GuardId`].
#[derive(Debug, thiserror::Error)]
#[error("this names no guard")]
pub struct NoGuard;

impl FromStr for GuardId {
    type Err = NoGuard;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut words = text.split_whitespace();
        let mut next = || words.next().ok_or(NoGuard);
        let pid = next()?.parse().map_err(|_| NoGuard)?;
        let started = next()?.parse().map_err(|_| NoGuard)?;
        let world = next()?.to_owned();
        Ok(Self { pid, started, world })
    }
}

fn world() -> Option<String> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let numbers = fs::read_link("/proc/self/ns/pid").ok()?;
    Some(format!("{}/{}", boot.trim(), numbers.to_str()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_survives_the_disk_and_finds_only_the_process_it_was_made_of() {
        let mut child = std::process::Command::new("sleep").arg("600").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let id = GuardId::of(pid).unwrap();
        assert_eq!(id.to_string().parse::<GuardId>().unwrap(), id);
        let table = Table::look();
        assert_eq!(id.relatives(&table, &[]), [pid]);
        let later = GuardId { started: id.started + 1, ..id.clone() };
        let elsewhere = GuardId { world: "another".into(), ..id };
        for other in [later, elsewhere] {
            assert!(other.relatives(&table, &[]).is_empty());
        }
        assert!("12 x".parse::<GuardId>().is_err());
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
