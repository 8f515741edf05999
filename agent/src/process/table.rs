//! Finds processes by kinship in /proc, and by what their environment says.
//!
//! It sends no signal and waits for nothing. What it returns may be outdated at once: callers
//! look again until nothing is left.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    ops::RangeInclusive,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kin {
    parent: i32,
    pub(super) group: i32,
    session: i32,
    /// It has ended and waits for its parent to notice. (One whose first thread alone has ended
    /// looks the same but for its other threads.)
    is_dead: bool,
    /// In ticks since the host was started; with the number it names a process for good.
    pub(super) started: u64,
}

/// All processes at about one moment.
#[derive(Debug, Default)]
pub(super) struct Table(BTreeMap<i32, Kin>);

/// The number that the host gave away last, to a process or a thread: as long as it stays the same,
/// nobody is born. 0 where the kernel does not tell.
pub(super) fn last_born() -> i32 {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split_ascii_whitespace().last().and_then(|number| number.parse().ok()).unwrap_or_default()
}

impl Table {
    /// Reads it. Who is born meanwhile may be missing.
    pub(super) fn look() -> Self {
        let Ok(entries) = fs::read_dir("/proc") else { return Self::default() };
        let kin = entries.flatten().filter_map(|entry| {
            let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
            Some((pid, kin_of(pid)?))
        });
        Self(kin.collect())
    }

    /// Only those whose numbers lie in `born`: takes so little time that who lives briefly is seen.
    pub(super) fn look_at(born: RangeInclusive<i32>) -> Self {
        Self(
            born.filter(|&pid| is_process(pid))
                .filter_map(|pid| Some((pid, kin_of(pid)?)))
                .collect(),
        )
    }

    pub(super) fn get(&self, pid: i32) -> Option<&Kin> {
        self.0.get(&pid)
    }

    /// The members of a process group.
    pub(super) fn group(&self, group: i32) -> impl Iterator<Item = i32> {
        self.living().filter(move |(_, kin)| kin.group == group).map(|(pid, _)| pid)
    }

    /// The members of the session that `leader` leads or led.
    pub(super) fn session(&self, leader: i32) -> impl Iterator<Item = i32> {
        self.living().filter(move |(_, kin)| kin.session == leader).map(|(pid, _)| pid)
    }

    /// The children of `parent` that live, or those that have ended.
    pub(super) fn children(&self, parent: i32, are_dead: bool) -> impl Iterator<Item = i32> {
        let is_wanted = move |kin: &Kin| kin.parent == parent && kin.is_dead == are_dead;
        self.0.iter().filter(move |(_, kin)| is_wanted(kin)).map(|(&pid, _)| pid)
    }

    /// Those whose environment holds all of `variables`, as they were started.
    pub(super) fn marked<'a>(&'a self, variables: &'a [String]) -> impl Iterator<Item = i32> + 'a {
        self.living().map(|(pid, _)| pid).filter(|&pid| has_all(pid, variables))
    }

    /// The living among `roots` and all their living descendants.
    pub(super) fn closure(&self, roots: impl IntoIterator<Item = i32>) -> BTreeSet<i32> {
        let mut children: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
        for (&pid, kin) in &self.0 {
            children.entry(kin.parent).or_default().push(pid);
        }
        let mut open: Vec<i32> = roots.into_iter().collect();
        let mut found = BTreeSet::new();
        while let Some(pid) = open.pop() {
            if found.insert(pid) {
                open.extend(children.get(&pid).into_iter().flatten());
            }
        }
        found.retain(|pid| self.0.get(pid).is_some_and(|kin| !kin.is_dead));
        found
    }

    /// All living descendants of `root`, without `root` itself.
    pub(super) fn descendants(&self, root: i32) -> BTreeSet<i32> {
        let mut found = self.closure([root]);
        found.remove(&root);
        found
    }

    fn living(&self) -> impl Iterator<Item = (i32, &Kin)> {
        self.0.iter().filter(|(_, kin)| !kin.is_dead).map(|(&pid, kin)| (pid, kin))
    }
}

/// One process; none where it is gone.
pub(super) fn kin_of(pid: i32) -> Option<Kin> {
    parse_stat(&fs::read(format!("/proc/{pid}/stat")).ok()?)
}

/// Threads have numbers, too, and are kept where nobody lists them.
fn is_process(pid: i32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let tgid = status.lines().find_map(|line| line.strip_prefix("Tgid:"));
    tgid.is_some_and(|tgid| tgid.trim().parse() == Ok(pid))
}

fn has_all(pid: i32, variables: &[String]) -> bool {
    if variables.is_empty() {
        return false;
    }
    let Ok(environment) = fs::read(format!("/proc/{pid}/environ")) else { return false };
    let has = |wanted: &String| {
        environment.split(|&byte| byte == 0).any(|variable| variable == wanted.as_bytes())
    };
    variables.iter().all(has)
}

/// `pid (comm) state ppid pgrp session ...`; the name in brackets may itself hold anything.
fn parse_stat(stat: &[u8]) -> Option<Kin> {
    let after_name = stat.iter().rposition(|&byte| byte == b')')? + 1;
    let rest = std::str::from_utf8(&stat[after_name..]).ok()?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    let number = |at: usize| fields.get(at)?.parse::<i32>().ok();
    let has_ended = matches!(*fields.first()?, "Z" | "X");
    Some(Kin {
        parent: number(1)?,
        group: number(2)?,
        session: number(3)?,
        is_dead: has_ended && number(17)? <= 1,
        started: fields.get(19)?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_and_spaces_is_skipped() {
        let stat = |state, threads| {
            format!("7 (a) S 99 (b) {state} 3 4 5 0 -1 0 0 0 0 0 0 0 0 0 20 0 {threads} 0 77 1")
        };
        let kin = Kin { parent: 3, group: 4, session: 5, is_dead: false, started: 77 };
        assert_eq!(parse_stat(stat("R", 1).as_bytes()), Some(kin));
        assert_eq!(parse_stat(stat("Z", 2).as_bytes()), Some(kin), "its other threads live");
        assert!(parse_stat(stat("Z", 1).as_bytes()).unwrap().is_dead);
        assert_eq!(parse_stat(b"nonsense"), None);
    }

    #[test]
    fn grandchildren_are_descendants_and_siblings_and_the_dead_are_not() {
        let kin = |parent, is_dead| Kin { parent, group: 1, session: 1, is_dead, started: 0 };
        let table = Table(BTreeMap::from([
            (2, kin(1, false)),
            (3, kin(2, true)),
            (4, kin(3, false)),
            (5, kin(1, false)),
        ]));
        assert_eq!(table.descendants(2), [4].into());
        assert_eq!(table.children(2, true).collect::<Vec<_>>(), [3]);
    }

    #[test]
    fn this_test_process_is_found_by_its_session_and_by_its_environment() {
        let table = Table::look();
        let this = nix::unistd::Pid::this().as_raw();
        let kin = *table.get(this).unwrap();
        assert!(table.session(kin.session).any(|pid| pid == this));
        let path = format!("PATH={}", std::env::var("PATH").unwrap());
        assert!(table.marked(std::slice::from_ref(&path)).any(|pid| pid == this));
        assert!(!table.marked(&[path, "POSTQ_NOT=there".into()]).any(|pid| pid == this));
        assert_eq!(table.marked(&[]).count(), 0);
    }
}
