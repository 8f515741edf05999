//! How an attempt ends that could not begin, by what its engine said about that.
//!
//! Engines have words for this, but no codes. Invariant: what a full disk of the engine has caused is never
//! called the task's fault for good, whatever else those words say.

use crate::executor::task::Ended;

/// Of the error numbers ENOSPC and EDQUOT, as engines write them, and programs in C with a capital.
const FULL: [&str; 2] = ["no space left on device", "disk quota exceeded"];
/// A kernel that makes no more cgroups or watches says so by the same number; that is no disk.
const OTHER_ROOM: [&str; 4] = ["/sys/fs/cgroup", "inotify_", "inotify instance", "inotify watch"];

/// `what` failed for the reason that the engine gave in `why`. `is_hopeless` is for all but a full disk.
pub(super) fn not_started(what: &str, why: &str, is_hopeless: bool) -> Ended {
    if !says_full(why) {
        return Ended::NotStarted { why: format!("{what}: {why}"), is_final: is_hopeless };
    }
    let why = format!("{what}: the disk of the Docker engine is full: {why}");
    Ended::NotStarted { why, is_final: false }
}

fn says_full(why: &str) -> bool {
    let why = why.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| why.contains(word));
    says(&FULL) && !says(&OTHER_ROOM)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_named_and_may_pass_and_nothing_else_is_called_one() {
        let end = |why: &str, is_hopeless| not_started("no container", why, is_hopeless);
        for full in [
            "write /var/lib/docker/tmp/not found: no space left on device",
            "write /usr/include/sys/inotify.h: No space left on device",
        ] {
            let told = format!("no container: the disk of the Docker engine is full: {full}");
            assert_eq!(end(full, true), Ended::NotStarted { why: told, is_final: false });
        }
        for (why, is_final) in [
            ("manifest unknown", true),
            ("i/o timeout", false),
            ("mkdir /sys/fs/cgroup/memory/docker/1: no space left on device", false),
            ("inotify_add_watch: no space left on device", false),
        ] {
            let told = format!("no container: {why}");
            assert_eq!(end(why, is_final), Ended::NotStarted { why: told, is_final });
        }
    }
}
