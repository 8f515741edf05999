//! What others call: checkout and snapshot, and their forms for the command line.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use postq_common::{
    provenance::{Recorded, record},
    tree::{Digest, Kind, Nodes, Snapshot, Step},
};
use postq_proto::v1;
use postq_runtime::channel::Channel;
use tokio::sync::watch;
use tracing::debug;

use super::{
    WorkspaceError,
    checkout::Checkout,
    error::shown,
    folder::Folder,
    plan::{Plan, Planned},
    remote::{Part, Remote, Stock, off},
    scan::{Scan, scan},
};

/// How often a call is tried again: about two minutes for an agent, which has nowhere else to go,
/// and a few seconds for a person who waits.
const AGENT_TRIES: usize = 30;
const PERSON_TRIES: usize = 5;

/// The way between snapshots and directories. Cheap to clone; clones share what they remember.
#[derive(Clone)]
pub struct Workspace {
    remote: Remote,
}

/// A directory as it was kept.
#[derive(Clone, Debug)]
pub struct Taken {
    /// What was left.
    pub snapshot: v1::Snapshot,
    /// The digest that names the snapshot, hexadecimal, as in a job's `input`.
    pub digest: String,
    /// What was left out (FIFOs, sockets, devices), one sentence each.
    pub warnings: Vec<String>,
}

/// One path of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// From the root, without a leading slash.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: Kind,
    /// Nanoseconds since 1970, where the snapshot knows it.
    pub mtime_ns: Option<i64>,
}

impl Workspace {
    /// For an agent: each call goes over the newest channel, and is tried again for two minutes.
    pub fn new(channel: watch::Receiver<Channel>) -> Self {
        Self { remote: Remote::new(channel, AGENT_TRIES) }
    }

    /// For one connection, tried again for some seconds.
    pub fn over(channel: Channel) -> Self {
        // The receiver keeps the last value when its sender is gone.
        let (_, channel) = watch::channel(channel);
        Self { remote: Remote::new(channel, PERSON_TRIES) }
    }

    /// Fills `dir`, which exists and is empty, with the files of `input`.
    pub async fn checkout(&self, input: &v1::Snapshot, dir: &Path) -> Result<(), WorkspaceError> {
        let plan = Plan::read(&self.remote, &from_message(input)?).await?;
        self.fill(plan, dir.to_owned()).await
    }

    /// Keeps what `task` has made of `input` in `dir`. All of it is durable when this returns.
    pub async fn snapshot(
        &self,
        input: &v1::Snapshot,
        dir: &Path,
        task: i32,
    ) -> Result<Taken, WorkspaceError> {
        let input = from_message(input)?;
        let scan = self.scan(dir).await?;
        let recorded = self.record(input, &scan, task).await?;
        self.keep(dir, scan, recorded).await
    }

    /// Keeps `dir` as the first files of a job.
    pub async fn upload_dir(&self, dir: &Path) -> Result<Taken, WorkspaceError> {
        let scan = self.scan(dir).await?;
        self.keep(dir, scan, Recorded { provenance: None, nodes: Vec::new() }).await
    }

    /// Writes the files of `snapshot` into `dir`, which is made if absent and must be empty.
    pub async fn download(
        &self,
        snapshot: &v1::Snapshot,
        dir: &Path,
    ) -> Result<(), WorkspaceError> {
        let path = dir.to_owned();
        off(move || make_empty(&path)).await?;
        self.checkout(snapshot, dir).await
    }

    /// All that `snapshot` holds, sorted by path.
    pub async fn list(&self, snapshot: &v1::Snapshot) -> Result<Vec<Listed>, WorkspaceError> {
        let plan = Plan::read(&self.remote, &from_message(snapshot)?).await?;
        let listed = |Planned { path, kind, mtime_ns }| Listed { path, kind, mtime_ns };
        let mut list: Vec<Listed> = plan.entries.into_iter().map(listed).collect();
        list.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(list)
    }

    async fn fill(&self, plan: Plan, dir: PathBuf) -> Result<(), WorkspaceError> {
        let files = plan.entries.len();
        let checkout = off(move || {
            let name = dir.as_os_str().as_encoded_bytes();
            let root = Folder::open_root(&dir).map_err(WorkspaceError::io("open", name))?;
            Checkout::begin(root, plan)
        });
        let checkout = self.remote.fill(checkout.await?).await?;
        off(|| checkout.finish()).await?;
        debug!(entries = files, "workspace checked out");
        Ok(())
    }

    async fn scan(&self, dir: &Path) -> Result<Scan, WorkspaceError> {
        let dir = dir.to_owned();
        off(move || scan(&dir)).await
    }

    /// The provenance of what was scanned. Nodes of the input are fetched, those of the output are
    /// at hand.
    async fn record(
        &self,
        input: Snapshot,
        scan: &Scan,
        task: i32,
    ) -> Result<Recorded, WorkspaceError> {
        let mut nodes = Nodes::default();
        let output = scan.content;
        loop {
            let (back, step) = off(move || {
                let step = record(&mut nodes, &input, output, task);
                (nodes, step)
            })
            .await;
            nodes = back;
            let needed = match step? {
                Step::Done(recorded) => return Ok(recorded),
                Step::Need(needed) => needed,
            };
            let (here, there): (Vec<Digest>, Vec<Digest>) =
                needed.into_iter().partition(|digest| scan.nodes.contains_key(digest));
            for digest in here {
                nodes.insert(digest, scan.nodes[&digest].clone())?;
            }
            for (digest, bytes) in self.remote.nodes(there).await? {
                nodes.insert(digest, bytes)?;
            }
        }
    }

    async fn keep(
        &self,
        dir: &Path,
        scan: Scan,
        recorded: Recorded,
    ) -> Result<Taken, WorkspaceError> {
        let Scan { content, times, nodes, files, warnings, .. } = scan;
        let snapshot = Snapshot { content, provenance: recorded.provenance, times };
        let digest = snapshot.digest();
        let mut blobs: BTreeMap<Digest, Part> = files
            .into_iter()
            .map(|(digest, source)| (digest, Part::File { path: source.path, size: source.size }))
            .collect();
        let trees = nodes.into_iter().chain(recorded.nodes).chain([(digest, snapshot.encode())]);
        blobs.extend(trees.map(|(digest, bytes)| (digest, Part::Memory(bytes))));
        let count = blobs.len();
        self.remote.upload(&Stock { root: dir.to_owned(), blobs }).await?;
        debug!(%digest, blobs = count, "workspace kept");
        let [content, provenance, times] = snapshot.to_fields();
        let snapshot = v1::Snapshot { content, provenance, times };
        Ok(Taken { snapshot, digest: digest.to_string(), warnings })
    }
}

fn from_message(message: &v1::Snapshot) -> Result<Snapshot, WorkspaceError> {
    Ok(Snapshot::from_fields(&message.content, &message.provenance, &message.times)?)
}

fn make_empty(dir: &Path) -> Result<(), WorkspaceError> {
    let path = dir.as_os_str().as_encoded_bytes();
    let listed =
        std::fs::create_dir_all(dir).and_then(|()| std::fs::read_dir(dir)?.next().transpose());
    match listed.map_err(WorkspaceError::io("make", path))? {
        Some(_) => Err(WorkspaceError::NotEmpty { path: shown(path) }),
        None => Ok(()),
    }
}
