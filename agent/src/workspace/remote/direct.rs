//! The store itself, where it can be reached: packs put and read by URLs that the coordinator signs,
//! so that it is not the pipe for everything.
//!
//! It is a short cut only. What cannot be had by it, or turns out to be something else, goes by the
//! coordinator, which knows what became of it. Invariant: every blob that comes out is verified.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, OnceLock, PoisonError, atomic::Ordering},
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use futures::{StreamExt, stream};
use postq_common::{frame::Frame, tree::Digest};
use postq_proto::v1::{
    BeginPackRequest, EndPackRequest, LocateRequest, PlacedBlob, WholeBlob, locate_response::Pack,
};
use rayon::prelude::*;
use tokio::sync::mpsc;
use tonic::Code;
use tracing::{debug, warn};

use super::{Remote, WorkspaceError, in_time, off, upload::Stock};

/// A pack is closed when it holds so much, before compression.
const PACK_BYTES: u64 = 16 << 20;

/// Neighbours with no more than this between them are read at once, up to so much, which is no more
/// than so much when it is opened; and so many reads run at once: some 96 MiB per stream.
const GAP_BYTES: u64 = 256 << 10;
const RUN_BYTES: u64 = 8 << 20;
const OPENED_BYTES: u64 = 16 << 20;
const RUNS: usize = 4;

/// Less is not worth another connection.
const WORTH_IT: u64 = 1 << 20;

/// A store that was not reached is left alone for so long.
const PAUSE: Duration = Duration::from_secs(60);
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// The way to the store, and whether it may be tried.
#[derive(Default)]
pub(super) struct Direct {
    /// None: it cannot be made here. Made when it is first needed.
    client: OnceLock<Option<reqwest::Client>>,
    paused_until: Mutex<Option<Instant>>,
}

/// What is read of one pack at once.
struct Run {
    url: Arc<str>,
    start: u64,
    end: u64,
    /// What the blobs are together when they are opened.
    opened: u64,
    blobs: Vec<PlacedBlob>,
}

impl Direct {
    /// Whether so many bytes may be tried now.
    fn may(&self, bytes: u64) -> bool {
        let paused = *self.paused_until.lock().unwrap_or_else(PoisonError::into_inner);
        let is_paused = paused.is_some_and(|until| Instant::now() < until);
        bytes >= WORTH_IT && !is_paused
    }

    fn client(&self) -> Option<&reqwest::Client> {
        let make = || {
            postq_runtime::tls::provide();
            let name = concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION"));
            let client = reqwest::Client::builder().user_agent(name);
            let made = client.connect_timeout(CONNECT_LIMIT).build();
            made.inspect_err(|error| warn!(%error, "the store cannot be used directly")).ok()
        };
        self.client.get_or_init(make).as_ref()
    }

    /// The way failed.
    fn fail(&self, why: &str) {
        warn!(why, "the store cannot be used directly; going by the coordinator");
        self.pause();
    }

    /// Until then another coordinator may answer, or have another store.
    fn pause(&self) {
        let mut until = self.paused_until.lock().unwrap_or_else(PoisonError::into_inner);
        *until = Some(Instant::now() + PAUSE);
    }
}

impl Remote {
    /// Puts these blobs of `stock` into the store; none where they have to go by the coordinator. How
    /// many bytes they were there.
    pub(super) async fn put(
        &self,
        stock: &Arc<Stock>,
        load: &[usize],
    ) -> Result<Option<u64>, WorkspaceError> {
        let bytes = load.iter().map(|at| stock.blobs[*at].1.size()).sum();
        if !self.direct.may(bytes) {
            return Ok(None);
        }
        let mut put = 0;
        for part in parts(stock, load) {
            let read = part.iter().map(|at| stock.blobs[*at].1.size()).sum();
            let stock = stock.clone();
            let blobs = off(move || stock.read(&part)).await?;
            match self.put_pack(blobs).await {
                Ok(Some(bytes)) => {
                    put += bytes;
                    self.progress.done.fetch_add(read, Ordering::Relaxed);
                }
                Ok(None) => return Ok(None),
                Err(why) => {
                    self.direct.fail(&why);
                    return Ok(None);
                }
            }
        }
        Ok(Some(put))
    }

    /// None: the store is no such one.
    async fn put_pack(&self, blobs: Vec<WholeBlob>) -> Result<Option<u64>, String> {
        let mut coordinator = self.client();
        let begun = in_time("take a pack", 0, coordinator.begin_pack(BeginPackRequest {})).await;
        let begun = match begun.map_err(|late| late.to_string())? {
            Ok(begun) => begun.into_inner(),
            Err(status) if status.code() == Code::Unimplemented => {
                self.direct.pause();
                return Ok(None);
            }
            Err(status) => return Err(status.to_string()),
        };
        let client = if begun.url.is_empty() { None } else { self.direct.client() };
        let Some(client) = client else {
            self.direct.pause();
            return Ok(None);
        };
        let (body, blobs) = pack(blobs);
        let size = body.len() as u64;
        let put = client.put(&begun.url).body(body).send();
        let answer = in_time("take a pack", size, put).await.map_err(|late| late.to_string())?;
        // Its error would tell the URL, which is a key.
        let answer = answer.map_err(|error| error.without_url().to_string())?;
        if !answer.status().is_success() {
            return Err(format!("PUT: {}", answer.status()));
        }
        let request = EndPackRequest { pack: begun.pack, blobs };
        let end = || async {
            let mut client = self.client();
            let ended = in_time("take a pack", 0, client.end_pack(request.clone())).await?;
            ended.map_err(WorkspaceError::remote("take a pack"))
        };
        self.persist(end).await.map_err(|error| error.to_string())?;
        Ok(Some(size))
    }

    /// Fetches what it can of `request`, which is so many bytes, and passes it on; what that was, and
    /// how many bytes came.
    pub(super) async fn get(
        &self,
        request: &[Digest],
        bytes: u64,
        frames: &mpsc::Sender<Vec<Frame>>,
    ) -> (HashSet<Digest>, u64) {
        let mut got = (HashSet::new(), 0);
        if !self.direct.may(bytes) {
            return got;
        }
        let digests = request.iter().map(|digest| digest.as_bytes().to_vec()).collect();
        let mut coordinator = self.client();
        let located = coordinator.locate(LocateRequest { digests });
        let packs = match in_time("say where files are", 0, located).await {
            Ok(Ok(located)) => located.into_inner().packs,
            Ok(Err(_)) | Err(_) => {
                self.direct.pause();
                return got;
            }
        };
        let client = if packs.is_empty() { None } else { self.direct.client() };
        let Some(client) = client else { return got };
        let mut reads = stream::iter(packs.into_iter().flat_map(runs))
            .map(|run| read(client, run))
            .buffer_unordered(RUNS);
        while let Some(read) = reads.next().await {
            match read {
                Ok((verified, bytes)) => {
                    got.0.extend(verified.iter().map(|frame| frame.digest));
                    got.1 += bytes;
                    if frames.send(verified).await.is_err() {
                        // The other side knows why.
                        return got;
                    }
                }
                Err(why) => {
                    self.direct.fail(&why);
                    return got;
                }
            }
        }
        got
    }
}

/// Packs of about so much each: the places of blobs in the stock.
fn parts(stock: &Stock, load: &[usize]) -> Vec<Vec<usize>> {
    let (mut parts, mut bytes) = (Vec::<Vec<usize>>::new(), PACK_BYTES);
    for &at in load {
        match parts.last_mut().filter(|_| bytes < PACK_BYTES) {
            Some(part) => part.push(at),
            None => {
                bytes = 0;
                parts.push(vec![at]);
            }
        }
        bytes += stock.blobs[at].1.size();
    }
    parts
}

/// One behind the other, and where each is.
fn pack(blobs: Vec<WholeBlob>) -> (Bytes, Vec<PlacedBlob>) {
    let mut body = BytesMut::with_capacity(blobs.iter().map(|blob| blob.content.len()).sum());
    let mut placed = Vec::with_capacity(blobs.len());
    for WholeBlob { digest, content, size } in blobs {
        let (place, stored_bytes) = (body.len() as u64, content.len() as u64);
        placed.push(PlacedBlob { digest: digest.to_vec(), place, stored_bytes, size });
        body.extend_from_slice(&content);
    }
    (body.freeze(), placed)
}

/// Neighbours together.
fn runs(pack: Pack) -> Vec<Run> {
    let Pack { url, mut blobs } = pack;
    blobs.sort_by_key(|blob| blob.place);
    let (url, mut runs) = (Arc::<str>::from(url), Vec::<Run>::new());
    for blob in blobs {
        let end = blob.place.saturating_add(blob.stored_bytes);
        let opened = blob.size.unwrap_or(blob.stored_bytes);
        let fits = |run: &&mut Run| {
            blob.place <= run.end.saturating_add(GAP_BYTES)
                && end - run.start <= RUN_BYTES
                && run.opened.saturating_add(opened) <= OPENED_BYTES
        };
        match runs.last_mut().filter(fits) {
            Some(run) => {
                run.end = run.end.max(end);
                run.opened += opened;
                run.blobs.push(blob);
            }
            None => {
                let (url, start) = (url.clone(), blob.place);
                runs.push(Run { url, start, end, opened, blobs: vec![blob] });
            }
        }
    }
    runs
}

/// The blobs of a run that are what they should be, and how many bytes were read.
async fn read(client: &reqwest::Client, run: Run) -> Result<(Vec<Frame>, u64), String> {
    let Run { url, start, end, blobs, .. } = run;
    let size = end - start;
    let fetch = async {
        if size == 0 {
            return Ok(Bytes::new());
        }
        let range = format!("bytes={start}-{}", end - 1);
        let answer = client.get(&*url).header(reqwest::header::RANGE, range).send().await?;
        answer.error_for_status()?.bytes().await
    };
    let bytes = in_time("send files", size, fetch).await.map_err(|late| late.to_string())?;
    let bytes = bytes.map_err(|error| format!("GET: {}", error.without_url()))?;
    if bytes.len() as u64 != size {
        // Whoever ignores the range is no store.
        return Err(format!("GET: {} bytes instead of {size}", bytes.len()));
    }
    let verified = off(move || {
        let open = |blob: &PlacedBlob| {
            let frame = frame(blob, start, &bytes)?;
            // The coordinator will find out what is wrong with it.
            let opened = frame.open().inspect_err(|bad| debug!(%bad, "not what it should be"));
            Some(Frame::plain(frame.digest, opened.ok()?))
        };
        blobs.par_iter().filter_map(open).collect::<Vec<_>>()
    });
    Ok((verified.await, size))
}

fn frame(blob: &PlacedBlob, start: u64, bytes: &Bytes) -> Option<Frame> {
    let from = usize::try_from(blob.place.checked_sub(start)?).ok()?;
    let to = from.checked_add(usize::try_from(blob.stored_bytes).ok()?)?;
    let digest = Digest::try_from(&blob.digest[..]).ok()?;
    (to <= bytes.len()).then(|| Frame { digest, bytes: bytes.slice(from..to), packed: blob.size })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_read_at_once_and_cut_out_again() {
        let blob = |place, stored_bytes| PlacedBlob {
            digest: Digest::of(b"x").as_bytes().to_vec(),
            place,
            stored_bytes,
            size: None,
        };
        let far = GAP_BYTES + 100;
        let blobs = vec![blob(far, 5), blob(10, 5), blob(0, 10), blob(far + RUN_BYTES, 1)];
        let found = runs(Pack { url: "u".into(), blobs });
        let bounds: Vec<_> =
            found.iter().map(|run| (run.start, run.end, run.blobs.len())).collect();
        assert_eq!(
            bounds,
            [(0, 15, 2), (far, far + 5, 1), (far + RUN_BYTES, far + RUN_BYTES + 1, 1)]
        );
        let packed = |place| PlacedBlob { size: Some(OPENED_BYTES / 2), ..blob(place, 1) };
        let blobs = (0..4).map(packed).collect();
        let counts: Vec<_> =
            runs(Pack { url: "u".into(), blobs }).iter().map(|run| run.blobs.len()).collect();
        assert_eq!(counts, [2, 2], "no more than that is opened at once");
        let bytes = Bytes::from_static(b"0123456789");
        let cut = |place, size| frame(&blob(place, size), 100, &bytes).map(|frame| frame.bytes);
        assert_eq!(cut(103, 4).unwrap(), &b"3456"[..]);
        assert_eq!((cut(99, 1), cut(108, 3)), (None, None));
    }
}
