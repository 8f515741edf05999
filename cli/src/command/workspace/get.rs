//! `postq workspace get JOB[/TASK] [PATH]`.

use std::{
    io,
    path::{Path, PathBuf},
};

use clap::Args;
use postq_agent::workspace::{Workspace as Remote, WorkspaceError};
use postq_common::tree::{Digest, Kind};
use postq_proto::v1::Snapshot;

use super::which::{Found, Which};
use crate::{
    client::Coordinator,
    failure::{Exit, Failure},
    files, output,
};

/// Write files.
#[derive(Args, Debug)]
pub struct Get {
    #[command(flatten)]
    which: Which,
    /// Empty or new directory. Without it, PATH must be a file and goes to standard output.
    #[arg(long, value_name = "DIR", conflicts_with = "tar")]
    out: Option<PathBuf>,
    /// Write a tar archive instead; `-` is standard output.
    #[arg(long, value_name = "FILE")]
    tar: Option<PathBuf>,
}

impl Get {
    pub(super) async fn run(self) -> Result<Exit, Failure> {
        let found = self.which.find().await?;
        match (&self.out, &self.tar, found.kind()) {
            (None, None, Some(Kind::File { digest, size, .. })) => {
                print_file(&found.coordinator, *digest, *size).await?;
            }
            (None, None, _) => {
                return Err(self.unfit("is not a file; name a directory with --out, or use --tar"));
            }
            (_, _, Some(Kind::File { .. } | Kind::Symlink { .. })) => {
                return Err(self.unfit("is no directory; leave --out and --tar away"));
            }
            (Some(out), ..) => {
                files::download(&found.coordinator, &below(&found), out).await?;
            }
            (None, Some(tar), _) => write_tar(&found.coordinator, &below(&found), tar).await?,
        }
        Ok(Exit::Success)
    }

    fn unfit(&self, why: &str) -> Failure {
        let path = if self.which.path.is_empty() { "the whole" } else { &self.which.path };
        Failure::new(Exit::Invalid, format!("{path} {why}"))
    }
}

/// The directory asked for, as a snapshot of its own.
fn below(found: &Found) -> Snapshot {
    match found.kind() {
        Some(Kind::Directory { digest, .. }) => {
            let content = digest.map_or(Vec::new(), |digest| digest.as_bytes().to_vec());
            Snapshot { content, ..Snapshot::default() }
        }
        _ => found.snapshot.clone(),
    }
}

/// By way of a directory: an archive tells the size of a file before its content.
async fn write_tar(
    coordinator: &Coordinator,
    snapshot: &Snapshot,
    to: &Path,
) -> Result<(), Failure> {
    let failed = |error: &io::Error| Failure::of_file("write", to, error);
    let scratch = tempfile::tempdir().map_err(|error| failed(&error))?;
    let dir = scratch.path().join("files");
    files::download(coordinator, snapshot, &dir).await?;
    let archive = || -> io::Result<()> {
        let sink: Box<dyn io::Write> = match to.as_os_str() == "-" {
            true => Box::new(io::stdout().lock()),
            false => Box::new(std::fs::File::create(to)?),
        };
        let mut archive = tar::Builder::new(io::BufWriter::new(sink));
        archive.follow_symlinks(false);
        archive.append_dir_all("", &dir)?;
        io::Write::flush(&mut archive.into_inner()?)
    };
    tokio::task::block_in_place(archive).map_err(|error| failed(&error))
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
