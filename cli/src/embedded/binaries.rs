//! Where `postq`, `postq-coordinator` and `postq-agent` are: beside the program that runs.
//!
//! Invariant: each program of a [`Binaries`] existed when it was made.

use std::{
    env,
    path::{Path, PathBuf},
};

use super::EmbeddedError;

/// The programs of one build.
#[derive(Clone, Debug)]
pub struct Binaries {
    /// The command, which is also the supervisor of the others.
    pub postq: PathBuf,
    /// The coordinator.
    pub coordinator: PathBuf,
    /// The agent.
    pub agent: PathBuf,
}

impl Binaries {
    /// Those beside the program that runs. A test or a benchmark runs in `deps` or `examples`
    /// below them.
    pub fn locate() -> Result<Self, EmbeddedError> {
        let current = env::current_exe().map_err(EmbeddedError::io("find", "this program"))?;
        let directory = current.parent().unwrap_or(Path::new("/"));
        let is_below = directory.ends_with("deps") || directory.ends_with("examples");
        Self::within(if is_below { directory.parent().unwrap_or(directory) } else { directory })
    }

    /// Those in `directory`.
    pub fn within(directory: &Path) -> Result<Self, EmbeddedError> {
        let find = |name: &'static str| {
            let path = directory.join(name);
            path.is_file()
                .then_some(path)
                .ok_or_else(|| EmbeddedError::NoBinary { name, directory: directory.to_owned() })
        };
        Ok(Self {
            postq: find("postq")?,
            coordinator: find("postq-coordinator")?,
            agent: find("postq-agent")?,
        })
    }
}
