from postq.v1 import dispatch_service_pb2 as _dispatch_service_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

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

class GetSnapshotRequest(_message.Message):
    __slots__ = ("job_id", "task", "input", "attempt")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    task: str
    input: bool
    attempt: int
    def __init__(self, job_id: _Optional[str] = ..., task: _Optional[str] = ..., input: bool = ..., attempt: _Optional[int] = ...) -> None: ...

class GetSnapshotResponse(_message.Message):
    __slots__ = ("snapshot", "assignment")
    SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
    ASSIGNMENT_FIELD_NUMBER: _ClassVar[int]
    snapshot: _dispatch_service_pb2.Snapshot
    assignment: _dispatch_service_pb2.Assignment
    def __init__(self, snapshot: _Optional[_Union[_dispatch_service_pb2.Snapshot, _Mapping]] = ..., assignment: _Optional[_Union[_dispatch_service_pb2.Assignment, _Mapping]] = ...) -> None: ...
