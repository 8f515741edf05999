//! Commands that leave nothing behind: each runs under a guard (`postq-agent exec`), which kills
//! every process of the command when the command, or the agent itself, has ended.
//!
//! | file | owns |
//! |---|---|
//! | `spawn` | the agent's side of a guard: start, order, hear of the end |
//! | `guard` | the guard itself, a process of its own |
//! | `wire` | what the two say to each other |
//! | `household` | what dead guards leave to the agent |
//! | `guard_id` | a guard as it is noted on disk for a later life of the agent |
//! | `account`, `umask` | who the command runs as, and which bits its files do not have |
//! | `cgroup`, `table`, `hunt` | a task's processes: held together, found, killed |
//!
//! It knows nothing of attempts. Invariant: once [`Ending::ended`] has resolved, no process of the
//! command is left; when the agent dies at any instruction, none is left shortly after.

mod account;
mod cgroup;
pub mod guard;
mod guard_id;
mod household;
mod hunt;
mod spawn;
mod table;
mod umask;
mod wire;

pub use account::{Account, AccountError};
pub use cgroup::{Held, held, memory_limit, settle};
pub use guard_id::GuardId;
pub use household::{Trace, adopt_orphans};
pub use spawn::{Control, Ending, GuardBinary, Process};
pub use umask::Umask;
pub use wire::{Bounds, Ended, Spec};

/// Kills what guards left that are dead: whatever they left to this process, whoever is in their
/// cgroups, and whoever one of the traces leads to (a guard that lives goes as well). False: some
/// are left. Blocks, some seconds at most.
pub fn kill_left(traces: &[Trace]) -> bool {
    cgroup::reap_orphans();
    let is_gone = household::kill_left(traces);
    // Those of guards that have only just died.
    cgroup::reap_orphans();
    is_gone
}

/// Removes what guards that were killed themselves left behind in an earlier life of the agent.
pub fn reap_orphans() {
    kill_left(&[]);
}
