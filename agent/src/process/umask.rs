//! Which bits the files that a task makes do not have.
//!
//! Invariant: whoever makes a file can use it, so that the agent can read what its task left.

use std::{fmt, str::FromStr};

use nix::sys::stat::{Mode, umask};
use serde::{Deserialize, Serialize};

/// A file mode creation mask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Umask(u32);

impl Default for Umask {
    /// What most systems have: others may read and not write.
    fn default() -> Self {
        Self(0o022)
    }
}

impl FromStr for Umask {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match u32::from_str_radix(text, 8) {
            Ok(bits) if bits & !0o777 != 0 => Err(NO_MASK),
            Ok(bits) if bits & 0o700 != 0 => {
                Err("it would keep a task from its own files; write only bits of group and others")
            }
            Ok(bits) => Ok(Self(bits)),
            Err(_) => Err(NO_MASK),
        }
    }
}

const NO_MASK: &str = "write octal digits, as 027";

impl fmt::Display for Umask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:03o}", self.0)
    }
}

impl Umask {
    /// Makes it this process's own.
    pub(super) fn apply(self) {
        umask(Mode::from_bits_truncate(self.0));
    }
}
