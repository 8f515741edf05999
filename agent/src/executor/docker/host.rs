//! Where the engine finds the files of an agent that runs in a container of that engine itself.
//!
//! Such an agent sees its work directory where it was mounted; the engine wants it where it lies on
//! the host. Invariant: a path is translated by the agent's own mounts or not used at all.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::engine::status;

/// Files that an engine mounts from its own directory of a container, by which that is known.
const TELLING: [&str; 3] = ["/etc/hostname", "/etc/hosts", "/etc/resolv.conf"];
const ID_LENGTH: usize = 64;

/// The way from the agent's paths to those of the engine's host.
#[derive(Clone, Debug)]
pub(super) enum HostPaths {
    /// They are the same.
    Same,
    /// The agent's mounts: where it sees them, and where they lie on the host.
    Mounted(Vec<(PathBuf, PathBuf)>),
}

impl HostPaths {
    /// Asks the engine whether this process runs in one of its containers.
    pub(super) async fn find(api: &bollard::Docker) -> Result<Self, bollard::errors::Error> {
        let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let Some(id) = own_container(&table) else { return Ok(Self::Same) };
        let container = match api.inspect_container(&id, None).await {
            Ok(container) => container,
            // Of another engine, which has nothing to do with the paths of this one.
            Err(error) if status(&error) == Some(404) => return Ok(Self::Same),
            Err(error) => return Err(error),
        };
        let mounts = container.mounts.into_iter().flatten();
        let mount = |mount: bollard::models::MountPoint| {
            Some((mount.destination?.into(), mount.source?.into()))
        };
        Ok(Self::Mounted(mounts.filter_map(mount).collect()))
    }

    /// Whether the host's paths can be looked at from here.
    pub(super) fn is_here(&self) -> bool {
        matches!(self, Self::Same)
    }

    /// Where a path of the agent lies on the host; none: on none of its mounts.
    pub(super) fn on_host(&self, path: &Path) -> Option<PathBuf> {
        let Self::Mounted(mounts) = self else { return Some(path.to_owned()) };
        let holding = mounts.iter().filter(|(seen, _)| path.starts_with(seen));
        let (seen, lies) = holding.max_by_key(|(seen, _)| seen.components().count())?;
        let below = path.strip_prefix(seen).ok()?;
        Some(if below.as_os_str().is_empty() { lies.clone() } else { lies.join(below) })
    }
}

/// The id of the container that a table of mounts is of.
fn own_container(table: &str) -> Option<String> {
    let mut lines = table.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(3);
        let (root, place) = (fields.next()?, fields.next()?);
        TELLING.contains(&place).then_some(root)
    });
    let is_id =
        |part: &&str| part.len() == ID_LENGTH && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    lines.find_map(|root| root.split('/').find(is_id).map(ToOwned::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_knows_itself_and_a_host_is_none() {
        let id = "0a".repeat(32);
        let line = |root: &str, place: &str| {
            format!("517 500 254:1 {root} {place} rw,relatime - ext4 /dev/vda1 rw\n")
        };
        let inside = line("/", "/")
            + &line(&format!("/var/lib/docker/containers/{id}/hostname"), "/etc/hostname");
        assert_eq!(own_container(&inside), Some(id.clone()));
        let host =
            line("/", "/") + &line("/", &format!("/var/lib/docker/containers/{id}/mounts/shm"));
        assert_eq!(own_container(&host), None);
    }

    #[test]
    fn paths_are_translated_by_the_innermost_mount() {
        let paths = HostPaths::Mounted(
            [("/work", "/srv/agent"), ("/work/cache", "/fast"), ("/x", "/y")]
                .map(|(seen, lies)| (seen.into(), lies.into()))
                .into(),
        );
        let on_host = |path: &str| paths.on_host(Path::new(path));
        assert_eq!(on_host("/work/attempts/7"), Some("/srv/agent/attempts/7".into()));
        assert_eq!(on_host("/work"), Some("/srv/agent".into()));
        assert_eq!(on_host("/work/cache/a"), Some("/fast/a".into()));
        assert_eq!(on_host("/worker"), None);
        assert_eq!(HostPaths::Same.on_host(Path::new("/a")), Some("/a".into()));
    }
}
