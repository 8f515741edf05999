//! Finds processes by kinship in /proc.
//!
//! It sends no signal and waits for nothing. What it returns may be outdated at once: callers
//! look again until nothing is left.

use std::{collections::BTreeMap, fs};

use nix::unistd::Pid;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Kin {
    parent: i32,
    session: i32,
}

/// All living descendants of `root`, without `root` itself.
pub(super) fn of(root: Pid) -> Vec<Pid> {
    closure(&table(), root.as_raw()).into_iter().map(Pid::from_raw).collect()
}

/// All members of the session that `leader` leads, and their descendants.
pub(super) fn of_session(leader: Pid) -> Vec<Pid> {
    let table = table();
    let mut found: Vec<i32> = table
        .iter()
        .filter(|(_, kin)| kin.session == leader.as_raw())
        .map(|(&pid, _)| pid)
        .collect();
    for member in found.clone() {
        found.extend(closure(&table, member));
    }
    found.sort_unstable();
    found.dedup();
    found.into_iter().map(Pid::from_raw).collect()
}

fn closure(table: &BTreeMap<i32, Kin>, root: i32) -> Vec<i32> {
    let mut children: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
    for (&pid, kin) in table {
        children.entry(kin.parent).or_default().push(pid);
    }
    let mut found = Vec::new();
    let mut open = vec![root];
    while let Some(parent) = open.pop() {
        // Each pid has one parent, so each list is taken once and the walk ends.
        for pid in children.remove(&parent).unwrap_or_default() {
            found.push(pid);
            open.push(pid);
        }
    }
    found
}

fn table() -> BTreeMap<i32, Kin> {
    let Ok(entries) = fs::read_dir("/proc") else { return BTreeMap::new() };
    entries
        .flatten()
        .filter_map(|entry| {
            let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
            let stat = fs::read(entry.path().join("stat")).ok()?;
            Some((pid, parse_stat(&stat)?))
        })
        .collect()
}

/// `pid (comm) state ppid pgrp session ...`; the name in brackets may itself hold anything.
fn parse_stat(stat: &[u8]) -> Option<Kin> {
    let after_name = stat.iter().rposition(|&byte| byte == b')')? + 1;
    let rest = std::str::from_utf8(&stat[after_name..]).ok()?;
    let mut fields = rest.split_ascii_whitespace().skip(1);
    let parent = fields.next()?.parse().ok()?;
    let session = fields.nth(1)?.parse().ok()?;
    Some(Kin { parent, session })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_and_spaces_is_skipped() {
        let kin = parse_stat(b"7 (a) S 99 (b\xff) R 3 4 5 0 -1").unwrap();
        assert_eq!(kin, Kin { parent: 3, session: 5 });
        assert_eq!(parse_stat(b"nonsense"), None);
    }

    #[test]
    fn grandchildren_are_descendants_and_siblings_are_not() {
        let kin = |parent| Kin { parent, session: 1 };
        let table = BTreeMap::from([(2, kin(1)), (3, kin(2)), (4, kin(3)), (5, kin(1))]);
        let mut found = closure(&table, 2);
        found.sort_unstable();
        assert_eq!(found, [3, 4]);
    }

    #[test]
    fn this_test_process_is_in_the_table() {
        assert!(table().contains_key(&Pid::this().as_raw()));
    }
}
