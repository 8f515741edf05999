import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from postq.v1 import dispatch_service_pb2 as _dispatch_service_pb2
from postq.v1 import job_pb2 as _job_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ListArtifactsRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListArtifactsResponse(_message.Message):
    __slots__ = ("artifacts", "next_page_token")
    ARTIFACTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    artifacts: _containers.RepeatedCompositeFieldContainer[Artifacts]
    next_page_token: str
    def __init__(self, artifacts: _Optional[_Iterable[_Union[Artifacts, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class DeleteArtifactsRequest(_message.Message):
    __slots__ = ("job_id",)
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    def __init__(self, job_id: _Optional[str] = ...) -> None: ...

class DeleteArtifactsResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Artifacts(_message.Message):
    __slots__ = ("job_id", "job_name", "queue", "job_state", "finished_at", "files", "bytes", "reason")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    JOB_NAME_FIELD_NUMBER: _ClassVar[int]
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    JOB_STATE_FIELD_NUMBER: _ClassVar[int]
    FINISHED_AT_FIELD_NUMBER: _ClassVar[int]
    FILES_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    job_name: str
    queue: str
    job_state: _job_pb2.Job.State
    finished_at: _timestamp_pb2.Timestamp
    files: int
    bytes: int
    reason: str
    def __init__(self, job_id: _Optional[str] = ..., job_name: _Optional[str] = ..., queue: _Optional[str] = ..., job_state: _Optional[_Union[_job_pb2.Job.State, str]] = ..., finished_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., files: _Optional[int] = ..., bytes: _Optional[int] = ..., reason: _Optional[str] = ...) -> None: ...

class FindMissingRequest(_message.Message):
    __slots__ = ("digests",)
    DIGESTS_FIELD_NUMBER: _ClassVar[int]
    digests: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, digests: _Optional[_Iterable[bytes]] = ...) -> None: ...

class FindMissingResponse(_message.Message):
    __slots__ = ("missing",)
    MISSING_FIELD_NUMBER: _ClassVar[int]
    missing: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, missing: _Optional[_Iterable[bytes]] = ...) -> None: ...

class BlobPiece(_message.Message):
    __slots__ = ("start", "data", "batch")
    START_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    BATCH_FIELD_NUMBER: _ClassVar[int]
    start: BlobStart
    data: bytes
    batch: BlobBatch
    def __init__(self, start: _Optional[_Union[BlobStart, _Mapping]] = ..., data: _Optional[bytes] = ..., batch: _Optional[_Union[BlobBatch, _Mapping]] = ...) -> None: ...

class BlobBatch(_message.Message):
    __slots__ = ("blobs",)
    BLOBS_FIELD_NUMBER: _ClassVar[int]
    blobs: _containers.RepeatedCompositeFieldContainer[WholeBlob]
    def __init__(self, blobs: _Optional[_Iterable[_Union[WholeBlob, _Mapping]]] = ...) -> None: ...

class WholeBlob(_message.Message):
    __slots__ = ("digest", "content", "size")
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    digest: bytes
    content: bytes
    size: int
    def __init__(self, digest: _Optional[bytes] = ..., content: _Optional[bytes] = ..., size: _Optional[int] = ...) -> None: ...

class BlobStart(_message.Message):
    __slots__ = ("digest", "size")
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    digest: bytes
    size: int
    def __init__(self, digest: _Optional[bytes] = ..., size: _Optional[int] = ...) -> None: ...

class UploadRequest(_message.Message):
    __slots__ = ("piece",)
    PIECE_FIELD_NUMBER: _ClassVar[int]
    piece: BlobPiece
    def __init__(self, piece: _Optional[_Union[BlobPiece, _Mapping]] = ...) -> None: ...

class UploadResponse(_message.Message):
    __slots__ = ("blobs",)
    BLOBS_FIELD_NUMBER: _ClassVar[int]
    blobs: int
    def __init__(self, blobs: _Optional[int] = ...) -> None: ...

class DownloadRequest(_message.Message):
    __slots__ = ("digests", "batches", "verify")
    DIGESTS_FIELD_NUMBER: _ClassVar[int]
    BATCHES_FIELD_NUMBER: _ClassVar[int]
    VERIFY_FIELD_NUMBER: _ClassVar[int]
    digests: _containers.RepeatedScalarFieldContainer[bytes]
    batches: bool
    verify: bool
    def __init__(self, digests: _Optional[_Iterable[bytes]] = ..., batches: bool = ..., verify: bool = ...) -> None: ...

class DownloadResponse(_message.Message):
    __slots__ = ("piece",)
    PIECE_FIELD_NUMBER: _ClassVar[int]
    piece: BlobPiece
    def __init__(self, piece: _Optional[_Union[BlobPiece, _Mapping]] = ...) -> None: ...

class BeginPackRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class BeginPackResponse(_message.Message):
    __slots__ = ("pack", "url")
    PACK_FIELD_NUMBER: _ClassVar[int]
    URL_FIELD_NUMBER: _ClassVar[int]
    pack: bytes
    url: str
    def __init__(self, pack: _Optional[bytes] = ..., url: _Optional[str] = ...) -> None: ...

class PlacedBlob(_message.Message):
    __slots__ = ("digest", "place", "stored_bytes", "size")
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    PLACE_FIELD_NUMBER: _ClassVar[int]
    STORED_BYTES_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    digest: bytes
    place: int
    stored_bytes: int
    size: int
    def __init__(self, digest: _Optional[bytes] = ..., place: _Optional[int] = ..., stored_bytes: _Optional[int] = ..., size: _Optional[int] = ...) -> None: ...

class EndPackRequest(_message.Message):
    __slots__ = ("pack", "blobs")
    PACK_FIELD_NUMBER: _ClassVar[int]
    BLOBS_FIELD_NUMBER: _ClassVar[int]
    pack: bytes
    blobs: _containers.RepeatedCompositeFieldContainer[PlacedBlob]
    def __init__(self, pack: _Optional[bytes] = ..., blobs: _Optional[_Iterable[_Union[PlacedBlob, _Mapping]]] = ...) -> None: ...

class EndPackResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class LocateRequest(_message.Message):
    __slots__ = ("digests",)
    DIGESTS_FIELD_NUMBER: _ClassVar[int]
    digests: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, digests: _Optional[_Iterable[bytes]] = ...) -> None: ...

class LocateResponse(_message.Message):
    __slots__ = ("packs",)
    class Pack(_message.Message):
        __slots__ = ("url", "blobs")
        URL_FIELD_NUMBER: _ClassVar[int]
        BLOBS_FIELD_NUMBER: _ClassVar[int]
        url: str
        blobs: _containers.RepeatedCompositeFieldContainer[PlacedBlob]
        def __init__(self, url: _Optional[str] = ..., blobs: _Optional[_Iterable[_Union[PlacedBlob, _Mapping]]] = ...) -> None: ...
    PACKS_FIELD_NUMBER: _ClassVar[int]
    packs: _containers.RepeatedCompositeFieldContainer[LocateResponse.Pack]
    def __init__(self, packs: _Optional[_Iterable[_Union[LocateResponse.Pack, _Mapping]]] = ...) -> None: ...

class GetSnapshotRequest(_message.Message):
    __slots__ = ("job_id", "task", "input", "attempt", "artifacts")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    ARTIFACTS_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    task: str
    input: bool
    attempt: int
    artifacts: bool
    def __init__(self, job_id: _Optional[str] = ..., task: _Optional[str] = ..., input: bool = ..., attempt: _Optional[int] = ..., artifacts: bool = ...) -> None: ...

class GetSnapshotResponse(_message.Message):
    __slots__ = ("snapshot", "assignment")
    SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
    ASSIGNMENT_FIELD_NUMBER: _ClassVar[int]
    snapshot: _dispatch_service_pb2.Snapshot
    assignment: _dispatch_service_pb2.Assignment
    def __init__(self, snapshot: _Optional[_Union[_dispatch_service_pb2.Snapshot, _Mapping]] = ..., assignment: _Optional[_Union[_dispatch_service_pb2.Assignment, _Mapping]] = ...) -> None: ...
