//! Kills processes that may be forking faster than one looks.
//!
//! It knows nothing of guards: who is to be killed is told by the caller, look after look.
//! Invariant: where it returns true, the last look found nobody.

use std::{
    collections::BTreeSet,
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill, killpg},
    unistd::Pid,
};

use super::table::Table;

/// Between two looks for processes that are being killed.
const PAUSE: Duration = Duration::from_millis(2);
/// So many looks may find somebody new before those that are known are killed all the same.
const STOP_ROUNDS: u32 = 30;

/// Stops whoever `find` finds until a look finds nobody new, so that none can fork or bring another
/// one back, then kills them; all of it until nobody is left. False: `patience` was not enough.
pub(super) fn kill_all(mut find: impl FnMut(&Table) -> BTreeSet<i32>, patience: Duration) -> bool {
    let deadline = Instant::now() + patience;
    loop {
        let mut stopped = BTreeSet::new();
        for _ in 0..STOP_ROUNDS {
            let table = Table::look();
            let prey = find(&table);
            if prey.is_empty() {
                return true;
            }
            if prey.is_subset(&stopped) {
                break;
            }
            send(&table, &prey, Signal::SIGSTOP);
            stopped.extend(prey);
        }
        let table = Table::look();
        send(&table, &find(&table), Signal::SIGKILL);
        if Instant::now() > deadline {
            return false;
        }
        thread::sleep(PAUSE);
    }
}

/// Groups that hold nobody else are hit as a whole: that reaches who was born since the look, too.
fn send(table: &Table, prey: &BTreeSet<i32>, signal: Signal) {
    let groups: BTreeSet<i32> =
        prey.iter().filter_map(|&pid| table.get(pid)).map(|kin| kin.group).collect();
    for group in groups {
        // Group 1 and below would mean something else to the kernel.
        if group > 1 && table.group(group).all(|member| prey.contains(&member)) {
            let _ = killpg(Pid::from_raw(group), signal);
        }
    }
    for &pid in prey {
        let _ = kill(Pid::from_raw(pid), signal);
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_chain_of_forks_in_which_every_parent_ends_at_once_is_caught() {
        let marker = format!("POSTQ_TEST_CHAIN={}", std::process::id());
        let (name, value) = marker.split_once('=').unwrap();
        // Each link starts the next one and ends.
        let mut chain = Command::new("/bin/sh")
            .args(["-c", "f() { f & exit; }; f"])
            .env(name, value)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        chain.wait().unwrap();
        let marked = [marker.clone()];
        let is_gone = kill_all(|table| table.marked(&marked).collect(), Duration::from_secs(20));
        assert!(is_gone);
        // A link between two looks would have grown on.
        assert_eq!(Table::look().marked(&marked).count(), 0);
    }
}
