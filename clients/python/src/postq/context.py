"""What a handler can learn about the run it is in, and do in it: `postq.current()`."""

from __future__ import annotations

import contextvars
import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from .outcome import Cancelled
from .status import Input, Stream
from .values import Json


class Backend(Protocol):
    """What is different between a worker and a SQL consumer."""

    def write(self, stream: Stream, data: bytes) -> None:
        """Output of the attempt, from any thread."""

    def heartbeat(self) -> bool:
        """Says that it goes on; false once it should not."""

    def inputs(self) -> Mapping[str, Input]:
        """What the tasks left that it depends on."""


@dataclass
class Context:
    """One attempt, as its handler sees it."""

    job_id: str
    task: str
    """The task's name in its job."""
    handler: str
    queue: str
    attempt: int
    """Its id, which no other attempt has."""
    attempt_number: int
    """1 for the first execution that counts."""
    backend: Backend = field(repr=False)
    job_name: str = ""
    env: Mapping[str, str] = field(default_factory=dict)
    """The job's and the task's, merged."""
    attributes: Mapping[str, Json] = field(default_factory=dict)
    """The job's."""
    data: Json = None
    """The job's; not in a SQL consumer."""
    traceparent: str = ""
    connection: Any = None
    """In a SQL consumer with `exactly_once`: the one whose transaction also holds the ack."""
    workspace: Path | None = None
    """With `workspace="FILES"`: a private directory with the files that its ancestors left; what it
    holds in the end is there for those that depend on this task."""
    _stopping: threading.Event | None = field(default=None, init=False, repr=False)

    @property
    def stopping(self) -> threading.Event:
        """Set when the attempt is to end: cancelled, or over its time."""
        # Most handlers end without it, and it takes longer to make than all the rest.
        with _one_at_a_time:
            if self._stopping is None:
                self._stopping = threading.Event()
            return self._stopping

    def log(self, text: str, stream: Stream = Stream.STDOUT) -> None:
        """Writes a line to the attempt's output."""
        self.backend.write(stream, (text if text.endswith("\n") else f"{text}\n").encode())

    @property
    def is_cancelled(self) -> bool:
        """Whether the attempt is to end."""
        return self._stopping is not None and self._stopping.is_set()

    def heartbeat(self) -> None:
        """Keeps a long run alive where a lease must be renewed; raises Cancelled where it is to
        end. Good to call in loops."""
        if self.is_cancelled or not self.backend.heartbeat():
            raise Cancelled

    def inputs(self) -> Mapping[str, Input]:
        """What the tasks left that this one depends on, by name: state, return value, output."""
        return self.backend.inputs()


_one_at_a_time = threading.RLock()  # A signal may come while it is held.
_current: contextvars.ContextVar[Context | None] = contextvars.ContextVar("postq", default=None)


def current() -> Context:
    """The run this code is in; LookupError where there is none, as in a direct call."""
    context = _current.get()
    if context is None:
        raise LookupError("no handler of PostQ is running here")
    return context


def current_or_none() -> Context | None:
    """The same, or None."""
    return _current.get()


def enter(context: Context) -> contextvars.Token[Context | None]:
    """From here on, in this task or thread, `context` is current."""
    return _current.set(context)


def leave(token: contextvars.Token[Context | None]) -> None:
    """Back to what was current before."""
    _current.reset(token)


class LogHandler(logging.Handler):
    """Sends what handlers log to the output of their attempts, as `postq logs` shows it."""

    def emit(self, record: logging.LogRecord) -> None:
        """Called by logging; without a running handler it does nothing."""
        context = _current.get()
        if context is None or record.name.startswith("postq."):
            return
        try:
            context.log(self.format(record), Stream.STDERR)
        except Exception:
            self.handleError(record)
