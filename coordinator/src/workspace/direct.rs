//! Packs that agents write into the store themselves, and read from it, where they can reach it.
//!
//! The coordinator gives out URLs and keeps the index; the bytes pass it by. So it has not verified
//! what an agent put there: whoever reads a blob does, and one that turns out to be something else is
//! forgotten, as one that was damaged in the store. Invariant: an object is known only when it is there
//! in its full size, and the blobs in it do not overlap.

use std::collections::{BTreeMap, HashSet};

use object_store::ObjectStoreExt;
use postq_common::{frame::MAX_BLOB_BYTES, tree::Digest};
use uuid::Uuid;

use super::{
    BlobError, Blobs,
    blobs::FRESH,
    pack::{self, PACK_BLOBS, PACK_BYTES},
    place::Verb,
};
use crate::store::BlobPlace;

/// A pack may be so large: full, and then one more blob.
const MAX_PACK_BYTES: u64 = PACK_BYTES as u64 + MAX_BLOB_BYTES;

/// Blobs of one pack, and where it is.
#[derive(Clone, Debug)]
pub struct Located {
    /// For a GET.
    pub url: String,
    /// In no order.
    pub blobs: Vec<BlobPlace>,
}

/// Why a pack is not taken.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// Its index makes no sense.
    #[error("the index of the pack is no good: {0}")]
    Index(&'static str),
    /// The object is not there, or not as it should be.
    #[error("the pack {pack} is not in the store as its index says: {found}")]
    Object {
        /// Which.
        pack: Uuid,
        /// What is there instead.
        found: String,
    },
    /// The store does not answer.
    #[error(transparent)]
    Blob(#[from] BlobError),
}

impl Blobs {
    /// A new pack and the URL to put it to; none where it has to come by the coordinator.
    pub async fn begin_pack(&self) -> Result<Option<(Uuid, String)>, BlobError> {
        let pack = Uuid::now_v7();
        let url = self.place.sign(Verb::Put, &pack::object(pack)).await;
        let url = url.map_err(BlobError::store("sign a URL"))?;
        Ok(url.map(|url| (pack, url)))
    }

    /// Makes known a pack that was put, with the blobs in it. May be sent again, as it was.
    pub async fn end_pack(&self, pack: Uuid, blobs: Vec<BlobPlace>) -> Result<(), PackError> {
        let size = checked(&blobs)?;
        let object = |found| PackError::Object { pack, found };
        match self.place.objects.head(&pack::object(pack)).await {
            Ok(meta) if meta.size == size => {}
            Ok(meta) => return Err(object(format!("it has {} bytes, not {size}", meta.size))),
            Err(object_store::Error::NotFound { .. }) => return Err(object("nothing".into())),
            Err(error) => return Err(BlobError::store("look at a pack")(error).into()),
        }
        let size = i64::try_from(size).unwrap_or(i64::MAX);
        self.index.add_pack(pack, size, &blobs).await.map_err(BlobError::from)?;
        let digests: Vec<Vec<u8>> = blobs.into_iter().map(|blob| blob.digest).collect();
        let unknown = self.index.touch_blobs(&digests, FRESH).await.map_err(BlobError::from)?;
        match unknown.is_empty() {
            true => Ok(()),
            // A pack is closed once it is known.
            false => Err(object("another index, which was made known before".into())),
        }
    }

    /// Where these blobs are, as far as that is known; nothing where they have to come by the
    /// coordinator.
    pub async fn locate(&self, digests: &[Digest]) -> Result<Vec<Located>, BlobError> {
        if !self.place.is_open() {
            return Ok(Vec::new());
        }
        let wanted: Vec<Vec<u8>> = digests.iter().map(|it| it.as_bytes().to_vec()).collect();
        let mut packs: BTreeMap<Uuid, Vec<BlobPlace>> = BTreeMap::new();
        for blob in self.index.find_blobs(&wanted).await? {
            packs.entry(blob.pack).or_default().push(blob);
        }
        let mut located = Vec::with_capacity(packs.len());
        for (pack, blobs) in packs {
            let url = self.place.sign(Verb::Get, &pack::object(pack)).await;
            let url = url.map_err(BlobError::store("sign a URL"))?;
            located.extend(url.map(|url| Located { url, blobs }));
        }
        Ok(located)
    }
}

/// How large the pack is: its blobs stand one behind the other.
fn checked(blobs: &[BlobPlace]) -> Result<u64, PackError> {
    if blobs.is_empty() || blobs.len() > PACK_BLOBS {
        return Err(PackError::Index("it has no blobs, or too many"));
    }
    let (mut seen, mut end) = (HashSet::with_capacity(blobs.len()), 0_u64);
    for blob in blobs {
        if !seen.insert(&blob.digest) {
            return Err(PackError::Index("a blob is named twice"));
        }
        let (place, stored) = (u64::try_from(blob.place), u64::try_from(blob.stored_bytes));
        let (Ok(place), Ok(stored)) = (place, stored) else {
            return Err(PackError::Index("a number is below zero"));
        };
        let size = blob.packed_bytes.map_or(Ok(stored), u64::try_from);
        if place != end || size.is_err() || size.is_ok_and(|size| size > MAX_BLOB_BYTES) {
            return Err(PackError::Index("a blob is out of its place, or too large"));
        }
        end = place.saturating_add(stored);
    }
    match end {
        0 => Err(PackError::Index("it is empty")),
        1..=MAX_PACK_BYTES => Ok(end),
        _ => Err(PackError::Index("it is too large")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blob(name: u8, place: i64, stored_bytes: i32, packed_bytes: Option<i32>) -> BlobPlace {
        let (digest, pack) = (Digest::of(&[name]).as_bytes().to_vec(), Uuid::nil());
        BlobPlace { digest, pack, place, stored_bytes, packed_bytes }
    }

    #[test]
    fn an_index_is_taken_only_where_blobs_stand_one_behind_the_other() {
        let good = [blob(1, 0, 5, None), blob(2, 5, 0, None), blob(3, 5, 7, Some(100))];
        assert_eq!(checked(&good).unwrap(), 12);
        let large = i32::try_from(MAX_BLOB_BYTES).unwrap() + 1;
        for bad in [
            vec![],
            vec![blob(1, 0, 0, None)],
            vec![blob(1, 1, 5, None)],
            vec![blob(1, 0, 5, None), blob(1, 5, 5, None)],
            vec![blob(1, 0, 5, None), blob(2, 4, 5, None)],
            vec![blob(1, 0, -5, None)],
            vec![blob(1, -1, 5, None)],
            vec![blob(1, 0, 5, Some(large))],
            vec![blob(1, 0, 5, Some(-1))],
            vec![blob(1, 0, large, None)],
        ] {
            assert!(checked(&bad).is_err(), "{bad:?}");
        }
        let many = (0..4).map(|n| blob(n, i64::from(n) * (16 << 20), 16 << 20, None));
        assert!(checked(&many.collect::<Vec<_>>()).is_err());
    }
}
