//! Conflicts told to a person.

use std::fmt::Write;

use postq_common::merge::Conflict;

/// Conflicts beyond these are counted only.
const SHOWN: usize = 5;

/// One sentence for the reason of a task that cannot start: which paths, and by which tasks.
pub fn describe(conflicts: &[Conflict], name: impl Fn(i32) -> String) -> String {
    let mut text = String::from("the tasks before it left different files: ");
    for (number, conflict) in conflicts.iter().take(SHOWN).enumerate() {
        let names: Vec<String> =
            conflict.writers.iter().map(|task| format!("`{}`", name(*task))).collect();
        let separator = if number > 0 { "; " } else { "" };
        let path = String::from_utf8_lossy(&conflict.path);
        let what = match &conflict.below {
            None => format!("{path} by {}", names.join(" and ")),
            Some(below) => {
                let below = String::from_utf8_lossy(below);
                format!(
                    "{path} is no directory to some, but others have {below} (by {})",
                    names.join(" and ")
                )
            }
        };
        // Writing to a String cannot fail.
        let _ = write!(text, "{separator}{what}");
    }
    if let Some(more) = conflicts.len().checked_sub(SHOWN).filter(|more| *more > 0) {
        let _ = write!(text, "; and {more} more");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conflict_names_its_path_and_tasks() {
        let conflict = Conflict { path: b"out/a".to_vec(), writers: vec![1, 2], below: None };
        let text = describe(&vec![conflict; 7], |task| format!("t{task}"));
        assert!(text.contains("out/a by `t1` and `t2`"), "{text}");
        assert!(text.ends_with("and 2 more"), "{text}");
    }
}
