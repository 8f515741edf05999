//! The damage matrix: a blob or tree that is truncated, changed, overwritten, gone or swapped with another
//! in the store is found by its digest, never checked out, and can be sent again.

use std::{
    fs,
    ops::Range,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use postq_agent::workspace::{Taken, WorkspaceError};
use postq_common::{
    chunk::ChunkList,
    tree::{Digest, Directory, Entry, Kind, Node, Snapshot},
};
use postq_proto::v1::{
    self, BlobPiece, BlobStart, DownloadRequest, UploadRequest, blob_piece::Piece,
};
use tonic::{Code, Status};

use crate::files::{Served, message, seen, snapshot, write};

#[derive(Clone, Copy, Debug)]
pub(crate) enum Damage {
    Truncate,
    Flip,
    Delete,
    Overwrite,
}

/// Damages the part of a pack that holds a blob.
pub(crate) fn damage((pack, part): (PathBuf, Range<usize>), how: Damage) {
    let mut bytes = fs::read(&pack).unwrap();
    match how {
        Damage::Truncate => bytes.truncate(part.start + part.len() / 2),
        Damage::Flip => bytes[part.start] ^= 1,
        Damage::Overwrite => bytes[part].fill(b'x'),
        Damage::Delete => return fs::remove_file(pack).unwrap(),
    }
    fs::write(pack, bytes).unwrap();
}

/// Bytes that no compressor makes smaller.
pub(crate) fn noise(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for part in bytes.chunks_mut(8) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        part.copy_from_slice(&state.to_le_bytes()[..part.len()]);
    }
    bytes
}

const SMALL: &str = "some content that is long enough";

/// A directory that was kept, and one blob of each kind: a small file, a directory, its times, a list of
/// chunks, a chunk.
async fn kept(served: &Served) -> (PathBuf, Taken, [Digest; 5]) {
    let dir = served.directory("from");
    write(&dir, "d/f", SMALL);
    write(&dir, "large", noise(5 << 20));
    let taken = served.workspace().upload_dir(&dir).await.unwrap();
    let roots = snapshot(&taken.snapshot);
    let (content, times) = (roots.content.unwrap(), roots.times.unwrap());
    let root = Directory::parse(served.blobs.read(content).await.unwrap()).unwrap();
    let Some(Kind::File { digest: list, .. }) = root.get(b"large") else { panic!("a file") };
    let chunks = ChunkList::parse(served.blobs.read(*list).await.unwrap()).unwrap();
    let chunk = chunks.chunks()[1].digest;
    (dir, taken, [Digest::of(SMALL.as_bytes()), content, times, *list, chunk])
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_in_the_store_is_named_and_can_be_mended() {
    for (number, how) in [Damage::Truncate, Damage::Flip, Damage::Delete, Damage::Overwrite]
        .into_iter()
        .flat_map(|how| (0..5).map(move |number| (number, how)))
    {
        let served = Served::start().await;
        let (dir, taken, blobs) = kept(&served).await;
        let digest = blobs[number];
        damage(served.place(digest).await, how);

        let refused = served.workspace().checkout(&taken.snapshot, &served.directory("to")).await;
        let Err(error) = refused else { panic!("{how:?} of blob {number} went unnoticed") };
        let told = match &error {
            WorkspaceError::Lost(status) => status.message().to_owned(),
            other => other.to_string(),
        };
        // What stood behind it in its pack is gone as well, and may be missed first.
        let is_alone = matches!(how, Damage::Flip | Damage::Overwrite);
        let named = told.contains(&digest.to_string());
        assert!(named || (!is_alone && told.contains("the blob ")), "{how:?} of {number}: {told}");

        served.workspace().upload_dir(&dir).await.unwrap();
        let mut left = 0;
        while let Err(error) = served
            .workspace()
            .checkout(&taken.snapshot, &served.directory(&format!("m{left}")))
            .await
        {
            // Each reading finds what it needs; what was found is sent again.
            left += 1;
            assert!(left < 10, "{how:?} of blob {number}: {error}");
            served.workspace().upload_dir(&dir).await.unwrap();
        }
        assert!(left == 0 || !is_alone, "{how:?} of blob {number}");
        let mended = served.scratch.path().join(format!("m{left}"));
        assert_eq!(seen(&mended), seen(&dir));
    }
}

/// Each is whole, in a frame of its own, and under the name of the other.
#[tokio::test(flavor = "multi_thread")]
async fn blobs_in_the_place_of_one_another_are_named_and_can_be_mended() {
    for number in 0..5 {
        let served = Served::start().await;
        let (dir, taken, blobs) = kept(&served).await;
        let pair = [blobs[number], blobs[(number + 1) % 5]];
        let swap = format!(
            "update postq.blob a set (pack, place, stored_bytes, packed_bytes) =
                 (select b.pack, b.place, b.stored_bytes, b.packed_bytes from postq.blob b
                  where b.digest <> a.digest and b.digest in ('\\x{0}', '\\x{1}'))
             where a.digest in ('\\x{0}', '\\x{1}')",
            pair[0], pair[1]
        );
        served.database.execute(&swap).await;
        let mut found = Vec::new();
        let mended = loop {
            let to = served.directory(&format!("to{}", found.len()));
            let Err(error) = served.workspace().checkout(&taken.snapshot, &to).await else {
                break to;
            };
            let WorkspaceError::Lost(status) = &error else { panic!("{pair:?}: {error}") };
            let told = status.message().to_owned();
            assert!(pair.iter().any(|it| told.contains(&it.to_string())), "{pair:?}: {told}");
            found.push(told);
            assert!(found.len() < 10, "{found:?}");
            served.workspace().upload_dir(&dir).await.unwrap();
        };
        assert!(!found.is_empty(), "{pair:?} went unnoticed");
        assert_eq!(seen(&mended), seen(&dir));
    }
}

pub(crate) async fn upload(served: &Served, pieces: Vec<Piece>) -> Result<u64, Status> {
    let requests = pieces
        .into_iter()
        .map(|piece| UploadRequest { piece: Some(BlobPiece { piece: Some(piece) }) });
    let requests: Vec<_> = requests.collect();
    let answer = served.client().upload(tokio_stream::iter(requests)).await?;
    Ok(answer.into_inner().blobs)
}

pub(crate) fn start(digest: Digest, size: u64) -> Piece {
    Piece::Start(BlobStart { digest: digest.as_bytes().to_vec(), size })
}

fn data(bytes: &'static [u8]) -> Piece {
    Piece::Data(Bytes::from_static(bytes))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_what_it_says_is_not_taken() {
    let served = Served::start().await;
    let digest = Digest::of(b"abc");
    let large = Digest::of(&vec![1; 3 << 20]);
    let refused = [
        vec![data(b"abc")],
        vec![start(digest, 3), data(b"xyz")],
        vec![start(digest, 2), data(b"abc")],
        vec![start(digest, 4), data(b"abc")],
        vec![start(digest, 3), start(digest, 3), data(b"abc")],
        vec![start(digest, 0)],
        vec![start(digest, 1 << 50)],
        vec![start(large, 3 << 20), Piece::Data(vec![2; 3 << 20].into())],
        vec![Piece::Start(BlobStart { digest: vec![1; 31], size: 3 })],
    ];
    for pieces in refused {
        let status = upload(&served, pieces.clone()).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{pieces:?}: {status}");
    }
    let missing = served.blobs.find_missing(&[digest, large]).await.unwrap();
    assert_eq!(missing, [digest, large]);
    let blobs = files_below(&served.scratch.path().join("store"));
    assert_eq!(blobs, [PathBuf::from("store-id")], "a refused blob left something behind");

    let sent = vec![start(digest, 3), data(b"a"), data(b"bc"), start(digest, 3), data(b"abc")];
    assert_eq!(upload(&served, sent).await.unwrap(), 2);
    assert_eq!(served.blobs.read(digest).await.unwrap(), "abc");
}

fn files_below(dir: &Path) -> Vec<PathBuf> {
    let is_file = |path: &PathBuf| path.is_file();
    let below =
        seen(dir).into_keys().map(|name| PathBuf::from(std::str::from_utf8(&name).unwrap()));
    below.filter(|path| is_file(&dir.join(path))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_that_is_not_there_is_named() {
    let served = Served::start().await;
    let digest = Digest::of(b"nowhere");
    let digests = vec![digest.as_bytes().to_vec()];
    let request = DownloadRequest { digests, ..DownloadRequest::default() };
    let mut stream = served.client().download(request).await.unwrap().into_inner();
    let status = stream.message().await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    assert!(status.message().contains(&digest.to_string()), "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_tree_is_refused_and_writes_nothing_outside() {
    let served = Served::start().await;
    let content = Digest::of(b"evil");
    upload(&served, vec![start(content, 4), data(b"evil")]).await.unwrap();
    let kind = Kind::File { digest: content, size: 4, bits: 0o644 };
    for (honest, hostile) in [("XX", ".."), ("X", "/"), ("X", "."), ("XXXXXXXX", "../../up")] {
        let entry = Entry { name: Bytes::from_static(honest.as_bytes()), kind: kind.clone() };
        let mut node = Directory::new(vec![entry]).unwrap().encode().to_vec();
        let at = node.windows(honest.len()).position(|part| part == honest.as_bytes()).unwrap();
        node[at..at + hostile.len()].copy_from_slice(hostile.as_bytes());
        refuse(&served, node, hostile).await;
    }
    // A size that is not the blob's, so that nobody can be made to expect more than there is.
    let kind = Kind::File { digest: content, size: 5, bits: 0o644 };
    let entry = Entry { name: Bytes::from_static(b"f"), kind };
    refuse(&served, Directory::new(vec![entry]).unwrap().encode().to_vec(), "size").await;
}

async fn refuse(served: &Served, node: Vec<u8>, what: &str) {
    let digest = Digest::of(&node);
    let pieces = vec![start(digest, node.len() as u64), Piece::Data(node.into())];
    upload(served, pieces).await.unwrap();
    let tree = message(&Snapshot { content: Some(digest), ..Snapshot::default() });
    let around = tempfile::tempdir_in(served.scratch.path()).unwrap();
    let dir = around.path().join("deep/er");
    fs::create_dir_all(&dir).unwrap();
    let refused = served.workspace().checkout(&tree, &dir).await;
    assert!(refused.is_err(), "{what}");
    assert_eq!(files_below(around.path()), Vec::<PathBuf>::new(), "{what}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_request_is_refused() {
    let served = Served::start().await;
    let digests = vec![vec![0; 32]; 10_001];
    let status = served.client().find_missing(v1::FindMissingRequest { digests }).await;
    assert_eq!(status.unwrap_err().code(), Code::InvalidArgument);
    let tree = v1::Snapshot { content: vec![1; 5], ..Default::default() };
    let refused = served.workspace().checkout(&tree, &served.directory("to")).await;
    assert!(matches!(refused, Err(WorkspaceError::BadSnapshot(_))), "{refused:?}");
}
