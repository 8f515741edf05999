//! What of a directory is kept: patterns and limits.

use ignore::gitignore::{Gitignore, GitignoreBuilder};
use std::{ffi::OsStr, os::unix::ffi::OsStrExt, path::Path};

use postq_common::{
    select::Choice,
    tree::{MAX_DEPTH, MAX_ENTRIES},
};

use super::WorkspaceError;

/// How much a workspace may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Of all files together.
    pub bytes: u64,
    /// Files, directories and symlinks.
    pub entries: usize,
    /// Directories within one another.
    pub depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: u64::MAX, entries: MAX_ENTRIES, depth: MAX_DEPTH }
    }
}

/// What of a task's directory is kept. Patterns are those of a `.gitignore` file.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    ignored: Option<Gitignore>,
    outputs: Option<Gitignore>,
    pub(super) limits: Limits,
}

impl Rules {
    /// Paths that match `ignore` are never looked at: what was there before stays. Of what a task
    /// writes, only paths that match `outputs` are kept; all where it is empty.
    pub fn new(
        ignore: &[String],
        outputs: &[String],
        limits: Limits,
    ) -> Result<Self, WorkspaceError> {
        Ok(Self { ignored: patterns(ignore)?, outputs: patterns(outputs)?, limits })
    }

    /// The same within those limits as well.
    pub(super) fn within(self, others: Limits) -> Self {
        let Limits { bytes, entries, depth } = self.limits;
        let limits = Limits {
            bytes: bytes.min(others.bytes),
            entries: entries.min(others.entries),
            depth: depth.min(others.depth),
        };
        Self { limits, ..self }
    }

    /// Whether every write counts.
    pub(super) fn keeps_all(&self) -> bool {
        self.ignored.is_none() && self.outputs.is_none()
    }

    pub(super) fn is_ignored(&self, path: &[u8], is_folder: bool) -> bool {
        matches(self.ignored.as_ref(), path, is_folder)
    }

    /// What becomes of a write.
    pub(super) fn choose(&self, path: &[u8], is_folder: bool, is_above_kept: bool) -> Choice {
        if self.is_ignored(path, is_folder) {
            Choice::Undo
        } else if is_above_kept
            || self.outputs.is_none()
            || matches(self.outputs.as_ref(), path, is_folder)
        {
            Choice::Keep
        } else {
            Choice::Below
        }
    }
}

fn patterns(lines: &[String]) -> Result<Option<Gitignore>, WorkspaceError> {
    if lines.is_empty() {
        return Ok(None);
    }
    let mut builder = GitignoreBuilder::new("");
    for line in lines {
        let bad = |source| WorkspaceError::BadPattern { pattern: line.clone(), source };
        builder.add_line(None, line).map_err(bad)?;
    }
    let bad = |source| WorkspaceError::BadPattern { pattern: lines.join(" "), source };
    builder.build().map(Some).map_err(bad)
}

fn matches(patterns: Option<&Gitignore>, path: &[u8], is_folder: bool) -> bool {
    let path = Path::new(OsStr::from_bytes(path));
    patterns.is_some_and(|patterns| patterns.matched(path, is_folder).is_ignore())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(ignore: &[&str], outputs: &[&str]) -> Rules {
        let owned =
            |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        Rules::new(&owned(ignore), &owned(outputs), Limits::default()).unwrap()
    }

    #[test]
    fn patterns_are_those_of_a_gitignore_file() {
        let rules = rules(&["target/", "*.log", "!keep.log", "/top"], &[]);
        for (path, is_folder, wanted) in [
            ("target", true, true),
            ("a/target", true, true),
            ("target", false, false),
            ("a/b.log", false, true),
            ("a/keep.log", false, false),
            ("top", false, true),
            ("a/top", false, false),
        ] {
            assert_eq!(rules.is_ignored(path.as_bytes(), is_folder), wanted, "{path}");
        }
    }

    #[test]
    fn outputs_choose_and_what_is_ignored_is_never_chosen() {
        let rules = rules(&["*.tmp"], &["out/", "*.csv"]);
        assert_eq!(rules.choose(b"out", true, false), Choice::Keep);
        assert_eq!(rules.choose(b"out/x", false, true), Choice::Keep);
        assert_eq!(rules.choose(b"out/x.tmp", false, true), Choice::Undo);
        assert_eq!(rules.choose(b"a/b.csv", false, false), Choice::Keep);
        assert_eq!(rules.choose(b"a", true, false), Choice::Below);
    }

    #[test]
    fn a_pattern_that_is_none_is_named() {
        let refused = Rules::new(&["a{b".to_owned()], &[], Limits::default()).unwrap_err();
        assert!(refused.to_string().contains("a{b"), "{refused}");
    }
}
