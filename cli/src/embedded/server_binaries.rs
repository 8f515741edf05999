//! The newest Postgres server programs of the machine, or those that `POSTQ_POSTGRES` names.
//!
//! Invariant: `initdb` and `postgres` of a [`ServerBinaries`] are of one release that PostQ runs on.

use std::{
    collections::BTreeSet,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::EmbeddedError;

/// The oldest release that PostQ's schema runs on.
const OLDEST: u32 = 14;

/// A variable that names the directory of the programs to use.
const CHOSEN: &str = "POSTQ_POSTGRES";

/// Directories of which every child may hold a release, and where below it its programs are.
const RELEASES: [(&str, &str, &str); 6] = [
    ("/usr/lib/postgresql", "", "bin"),
    ("/usr", "pgsql-", "bin"),
    ("/usr/lib", "postgresql", "bin"),
    ("/usr/local", "pgsql", "bin"),
    ("/opt/homebrew/opt", "postgresql", "bin"),
    ("/usr/local/opt", "postgresql", "bin"),
];

/// `initdb` and `postgres` of one release.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ServerBinaries {
    /// For example 17.
    pub major: u32,
    minor: u32,
    directory: PathBuf,
}

impl ServerBinaries {
    /// The newest of the machine, or the newest of the release `major`.
    pub fn newest(major: Option<u32>) -> Option<Self> {
        candidates()
            .iter()
            .filter_map(|directory| Self::within(directory))
            .filter(|found| major.is_none_or(|major| found.major == major))
            .max()
    }

    /// The newest of the machine, or what to install.
    pub fn find() -> Result<Self, EmbeddedError> {
        Self::newest(None)
            .ok_or_else(|| EmbeddedError::NoServer { oldest: OLDEST, advice: advice() })
    }

    /// The program that makes a data directory.
    pub fn initdb(&self) -> PathBuf {
        self.directory.join("initdb")
    }

    /// The server.
    pub fn postgres(&self) -> PathBuf {
        self.directory.join("postgres")
    }

    fn within(directory: &Path) -> Option<Self> {
        let postgres = fs::canonicalize(directory.join("postgres")).ok()?;
        let directory = postgres.parent()?.to_owned();
        if !directory.join("initdb").is_file() {
            return None;
        }
        let answer = Command::new(&postgres).arg("--version").output().ok()?;
        let (major, minor) = parse_version(&String::from_utf8_lossy(&answer.stdout))?;
        (major >= OLDEST).then_some(Self { major, minor, directory })
    }
}

fn candidates() -> BTreeSet<PathBuf> {
    // The one that somebody has chosen, whatever else there is.
    if let Some(directory) = env::var_os(CHOSEN) {
        return BTreeSet::from([PathBuf::from(directory)]);
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let told =
        Command::new("pg_config").arg("--bindir").output().ok().map(|answer| {
            PathBuf::from(String::from_utf8_lossy(&answer.stdout).trim_end().to_owned())
        });
    let releases = RELEASES.iter().flat_map(|(above, prefix, below)| {
        let children = fs::read_dir(above).into_iter().flatten().flatten();
        children
            .filter(move |child| child.file_name().to_string_lossy().starts_with(prefix))
            .map(move |child| child.path().join(below))
    });
    env::split_paths(&path).chain(told).chain(releases).collect()
}

/// Reads "postgres (PostgreSQL) 15.13 (Debian 15.13-0+deb12u1)" and "postgres (PostgreSQL) 18beta1".
fn parse_version(text: &str) -> Option<(u32, u32)> {
    let version = text.split_once("(PostgreSQL) ")?.1;
    let mut numbers = version.split(|letter: char| !letter.is_ascii_digit());
    let major = numbers.next()?.parse().ok()?;
    Some((major, numbers.next().and_then(|minor| minor.parse().ok()).unwrap_or(0)))
}

fn advice() -> &'static str {
    if env::var_os(CHOSEN).is_some() {
        "let POSTQ_POSTGRES name a directory that holds its initdb and postgres, or unset it"
    } else if cfg!(target_os = "macos") {
        "install one with `brew install postgresql@17`, or pass --database-url"
    } else if Path::new("/etc/debian_version").exists() {
        "install one with `apt-get install postgresql`, or pass --database-url"
    } else if Path::new("/etc/alpine-release").exists() {
        "install one with `apk add postgresql`, or pass --database-url"
    } else if Path::new("/etc/arch-release").exists() {
        "install one with `pacman -S postgresql`, or pass --database-url"
    } else {
        "install one with `dnf install postgresql-server`, or pass --database-url"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_of_any_packager_is_read() {
        let read = |text| parse_version(text);
        assert_eq!(read("postgres (PostgreSQL) 15.13 (Debian 15.13-0+deb12u1)\n"), Some((15, 13)));
        assert_eq!(read("postgres (PostgreSQL) 18beta1\n"), Some((18, 0)));
        assert_eq!(read("something else 15\n"), None);
    }

    #[test]
    fn a_newer_release_is_preferred_wherever_it_is() {
        let at = |major, minor, directory| ServerBinaries {
            major,
            minor,
            directory: PathBuf::from(directory),
        };
        assert!(at(17, 0, "/a") > at(16, 9, "/z"));
        assert!(at(16, 10, "/a") > at(16, 9, "/z"));
    }
}
