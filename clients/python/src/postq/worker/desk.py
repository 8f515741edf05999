"""What this worker holds: every attempt it has accepted and not had recorded.

It is kept in memory, not on disk. A handler dies with its process, so there is nothing that a disk
could bring back: a new process is a new agent, and the coordinator gives what the old one held to
others. (A report that was not recorded when the process died is made again by running again, as
"at least once" has it.)

Invariant: an attempt is forgotten only when it was recorded or abandoned.
"""

from __future__ import annotations

import asyncio
import signal
from dataclasses import dataclass

from google.protobuf.duration_pb2 import Duration

from ..calling import Call
from ..outcome import TAIL_BYTES, Outcome, Verdict
from ..v1 import dispatch_service_pb2 as wire
from ..v1 import job_pb2
from ..values import to_duration
from .logs import AttemptLog

_OUTCOMES = {
    Outcome.SUCCEEDED: job_pb2.Attempt.SUCCEEDED,
    Outcome.FAILED: job_pb2.Attempt.FAILED,
    Outcome.TIMED_OUT: job_pb2.Attempt.TIMED_OUT,
    Outcome.CANCELLED: job_pb2.Attempt.CANCELLED,
    Outcome.RELEASED: job_pb2.Attempt.RELEASED,
}


@dataclass
class Entry:
    """One attempt."""

    held: wire.Held
    call: Call | None = None
    log: AttemptLog | None = None
    report: wire.Report | None = None
    grace: float = 10.0
    output: wire.Snapshot | None = None
    is_started: bool = False
    is_exclusive: bool = False
    """It must not overlap another execution of its task."""


class Desk:
    """The attempts by id."""

    def __init__(self) -> None:
        """Empty."""
        self._entries: dict[int, Entry] = {}
        self._is_empty = asyncio.Event()
        self._is_empty.set()

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, attempt: int) -> bool:
        return attempt in self._entries

    def accept(self, assignment: wire.Assignment) -> Entry:
        """A new one."""
        held = wire.Held(attempt=assignment.attempt, job_id=assignment.job_id, task=assignment.task)
        entry = self._entries[assignment.attempt] = Entry(held)
        self._is_empty.clear()
        return entry

    def get(self, attempt: int) -> Entry | None:
        """One that is held."""
        return self._entries.get(attempt)

    def forget(self, attempt: int) -> Entry | None:
        """It was recorded or abandoned."""
        entry = self._entries.pop(attempt, None)
        if not self._entries:
            self._is_empty.set()
        return entry

    async def emptied(self) -> None:
        """Returns once nothing is held."""
        await self._is_empty.wait()

    def held(self) -> list[wire.Held]:
        """All, for a Hello or a Holding."""
        return [entry.held for entry in self._entries.values()]

    def reports(self) -> list[wire.Report]:
        """Those that wait to be recorded."""
        return [entry.report for entry in self._entries.values() if entry.report is not None]

    def running(self) -> list[Entry]:
        """Those without a report yet."""
        return [entry for entry in self._entries.values() if entry.report is None]


def report(entry: Entry, verdict: Verdict, ran_for: float | None) -> wire.Report:
    """What the coordinator is told; `ran_for` is None where nothing was started."""
    took = Duration()
    took.FromNanoseconds(int((ran_for or 0.0) * 1e9))
    result = verdict.result.encode()
    told = wire.Report(
        of=entry.held,
        outcome=_OUTCOMES[verdict.outcome],
        reason=verdict.reason,
        stdout=result if len(result) <= TAIL_BYTES else b"",
        result=result,
        stderr=verdict.errors.encode(errors="replace"),
        ran_for=took,
        log_chunks=entry.log.chunks if entry.log is not None else 0,
        is_final=verdict.is_final,
        output=entry.output,
        retry_after=to_duration(verdict.after),
    )
    if verdict.outcome is Outcome.RELEASED and ran_for is not None:
        # It was started, which matters where it may be started once only.
        told.signal = signal.SIGTERM
    return told
