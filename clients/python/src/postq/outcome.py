"""How a handler's run ends: what it may raise, and what is made of an exception."""

from __future__ import annotations

import enum
import math
import traceback
from dataclasses import dataclass
from datetime import timedelta

from .values import Duration

TAIL_BYTES = 64 * 1024
"""What is kept of output and errors."""
RESULT_BYTES = 1024 * 1024
"""The largest return value, as JSON."""
REASON_CHARACTERS = 1000
LONGEST_SECONDS = 3660 * 86400.0
"""The longest pause or timeout that PostQ takes."""


class Retry(Exception):
    """Raised by a handler: try again, if there are attempts left.

    `after` is the pause; without one the task's own policy decides.
    """

    def __init__(self, reason: str = "asked to be tried again", *, after: Duration | None = None):
        super().__init__(reason)
        self.after = None if after is None else seconds(after)


class Again(Retry):
    """Raised by a handler that has done its part: run this same job again, `after` a while.

    It counts as an attempt, so the handler wants `max_attempts=-1`.
    """

    def __init__(self, after: Duration):
        super().__init__(f"to be run again after {seconds(after):g} s", after=after)


class Fail(Exception):
    """Raised by a handler: it has failed, and trying again cannot help."""


class Cancelled(BaseException):
    """Raised in a synchronous handler that is to end: cancelled, or over its time.

    Not an `Exception`, so that `except Exception` does not hold it up.
    """


class Outcome(enum.Enum):
    """Of an attempt."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"
    RELEASED = "released"


@dataclass(frozen=True)
class Verdict:
    """How an attempt ended, and what there is to tell of it."""

    outcome: Outcome
    reason: str = ""
    result: str = ""
    """The return value as JSON."""
    errors: str = ""
    """The traceback."""
    is_final: bool = False
    after: float | None = None
    """Seconds until it is tried again, instead of what its policy says."""
    is_again: bool = False
    """It asked to be run again, and nothing went wrong."""


_RETURNED_NOTHING = Verdict(Outcome.SUCCEEDED)


def failure(
    error: BaseException, retry_on: tuple[type[BaseException], ...] | None = None
) -> Verdict:
    """A failed run. With `retry_on`, everything else is final."""
    if isinstance(error, Retry):
        is_again = isinstance(error, Again)
        reason = _reason(str(error))
        return Verdict(Outcome.FAILED, reason, after=error.after, is_again=is_again)
    if isinstance(error, Fail):
        return Verdict(Outcome.FAILED, _reason(str(error)), errors=_trace(error), is_final=True)
    is_final = retry_on is not None and not isinstance(error, retry_on)
    named = f"{type(error).__name__}: {error}".rstrip(": ")
    return Verdict(Outcome.FAILED, _reason(named), errors=_trace(error), is_final=is_final)


def success(result: str) -> Verdict:
    """A run that returned `result`, as JSON."""
    if result == "null":
        return _RETURNED_NOTHING
    size = len(result.encode())
    if size > RESULT_BYTES:
        reason = f"its return value has {size} bytes as JSON; it may have {RESULT_BYTES}: use files"
        return Verdict(Outcome.FAILED, reason, is_final=True)
    return Verdict(Outcome.SUCCEEDED, result=result)


def seconds(value: Duration) -> float:
    """A duration as a number; text such as `90s` as well. ValueError where it is none."""
    if isinstance(value, timedelta):
        number = value.total_seconds()
    else:
        number = float(value.removesuffix("s")) if isinstance(value, str) else float(value)
    if not math.isfinite(number) or abs(number) > LONGEST_SECONDS:
        raise ValueError(f"{value} is not a length of time of at most 3660 days")
    return number


def _reason(text: str) -> str:
    text = _storable(text)
    return text if len(text) <= REASON_CHARACTERS else text[: REASON_CHARACTERS - 1] + "…"


def _trace(error: BaseException) -> str:
    """The traceback below PostQ's own frames."""
    frames = error.__traceback__
    while frames is not None and frames.tb_frame.f_globals.get("__name__", "") in _OURS:
        frames = frames.tb_next
    lines = traceback.format_exception(type(error), error, frames or error.__traceback__)
    return _storable("".join(lines))[-TAIL_BYTES:]


def _storable(text: str) -> str:
    """Without NUL, which Postgres does not hold, and halves of characters, which UTF-8 does not:
    names of files may have them."""
    text = text.replace("\0", "\N{REPLACEMENT CHARACTER}")
    return text.encode(errors="replace").decode()


_OURS = frozenset(
    {"postq.calling", "postq.handlers", "postq.processes", "concurrent.futures.thread"}
)
