//! The unprivileged user that Postgres runs under when we are root, since it refuses root.
//!
//! Invariant: an [`Account`] is never root.

use std::{
    fs::{self, Metadata},
    os::unix::fs::MetadataExt,
    path::Path,
    str::FromStr,
};

use nix::unistd::{Gid, Uid, User, chown, geteuid};

use super::EmbeddedError;

/// In order of preference: the user of a packaged Postgres, then the one that owns nothing.
const CANDIDATES: [&str; 2] = ["postgres", "nobody"];

/// A user other than root, by number. Written `uid:gid`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    name: String,
    uid: Uid,
    gid: Gid,
}

impl Account {
    /// Who runs Postgres: nobody in particular (`None`, ourselves) unless we are root.
    pub fn for_postgres() -> Result<Option<Self>, EmbeddedError> {
        if !geteuid().is_root() {
            return Ok(None);
        }
        CANDIDATES
            .iter()
            .find_map(|name| User::from_name(name).ok().flatten())
            .filter(|user| !user.uid.is_root())
            .map(|user| Some(Self { name: user.name, uid: user.uid, gid: user.gid }))
            .ok_or(EmbeddedError::NoAccount)
    }

    /// The user's number.
    pub fn uid(&self) -> Uid {
        self.uid
    }

    /// The number of the user's group.
    pub fn gid(&self) -> Gid {
        self.gid
    }

    /// Gives the user a directory that exists.
    pub fn own(&self, path: &Path) -> Result<(), EmbeddedError> {
        chown(path, Some(self.uid), Some(self.gid))
            .map_err(|errno| EmbeddedError::io("give to Postgres' user", path)(errno.into()))
    }

    /// Fails where some directory above `path` is closed to the user.
    pub fn can_reach(&self, path: &Path) -> Result<(), EmbeddedError> {
        for above in path.ancestors().skip(1) {
            let metadata = fs::metadata(above).map_err(EmbeddedError::io("look at", above))?;
            if !self.may_enter(&metadata) {
                return Err(EmbeddedError::Unreachable {
                    user: self.name.clone(),
                    path: above.to_owned(),
                });
            }
        }
        Ok(())
    }

    fn may_enter(&self, metadata: &Metadata) -> bool {
        let execute = if metadata.uid() == self.uid.as_raw() {
            0o100
        } else if metadata.gid() == self.gid.as_raw() {
            0o010
        } else {
            0o001
        };
        metadata.mode() & execute != 0
    }
}

impl std::fmt::Display for Account {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}:{}", self.uid, self.gid)
    }
}

impl FromStr for Account {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |part: &str| part.parse::<u32>().map_err(|error| format!("{part:?}: {error}"));
        let (uid, gid) = text.split_once(':').ok_or("want uid:gid")?;
        let (uid, gid) = (Uid::from_raw(number(uid)?), Gid::from_raw(number(gid)?));
        if uid.is_root() {
            return Err("an account other than root is wanted".to_owned());
        }
        Ok(Self { name: uid.to_string(), uid, gid })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_reads_what_it_writes() {
        let account: Account = "101:104".parse().unwrap();
        assert_eq!(account.to_string(), "101:104");
    }

    #[test]
    fn root_is_not_an_account() {
        assert!("0:0".parse::<Account>().is_err());
        assert!("101".parse::<Account>().is_err());
    }
}
