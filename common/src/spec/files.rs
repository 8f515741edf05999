//! The rules for what of the files of a job and its tasks is kept.

use super::{JobSpec, TaskSpec, WorkspaceUse, check::Check};
use crate::patterns::pattern_fault;

impl Check<'_> {
    /// The patterns of a job.
    pub(super) fn files_of_job(&mut self, job: &JobSpec) {
        self.patterns("artifacts", &job.artifacts);
        self.patterns("ignore", &job.ignore);
    }

    /// The patterns of a task, which has to have files for them.
    pub(super) fn files_of_task(&mut self, task: &TaskSpec) {
        for (field, patterns) in [("outputs", &task.outputs), ("ignore", &task.ignore)] {
            if !patterns.is_empty() && task.workspace_use() == WorkspaceUse::None {
                self.add(field, "is about files, and the task has no workspace; remove it");
            }
            self.patterns(field, patterns);
        }
    }

    fn patterns(&mut self, field: &str, patterns: &[String]) {
        let (n, max) = (patterns.len(), self.limits.extras);
        if n > max {
            self.add(field, format!("has {n} patterns; it may have {max}"));
        }
        for (index, pattern) in patterns.iter().enumerate() {
            let fault = pattern_fault(pattern, self.limits.extra_bytes);
            self.add_fault(&format!("{field}[{index}]"), fault);
        }
    }
}
