//! The children of this process: guards, and strangers.
//!
//! A process that has called [`adopt_orphans`] inherits what a guard leaves that was killed, however
//! it hides: whoever is its child, was not there at its start and is no guard belongs to a task
//! without a guard, and is to go. State of the whole process, because the kernel's is. Invariant: a
//! living guard is never taken for a stranger, and nobody but tokio waits for a guard.

use std::{
    collections::BTreeSet,
    io,
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use nix::{
    sys::{
        prctl,
        wait::{WaitPidFlag, waitpid},
    },
    unistd::Pid,
};

use super::{guard_id::GuardId, hunt, table::Table};

/// What survives SIGKILL this long hangs in the kernel; waiting on helps nobody.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Debug, Default)]
struct Household {
    /// Whether strangers can come.
    is_open: bool,
    guards: BTreeSet<i32>,
    /// Children from before, of whoever was this process then (an entry point's, say).
    from_before: BTreeSet<i32>,
}

static HOUSEHOLD: Mutex<Household> =
    Mutex::new(Household { is_open: false, guards: BTreeSet::new(), from_before: BTreeSet::new() });

fn lock() -> MutexGuard<'static, Household> {
    HOUSEHOLD.lock().expect("invariant: nothing panics while it holds this lock")
}

/// Makes this process the heir of what its guards leave. Call it once, at the start.
pub fn adopt_orphans() -> io::Result<()> {
    let this = Pid::this().as_raw();
    let mut household = lock();
    household.from_before.extend(Table::look().children(this, false));
    prctl::set_child_subreaper(true)?;
    household.is_open = true;
    Ok(())
}

/// Starts a guard; nobody takes it for a stranger meanwhile.
pub(super) fn start_guard<T>(
    start: impl FnOnce() -> io::Result<T>,
    pid_of: impl FnOnce(&T) -> Option<i32>,
) -> io::Result<T> {
    let mut household = lock();
    let guard = start()?;
    household.guards.extend(pid_of(&guard));
    Ok(guard)
}

/// The guard was waited for.
pub(super) fn forget_guard(pid: i32) {
    lock().guards.remove(&pid);
}

/// What names the processes of a task that has no guard any more.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    /// Its guard, where it was noted.
    pub guard: Option<GuardId>,
    /// `NAME=value` pairs that together are in no other task's environment.
    pub marker: Vec<String>,
}

/// Kills the processes of dead guards: strangers, and whoever one of the traces leads to. False:
/// some are left. Blocks.
pub(super) fn kill_left(traces: &[Trace]) -> bool {
    let is_gone = hunt::kill_all(|table| find(table, traces), PATIENCE);
    reap_strangers();
    is_gone
}

fn find(table: &Table, traces: &[Trace]) -> BTreeSet<i32> {
    let this = Pid::this().as_raw();
    let mut roots: BTreeSet<i32> = strangers(table, false).collect();
    for trace in traces {
        roots.extend(table.marked(&trace.marker));
        if let Some(guard) = &trace.guard {
            roots.extend(guard.relatives(table, &trace.marker));
        }
    }
    roots.remove(&this);
    let mut found = table.closure(roots);
    let household = lock();
    found.retain(|pid| *pid != this && !household.guards.contains(pid));
    found
}

/// Ends the wait of strangers that have ended for somebody to notice.
fn reap_strangers() {
    for pid in strangers(&Table::look(), true) {
        let _ = waitpid(Pid::from_raw(pid), Some(WaitPidFlag::WNOHANG));
    }
}

fn strangers(table: &Table, are_dead: bool) -> impl Iterator<Item = i32> {
    let household = lock();
    let all: Vec<i32> = match household.is_open {
        true => table.children(Pid::this().as_raw(), are_dead).collect(),
        false => Vec::new(),
    };
    let is_ours = |pid: &i32| household.guards.contains(pid) || household.from_before.contains(pid);
    all.into_iter().filter(|pid| !is_ours(pid)).collect::<Vec<_>>().into_iter()
}
