//! What tasks may ask of this host's engine.

use std::{
    fs,
    path::{Component, Path, PathBuf},
    str::FromStr,
};

use super::garbage::ImageLimits;

/// A directory or file of the host that tasks may see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowedMount {
    /// It, with all below it.
    pub path: PathBuf,
    /// Nobody may write there.
    pub is_read_only: bool,
}

impl FromStr for AllowedMount {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (path, is_read_only) = match text.strip_suffix(":ro") {
            Some(path) => (path, true),
            None => (text, false),
        };
        let path = PathBuf::from(path);
        let is_plain = path.components().all(|part| part != Component::ParentDir);
        match path.is_absolute() && is_plain {
            true => Ok(Self { path, is_read_only }),
            false => Err("write PATH or PATH:ro, absolute and without ..".to_owned()),
        }
    }
}

/// What the operator says of Docker tasks.
#[derive(Clone, Debug, Default)]
pub struct DockerOptions {
    /// What tasks may see of the host.
    pub mounts: Vec<AllowedMount>,
    /// Networks that tasks may join, beside `bridge` and `none`.
    pub networks: Vec<String>,
    /// A `config.json` of the docker command with credentials of registries.
    pub auth_file: Option<PathBuf>,
    /// Whose `chown` gives files that a container made as another user to the agent; none means that of the
    /// task's own image.
    pub chown_image: Option<String>,
    /// How many processes and threads one container may have; none means any number.
    pub processes: Option<u32>,
    /// How long images are kept that were pulled, and how much of them.
    pub image_limits: ImageLimits,
}

impl DockerOptions {
    /// Where a path of this host may be mounted from: itself, without symbolic links where they can
    /// be seen from here. The fault is for the task.
    pub(super) fn source(
        &self,
        path: &Path,
        is_read_only: bool,
        is_here: bool,
    ) -> Result<PathBuf, String> {
        let real = |path: &Path| match is_here {
            true => fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()),
            false => path.to_owned(),
        };
        let source = real(path);
        let holding = self.mounts.iter().filter(|allowed| source.starts_with(real(&allowed.path)));
        let mut is_known = false;
        for allowed in holding {
            if is_read_only || !allowed.is_read_only {
                return Ok(source);
            }
            is_known = true;
        }
        let path = path.display();
        Err(match is_known {
            true => format!("this agent allows {path} to be mounted read-only; add :ro"),
            false => {
                format!("this agent does not allow {path} to be mounted (see --allow-mount)")
            }
        })
    }

    /// Whether tasks may join it.
    pub(super) fn allows_network(&self, network: &str) -> bool {
        ["bridge", "none"].contains(&network) || self.networks.iter().any(|it| it == network)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_allowed_is_mounted_whatever_links_lead_out_of_it() {
        let dir = tempfile::tempdir().unwrap();
        let dir = fs::canonicalize(dir.path()).unwrap();
        fs::create_dir_all(dir.join("open/below")).unwrap();
        fs::create_dir(dir.join("closed")).unwrap();
        std::os::unix::fs::symlink(dir.join("closed"), dir.join("open/link")).unwrap();
        let allow = |text: String| text.parse::<AllowedMount>().unwrap();
        let options = DockerOptions {
            mounts: vec![
                allow(format!("{}/open", dir.display())),
                allow(format!("{}/closed/ro:ro", dir.display())),
            ],
            ..DockerOptions::default()
        };
        let source = |path: &str, ro| options.source(&dir.join(path), ro, true);
        assert_eq!(source("open/below", false), Ok(dir.join("open/below")));
        assert_eq!(source("open", true), Ok(dir.join("open")));
        assert!(source("opened", true).unwrap_err().contains("does not allow"));
        assert!(source("open/link", true).unwrap_err().contains("does not allow"));
        assert!(source("closed", true).is_err());
        assert_eq!(source("closed/ro/x", true), Ok(dir.join("closed/ro/x")));
        assert!(source("closed/ro", false).unwrap_err().contains("add :ro"));
        assert!(
            "a/b".parse::<AllowedMount>().is_err() && "/a/../b".parse::<AllowedMount>().is_err()
        );
        assert!(options.allows_network("none") && !options.allows_network("host"));
    }
}
