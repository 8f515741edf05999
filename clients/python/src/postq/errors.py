"""What can go wrong, as exceptions: one class per thing that a caller can act on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Violation:
    """One thing that is wrong with a request."""

    field: str
    """Where, as a path: ``job.tasks["b"].depends[0]``."""
    description: str

    def __str__(self) -> str:
        return f"{self.field}: {self.description}" if self.field else self.description


class PostqError(Exception):
    """Anything that PostQ refuses or fails to do."""


class InvalidArgument(PostqError):
    """The request cannot be right, and nothing of it was done."""

    def __init__(self, message: str, violations: tuple[Violation, ...] = ()) -> None:
        super().__init__(message)
        self.violations = violations


class NotFound(PostqError):
    """There is no such job, task or attempt."""


class AlreadyExists(PostqError):
    """The id belongs to another job, or the name to another handler."""


class FailedPrecondition(PostqError):
    """Not as things stand."""


class Stale(FailedPrecondition):
    """The attempt has ended or belongs to somebody else by now."""


class Unauthenticated(PostqError):
    """A token is missing or not known."""


class PermissionDenied(PostqError):
    """The token does not allow this."""


class ResourceExhausted(PostqError):
    """A limit is reached."""


class Unavailable(PostqError):
    """No coordinator or no database answers; trying again may help."""


class DeadlineExceeded(PostqError, TimeoutError):
    """No answer, or no end of a job, within the time given."""


class Internal(PostqError):
    """The coordinator failed in a way it should not."""


class JobFailed(PostqError):
    """A job whose result was asked for did not succeed."""

    def __init__(self, message: str, job_id: str) -> None:
        super().__init__(message)
        self.job_id = job_id


class MissingProgram(PostqError):
    """The `postq` command, which does this, is not on this machine."""
