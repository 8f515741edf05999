//! The account that tasks run as where the agent is root: a task then cannot reach its guard, the
//! agent, or what they keep.
//!
//! Invariant: who exists was found on this host, and is not root.

use std::{ffi::CString, os::unix::process::CommandExt, process::Command, str::FromStr};

use nix::unistd::{Gid, Uid, User, geteuid, getgrouplist, setgid, setgroups, setuid};
use serde::{Deserialize, Serialize};

/// A user of this host with all its groups.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    name: String,
    uid: u32,
    gid: u32,
    groups: Vec<u32>,
}

/// Why tasks cannot run as somebody.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// Nobody has that name or number.
    #[error("there is no user `{0}` on this host")]
    Unknown(String),
    /// It would change nothing.
    #[error("tasks that run as root are not kept apart from the agent; name another user")]
    IsRoot,
    /// Only root becomes somebody else.
    #[error("only an agent that runs as root can run tasks as another user")]
    NotRoot,
}

impl FromStr for Account {
    type Err = AccountError;

    /// A name, or a number that has one.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let by_number = || User::from_uid(Uid::from_raw(text.parse().ok()?)).ok().flatten();
        let user = User::from_name(text).ok().flatten().or_else(by_number);
        let unknown = || AccountError::Unknown(text.to_owned());
        let user = user.ok_or_else(unknown)?;
        if user.uid.is_root() {
            return Err(AccountError::IsRoot);
        }
        if !geteuid().is_root() {
            return Err(AccountError::NotRoot);
        }
        let name = CString::new(user.name.as_str()).map_err(|_| unknown())?;
        let groups = getgrouplist(&name, user.gid).map_err(|_| unknown())?;
        Ok(Self {
            name: user.name,
            uid: user.uid.as_raw(),
            gid: user.gid.as_raw(),
            groups: groups.into_iter().map(Gid::as_raw).collect(),
        })
    }
}

impl Account {
    /// As the kernel numbers it.
    pub fn uid(&self) -> u32 {
        self.uid
    }

    /// Its own group.
    pub fn gid(&self) -> u32 {
        self.gid
    }

    /// Makes the command run as it.
    pub(super) fn apply(&self, command: &mut Command) {
        let (uid, gid) = (Uid::from_raw(self.uid), Gid::from_raw(self.gid));
        let groups: Vec<Gid> = self.groups.iter().copied().map(Gid::from_raw).collect();
        let become_it = move || {
            setgroups(&groups)?;
            setgid(gid)?;
            setuid(uid)?;
            Ok(())
        };
        // SAFETY: three system calls on values that were made before the fork; nothing allocates.
        #[allow(unsafe_code)] // std alone would drop all groups but one
        unsafe {
            command.pre_exec(become_it);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_somebody_who_exists_and_is_not_root_is_taken() {
        let error = |text: &str| text.parse::<Account>().unwrap_err().to_string();
        assert_eq!(error("no-such-user"), "there is no user `no-such-user` on this host");
        for root in ["root", "0"] {
            assert!(error(root).starts_with("tasks that run as root"), "{}", error(root));
        }
        if geteuid().is_root() {
            let account: Account = "daemon".parse().unwrap();
            assert_eq!(account, account.uid().to_string().parse().unwrap());
            assert!(account.groups.contains(&account.gid()));
        } else {
            assert!(error("daemon").contains("only an agent that runs as root"));
        }
    }
}
