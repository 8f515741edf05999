//! Commands that leave nothing behind: each runs under a guard (`postq-agent exec`), which kills
//! every process of the command when the command, or the agent itself, has ended.
//!
//! It knows nothing of attempts. Invariant: once [`Ending::ended`] has resolved, no process of the
//! command is left; when the agent dies at any instruction, none is left shortly after.

mod cgroup;
mod descendants;
pub mod guard;
mod spawn;
mod wire;

pub use spawn::{Control, Ending, GuardBinary, Process};
pub use wire::{Ended, Spec};

/// Removes what guards that were killed themselves left behind in an earlier life of the agent.
pub fn reap_orphans() {
    cgroup::reap_orphans();
}
