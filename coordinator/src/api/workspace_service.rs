//! `WorkspaceService`: blobs in and out, and the files that jobs have left.
//!
//! It owns the wire side only: limits, pieces, and how errors become statuses. What a job left is
//! told by a [`SnapshotSource`], so that no SQL is needed here.

use std::{collections::HashSet, sync::Arc};

use futures::{
    StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};
use postq_common::{
    frame::Frame,
    merge::OnConflict,
    tree::{Digest, Snapshot},
};
use postq_proto::v1::{self, blob_piece::Piece, workspace_service_server::WorkspaceService};
use tonic::{Request, Response, Status, Streaming};
use tracing::error;
use uuid::Uuid;

use crate::{
    errors,
    store::BlobPlace,
    workspace::{
        BlobError, Blobs, Check, Intake, IntakeError, IsAncestor, Join, Joins, Located, MergeError,
        PackError, describe,
    },
};

/// Digests in one request.
const MAX_DIGESTS: usize = 10_000;

/// About so much is in one message, opened: whoever gets it opens it at once.
const BATCH_BYTES: usize = 1 << 20;

/// How much of a blob goes in one message where there are no batches.
const PIECE_BYTES: usize = 256 << 10;

/// What a task or a whole job left, as the database knows it.
#[derive(Clone)]
pub struct Left {
    /// The task's own snapshot; or those of the tasks that nobody depends on, each replaced by its
    /// parents' where it left none; or the job's input.
    pub snapshots: Vec<Snapshot>,
    /// The job's graph.
    pub is_ancestor: IsAncestor,
    /// The task with this number, for messages.
    pub name_of: Arc<dyn Fn(i32) -> String + Send + Sync>,
}

/// What a task starts from, as the database knows it.
#[derive(Clone)]
pub struct Input {
    /// The job and the number of the task.
    pub of: (Uuid, i32),
    /// What its ancestors left.
    pub left: Left,
    /// As the job says.
    pub on_conflict: OnConflict,
    /// What its agent is told, without the files.
    pub assignment: v1::Assignment,
}

/// Where the service learns what jobs left.
#[tonic::async_trait]
pub trait SnapshotSource: Send + Sync + 'static {
    /// What `task`, or the whole job, left. `NOT_FOUND` where there is no such job or task,
    /// `FAILED_PRECONDITION` where it has left nothing (yet).
    async fn left_by(&self, job: Uuid, task: Option<&str>) -> Result<Left, Status>;

    /// Those files of the whole job that stay when it is forgotten. Errors as with
    /// [`SnapshotSource::left_by`].
    async fn artifacts_of(&self, job: Uuid) -> Result<Snapshot, Status>;

    /// What the job starts from: nothing, or the snapshot it names.
    async fn input_of_job(&self, job: Uuid) -> Result<Snapshot, Status>;

    /// What a task starts from. Errors as with [`SnapshotSource::left_by`].
    async fn input_of_task(&self, job: Uuid, task: &str) -> Result<Input, Status>;

    /// What an attempt that has not ended starts from.
    async fn input_of_attempt(&self, attempt: i64) -> Result<Input, Status>;
}

/// The service.
pub struct WorkspaceApi {
    blobs: Blobs,
    joins: Joins,
    source: Arc<dyn SnapshotSource>,
}

impl WorkspaceApi {
    /// Serves `blobs`; `source` tells what jobs left, `joins` merges it.
    pub fn new(blobs: Blobs, joins: Joins, source: impl SnapshotSource) -> Self {
        Self { blobs, joins, source: Arc::new(source) }
    }
}

type Pieces = BoxStream<'static, Result<v1::DownloadResponse, Status>>;

#[tonic::async_trait]
impl WorkspaceService for WorkspaceApi {
    type DownloadStream = Pieces;

    async fn find_missing(
        &self,
        request: Request<v1::FindMissingRequest>,
    ) -> Result<Response<v1::FindMissingResponse>, Status> {
        let digests = digests(&request.get_ref().digests)?;
        let missing = self.blobs.find_missing(&digests).await.map_err(blob_status)?;
        let missing = missing.iter().map(|digest| digest.as_bytes().to_vec()).collect();
        Ok(Response::new(v1::FindMissingResponse { missing }))
    }

    async fn upload(
        &self,
        request: Request<Streaming<v1::UploadRequest>>,
    ) -> Result<Response<v1::UploadResponse>, Status> {
        let mut requests = request.into_inner();
        let mut intake = Intake::new(self.blobs.clone());
        while let Some(request) = requests.try_next().await? {
            match request.piece.and_then(|piece| piece.piece) {
                Some(Piece::Start(start)) => {
                    let taken = intake.start(digest(&start.digest)?, start.size).await;
                    taken.map_err(intake_status)?;
                }
                Some(Piece::Data(data)) => intake.data(data).await.map_err(intake_status)?,
                Some(Piece::Batch(batch)) => {
                    let frames = batch.blobs.into_iter().map(frame).collect::<Result<_, _>>()?;
                    intake.batch(frames).await.map_err(intake_status)?;
                }
                None => return Err(Status::invalid_argument("piece: missing")),
            }
        }
        let blobs = intake.finish().await.map_err(intake_status)?;
        Ok(Response::new(v1::UploadResponse { blobs }))
    }

    async fn download(
        &self,
        request: Request<v1::DownloadRequest>,
    ) -> Result<Response<Self::DownloadStream>, Status> {
        let request = request.into_inner();
        let mut wanted = HashSet::new();
        let mut digests = digests(&request.digests)?;
        digests.retain(|digest| wanted.insert(*digest));
        let blobs = self.blobs.clone();
        // Whole blobs are opened on their way into pieces, so they are verified anyway.
        let check = match request.batches && !request.verify {
            true => Check::Later,
            false => Check::Now,
        };
        let pieces = blobs.frames(digests, check).map(move |frames| {
            let pieces = match request.batches {
                true => batches(frames?),
                false => frames?.iter().map(pieces).collect::<Result<Vec<_>, _>>()?.concat(),
            };
            Ok::<_, BlobError>(stream::iter(pieces.into_iter().map(Ok)))
        });
        let answer = pieces.try_flatten().map_err(blob_status).map_ok(|piece| {
            v1::DownloadResponse { piece: Some(v1::BlobPiece { piece: Some(piece) }) }
        });
        Ok(Response::new(answer.boxed()))
    }

    async fn begin_pack(
        &self,
        _: Request<v1::BeginPackRequest>,
    ) -> Result<Response<v1::BeginPackResponse>, Status> {
        let begun = self.blobs.begin_pack().await.map_err(blob_status)?;
        let answer = begun.map(|(pack, url)| v1::BeginPackResponse { pack: pack.into(), url });
        Ok(Response::new(answer.unwrap_or_default()))
    }

    async fn end_pack(
        &self,
        request: Request<v1::EndPackRequest>,
    ) -> Result<Response<v1::EndPackResponse>, Status> {
        let v1::EndPackRequest { pack, blobs } = request.into_inner();
        let pack = Uuid::from_slice(&pack)
            .map_err(|_| Status::invalid_argument("pack: not what BeginPack gave"))?;
        let blobs = blobs.into_iter().map(|blob| placed(pack, blob)).collect::<Result<_, _>>()?;
        self.blobs.end_pack(pack, blobs).await.map_err(pack_status)?;
        Ok(Response::new(v1::EndPackResponse {}))
    }

    async fn locate(
        &self,
        request: Request<v1::LocateRequest>,
    ) -> Result<Response<v1::LocateResponse>, Status> {
        let digests = digests(&request.get_ref().digests)?;
        let located = self.blobs.locate(&digests).await.map_err(blob_status)?;
        let packs = located.into_iter().map(|Located { url, blobs }| {
            let blobs = blobs.into_iter().filter_map(to_placed).collect();
            v1::locate_response::Pack { url, blobs }
        });
        Ok(Response::new(v1::LocateResponse { packs: packs.collect() }))
    }

    async fn get_snapshot(
        &self,
        request: Request<v1::GetSnapshotRequest>,
    ) -> Result<Response<v1::GetSnapshotResponse>, Status> {
        let v1::GetSnapshotRequest { job_id, task, input, attempt, artifacts } =
            request.into_inner();
        if attempt != 0 {
            return self.started_from(self.source.input_of_attempt(attempt).await?).await;
        }
        let job = job_id
            .parse()
            .map_err(|_| Status::invalid_argument(format!("job_id: `{job_id}` is no job id")))?;
        let task = Some(task.as_str()).filter(|task| !task.is_empty());
        let snapshot = match (task, input) {
            (Some(task), true) => {
                return self.started_from(self.source.input_of_task(job, task).await?).await;
            }
            (None, true) => self.source.input_of_job(job).await?,
            (None, false) if artifacts => self.source.artifacts_of(job).await?,
            (task, false) => {
                let left = self.source.left_by(job, task).await?;
                self.merged((job, i32::MAX), left, OnConflict::Fail).await?
            }
        };
        let snapshot = Some(to_message(&snapshot));
        Ok(Response::new(v1::GetSnapshotResponse { snapshot, assignment: None }))
    }
}

impl WorkspaceApi {
    async fn started_from(
        &self,
        input: Input,
    ) -> Result<Response<v1::GetSnapshotResponse>, Status> {
        let Input { of, left, on_conflict, assignment } = input;
        let snapshot = to_message(&self.merged(of, left, on_conflict).await?);
        let assignment = Some(v1::Assignment { input: Some(snapshot.clone()), ..assignment });
        Ok(Response::new(v1::GetSnapshotResponse { snapshot: Some(snapshot), assignment }))
    }

    async fn merged(
        &self,
        (job, task): (Uuid, i32),
        left: Left,
        on_conflict: OnConflict,
    ) -> Result<Snapshot, Status> {
        let Left { snapshots: parents, is_ancestor, name_of } = left;
        if parents.is_empty() {
            return Ok(Snapshot::default());
        }
        let merged = self.joins.merge(Join { job, task, parents, on_conflict, is_ancestor }).await;
        merged.map_err(|error| merge_status(error, &*name_of))
    }
}

/// A snapshot on the wire.
pub fn to_message(snapshot: &Snapshot) -> v1::Snapshot {
    let [content, provenance, times] = snapshot.to_fields();
    v1::Snapshot { content, provenance, times }
}

/// A snapshot from the wire.
pub fn from_message(message: &v1::Snapshot) -> Result<Snapshot, Status> {
    Snapshot::from_fields(&message.content, &message.provenance, &message.times)
        .map_err(|error| Status::invalid_argument(format!("snapshot: {error}")))
}

/// One blob in pieces.
fn pieces(frame: &Frame) -> Result<Vec<Piece>, BlobError> {
    let mut bytes = frame.open().map_err(|_| BlobError::Damaged(frame.digest))?;
    let (digest, size) = (frame.digest.as_bytes().to_vec(), bytes.len() as u64);
    let mut pieces = vec![Piece::Start(v1::BlobStart { digest, size })];
    while !bytes.is_empty() {
        pieces.push(Piece::Data(bytes.split_to(bytes.len().min(PIECE_BYTES))));
    }
    Ok(pieces)
}

/// Whole blobs, about [`BATCH_BYTES`] in each piece.
fn batches(frames: Vec<Frame>) -> Vec<Piece> {
    let (mut batches, mut bytes) = (Vec::<v1::BlobBatch>::new(), usize::MAX);
    for Frame { digest, bytes: content, packed } in frames {
        let length =
            packed.map_or(content.len(), |size| usize::try_from(size).unwrap_or(usize::MAX));
        let digest = digest.as_bytes().to_vec().into();
        let blob = v1::WholeBlob { digest, content, size: packed };
        match batches.last_mut().filter(|_| bytes < BATCH_BYTES) {
            Some(batch) => {
                bytes = bytes.saturating_add(length);
                batch.blobs.push(blob);
            }
            None => {
                bytes = length;
                batches.push(v1::BlobBatch { blobs: vec![blob] });
            }
        }
    }
    batches.into_iter().map(Piece::Batch).collect()
}

fn frame(blob: v1::WholeBlob) -> Result<Frame, Status> {
    let v1::WholeBlob { digest: field, content, size } = blob;
    Ok(Frame { digest: digest(&field)?, bytes: content, packed: size })
}

/// A blob of a pack that an agent has put.
fn placed(pack: Uuid, blob: v1::PlacedBlob) -> Result<BlobPlace, Status> {
    let beyond = |_| Status::invalid_argument("blobs: a number is beyond what a pack may have");
    Ok(BlobPlace {
        digest: digest(&blob.digest)?.as_bytes().to_vec(),
        pack,
        place: blob.place.try_into().map_err(beyond)?,
        stored_bytes: blob.stored_bytes.try_into().map_err(beyond)?,
        packed_bytes: blob.size.map(TryInto::try_into).transpose().map_err(beyond)?,
    })
}

/// None where the numbers make no sense; it is then read by the coordinator, which tells.
fn to_placed(blob: BlobPlace) -> Option<v1::PlacedBlob> {
    let size = blob.packed_bytes.map(u64::try_from).transpose().ok()?;
    let (place, stored_bytes) = (blob.place.try_into().ok()?, blob.stored_bytes.try_into().ok()?);
    Some(v1::PlacedBlob { digest: blob.digest, place, stored_bytes, size })
}

fn digests(fields: &[Vec<u8>]) -> Result<Vec<Digest>, Status> {
    if fields.len() > MAX_DIGESTS {
        let count = fields.len();
        let message = format!("digests: {count} are too many; at most {MAX_DIGESTS} at once");
        return Err(Status::invalid_argument(message));
    }
    fields.iter().map(|field| digest(field)).collect()
}

fn digest(field: &[u8]) -> Result<Digest, Status> {
    let invalid = |error| Status::invalid_argument(format!("digest: {error}"));
    Digest::try_from(field).map_err(invalid)
}

pub(super) fn blob_status(error: BlobError) -> Status {
    match &error {
        BlobError::Missing(_) => Status::not_found(error.to_string()),
        BlobError::Damaged(_) => Status::data_loss(error.to_string()),
        BlobError::Unfit(_) => Status::failed_precondition(error.to_string()),
        BlobError::Store { verb, source } => {
            error!(error = errors::chain(&**source), "the blob store cannot {verb}");
            // What does not pass by itself is no reason for an agent to wait.
            if error.is_full() {
                Status::resource_exhausted("the blob store is full")
            } else if error.is_refused() {
                let message = "the blob store refuses the coordinator, whose log says why";
                Status::failed_precondition(message)
            } else {
                Status::unavailable(error.to_string())
            }
        }
    }
}

fn pack_status(error: PackError) -> Status {
    match error {
        PackError::Blob(error) => blob_status(error),
        PackError::Index(_) => Status::invalid_argument(error.to_string()),
        PackError::Object { .. } => Status::failed_precondition(error.to_string()),
    }
}

fn intake_status(error: IntakeError) -> Status {
    match error {
        IntakeError::Blob(error) => blob_status(error),
        error => Status::invalid_argument(error.to_string()),
    }
}

fn merge_status(error: MergeError, name_of: &dyn Fn(i32) -> String) -> Status {
    match error {
        MergeError::Conflict(conflicts) => {
            Status::failed_precondition(describe(&conflicts, name_of))
        }
        MergeError::Tree(error) => Status::data_loss(error.to_string()),
        MergeError::Blob(error) => blob_status(error),
    }
}
