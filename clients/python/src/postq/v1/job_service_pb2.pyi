import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from postq.v1 import job_pb2 as _job_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SubmitJobRequest(_message.Message):
    __slots__ = ("job", "id", "wait", "require_queue")
    JOB_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    WAIT_FIELD_NUMBER: _ClassVar[int]
    REQUIRE_QUEUE_FIELD_NUMBER: _ClassVar[int]
    job: _job_pb2.JobSpec
    id: str
    wait: _duration_pb2.Duration
    require_queue: bool
    def __init__(self, job: _Optional[_Union[_job_pb2.JobSpec, _Mapping]] = ..., id: _Optional[str] = ..., wait: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., require_queue: bool = ...) -> None: ...

class SubmitJobResponse(_message.Message):
    __slots__ = ("id", "created")
    ID_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    id: str
    created: bool
    def __init__(self, id: _Optional[str] = ..., created: bool = ...) -> None: ...

class SubmitJobsRequest(_message.Message):
    __slots__ = ("jobs",)
    JOBS_FIELD_NUMBER: _ClassVar[int]
    jobs: _containers.RepeatedCompositeFieldContainer[SubmitJobRequest]
    def __init__(self, jobs: _Optional[_Iterable[_Union[SubmitJobRequest, _Mapping]]] = ...) -> None: ...

class SubmitJobsResponse(_message.Message):
    __slots__ = ("jobs",)
    JOBS_FIELD_NUMBER: _ClassVar[int]
    jobs: _containers.RepeatedCompositeFieldContainer[SubmitJobResponse]
    def __init__(self, jobs: _Optional[_Iterable[_Union[SubmitJobResponse, _Mapping]]] = ...) -> None: ...

class GetJobRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class GetJobResponse(_message.Message):
    __slots__ = ("job",)
    JOB_FIELD_NUMBER: _ClassVar[int]
    job: _job_pb2.Job
    def __init__(self, job: _Optional[_Union[_job_pb2.Job, _Mapping]] = ...) -> None: ...

class ListJobsRequest(_message.Message):
    __slots__ = ("states", "queue", "page_size", "page_token", "filter", "ids")
    STATES_FIELD_NUMBER: _ClassVar[int]
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    IDS_FIELD_NUMBER: _ClassVar[int]
    states: _containers.RepeatedScalarFieldContainer[_job_pb2.Job.State]
    queue: str
    page_size: int
    page_token: str
    filter: str
    ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, states: _Optional[_Iterable[_Union[_job_pb2.Job.State, str]]] = ..., queue: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., filter: _Optional[str] = ..., ids: _Optional[_Iterable[str]] = ...) -> None: ...

class ListJobsResponse(_message.Message):
    __slots__ = ("jobs", "next_page_token")
    JOBS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    jobs: _containers.RepeatedCompositeFieldContainer[_job_pb2.Job]
    next_page_token: str
    def __init__(self, jobs: _Optional[_Iterable[_Union[_job_pb2.Job, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class ListTasksRequest(_message.Message):
    __slots__ = ("job_id", "states", "page_size", "page_token")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    STATES_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    states: _containers.RepeatedScalarFieldContainer[_job_pb2.Task.State]
    page_size: int
    page_token: str
    def __init__(self, job_id: _Optional[str] = ..., states: _Optional[_Iterable[_Union[_job_pb2.Task.State, str]]] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListTasksResponse(_message.Message):
    __slots__ = ("tasks", "next_page_token")
    TASKS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    tasks: _containers.RepeatedCompositeFieldContainer[_job_pb2.Task]
    next_page_token: str
    def __init__(self, tasks: _Optional[_Iterable[_Union[_job_pb2.Task, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class WatchJobRequest(_message.Message):
    __slots__ = ("id", "after_revision")
    ID_FIELD_NUMBER: _ClassVar[int]
    AFTER_REVISION_FIELD_NUMBER: _ClassVar[int]
    id: str
    after_revision: int
    def __init__(self, id: _Optional[str] = ..., after_revision: _Optional[int] = ...) -> None: ...

class WatchJobResponse(_message.Message):
    __slots__ = ("job", "tasks", "revision", "complete")
    JOB_FIELD_NUMBER: _ClassVar[int]
    TASKS_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    COMPLETE_FIELD_NUMBER: _ClassVar[int]
    job: _job_pb2.Job
    tasks: _containers.RepeatedCompositeFieldContainer[_job_pb2.Task]
    revision: int
    complete: bool
    def __init__(self, job: _Optional[_Union[_job_pb2.Job, _Mapping]] = ..., tasks: _Optional[_Iterable[_Union[_job_pb2.Task, _Mapping]]] = ..., revision: _Optional[int] = ..., complete: bool = ...) -> None: ...

class WatchJobsRequest(_message.Message):
    __slots__ = ("filter", "queue", "max_count", "until_ended")
    FILTER_FIELD_NUMBER: _ClassVar[int]
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    MAX_COUNT_FIELD_NUMBER: _ClassVar[int]
    UNTIL_ENDED_FIELD_NUMBER: _ClassVar[int]
    filter: str
    queue: str
    max_count: int
    until_ended: bool
    def __init__(self, filter: _Optional[str] = ..., queue: _Optional[str] = ..., max_count: _Optional[int] = ..., until_ended: bool = ...) -> None: ...

class WatchJobsResponse(_message.Message):
    __slots__ = ("jobs", "complete")
    JOBS_FIELD_NUMBER: _ClassVar[int]
    COMPLETE_FIELD_NUMBER: _ClassVar[int]
    jobs: _containers.RepeatedCompositeFieldContainer[_job_pb2.Job]
    complete: bool
    def __init__(self, jobs: _Optional[_Iterable[_Union[_job_pb2.Job, _Mapping]]] = ..., complete: bool = ...) -> None: ...

class CancelJobRequest(_message.Message):
    __slots__ = ("id", "reason")
    ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    id: str
    reason: str
    def __init__(self, id: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class CancelJobResponse(_message.Message):
    __slots__ = ("job",)
    JOB_FIELD_NUMBER: _ClassVar[int]
    job: _job_pb2.Job
    def __init__(self, job: _Optional[_Union[_job_pb2.Job, _Mapping]] = ...) -> None: ...

class CancelJobsRequest(_message.Message):
    __slots__ = ("ids", "filter", "queue", "waiting_only", "reason")
    IDS_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    WAITING_ONLY_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    ids: _containers.RepeatedScalarFieldContainer[str]
    filter: str
    queue: str
    waiting_only: bool
    reason: str
    def __init__(self, ids: _Optional[_Iterable[str]] = ..., filter: _Optional[str] = ..., queue: _Optional[str] = ..., waiting_only: bool = ..., reason: _Optional[str] = ...) -> None: ...

class CancelJobsResponse(_message.Message):
    __slots__ = ("requested",)
    REQUESTED_FIELD_NUMBER: _ClassVar[int]
    requested: int
    def __init__(self, requested: _Optional[int] = ...) -> None: ...

class RetryJobRequest(_message.Message):
    __slots__ = ("id", "tasks", "new_id")
    ID_FIELD_NUMBER: _ClassVar[int]
    TASKS_FIELD_NUMBER: _ClassVar[int]
    NEW_ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    tasks: _containers.RepeatedScalarFieldContainer[str]
    new_id: str
    def __init__(self, id: _Optional[str] = ..., tasks: _Optional[_Iterable[str]] = ..., new_id: _Optional[str] = ...) -> None: ...

class RetryJobResponse(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class RetryJobsRequest(_message.Message):
    __slots__ = ("filter", "queue", "states", "max_count", "rate")
    FILTER_FIELD_NUMBER: _ClassVar[int]
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    STATES_FIELD_NUMBER: _ClassVar[int]
    MAX_COUNT_FIELD_NUMBER: _ClassVar[int]
    RATE_FIELD_NUMBER: _ClassVar[int]
    filter: str
    queue: str
    states: _containers.RepeatedScalarFieldContainer[_job_pb2.Job.State]
    max_count: int
    rate: float
    def __init__(self, filter: _Optional[str] = ..., queue: _Optional[str] = ..., states: _Optional[_Iterable[_Union[_job_pb2.Job.State, str]]] = ..., max_count: _Optional[int] = ..., rate: _Optional[float] = ...) -> None: ...

class RetryJobsResponse(_message.Message):
    __slots__ = ("retried",)
    class Retried(_message.Message):
        __slots__ = ("job_id", "new_job_id")
        JOB_ID_FIELD_NUMBER: _ClassVar[int]
        NEW_JOB_ID_FIELD_NUMBER: _ClassVar[int]
        job_id: str
        new_job_id: str
        def __init__(self, job_id: _Optional[str] = ..., new_job_id: _Optional[str] = ...) -> None: ...
    RETRIED_FIELD_NUMBER: _ClassVar[int]
    retried: _containers.RepeatedCompositeFieldContainer[RetryJobsResponse.Retried]
    def __init__(self, retried: _Optional[_Iterable[_Union[RetryJobsResponse.Retried, _Mapping]]] = ...) -> None: ...

class ReadLogsRequest(_message.Message):
    __slots__ = ("job_id", "tasks", "attempt", "follow", "tail_lines", "after")
    class AfterEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: int
        value: int
        def __init__(self, key: _Optional[int] = ..., value: _Optional[int] = ...) -> None: ...
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    TASKS_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    FOLLOW_FIELD_NUMBER: _ClassVar[int]
    TAIL_LINES_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    tasks: _containers.RepeatedScalarFieldContainer[str]
    attempt: int
    follow: bool
    tail_lines: int
    after: _containers.ScalarMap[int, int]
    def __init__(self, job_id: _Optional[str] = ..., tasks: _Optional[_Iterable[str]] = ..., attempt: _Optional[int] = ..., follow: bool = ..., tail_lines: _Optional[int] = ..., after: _Optional[_Mapping[int, int]] = ...) -> None: ...

class ReadLogsResponse(_message.Message):
    __slots__ = ("task", "attempt", "number", "stream", "data")
    class Stream(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        UNSPECIFIED: _ClassVar[ReadLogsResponse.Stream]
        STDOUT: _ClassVar[ReadLogsResponse.Stream]
        STDERR: _ClassVar[ReadLogsResponse.Stream]
        SYSTEM: _ClassVar[ReadLogsResponse.Stream]
    UNSPECIFIED: ReadLogsResponse.Stream
    STDOUT: ReadLogsResponse.Stream
    STDERR: ReadLogsResponse.Stream
    SYSTEM: ReadLogsResponse.Stream
    TASK_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    STREAM_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    task: str
    attempt: int
    number: int
    stream: ReadLogsResponse.Stream
    data: bytes
    def __init__(self, task: _Optional[str] = ..., attempt: _Optional[int] = ..., number: _Optional[int] = ..., stream: _Optional[_Union[ReadLogsResponse.Stream, str]] = ..., data: _Optional[bytes] = ...) -> None: ...
