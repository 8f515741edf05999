//! What the agent and the guard of a task say to each other over the guard's standard input.
//!
//! The agent sends one [`Spec`] (its length first), then single-byte [`Order`]s; the guard answers
//! once, with [`Ended`], when no process of the task is left. End of file means that the other
//! side has died.

use std::{
    collections::BTreeMap,
    io::{self, Read},
    path::PathBuf,
};

use serde::{Deserialize, Serialize};

use super::{account::Account, umask::Umask};

/// The command that a guard runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spec {
    /// Looked up in the PATH of `env` where it has no slash.
    pub program: String,
    /// Without the program's own name.
    pub args: Vec<String>,
    /// The whole environment; nothing else is inherited.
    pub env: BTreeMap<String, String>,
    /// Working directory.
    pub cwd: PathBuf,
    /// Who runs it; none means whoever runs the guard.
    pub account: Option<Account>,
    /// Which bits its files do not have.
    pub umask: Umask,
    /// What it may take.
    pub bounds: Bounds,
}

/// What a command with all that it starts may take; none means no bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bounds {
    /// Memory.
    pub memory_bytes: Option<u64>,
    /// CPU time per time, in thousandths.
    pub thousandths_of_cpus: Option<u64>,
    /// Processes and threads at a time.
    pub processes: Option<u32>,
}

impl Spec {
    /// As it goes over the wire.
    pub fn encode(&self) -> io::Result<Vec<u8>> {
        let body = serde_json::to_vec(self)?;
        let length = u32::try_from(body.len())
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "the command is too long"))?;
        let mut message = length.to_le_bytes().to_vec();
        message.extend_from_slice(&body);
        Ok(message)
    }

    /// Reads what [`Spec::encode`] wrote.
    pub fn read_from(source: &mut impl Read) -> io::Result<Self> {
        let mut length = [0; 4];
        source.read_exact(&mut length)?;
        let mut body = vec![0; u32::from_le_bytes(length) as usize];
        source.read_exact(&mut body)?;
        Ok(serde_json::from_slice(&body)?)
    }
}

/// What the agent may ask of a running guard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Order {
    /// SIGTERM to every process of the task.
    Terminate = b'T',
    /// SIGKILL to every process of the task.
    Kill = b'K',
}

impl Order {
    /// An unknown byte is taken for the certain one.
    pub(super) fn from_byte(byte: u8) -> Self {
        if byte == Order::Terminate as u8 { Self::Terminate } else { Self::Kill }
    }
}

/// How a task's main process ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ended {
    /// By itself, with this code.
    Exited(i32),
    /// By this signal.
    Signalled(i32),
    /// The kernel killed it, or something it started, because it reached its bound of memory.
    OutOfMemory,
    /// It never ran; the text says why.
    NotStarted(String),
    /// It ran and nobody can tell how it ended; the text says why.
    Unknown(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spec_survives_the_wire() {
        let spec = Spec {
            program: "/bin/sh".into(),
            args: vec!["-c".into(), "echo \"ä\"\n".into()],
            env: BTreeMap::from([("A".into(), "1".into())]),
            cwd: "/tmp".into(),
            account: None,
            umask: "027".parse().unwrap(),
            bounds: Bounds { memory_bytes: Some(1), ..Bounds::default() },
        };
        let message = spec.encode().unwrap();
        assert_eq!(Spec::read_from(&mut message.as_slice()).unwrap(), spec);
    }

    #[test]
    fn a_cut_spec_is_an_error() {
        assert!(Spec::read_from(&mut [5, 0, 0, 0, b'{'].as_slice()).is_err());
    }
}
