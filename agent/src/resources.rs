//! What this host has for tasks: as declared, and where nothing is declared, as found.
//!
//! A limit of the agent's own cgroup counts for less than the host, because tasks run inside it.

use std::fs;

use postq_common::spec::{CPUS, MEMORY, Resources};

use crate::process;

/// The resources of an agent. Counts of zero are left out: nobody can ask for them.
pub(crate) fn of(
    cpus: Option<u64>,
    memory: Option<u64>,
    gpus: Vec<(String, u64)>,
    others: Vec<(String, u64)>,
) -> Resources {
    let found = [(CPUS, cpus.or_else(thousandths_of_cpus)), (MEMORY, memory.or_else(memory_bytes))];
    let found = found.into_iter().filter_map(|(name, amount)| Some((name.to_owned(), amount?)));
    found.chain(gpus).chain(others).filter(|(_, amount)| *amount > 0).collect()
}

/// As far as this process may use them: affinity and quota are looked at.
fn thousandths_of_cpus() -> Option<u64> {
    u64::try_from(std::thread::available_parallelism().ok()?.get()).ok().map(|cpus| cpus * 1000)
}

fn memory_bytes() -> Option<u64> {
    let host = total(&fs::read_to_string("/proc/meminfo").ok()?)?;
    let first_version = fs::read_to_string("/sys/fs/cgroup/memory/memory.limit_in_bytes").ok();
    let first_version = first_version.and_then(|limit| limit.trim().parse().ok());
    [Some(host), first_version, process::memory_limit()].into_iter().flatten().min()
}

fn total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_of_the_host_is_read() {
        assert_eq!(total("MemFree: 1 kB\nMemTotal:       2048 kB\n"), Some(2 << 20));
        assert_eq!(total("nothing"), None);
    }
}
