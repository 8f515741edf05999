//! What others call: checkout and snapshot, and their forms for the command line.

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use postq_common::{
    chunk::{ChunkList, is_chunked},
    tree::{Digest, Kind, Node, Snapshot, TreeError},
};
use postq_proto::v1;
use postq_runtime::{channel::Channel, crash};
use tokio::sync::watch;
use tracing::{debug, info};

use super::{
    WorkspaceError,
    ahead::Ahead,
    cache::{Cache, Shelved},
    checkout::Checkout,
    clock::{Clock, now_ns},
    error::shown,
    folder::Folder,
    keep,
    listing::{Listing, What},
    near::{Near, Source},
    plan::Plan,
    present,
    remote::{Progress, Remote, off},
    rules::{Limits, Rules},
    turns::Turns,
};

/// How often a call is tried again: about two minutes for an agent, which has nowhere else to go,
/// and a few seconds for a person who waits.
const AGENT_TRIES: usize = 30;
const PERSON_TRIES: usize = 5;

/// To read so much again takes longer than until the clock of files has moved.
const WORTH_A_TICK: u64 = 32 << 20;

/// Chunks of a file that is read by a person: some 4 MiB.
const READ_AT_ONCE: usize = 8;

/// The way between snapshots and directories. Cheap to clone; clones share what they remember.
#[derive(Clone)]
pub struct Workspace {
    pub(super) remote: Remote,
    pub(super) cache: Option<Arc<Cache>>,
    pub(super) limits: Limits,
    pub(super) clock: Clock,
    /// What was checked out, and has not been kept yet.
    pub(super) open: Arc<Mutex<HashMap<PathBuf, Opened>>>,
    pub(super) turns: Turns,
    pub(super) ahead: Ahead,
}

/// A directory that was filled.
pub(super) struct Opened {
    pub(super) input: Snapshot,
    pub(super) listing: Arc<Listing>,
    pub(super) effort: Effort,
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
    /// What it took, from the checkout on.
    pub effort: Effort,
}

/// What the files of one attempt took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Effort {
    /// Files, directories and symlinks that were looked at.
    pub entries: u64,
    /// Of all files.
    pub bytes: u64,
    /// Of files that were read, because they had changed or were not known.
    pub hashed_bytes: u64,
    /// What the store did not have.
    pub sent_bytes: u64,
    /// What was read, and the store had.
    pub saved_bytes: u64,
    /// What came from the store, as it travelled.
    pub received_bytes: u64,
    /// What was copied from other directories of this agent, or taken over with one.
    pub local_bytes: u64,
    /// Of what was received and sent, as it travelled: what did not go by a coordinator.
    pub direct_bytes: u64,
    /// Until the task could start.
    pub checkout: Duration,
    /// To look at what it left.
    pub scan: Duration,
    /// To send it.
    pub upload: Duration,
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
        Self::with_remote(Remote::new(channel, AGENT_TRIES))
    }

    /// For one connection, tried again for some seconds.
    pub fn over(channel: Channel) -> Self {
        // The receiver keeps the last value when its sender is gone.
        let (_, channel) = watch::channel(channel);
        Self::with_remote(Remote::new(channel, PERSON_TRIES))
    }

    fn with_remote(remote: Remote) -> Self {
        Self {
            remote,
            cache: None,
            limits: Limits::default(),
            clock: Clock::default(),
            open: Arc::default(),
            turns: Turns::default(),
            ahead: Ahead::default(),
        }
    }

    /// The same within limits, for checkout and snapshot alike.
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// The same with a cache of finished directories in `dir`, of at most `bytes` (0: none). What an
    /// earlier process left there is removed. From now on a directory that was kept with
    /// [`Workspace::snapshot`] moves there. Blocks on the disk.
    pub fn with_cache(self, dir: &Path, bytes: u64) -> std::io::Result<Self> {
        let cache = Cache::open(dir, bytes)?;
        let clock = cache.clock();
        Ok(Self { cache: (bytes > 0).then(|| Arc::new(cache)), clock, ..self })
    }

    /// How far its uploads are; clones share it.
    pub fn progress(&self) -> Arc<Progress> {
        self.remote.progress()
    }

    /// Fills `dir`, which exists and is empty, with the files of `input`.
    pub async fn checkout(&self, input: &v1::Snapshot, dir: &Path) -> Result<(), WorkspaceError> {
        let began = Instant::now();
        let input = from_message(input)?;
        match self.take_over(input, dir).await? {
            Some((listing, effort)) => {
                crash::point("checkout.taken");
                self.opened(input, dir, listing, Effort { checkout: began.elapsed(), ..effort });
            }
            None => {
                let _need = input.content.map(|content| self.ahead.need(content));
                // Siblings that start at once from the same files: the first one fetches, the others
                // copy. Whoever fetches it ahead leaves it in the cache.
                let mut _turn = None;
                if let Some(content) = input.content.filter(|_| self.cache.is_some()) {
                    _turn = Some(self.turns.wait(content).await);
                }
                let mut plan = Plan::read(&self.remote, &input, self.limits).await?;
                crash::point("checkout.read");
                plan.read_chunks(&self.remote).await?;
                let lent = self.borrow(&plan, dir).await;
                let (listing, effort) = self.fill(plan, dir.to_owned(), lent).await?;
                self.opened(input, dir, listing, Effort { checkout: began.elapsed(), ..effort });
            }
        }
        Ok(())
    }

    /// Notes a directory that was filled.
    fn opened(&self, input: Snapshot, dir: &Path, listing: Listing, effort: Effort) {
        crash::point("checkout.done");
        debug!(entries = listing.entries(), ?effort, "workspace checked out");
        let opened = Opened { input, listing: Arc::new(listing), effort };
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        // Attempts that failed leave theirs behind.
        open.retain(|dir, _| dir.exists());
        open.insert(dir.to_owned(), opened);
    }

    /// What it took to fill `dir`, which has not been kept yet.
    pub fn effort_of(&self, dir: &Path) -> Option<Effort> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.get(dir).map(|opened| opened.effort)
    }

    /// Keeps what `task` has made of `input` in `dir`. All of it is durable when this returns.
    pub async fn snapshot(
        &self,
        input: &v1::Snapshot,
        dir: &Path,
        task: i32,
    ) -> Result<Taken, WorkspaceError> {
        self.snapshot_by(input, dir, task, Rules::default()).await
    }

    /// As [`Workspace::snapshot`], of what `rules` choose.
    pub async fn snapshot_by(
        &self,
        input: &v1::Snapshot,
        dir: &Path,
        task: i32,
        rules: Rules,
    ) -> Result<Taken, WorkspaceError> {
        let input = from_message(input)?;
        let opened = {
            let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
            let opened = open.get(dir).filter(|opened| opened.input == input);
            opened.map(|opened| (opened.listing.clone(), opened.effort))
        };
        let (known, effort) = opened.unzip();
        let rules = rules.within(self.limits);
        let work = keep::Work { input, dir: dir.to_owned(), task: Some(task), rules, known };
        let (taken, listing) = keep::keep(self, work, effort.unwrap_or_default()).await?;
        info!(effort = ?taken.effort, "workspace kept");
        self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(dir);
        if let (Some(cache), Some(listing)) = (self.cache.clone(), listing) {
            let (dir, snapshot) = (dir.to_owned(), from_message(&taken.snapshot)?);
            off(move || cache.keep(&dir, snapshot, listing)).await;
            crash::point("keep.cached");
        }
        Ok(taken)
    }

    /// Keeps `dir` as the first files of a job.
    pub async fn upload_dir(&self, dir: &Path) -> Result<Taken, WorkspaceError> {
        self.upload_dir_by(dir, Rules::default()).await
    }

    /// As [`Workspace::upload_dir`], of what `rules` choose.
    pub async fn upload_dir_by(&self, dir: &Path, rules: Rules) -> Result<Taken, WorkspaceError> {
        let (input, rules) = (Snapshot::default(), rules.within(self.limits));
        let work = keep::Work { input, dir: dir.to_owned(), task: None, rules, known: None };
        let (taken, _) = keep::keep(self, work, Effort::default()).await?;
        Ok(taken)
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
        let plan = Plan::read(&self.remote, &from_message(snapshot)?, self.limits).await?;
        let folders = &plan.listing.folders;
        let rows = folders.iter().flat_map(|of| of.rows.iter().map(move |row| (of, row)));
        let listed = rows.filter_map(|(of, row)| {
            let kind = match &row.what {
                What::File { bits, size, digest, .. } => {
                    Kind::File { digest: (*digest)?, size: *size, bits: *bits }
                }
                What::Folder { bits, at } => {
                    Kind::Directory { digest: folders[*at as usize].content, bits: *bits }
                }
                What::Symlink { target } => Kind::Symlink { target: target.clone() },
            };
            Some(Listed { path: of.path_of(&row.name), kind, mtime_ns: row.mtime_ns })
        });
        let mut list: Vec<Listed> = listed.collect();
        list.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(list)
    }

    /// Passes the content of one file on, piece by piece. Stops at the first error of `pass`.
    pub async fn read_file<E: From<WorkspaceError>>(
        &self,
        digest: Digest,
        size: u64,
        mut pass: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let parts = match is_chunked(size) {
            false => vec![digest],
            true => {
                let node = self.remote.contents(&[digest]).await?.concat();
                let bad = |source| TreeError::Bad { digest, source };
                let list = ChunkList::parse(node.into()).map_err(|error| bad(error).into());
                let list: Result<ChunkList, WorkspaceError> = list;
                list?.chunks().iter().map(|chunk| chunk.digest).collect()
            }
        };
        for some in parts.chunks(READ_AT_ONCE) {
            for bytes in self.remote.contents(some).await? {
                pass(&bytes)?;
            }
        }
        Ok(())
    }

    /// The directory of a finished task, where it is exactly what the next one starts from.
    async fn take_over(
        &self,
        input: Snapshot,
        dir: &Path,
    ) -> Result<Option<(Listing, Effort)>, WorkspaceError> {
        let Some(cache) = self.cache.clone() else { return Ok(None) };
        let dir = dir.to_owned();
        let taken = off(move || cache.take(&input, &dir)).await?;
        Ok(taken.map(|(listing, counts)| {
            let local_bytes = counts.bytes - counts.hashed_bytes;
            (listing, Effort { local_bytes, ..Effort::default() })
        }))
    }

    /// A directory of this agent that is almost what `plan` wants, with the chunks of its large files
    /// that are to be changed.
    async fn borrow(
        &self,
        plan: &Plan,
        dir: &Path,
    ) -> Option<(Shelved, BTreeMap<Digest, ChunkList>)> {
        let cache = self.cache.as_ref()?;
        let loan = cache.lend(plan, dir)?;
        let chunks = self.to_change(&loan.lent().listing, plan).await?;
        Some((loan.keep(), chunks))
    }

    /// The chunks of a directory's large files that are to be changed to what `plan` wants, where that is
    /// worth it.
    pub(super) async fn to_change(
        &self,
        listing: &Listing,
        plan: &Plan,
    ) -> Option<BTreeMap<Digest, ChunkList>> {
        // What cannot be read is only less to borrow.
        let nodes = self.remote.nodes(present::lists_of(listing, plan)).await.unwrap_or_default();
        let parsed =
            nodes.into_iter().map(|(digest, bytes)| Some((digest, ChunkList::parse(bytes).ok()?)));
        let chunks: BTreeMap<_, _> = parsed.flatten().collect();
        present::is_worth_it(listing, plan, &chunks).then_some(chunks)
    }

    /// Directories that may hold what a task needs. Those of tasks that run stand last: their files
    /// are the likeliest to change.
    fn sources(&self) -> Vec<Source> {
        let Some(cache) = &self.cache else { return Vec::new() };
        let mut sources = cache.sources();
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        sources.extend(open.iter().map(|(dir, opened)| {
            let (path, listing) = (dir.clone(), opened.listing.clone());
            Source { path, next: None, listing }
        }));
        sources
    }

    /// Makes an empty directory what `plan` says, with what is here and what has to be fetched.
    pub(super) async fn fill(
        &self,
        plan: Plan,
        dir: PathBuf,
        lent: Option<(Shelved, BTreeMap<Digest, ChunkList>)>,
    ) -> Result<(Listing, Effort), WorkspaceError> {
        let cache = self.cache.clone();
        let sources = self.sources();
        let begun = off(move || {
            let present = lent.and_then(|(lent, chunks)| {
                cache.as_ref().and_then(|cache| cache.move_to(lent, chunks, &dir))
            });
            let name = dir.as_os_str().as_encoded_bytes();
            let root = Folder::open_root(&dir).map_err(WorkspaceError::io("open", name))?;
            let find = |wanted: &mut dyn Iterator<Item = Digest>| Near::find(sources, wanted);
            let (checkout, near) = Checkout::begin(root, plan, present.as_ref(), find)?;
            near.copy_rest(&checkout)?;
            Ok::<_, WorkspaceError>((checkout.local_bytes(), Arc::new(checkout)))
        });
        let (local_bytes, checkout) = begun.await?;
        crash::point("checkout.begun");
        let came = self.remote.fill(checkout.clone()).await?;
        crash::point("checkout.filled");
        let clock = self.clock;
        let listing = off(move || {
            let mut listing = checkout.finish()?;
            if listing.bytes() > WORTH_A_TICK {
                clock.wait();
            }
            listing.settle(clock, now_ns());
            Ok::<_, WorkspaceError>(listing)
        });
        let listing = listing.await?;
        let (received_bytes, direct_bytes) = (came.bytes, came.direct_bytes);
        let effort = Effort { local_bytes, received_bytes, direct_bytes, ..Effort::default() };
        Ok((listing, effort))
    }
}

pub(super) fn from_message(message: &v1::Snapshot) -> Result<Snapshot, WorkspaceError> {
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
