//! A directory made into a snapshot: scanned, chosen from, compared with what it was, sent.

use std::{
    collections::{HashMap, HashSet},
    path::PathBuf,
    sync::Arc,
    time::Instant,
};

use bytes::Bytes;
use postq_common::{
    chunk::{ChunkList, is_chunked},
    provenance::{Recorded, record},
    select::{Selected, select},
    times::Times,
    tree::{Digest, Directory, Kind, Node, Nodes, Snapshot, Step, TreeError},
};
use postq_proto::v1;
use postq_runtime::crash;
use tracing::debug;

use super::{
    Effort, Taken, Workspace, WorkspaceError,
    clock::now_ns,
    listing::Listing,
    remote::{Part, Remote, Stock, off},
    rules::Rules,
    scan::{Scan, scan},
};

/// What is to be kept.
pub(super) struct Work {
    pub(super) input: Snapshot,
    pub(super) dir: PathBuf,
    /// Who wrote it; none: it is what a job starts from.
    pub(super) task: Option<i32>,
    pub(super) rules: Rules,
    /// What the directory held when it was checked out.
    pub(super) known: Option<Arc<Listing>>,
}

/// Keeps it, durably. Also returns what the directory holds, where that is the snapshot.
pub(super) async fn keep(
    workspace: &Workspace,
    work: Work,
    mut effort: Effort,
) -> Result<(Taken, Option<Listing>), WorkspaceError> {
    let Work { input, dir, task, rules, known } = work;
    let remote = &workspace.remote;
    let began = Instant::now();
    let looked_at = now_ns();
    let (root, rules) = (dir.clone(), Arc::new(rules));
    let by = rules.clone();
    let mut scan = off(move || scan(&root, &by, known.as_deref())).await?;
    let all = (scan.content, scan.times);
    if !rules.keeps_all() {
        choose(remote, input, &mut scan, &rules).await?;
    }
    let recorded = match task {
        Some(task) => written(remote, input, &scan, task).await?,
        None => Recorded { provenance: None, nodes: Vec::new() },
    };
    (effort.entries, effort.bytes) = (scan.counts.entries, scan.counts.bytes);
    effort.hashed_bytes = scan.counts.hashed_bytes;
    effort.scan = began.elapsed();
    let snapshot =
        Snapshot { content: scan.content, provenance: recorded.provenance, times: scan.times };
    let digest = snapshot.digest();
    let is_all = !scan.has_more && all == (scan.content, scan.times);
    let Scan { nodes, blobs, listing, warnings, .. } = scan;
    let trees = nodes.into_iter().chain(recorded.nodes).chain([(digest, snapshot.encode())]);
    let trees: HashMap<Digest, Bytes> = trees.collect();
    let files = blobs.into_iter().filter(|(digest, _)| !trees.contains_key(digest));
    let mut blobs = Vec::with_capacity(files.size_hint().1.unwrap_or_default() + trees.len());
    blobs.extend(files.map(|(digest, source)| (digest, Part::File(source))));
    blobs.extend(trees.into_iter().map(|(digest, bytes)| (digest, Part::Memory(bytes))));
    let stock = Arc::new(Stock { root: dir, listing, blobs });
    crash::point("scan.done");
    let sent = remote.upload(stock.clone()).await?;
    crash::point("upload.done");
    (effort.sent_bytes, effort.saved_bytes) = (sent.bytes, sent.saved_bytes);
    effort.direct_bytes += sent.direct_bytes;
    effort.upload = began.elapsed().saturating_sub(effort.scan);
    debug!(%digest, blobs = sent.blobs, bytes = sent.bytes, "files sent");
    let listing = Arc::into_inner(stock).filter(|_| is_all).map(|stock| {
        let mut listing = stock.listing;
        listing.settle(workspace.clock, looked_at);
        listing
    });
    let [content, provenance, times] = snapshot.to_fields();
    let snapshot = v1::Snapshot { content, provenance, times };
    Ok((Taken { snapshot, digest: digest.to_string(), warnings, effort }, listing))
}

/// Runs a pure algorithm until it has the nodes it needs: what was scanned is at hand, the rest is
/// fetched.
async fn settle<T: Send + 'static>(
    remote: &Remote,
    here: &HashMap<Digest, Bytes>,
    mut step: impl FnMut(&mut Nodes) -> Result<Step<T>, TreeError> + Send + 'static,
) -> Result<T, WorkspaceError> {
    let mut nodes = Nodes::default();
    loop {
        let (back, again, stepped) = off(move || {
            let stepped = step(&mut nodes);
            (nodes, step, stepped)
        })
        .await;
        (nodes, step) = (back, again);
        let needed = match stepped? {
            Step::Done(done) => return Ok(done),
            Step::Need(needed) => needed,
        };
        let (at_hand, there): (Vec<Digest>, Vec<Digest>) =
            needed.into_iter().partition(|digest| here.contains_key(digest));
        for digest in at_hand {
            nodes.insert(digest, here[&digest].clone())?;
        }
        for (digest, bytes) in remote.nodes(there).await? {
            nodes.insert(digest, bytes)?;
        }
    }
}

/// Who wrote what.
async fn written(
    remote: &Remote,
    input: Snapshot,
    scan: &Scan,
    task: i32,
) -> Result<Recorded, WorkspaceError> {
    let output = scan.content;
    settle(remote, &scan.nodes, move |nodes| record(nodes, &input, output, task)).await
}

/// Undoes the writes that do not count, and forgets what is only needed for them.
async fn choose(
    remote: &Remote,
    input: Snapshot,
    scan: &mut Scan,
    rules: &Arc<Rules>,
) -> Result<(), WorkspaceError> {
    let output = Snapshot { content: scan.content, times: scan.times, ..Snapshot::default() };
    let rules = rules.clone();
    let step = move |nodes: &mut Nodes| {
        let choose =
            |path: &[u8], is_folder, is_above_kept| rules.choose(path, is_folder, is_above_kept);
        select(nodes, &input, &output, &choose)
    };
    let Selected { content, times, nodes } = settle(remote, &scan.nodes, step).await?;
    (scan.content, scan.times) = (content, times);
    scan.nodes.extend(nodes);
    let used = reachable(scan)?;
    scan.nodes.retain(|digest, _| used.contains(digest));
    scan.blobs.retain(|(digest, _)| used.contains(digest));
    Ok(())
}

/// What is found from the roots by the nodes at hand.
fn reachable(scan: &Scan) -> Result<HashSet<Digest>, WorkspaceError> {
    let mut used = HashSet::new();
    let mut contents: Vec<Digest> = scan.content.into_iter().collect();
    while let Some(digest) = contents.pop() {
        if !used.insert(digest) {
            continue;
        }
        let Some(bytes) = scan.nodes.get(&digest) else { continue };
        for entry in parse::<Directory>(digest, bytes)?.entries() {
            match entry.kind {
                Kind::Directory { digest, .. } => contents.extend(digest),
                Kind::File { digest, size, .. } => {
                    used.insert(digest);
                    let list = scan.nodes.get(&digest).filter(|_| is_chunked(size));
                    if let Some(bytes) = list {
                        let list = parse::<ChunkList>(digest, bytes)?;
                        used.extend(list.chunks().iter().map(|chunk| chunk.digest));
                    }
                }
                Kind::Symlink { .. } => {}
            }
        }
    }
    let mut times: Vec<Digest> = scan.times.into_iter().collect();
    while let Some(digest) = times.pop() {
        let Some(bytes) = scan.nodes.get(&digest).filter(|_| used.insert(digest)) else { continue };
        times.extend(parse::<Times>(digest, bytes)?.entries().iter().filter_map(|time| time.below));
    }
    Ok(used)
}

fn parse<N: Node>(digest: Digest, bytes: &Bytes) -> Result<N, WorkspaceError> {
    let bad = |source| TreeError::Bad { digest, source };
    Ok(N::parse(bytes.clone()).map_err(bad)?)
}
