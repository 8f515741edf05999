//! `postq workspace diff JOB[/TASK]`: what a task, or a whole job, changed.

use std::cmp::Ordering;

use clap::Args;
use postq_agent::workspace::{Listed, Workspace as Remote};
use postq_common::tree::Kind;
use serde::Serialize;

use crate::{
    client::Connection,
    failure::{Exit, Failure},
    files,
    output::Output,
};

/// Show which files a task changed.
#[derive(Args, Debug)]
pub struct Diff {
    /// JOB/TASK: what the task made of what it started from; JOB: the same of the whole job.
    #[arg(value_name = "JOB[/TASK]")]
    of: String,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    output: Output,
}

/// One path that differs.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Change {
    path: String,
    change: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    size_before: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
}

impl Diff {
    pub(super) async fn run(self) -> Result<Exit, Failure> {
        let coordinator = self.connection.open()?;
        let (job, task) = self.of.split_once('/').unwrap_or((&self.of, ""));
        let before = files::input(&coordinator, job, task).await?.snapshot.unwrap_or_default();
        let after = files::snapshot(&coordinator, job, task).await?;
        let remote = Remote::over(coordinator.channel());
        let list = async |snapshot| {
            let listed = remote.list(snapshot).await;
            listed.map_err(|error| files::refused("list files", &error, &coordinator))
        };
        let changes = changes(&list(&before).await?, &list(&after).await?);
        self.output.print(&changes, |changes| {
            let lines = changes.iter().map(|it| format!("{:<9} {}", it.change, it.path));
            let text = lines.collect::<Vec<_>>().join("\n");
            if text.is_empty() { "no changes".to_owned() } else { text }
        })?;
        Ok(Exit::Success)
    }
}

/// The paths that differ; both lists are sorted by path.
fn changes(mut before: &[Listed], mut after: &[Listed]) -> Vec<Change> {
    let mut changes = Vec::new();
    loop {
        let order = match (before.first(), after.first()) {
            (None, None) => return changes,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(old), Some(new)) => old.path.cmp(&new.path),
        };
        let old = before.first().filter(|_| order.is_le());
        let new = after.first().filter(|_| order.is_ge());
        changes.extend(change(old, new));
        before = &before[usize::from(old.is_some())..];
        after = &after[usize::from(new.is_some())..];
    }
}

fn change(old: Option<&Listed>, new: Option<&Listed>) -> Option<Change> {
    let change = match (old.map(|it| &it.kind), new.map(|it| &it.kind)) {
        (None, None) => return None,
        (None, Some(_)) => "added",
        (Some(_), None) => "deleted",
        (Some(old), Some(new)) if old.is_same_here(new) => return None,
        (Some(Kind::File { digest: old, .. }), Some(Kind::File { digest: new, .. })) => {
            if old == new { "mode" } else { "changed" }
        }
        (Some(Kind::Directory { .. }), Some(Kind::Directory { .. })) => "mode",
        (Some(Kind::Symlink { .. }), Some(Kind::Symlink { .. })) => "changed",
        _ => "replaced",
    };
    let size = |listed: Option<&Listed>| match listed?.kind {
        Kind::File { size, .. } => Some(size),
        _ => None,
    };
    let path = String::from_utf8_lossy(&old.or(new)?.path).into_owned();
    Some(Change { path, change, size_before: size(old), size: size(new) })
}

#[cfg(test)]
mod tests {
    use postq_common::tree::Digest;

    use super::*;

    #[test]
    fn each_kind_of_change_is_told_once() {
        let listed = |path: &str, kind| Listed { path: path.into(), kind, mtime_ns: None };
        let file = |content: &[u8], bits| Kind::File {
            digest: Digest::of(content),
            size: content.len() as u64,
            bits,
        };
        let dir = Kind::Directory { digest: None, bits: 0o755 };
        let link = |target: &'static str| Kind::Symlink { target: target.into() };
        let before = [
            listed("a", file(b"1", 0o644)),
            listed("b", file(b"1", 0o644)),
            listed("c", dir.clone()),
            listed("l", link("a")),
            listed("same", file(b"1", 0o644)),
        ];
        let after = [
            listed("a", file(b"22", 0o644)),
            listed("b", file(b"1", 0o755)),
            listed("c", file(b"1", 0o644)),
            listed("d", dir),
            listed("same", file(b"1", 0o644)),
        ];
        let told: Vec<_> =
            changes(&before, &after).into_iter().map(|it| (it.path, it.change)).collect();
        let wanted =
            [("a", "changed"), ("b", "mode"), ("c", "replaced"), ("d", "added"), ("l", "deleted")];
        assert_eq!(told, wanted.map(|(path, change)| (path.to_owned(), change)));
    }
}
