"""What became of jobs, as plain data with nothing of the wire in it."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from .v1 import dispatch_service_pb2, job_pb2, job_service_pb2
from .values import Json, from_struct, from_value, revive


class JobState(str, enum.Enum):
    """Of a job."""

    SCHEDULED = "scheduled"
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_terminal(self) -> bool:
        """Nothing changes any more."""
        return self in (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED)


class TaskState(str, enum.Enum):
    """Of a task."""

    BLOCKED = "blocked"
    SCHEDULED = "scheduled"
    PARKED = "parked"
    READY = "ready"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class AttemptStatus:
    """One execution of a task."""

    id: int
    outcome: str | None
    """`succeeded`, `failed`, ...; None while it runs."""
    agent: str
    exit_code: int | None
    signal: int | None
    reason: str
    started_at: datetime | None
    finished_at: datetime | None
    image: str = ""
    """What the image of its container was, by digest."""

    @classmethod
    def from_proto(cls, attempt: job_pb2.Attempt) -> AttemptStatus:
        """From the wire."""
        return cls(
            id=attempt.id,
            outcome=job_pb2.Attempt.Outcome.Name(attempt.outcome).lower()
            if attempt.outcome
            else None,
            agent=attempt.agent,
            exit_code=attempt.exit_code if attempt.HasField("exit_code") else None,
            signal=attempt.signal if attempt.HasField("signal") else None,
            reason=attempt.reason,
            started_at=time_of(attempt, "started_at"),
            finished_at=time_of(attempt, "finished_at"),
            image=attempt.image,
        )


@dataclass(frozen=True)
class TaskStatus:
    """One task of a job, with its latest attempt."""

    name: str
    state: TaskState
    reason: str
    depends: tuple[str, ...]
    attempts: int
    crashes: int
    started_at: datetime | None
    finished_at: datetime | None
    run_at: datetime | None
    attempt: AttemptStatus | None
    results: str
    """The last 64 KiB of standard output; of a handler: its return value as JSON, where that has no
    more."""
    errors: str
    """The last 64 KiB of standard error; of a handler that failed: the traceback."""
    number: int
    revision: int
    output: Json = None
    """The JSON document the task gave, as a file or as its handler's return value."""
    snapshot: str = ""
    """The files it left, as a digest."""

    @property
    def result(self) -> Json:
        """What the handler returned; None where it returned nothing."""
        return revive(self.output)

    @classmethod
    def from_proto(cls, task: job_pb2.Task) -> TaskStatus:
        """From the wire."""
        return cls(
            name=task.name,
            state=TaskState(job_pb2.Task.State.Name(task.state).lower()),
            reason=task.reason,
            depends=tuple(task.depends),
            attempts=task.attempts,
            crashes=task.crashes,
            started_at=time_of(task, "started_at"),
            finished_at=time_of(task, "finished_at"),
            run_at=time_of(task, "run_at"),
            attempt=AttemptStatus.from_proto(task.attempt) if task.HasField("attempt") else None,
            results=task.results,
            errors=task.errors,
            number=task.number,
            revision=task.revision,
            output=from_value(task.output),
            snapshot=task.snapshot,
        )


@dataclass(frozen=True)
class Input:
    """What a task that another one depends on left beside its files."""

    state: TaskState
    output: Json
    """The JSON document it gave."""
    results: str
    """The end of its standard output."""

    @property
    def result(self) -> Json:
        """What its handler returned."""
        return revive(self.output)

    @classmethod
    def from_proto(cls, given: dispatch_service_pb2.Input) -> Input:
        """From the wire."""
        state = TaskState(job_pb2.Task.State.Name(given.state).lower())
        return cls(state, from_value(given.output), given.results)


@dataclass(frozen=True)
class JobStatus:
    """What became of a job."""

    id: str
    name: str
    queue: str
    state: JobState
    reason: str
    priority: int
    attributes: Mapping[str, Json]
    created_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    cancel_requested_at: datetime | None
    revision: int
    task_count: int
    open_tasks: int
    traceparent: str
    tasks: Mapping[str, TaskStatus] = field(default_factory=dict)
    """By name; empty in lists and in `JobUpdate`."""

    @property
    def result(self) -> Json:
        """What the handler of a job of one task returned."""
        if len(self.tasks) != 1:
            raise ValueError(f"the job has {self.task_count} tasks; ask the one you mean")
        return next(iter(self.tasks.values())).result

    @classmethod
    def from_proto(cls, job: job_pb2.Job) -> JobStatus:
        """From the wire."""
        return cls(
            id=job.id,
            name=job.name,
            queue=job.queue,
            state=JobState(job_pb2.Job.State.Name(job.state).lower()),
            reason=job.reason,
            priority=job.priority,
            attributes=from_struct(job.attributes),
            created_at=time_of(job, "created_at"),
            started_at=time_of(job, "started_at"),
            finished_at=time_of(job, "finished_at"),
            cancel_requested_at=time_of(job, "cancel_requested_at"),
            revision=job.revision,
            task_count=job.task_count,
            open_tasks=job.open_tasks,
            traceparent=job.traceparent,
            tasks={name: TaskStatus.from_proto(task) for name, task in job.tasks.items()},
        )


@dataclass(frozen=True)
class JobUpdate:
    """One look at a job that is being watched."""

    job: JobStatus
    """Without its tasks."""
    tasks: Mapping[str, TaskStatus]
    """Those that changed, without their output, and those that run."""
    revision: int


class Stream(str, enum.Enum):
    """Where output came from."""

    STDOUT = "stdout"
    STDERR = "stderr"
    SYSTEM = "system"
    """A word of PostQ's own."""


@dataclass(frozen=True)
class LogChunk:
    """A piece of output."""

    task: str
    attempt: int
    number: int
    stream: Stream
    data: bytes

    @property
    def text(self) -> str:
        """As text; what is not UTF-8 is replaced."""
        return self.data.decode("utf-8", "replace")

    @classmethod
    def from_proto(cls, chunk: job_service_pb2.ReadLogsResponse) -> LogChunk:
        """From the wire."""
        name = job_service_pb2.ReadLogsResponse.Stream.Name(chunk.stream).lower()
        return cls(chunk.task, chunk.attempt, chunk.number, Stream(name), chunk.data)


def time_of(message: Message, name: str) -> datetime | None:
    """A field that is a time."""
    if not message.HasField(name):
        return None
    value: Timestamp = getattr(message, name)
    return value.ToDatetime(tzinfo=timezone.utc)


def length_of(message: Message, name: str) -> timedelta | None:
    """A field that is a duration."""
    if not message.HasField(name):
        return None
    value: Duration = getattr(message, name)
    return value.ToTimedelta()
