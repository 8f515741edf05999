//! Time by the wall and time on processors. On a machine that does other work as well, the second
//! says more.

use std::{
    ops::{Add, AddAssign},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use nix::sys::{
    resource::{UsageWho, getrusage},
    time::TimeValLike,
};

/// What something took.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Spent {
    /// From its beginning to its end.
    pub(crate) wall: Duration,
    /// On all processors, in programs and in the kernel on their behalf.
    pub(crate) cpu: Duration,
}

impl Add for Spent {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { wall: self.wall + other.wall, cpu: self.cpu + other.cpu }
    }
}

impl AddAssign for Spent {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

/// Runs from when it is made.
pub(crate) struct Watch {
    began: Instant,
    cpu: Duration,
}

impl Watch {
    /// Of this process.
    pub(crate) fn start() -> anyhow::Result<Self> {
        Ok(Self { cpu: cpu(UsageWho::RUSAGE_SELF)?, began: Instant::now() })
    }

    /// Since the start.
    pub(crate) fn spent(&self) -> anyhow::Result<Spent> {
        let wall = self.began.elapsed();
        Ok(Spent { wall, cpu: cpu(UsageWho::RUSAGE_SELF)?.saturating_sub(self.cpu) })
    }
}

/// What a command takes; what it says is thrown away. Nothing else may end beside it.
pub(crate) fn time(program: &str, arguments: &[&str]) -> anyhow::Result<Spent> {
    let (before, began) = (cpu(UsageWho::RUSAGE_CHILDREN)?, Instant::now());
    let mut command = Command::new(program);
    let ended = command.args(arguments).stdout(std::process::Stdio::null()).status();
    let missing = || format!("{program} cannot be started; `make bench-workspace` installs it");
    let ended = ended.with_context(missing)?;
    if !ended.success() {
        bail!("{program} {arguments:?} failed: {ended}");
    }
    let wall = began.elapsed();
    Ok(Spent { wall, cpu: cpu(UsageWho::RUSAGE_CHILDREN)?.saturating_sub(before) })
}

fn cpu(who: UsageWho) -> anyhow::Result<Duration> {
    let usage = getrusage(who)?;
    let micros = (usage.user_time() + usage.system_time()).num_microseconds();
    Ok(Duration::from_micros(u64::try_from(micros)?))
}
