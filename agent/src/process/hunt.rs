//! Kills processes that may be forking faster than one looks.
//!
//! It knows nothing of guards: who is to be killed is told by the caller, look after look.
//! A look at all processes takes longer than a link of a chain of forks lives, and finds it gone: so
//! whoever was born during a look is looked at again, until nobody was.
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

use super::table::{Table, last_born};

/// Between two looks for processes that are being killed.
const PAUSE: Duration = Duration::from_millis(2);
/// So many looks may find somebody new before those that are known are killed all the same.
const STOP_ROUNDS: u32 = 30;
/// So many looks at the newborn that find nobody are believed, whoever goes on being born.
const EMPTY_LOOKS: u32 = 100;

/// Stops whoever `find` finds until a look finds nobody new, so that none can fork or bring another
/// one back, then kills them; all of it until nobody is left. False: `patience` was not enough.
pub(super) fn kill_all(mut find: impl FnMut(&Table) -> BTreeSet<i32>, patience: Duration) -> bool {
    let deadline = Instant::now() + patience;
    loop {
        let mut stopped = BTreeSet::new();
        for _ in 0..STOP_ROUNDS {
            let Some((table, prey)) = sight(&mut find) else { return true };
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

/// Who is there; none where it is nobody.
fn sight(find: &mut impl FnMut(&Table) -> BTreeSet<i32>) -> Option<(Table, BTreeSet<i32>)> {
    loop {
        let born = last_born();
        let table = Table::look();
        let prey = find(&table);
        if !prey.is_empty() {
            return Some((table, prey));
        }
        if !stop_newborn(find, born) {
            return None;
        }
    }
}

/// Stops somebody who was born after `last`: there for the next look, as whom that one left behind is
/// not. False: there was nobody.
fn stop_newborn(find: &mut impl FnMut(&Table) -> BTreeSet<i32>, mut last: i32) -> bool {
    if last_born() == last {
        return false;
    }
    for _ in 0..EMPTY_LOOKS {
        // Numbers begin anew when they have run out: who is missed then is seen by the next look.
        let newest = last_born();
        let prey = find(&Table::look_at(last + 1..=newest + 1));
        for &pid in &prey {
            let _ = kill(Pid::from_raw(pid), Signal::SIGSTOP);
        }
        if !prey.is_empty() {
            return true;
        }
        last = newest;
    }
    false
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
    use std::{
        os::unix::process::CommandExt,
        process::{Command, Stdio},
    };

    use super::*;

    /// Each link writes down that it lived, starts the next one and ends. As the shell lets no more
    /// than a thousand follow each other, they go on in a new one, `$1` times.
    const CHAIN: &str = r#"
        link() { : > "$ALIVE"; n=$((n + 1)); [ $n -lt 500 ] || renew $1; link $1 & exit; }
        renew() { [ $1 -gt 0 ] && exec /bin/sh -c "$0" "$0" $(($1 - 1)); exit; }
        n=0; link $1"#;

    #[test]
    fn a_chain_of_forks_in_which_every_parent_ends_at_once_is_caught() {
        let dir = tempfile::tempdir().unwrap();
        let alive = dir.path().join("alive");
        let mut chain = Command::new("/bin/sh")
            .args(["-c", CHAIN, CHAIN, "20"])
            .env("ALIVE", &alive)
            // As tasks have theirs.
            .process_group(0)
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        chain.wait().unwrap();
        let marked = [format!("ALIVE={}", alive.display())];
        let is_gone = kill_all(|table| table.marked(&marked).collect(), Duration::from_secs(20));
        assert!(is_gone);
        std::fs::remove_file(&alive).unwrap();
        // Whoever was left would be many links further.
        thread::sleep(Duration::from_millis(100));
        assert!(!alive.exists());
    }
}
