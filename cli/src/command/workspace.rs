//! `postq workspace ls|get`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use postq_agent::workspace::{Listed, Workspace as Remote, WorkspaceError};
use postq_common::tree::{Digest, Kind};
use postq_proto::v1::Snapshot;
use serde::Serialize;

use crate::{
    client::{Connection, Coordinator},
    failure::{Exit, Failure},
    files,
    output::{self, Output},
};

/// Look at the files of a job.
#[derive(Debug, Subcommand)]
pub enum Workspace {
    /// List files.
    Ls(Ls),
    /// Write files to a directory, or one file to standard output.
    Get(Get),
}

/// Whose files, and which.
#[derive(Args, Debug)]
struct Which {
    /// The job's id: what the job left; JOB/TASK: what the task left.
    #[arg(value_name = "JOB[/TASK]")]
    of: String,
    /// Only this file, or what is below this directory.
    #[arg(default_value = "", hide_default_value = true)]
    path: String,
    #[command(flatten)]
    connection: Connection,
}

/// List files.
#[derive(Args, Debug)]
pub struct Ls {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    output: Output,
}

/// Write files.
#[derive(Args, Debug)]
pub struct Get {
    #[command(flatten)]
    which: Which,
    /// Empty or new directory. Without it, PATH must be a file and goes to standard output.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

impl Workspace {
    /// Reads; changes nothing on the server.
    pub async fn run(self) -> Result<Exit, Failure> {
        match self {
            Self::Ls(ls) => ls.run().await,
            Self::Get(get) => get.run().await,
        }
    }
}

/// The files asked for.
struct Found {
    coordinator: Coordinator,
    snapshot: Snapshot,
    entries: Vec<Listed>,
    path: Vec<u8>,
}

impl Which {
    async fn find(&self) -> Result<Found, Failure> {
        let coordinator = self.connection.open()?;
        let (job, task) = self.of.split_once('/').unwrap_or((&self.of, ""));
        let snapshot = files::snapshot(&coordinator, job, task).await?;
        let listed = Remote::over(coordinator.channel()).list(&snapshot).await;
        let mut entries =
            listed.map_err(|error| files::refused("list files", &error, &coordinator))?;
        let path = self.path.trim_matches('/').as_bytes().to_vec();
        entries.retain(|entry| is_within(&entry.path, &path));
        if entries.is_empty() && !path.is_empty() {
            let line =
                format!("{} has no file {}; see `postq workspace ls {0}`", self.of, self.path);
            return Err(Failure::new(Exit::NotFound, line));
        }
        Ok(Found { coordinator, snapshot, entries, path })
    }
}

impl Ls {
    async fn run(self) -> Result<Exit, Failure> {
        let found = self.which.find().await?;
        let rows: Vec<Row> = found.entries.iter().map(Row::from).collect();
        self.output.print(&rows, |rows| text(rows))?;
        Ok(Exit::Success)
    }
}

impl Get {
    async fn run(self) -> Result<Exit, Failure> {
        let found = self.which.find().await?;
        match (&self.out, found.kind()) {
            (Some(out), None) => {
                files::download(&found.coordinator, &found.snapshot, out).await?;
            }
            (Some(out), Some(Kind::Directory { digest, .. })) => {
                let content = digest.map_or(Vec::new(), |digest| digest.as_bytes().to_vec());
                let below = Snapshot { content, ..Snapshot::default() };
                files::download(&found.coordinator, &below, out).await?;
            }
            (None, Some(Kind::File { digest, size, .. })) => {
                print_file(&found.coordinator, *digest, *size).await?;
            }
            (Some(_), Some(_)) => return Err(self.unfit("is one file; leave --out away")),
            (None, _) => return Err(self.unfit("is not a file; name a directory with --out")),
        }
        Ok(Exit::Success)
    }

    fn unfit(&self, why: &str) -> Failure {
        let path = if self.which.path.is_empty() { "the whole" } else { &self.which.path };
        Failure::new(Exit::Invalid, format!("{path} {why}"))
    }
}

impl Found {
    /// What stands at the path asked for; `None` for the root.
    fn kind(&self) -> Option<&Kind> {
        self.entries.iter().find(|entry| entry.path == self.path).map(|entry| &entry.kind)
    }
}

async fn print_file(coordinator: &Coordinator, digest: Digest, size: u64) -> Result<(), Failure> {
    enum Stopped {
        Files(WorkspaceError),
        Output(Failure),
    }
    impl From<WorkspaceError> for Stopped {
        fn from(error: WorkspaceError) -> Self {
            Self::Files(error)
        }
    }
    let print = |bytes: &[u8]| output::print_bytes(bytes).map_err(Stopped::Output);
    let read = Remote::over(coordinator.channel()).read_file(digest, size, print).await;
    read.map_err(|stopped| match stopped {
        Stopped::Files(error) => files::refused("send the file", &error, coordinator),
        Stopped::Output(failure) => failure,
    })
}

fn is_within(path: &[u8], above: &[u8]) -> bool {
    let rest = path.strip_prefix(above);
    above.is_empty() || rest.is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
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
    fn a_path_selects_itself_and_what_is_below() {
        assert!(is_within(b"a/b", b"a"));
        assert!(is_within(b"a", b"a"));
        assert!(is_within(b"a", b""));
        assert!(!is_within(b"ab", b"a"));
    }

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
