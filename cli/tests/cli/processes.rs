//! Whether processes live, and waiting with a bound.

use std::{
    fs,
    path::{Path, PathBuf},
    thread::sleep,
    time::{Duration, Instant},
};

/// Generous, since the machine may be busy with other tests.
const BOUND: Duration = Duration::from_secs(60);

/// The command under test.
pub(crate) fn postq() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_postq"))
}

/// Waits until `is_true`, and fails with `what` when that takes too long.
pub(crate) fn eventually(what: &str, mut is_true: impl FnMut() -> bool) {
    let deadline = Instant::now() + BOUND;
    while !is_true() {
        assert!(Instant::now() < deadline, "not within {BOUND:?}: {what}");
        sleep(Duration::from_millis(10));
    }
}

/// Whether the process runs; one that has ended and was not waited for does not.
pub(crate) fn is_alive(pid: u32) -> bool {
    match fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => !stat.rsplit(") ").next().unwrap_or("Z").starts_with('Z'),
        Err(_) if Path::new("/proc/self/stat").exists() => false,
        Err(_) => {
            nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid.cast_signed()), None).is_ok()
        }
    }
}

/// Fails unless every process has ended within the bound.
pub(crate) fn all_end(pids: &[u32]) {
    eventually(&format!("the end of {pids:?}"), || !pids.iter().any(|&pid| is_alive(pid)));
}
