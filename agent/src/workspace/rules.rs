//! What of a directory is kept: patterns and limits.

use postq_common::{
    patterns::Patterns,
    select::Choice,
    tree::{MAX_DEPTH, MAX_ENTRIES},
};
use postq_proto::v1;

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
    ignored: Option<Patterns>,
    outputs: Option<Patterns>,
    pub(super) limits: Limits,
}

impl Rules {
    /// Paths that match `ignore` are never looked at: what was there before stays. Of what a task
    /// writes, only paths that match `outputs`, and what is below them, are kept; all where it is
    /// empty.
    pub fn new(
        ignore: &[String],
        outputs: &[String],
        limits: Limits,
    ) -> Result<Self, WorkspaceError> {
        let some = |lines: &[String]| (!lines.is_empty()).then(|| Patterns::new(lines)).transpose();
        Ok(Self { ignored: some(ignore)?, outputs: some(outputs)?, limits })
    }

    /// As the job and the task say.
    pub fn of(assignment: &v1::Assignment) -> Result<Self, WorkspaceError> {
        let outputs = assignment.spec.as_ref().map_or(&[][..], |spec| &spec.outputs);
        Self::new(&assignment.ignore, outputs, Limits::default())
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
        self.ignored.as_ref().is_some_and(|it| it.judge(path, is_folder) == Some(true))
    }

    /// What becomes of a write.
    pub(super) fn choose(&self, path: &[u8], is_folder: bool, is_above_kept: bool) -> Choice {
        if self.is_ignored(path, is_folder) {
            return Choice::Undo;
        }
        let Some(outputs) = &self.outputs else { return Choice::Keep };
        outputs.choose(path, is_folder, is_above_kept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_choose_and_what_is_ignored_is_never_chosen() {
        let owned = |words: &[&str]| words.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
        let outputs = owned(&["out/", "*.csv", "!out/old/"]);
        let rules = Rules::new(&owned(&["*.tmp"]), &outputs, Limits::default()).unwrap();
        assert_eq!(rules.choose(b"out", true, false), Choice::Keep);
        assert_eq!(rules.choose(b"out/x", false, true), Choice::Keep);
        assert_eq!(rules.choose(b"out/x.tmp", false, true), Choice::Undo);
        assert_eq!(rules.choose(b"out/old", true, true), Choice::Undo);
        assert_eq!(rules.choose(b"a/b.csv", false, false), Choice::Keep);
        assert_eq!(rules.choose(b"a", true, false), Choice::Below);
    }
}
