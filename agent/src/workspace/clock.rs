//! The clock that stamps files, and what may hide behind its ticks.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use super::{folder::stamp_of, listing::Stamp};

/// A local file system's clock is this fine at the worst: what changes twice within a tick may look
/// the same.
const TICK: Duration = Duration::from_millis(20);
/// Where a time has no fraction, the file system may know only seconds, or every other one.
const COARSE_TICK: Duration = Duration::from_secs(2);

/// So many changes in a row that all show are no accident.
const PROBES: usize = 8;

/// How fine the stamps of files are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Clock {
    /// A change after a look always shows, however soon it comes.
    is_exact: bool,
}

impl Clock {
    /// Tries it with a file in `dir`. Blocks on the disk.
    pub(super) fn probe(dir: &Path) -> io::Result<Self> {
        let path = dir.join("clock");
        let mut file = File::create(&path)?;
        let mut stamps = Vec::with_capacity(PROBES);
        for _ in 0..PROBES {
            file.write_all(b".")?;
            stamps.push(stamp_of(&file.metadata()?).ctime_ns);
        }
        fs::remove_file(path)?;
        Ok(Self { is_exact: stamps.windows(2).all(|two| two[0] < two[1]) })
    }

    /// Whether a change after `now_ns` cannot look like this stamp, which was read before.
    pub(super) fn is_settled(self, stamp: &Stamp, now_ns: i64) -> bool {
        let tick = match stamp.ctime_ns % 1_000_000_000 {
            0 => COARSE_TICK,
            _ if self.is_exact => Duration::ZERO,
            _ => TICK,
        };
        let tick_ns = i64::try_from(tick.as_nanos()).unwrap_or(i64::MAX);
        stamp.ctime_ns < now_ns.saturating_sub(tick_ns)
    }

    /// Waits until what was stamped before is settled.
    pub(super) fn wait(self) {
        if !self.is_exact {
            std::thread::sleep(TICK);
        }
    }
}

/// Now, by the clock that stamps files.
pub(super) fn now_ns() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_changed_just_now_is_not_trusted() {
        let stamp = |ctime_ns| Stamp { device: 1, inode: 1, mtime_ns: 0, ctime_ns };
        let second = 1_000_000_000;
        let now = 1000 * second + 1;
        let (plain, exact) = (Clock::default(), Clock { is_exact: true });
        for (ctime_ns, by_plain, by_exact) in [
            (999 * second + 1, true, true),
            (now - 1_000_000, false, true),
            (now + 5 * second, false, false),
            // Where the clock of files knows seconds only.
            (999 * second, false, false),
            (997 * second, true, true),
        ] {
            assert_eq!(plain.is_settled(&stamp(ctime_ns), now), by_plain, "{ctime_ns}");
            assert_eq!(exact.is_settled(&stamp(ctime_ns), now), by_exact, "{ctime_ns}");
        }
    }
}
