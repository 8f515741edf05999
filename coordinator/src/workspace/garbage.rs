//! What nobody needs any more: found and freed.
//!
//! First everything that a kept snapshot holds is touched, and the output that is in the store; then what nobody touched within the grace
//! is forgotten, packs of which little is left are written anew, and objects that the database has
//! forgotten go. Whoever uploads meanwhile asks first, and asking is a touch.
//! Invariant: at any instruction it may die, and several may run.

use std::{
    collections::HashSet,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::TryStreamExt;
use object_store::{ObjectStore, ObjectStoreExt, path::Path};
use postq_common::{
    frame::Frame,
    tree::{Digest, Snapshot},
};
use tracing::{info, warn};
use uuid::Uuid;

use super::{
    BlobError, Blobs, Joins,
    blobs::{Check, FRESH, GRACE},
    pack,
    reach::Tree,
    staged,
};
use crate::store::BlobPlace;

/// Snapshots, pages of output, tree nodes, digests and packs at a time.
const SNAPSHOTS: i64 = 1000;
const LOG_PAGES: i64 = 1000;
const NODES: usize = 1000;
const TOUCHES: usize = 10_000;
const SWEPT: i32 = 10_000;
const REWRITTEN: i64 = 64;

/// An object that nothing refers to any more may still be read by those who looked it up before.
const LAST_READERS: Duration = Duration::from_mins(10);

/// What one pass has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// Blobs that were forgotten.
    pub blobs: i64,
    /// What they took in their packs, in bytes.
    pub bytes: i64,
    /// Packs of which the rest was written anew.
    pub rewritten: usize,
    /// Objects that went from the store.
    pub objects: usize,
}

/// The collector.
#[derive(Clone, Debug)]
pub struct Garbage {
    blobs: Blobs,
    joins: Joins,
}

impl Garbage {
    /// Collects in `blobs`; what `joins` remembers is kept.
    pub fn new(blobs: Blobs, joins: Joins) -> Self {
        Self { blobs, joins }
    }

    /// One pass, if nobody has begun one within `period`.
    pub async fn collect(&self, period: Duration) -> Result<Collected, BlobError> {
        self.joins.touch().await?;
        let index = &self.blobs.index;
        if !index.begin_collection(period).await? {
            return Ok(Collected::default());
        }
        let before = index.time_before(GRACE + FRESH).await?;
        let mut collected = Collected::default();
        if index.has_old_blobs(before).await? {
            self.touch_kept().await?;
            self.touch_logs().await?;
            (collected.blobs, collected.bytes) = self.sweep(before).await?;
        }
        for pack in index.wasteful_packs(REWRITTEN).await? {
            self.rewrite(pack).await?;
            collected.rewritten += 1;
        }
        collected.objects = self.remove_condemned().await? + self.remove_orphans().await?;
        collected.objects += self.remove_staged().await?;
        info!(
            blobs = collected.blobs,
            bytes = collected.bytes,
            objects = collected.objects,
            "garbage collected"
        );
        Ok(collected)
    }

    /// Touches all that a kept snapshot holds.
    async fn touch_kept(&self) -> Result<(), BlobError> {
        let mut seen = HashSet::new();
        let mut after = (Uuid::nil(), i32::MIN);
        loop {
            let page = self.blobs.index.kept_snapshots(after, SNAPSHOTS).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = (last.job, last.n);
            let mut trees = Vec::new();
            for kept in page {
                let roots = kept.roots();
                let roots = Snapshot::from_fields(&roots.content, &roots.provenance, &roots.times);
                let Ok(roots) = roots else { continue };
                // It is named by a blob where it was uploaded.
                self.touch(&[roots.digest()]).await?;
                trees.extend(Tree::roots(&roots));
            }
            self.touch_trees(trees, &mut seen).await?;
        }
    }

    /// Touches the output of jobs that are not forgotten.
    async fn touch_logs(&self) -> Result<(), BlobError> {
        let mut after = (0, 0);
        loop {
            let page = self.blobs.index.log_pages(after, LOG_PAGES).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = (last.attempt, last.last);
            let digests = page.iter().filter_map(|it| Digest::try_from(&it.digest[..]).ok());
            self.touch(&digests.collect::<Vec<_>>()).await?;
        }
    }

    /// Touches these trees and all below them, but what was seen before.
    async fn touch_trees(
        &self,
        mut open: Vec<Tree>,
        seen: &mut HashSet<Tree>,
    ) -> Result<(), BlobError> {
        let mut leaves = Vec::new();
        while !open.is_empty() {
            let some = open.split_off(open.len().saturating_sub(NODES));
            let some: Vec<Tree> = some.into_iter().filter(|tree| seen.insert(*tree)).collect();
            let digests: Vec<Digest> = some.iter().map(Tree::digest).collect();
            let missing = self.touch(&digests).await?;
            let there: Vec<Tree> =
                some.into_iter().filter(|tree| !missing.contains(&tree.digest())).collect();
            for (tree, bytes) in self.read(there).await? {
                if tree.below(bytes, &mut open, &mut leaves).is_err() {
                    warn!(digest = %tree.digest(), "a tree that is kept cannot be read");
                }
            }
            if leaves.len() >= TOUCHES {
                self.touch(&std::mem::take(&mut leaves)).await?;
            }
        }
        self.touch(&leaves).await.map(drop)
    }

    /// The nodes; where one of them is lost, the others.
    async fn read(&self, trees: Vec<Tree>) -> Result<Vec<(Tree, Bytes)>, BlobError> {
        let digests = trees.iter().map(Tree::digest).collect();
        let nodes = match self.blobs.read_all(digests).await {
            Ok(nodes) => nodes,
            Err(error @ BlobError::Store { .. }) => return Err(error),
            Err(_) => {
                let mut nodes = Vec::new();
                for tree in &trees {
                    match self.blobs.read_all(vec![tree.digest()]).await {
                        Ok(node) => nodes.extend(node),
                        Err(error @ BlobError::Store { .. }) => return Err(error),
                        Err(error) => warn!(%error, "a tree that is kept is lost"),
                    }
                }
                nodes
            }
        };
        let nodes: std::collections::HashMap<Digest, Bytes> = nodes.into_iter().collect();
        let found = |tree: Tree| nodes.get(&tree.digest()).map(|bytes| (tree, bytes.clone()));
        Ok(trees.into_iter().filter_map(found).collect())
    }

    async fn touch(&self, digests: &[Digest]) -> Result<Vec<Digest>, BlobError> {
        let mut missing = Vec::new();
        for digests in digests.chunks(TOUCHES) {
            missing.extend(self.blobs.find_missing(digests).await?);
        }
        Ok(missing)
    }

    async fn sweep(&self, before: DateTime<Utc>) -> Result<(i64, i64), BlobError> {
        let (mut after, mut blobs, mut bytes) = (Vec::new(), 0, 0);
        loop {
            let swept = self.blobs.index.sweep_blobs(&after, before, SWEPT).await?;
            blobs += swept.count;
            bytes += swept.bytes;
            let Some(last) = swept.last else { return Ok((blobs, bytes)) };
            after = last;
        }
    }

    /// Writes what is left of a pack into a new one. Readers may still be in the old one: its object
    /// goes in a later pass.
    async fn rewrite(&self, pack: Uuid) -> Result<(), BlobError> {
        let places: Vec<BlobPlace> = self.blobs.index.blobs_of_pack(pack).await?;
        let digests: Vec<Digest> =
            places.iter().filter_map(|place| Digest::try_from(&place.digest[..]).ok()).collect();
        let mut frames: Vec<Frame> = Vec::new();
        for run in pack::runs(&digests, places, i64::MAX)? {
            match self.blobs.read_run(run, Check::Now).await {
                Ok(read) => frames.extend(read),
                Err(error @ BlobError::Store { .. }) => return Err(error),
                // Damaged ones are forgotten now; the rest is written the next time.
                Err(_) => return Ok(()),
            }
        }
        let (to, size, blobs) = self.blobs.write(frames).await?;
        Ok(self.blobs.index.move_blobs(pack, (to, size), &blobs).await?)
    }

    async fn remove_condemned(&self) -> Result<usize, BlobError> {
        let index = &self.blobs.index;
        let packs = index.condemn_packs(index.time_before(LAST_READERS).await?).await?;
        for pack in &packs {
            self.remove(&pack::object(*pack)).await?;
        }
        index.forget_packs(&packs).await?;
        Ok(packs.len())
    }

    /// Objects that were written and never became known: their writer died between.
    async fn remove_orphans(&self) -> Result<usize, BlobError> {
        let failed = || BlobError::store("list packs");
        let folder = Path::from(pack::FOLDER);
        let young = Utc::now() - GRACE;
        let listed = self.blobs.place.objects.list(Some(&folder));
        let mut pages = listed.try_chunks(NODES);
        let mut removed = 0;
        while let Some(page) = pages.try_next().await.map_err(|error| failed()(error.1))? {
            let old = page.into_iter().filter(|object| object.last_modified < young);
            let named = old.filter_map(|object| {
                Some((Uuid::parse_str(object.location.filename()?).ok()?, object.location))
            });
            let named: Vec<(Uuid, Path)> = named.collect();
            let packs: Vec<Uuid> = named.iter().map(|(pack, _)| *pack).collect();
            let known = self.blobs.index.known_packs(&packs).await?;
            for (_, location) in named.iter().filter(|(pack, _)| !known.contains(pack)) {
                self.remove(location).await?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    /// Objects that were not even written to their end.
    async fn remove_staged(&self) -> Result<usize, BlobError> {
        let Some(directory) = self.blobs.place.directory.clone() else { return Ok(0) };
        let packs = directory.join(pack::FOLDER);
        let failed = "remove what was left of packs";
        let removing =
            tokio::task::spawn_blocking(move || staged::remove(&packs, SystemTime::now() - GRACE));
        removing.await.map_err(BlobError::store(failed))?.map_err(BlobError::store(failed))
    }

    async fn remove(&self, object: &Path) -> Result<(), BlobError> {
        match self.blobs.place.objects.delete(object).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(BlobError::store("remove a pack")(error)),
        }
    }
}
