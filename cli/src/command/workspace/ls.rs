//! `postq workspace ls JOB[/TASK] [PATH]`.

use clap::Args;
use postq_agent::workspace::Listed;
use postq_common::tree::Kind;
use serde::Serialize;

use super::which::Which;
use crate::{
    failure::{Exit, Failure},
    output::Output,
};

/// List files.
#[derive(Args, Debug)]
pub struct Ls {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    output: Output,
}

impl Ls {
    pub(super) async fn run(self) -> Result<Exit, Failure> {
        let found = self.which.find().await?;
        let rows: Vec<Row> = found.entries.iter().map(Row::from).collect();
        self.output.print(&rows, |rows| text(rows))?;
        Ok(Exit::Success)
    }
}

#[derive(Debug, Serialize)]
struct Row {
    path: String,
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<String>,
}

impl From<&Listed> for Row {
    fn from(listed: &Listed) -> Self {
        let path = String::from_utf8_lossy(&listed.path).into_owned();
        let mut row = Self { path, kind: "", size: None, mode: None, digest: None, target: None };
        match &listed.kind {
            Kind::File { digest, size, bits } => {
                row.kind = "file";
                row.size = Some(*size);
                row.mode = Some(format!("{bits:03o}"));
                row.digest = Some(digest.to_string());
            }
            Kind::Directory { bits, .. } => {
                row.kind = "directory";
                row.mode = Some(format!("{bits:03o}"));
            }
            Kind::Symlink { target } => {
                row.kind = "symlink";
                row.target = Some(String::from_utf8_lossy(target).into_owned());
            }
        }
        row
    }
}

fn text(rows: &[Row]) -> String {
    if rows.is_empty() {
        return "no files".to_owned();
    }
    let lines = rows.iter().map(|row| {
        let mode = row.mode.as_deref().unwrap_or("-");
        let size = row.size.map_or("-".to_owned(), |size| size.to_string());
        let end = match (&row.target, row.kind) {
            (Some(target), _) => format!(" -> {target}"),
            (None, "directory") => "/".to_owned(),
            (None, _) => String::new(),
        };
        format!("{mode:>3} {size:>12} {}{end}", row.path)
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_tells_directories_and_links_apart() {
        let listed = |path: &[u8], kind| Listed { path: path.to_vec(), kind, mtime_ns: None };
        let entries = [
            listed(b"d", Kind::Directory { digest: None, bits: 0o755 }),
            listed(b"l", Kind::Symlink { target: "d".into() }),
        ];
        let rows: Vec<Row> = entries.iter().map(Row::from).collect();
        assert_eq!(text(&rows), "755            - d/\n  -            - l -> d");
    }
}
