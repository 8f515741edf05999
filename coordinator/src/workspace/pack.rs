//! Packs: many blobs in one immutable object, written once and read in runs.
//!
//! The database knows what is where. Invariant: it learns of a pack when the object is durable, and
//! an object goes only after the database has forgotten it.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    ops::Range,
};

use bytes::Bytes;
use object_store::{ObjectStoreExt, PutPayload, path::Path};
use postq_common::{frame::Frame, tree::Digest};
use postq_runtime::crash;
use tracing::error;
use uuid::Uuid;

use super::{BlobError, Blobs, Check};
use crate::store::BlobPlace;

/// A pack is written when it holds so much; with the largest blob it has less than 48 MiB.
pub(super) const PACK_BYTES: usize = 16 << 20;
/// And when it holds so many blobs: the database takes them in one statement.
pub(super) const PACK_BLOBS: usize = 20_000;

/// Where packs are.
pub(super) const FOLDER: &str = "packs";

/// Neighbours in one pack, read at once.
#[derive(Clone, Debug)]
pub(super) struct Run {
    pack: Uuid,
    /// In the order of the pack; not empty.
    blobs: Vec<BlobPlace>,
}

/// The object of a pack: in one of 256 folders by the end of its id, which is its random part.
pub(super) fn object(pack: Uuid) -> Path {
    let name = pack.simple().to_string();
    Path::from(format!("{FOLDER}/{}/{name}", &name[name.len() - 2..]))
}

/// Packs of these frames, none of them too large.
pub(super) fn split(frames: Vec<Frame>) -> Vec<Vec<Frame>> {
    let (mut packs, mut bytes) = (Vec::<Vec<Frame>>::new(), 0);
    for frame in frames {
        let fits = bytes < PACK_BYTES && packs.last().is_some_and(|pack| pack.len() < PACK_BLOBS);
        bytes = if fits { bytes } else { 0 } + frame.bytes.len();
        match packs.last_mut().filter(|_| fits) {
            Some(pack) => pack.push(frame),
            None => packs.push(vec![frame]),
        }
    }
    packs
}

/// What to read for `digests`: the packs in the order in which they are first needed, and each from
/// its beginning to its end.
pub(super) fn runs(
    digests: &[Digest],
    found: Vec<BlobPlace>,
    run_bytes: i64,
) -> Result<Vec<Run>, BlobError> {
    let order: HashMap<&[u8], usize> =
        digests.iter().enumerate().map(|(at, digest)| (digest.as_bytes(), at)).collect();
    let known: HashSet<&[u8]> = found.iter().map(|blob| &blob.digest[..]).collect();
    if let Some(missing) = digests.iter().find(|digest| !known.contains(digest.as_bytes())) {
        return Err(BlobError::Missing(*missing));
    }
    let mut packs: BTreeMap<Uuid, (usize, Vec<BlobPlace>)> = BTreeMap::new();
    for blob in found {
        let at = order.get(&blob.digest[..]).copied().unwrap_or(usize::MAX);
        let (first, blobs) = packs.entry(blob.pack).or_insert((at, Vec::new()));
        *first = at.min(*first);
        blobs.push(blob);
    }
    let mut packs: Vec<_> = packs.into_iter().collect();
    packs.sort_by_key(|(_, (first, _))| *first);
    Ok(packs.into_iter().flat_map(|(pack, (_, blobs))| cut(pack, blobs, run_bytes)).collect())
}

fn cut(pack: Uuid, mut blobs: Vec<BlobPlace>, run_bytes: i64) -> Vec<Run> {
    blobs.sort_by_key(|blob| blob.place);
    let (mut runs, mut bytes) = (Vec::<Run>::new(), i64::MAX);
    for blob in blobs {
        let more = i64::from(blob.stored_bytes);
        match runs.last_mut().filter(|_| bytes < run_bytes) {
            Some(run) => {
                bytes += more;
                run.blobs.push(blob);
            }
            None => {
                bytes = more;
                runs.push(Run { pack, blobs: vec![blob] });
            }
        }
    }
    runs
}

impl Blobs {
    /// Writes one pack. Its frames are verified; all are durable and known when this returns.
    pub(super) async fn keep(&self, frames: Vec<Frame>) -> Result<(), BlobError> {
        if frames.is_empty() {
            return Ok(());
        }
        let (pack, size, blobs) = self.write(frames).await?;
        crash::point("pack.written");
        self.index.add_pack(pack, size, &blobs).await?;
        crash::point("pack.known");
        Ok(())
    }

    /// Writes the object of a pack that the database does not know yet.
    pub(super) async fn write(
        &self,
        frames: Vec<Frame>,
    ) -> Result<(Uuid, i64, Vec<BlobPlace>), BlobError> {
        let pack = Uuid::now_v7();
        let mut size = 0_i64;
        let blobs = frames
            .iter()
            .map(|frame| {
                let place = size;
                size += frame.bytes.len() as i64;
                BlobPlace {
                    digest: frame.digest.as_bytes().to_vec(),
                    pack,
                    place,
                    stored_bytes: frame.bytes.len() as i32,
                    packed_bytes: frame.packed.map(|bytes| bytes as i32),
                }
            })
            .collect();
        let payload = PutPayload::from_iter(frames.into_iter().map(|frame| frame.bytes));
        // A pack of nothing but the empty blob has an object as well.
        let put = self.place.objects.put(&object(pack), payload).await;
        put.map_err(BlobError::store("keep a pack"))?;
        Ok((pack, size.max(1), blobs))
    }

    /// The blobs of a run. One that is gone, or found damaged, is forgotten and named.
    pub(super) async fn read_run(&self, run: Run, check: Check) -> Result<Vec<Frame>, BlobError> {
        match self.fetch(&run).await {
            Ok(read) => {
                crash::point("pack.read");
                self.verify(run, read, check).await
            }
            // It may have been moved to another pack since it was looked up.
            Err(BlobError::Missing(_)) => {
                let digests: Vec<Vec<u8>> = run.blobs.iter().map(|b| b.digest.clone()).collect();
                let found = self.index.find_blobs(&digests).await?;
                let digests: Vec<Digest> = run.blobs.iter().filter_map(digest).collect();
                let mut frames = Vec::new();
                for again in runs(&digests, found, i64::MAX)? {
                    match self.fetch(&again).await {
                        Ok(read) => frames.extend(self.verify(again, read, check).await?),
                        Err(lost @ BlobError::Missing(_)) => {
                            error!(pack = %again.pack, "a pack is gone from the store");
                            self.index.lose_blobs(again.pack, None).await?;
                            return Err(lost);
                        }
                        Err(error) => return Err(error),
                    }
                }
                Ok(frames)
            }
            Err(error) => Err(error),
        }
    }

    /// The bytes of each blob of a run; `None` where the object ends before.
    async fn fetch(&self, run: &Run) -> Result<Vec<Option<Bytes>>, BlobError> {
        let (object, ranges) = (object(run.pack), ranges(&run.blobs));
        let failed = BlobError::store("read a pack");
        let first = || run.blobs.first().and_then(digest).map(BlobError::Missing);
        match self.place.objects.get_ranges(&object, &ranges).await {
            Ok(read) => Ok(slices(&run.blobs, &ranges, &read)),
            Err(error @ object_store::Error::NotFound { .. }) => {
                Err(first().unwrap_or_else(|| failed(error)))
            }
            Err(error) => {
                // A truncated object fails the whole request; what is there is read alone.
                let size = match self.place.objects.head(&object).await {
                    Ok(meta) => meta.size,
                    Err(_) => return Err(failed(error)),
                };
                if ranges.iter().all(|range| range.end <= size) {
                    return Err(failed(error));
                }
                let whole = ranges.iter().map(|range| range.start.min(size)..range.end.min(size));
                let whole: Vec<_> = whole.filter(|range| !range.is_empty()).collect();
                let read = self.place.objects.get_ranges(&object, &whole).await;
                let read = read.map_err(BlobError::store("read a pack"))?;
                Ok(slices(&run.blobs, &whole, &read))
            }
        }
    }

    async fn verify(
        &self,
        run: Run,
        read: Vec<Option<Bytes>>,
        check: Check,
    ) -> Result<Vec<Frame>, BlobError> {
        let pack = run.pack;
        let (frames, bad) = match check {
            Check::Later => sort_out(&run.blobs, read, |_| true),
            Check::Now => {
                let is_good = |frame: &Frame| frame.open().is_ok();
                let sorting =
                    tokio::task::spawn_blocking(move || sort_out(&run.blobs, read, is_good));
                sorting.await.map_err(BlobError::store("verify blobs"))?
            }
        };
        let Some(first) = bad.first() else { return Ok(frames) };
        error!(%pack, blobs = bad.len(), %first, "blobs are damaged in the store");
        let lost: Vec<Vec<u8>> = bad.iter().map(|digest| digest.as_bytes().to_vec()).collect();
        self.index.lose_blobs(pack, Some(&lost)).await?;
        Err(BlobError::Damaged(*first))
    }
}

fn digest(blob: &BlobPlace) -> Option<Digest> {
    Digest::try_from(&blob.digest[..]).ok()
}

/// Neighbours without a gap are one range.
fn ranges(blobs: &[BlobPlace]) -> Vec<Range<u64>> {
    let mut ranges: Vec<Range<u64>> = Vec::new();
    for range in blobs.iter().map(range_of).filter(|range| !range.is_empty()) {
        match ranges.last_mut().filter(|last| last.end == range.start) {
            Some(last) => last.end = range.end,
            None => ranges.push(range),
        }
    }
    ranges
}

fn range_of(blob: &BlobPlace) -> Range<u64> {
    let start = u64::try_from(blob.place).unwrap_or_default();
    start..start + u64::try_from(blob.stored_bytes).unwrap_or_default()
}

fn slices(blobs: &[BlobPlace], ranges: &[Range<u64>], read: &[Bytes]) -> Vec<Option<Bytes>> {
    let slice = |blob: &BlobPlace| {
        let wanted = range_of(blob);
        if wanted.is_empty() {
            return Some(Bytes::new());
        }
        let at = ranges.partition_point(|range| range.end <= wanted.start);
        let (range, bytes) = (ranges.get(at)?, read.get(at)?);
        let start = usize::try_from(wanted.start.checked_sub(range.start)?).ok()?;
        let end = start + usize::try_from(wanted.end - wanted.start).ok()?;
        (end <= bytes.len()).then(|| bytes.slice(start..end))
    };
    blobs.iter().map(slice).collect()
}

/// Those that are there and good, and the names of the others.
fn sort_out(
    blobs: &[BlobPlace],
    read: Vec<Option<Bytes>>,
    is_good: impl Fn(&Frame) -> bool,
) -> (Vec<Frame>, Vec<Digest>) {
    let (mut frames, mut bad) = (Vec::with_capacity(blobs.len()), Vec::new());
    for (blob, bytes) in blobs.iter().zip(read) {
        let Some(digest) = digest(blob) else { continue };
        let packed = blob.packed_bytes.and_then(|bytes| u64::try_from(bytes).ok());
        let frame = bytes.map(|bytes| Frame { digest, bytes, packed });
        match frame.filter(&is_good) {
            Some(frame) => frames.push(frame),
            None => bad.push(digest),
        }
    }
    (frames, bad)
}
