"""PostQ for Python: submit, watch and execute jobs.

`Client` and `AsyncClient` speak to a coordinator, `postq.sql` to the database in your own
transaction, `Queue` makes functions into tasks and runs them, `postq.django` brings them together.
"""

from .aio import AsyncClient
from .client import Client
from .context import Context, current
from .errors import (
    AlreadyExists,
    DeadlineExceeded,
    FailedPrecondition,
    Internal,
    InvalidArgument,
    JobFailed,
    MissingProgram,
    NotFound,
    PermissionDenied,
    PostqError,
    ResourceExhausted,
    Stale,
    Unauthenticated,
    Unavailable,
    Violation,
)
from .handlers import Handler, Options
from .ids import new_id
from .manage import AgentStatus, DeadLetter, QueueSettings, QueueStats, QueueStatus, ScheduleStatus
from .outcome import Again, Cancelled, Fail, Retry
from .queue import Queue
from .spec import Job, RetryPolicy, Task
from .status import (
    AttemptStatus,
    Input,
    JobState,
    JobStatus,
    JobUpdate,
    LogChunk,
    Stream,
    TaskState,
    TaskStatus,
)

__all__ = [
    "Again",
    "AgentStatus",
    "AlreadyExists",
    "AsyncClient",
    "AttemptStatus",
    "Cancelled",
    "Client",
    "Context",
    "DeadLetter",
    "DeadlineExceeded",
    "Fail",
    "FailedPrecondition",
    "Handler",
    "Input",
    "Internal",
    "InvalidArgument",
    "Job",
    "JobFailed",
    "JobState",
    "JobStatus",
    "JobUpdate",
    "LogChunk",
    "MissingProgram",
    "NotFound",
    "Options",
    "PermissionDenied",
    "PostqError",
    "Queue",
    "QueueSettings",
    "QueueStats",
    "QueueStatus",
    "ResourceExhausted",
    "Retry",
    "RetryPolicy",
    "ScheduleStatus",
    "Stale",
    "Stream",
    "Task",
    "TaskState",
    "TaskStatus",
    "Unauthenticated",
    "Unavailable",
    "Violation",
    "current",
    "new_id",
]
