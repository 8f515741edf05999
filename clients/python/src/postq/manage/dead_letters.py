"""`client.dead_letters`: tasks that failed for good."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from .. import _loop
from .._link import Link
from ..status import AttemptStatus, time_of
from ..v1 import dead_letter_service_pb2 as wire
from ..v1.dead_letter_service_pb2_grpc import DeadLetterServiceStub
from ..values import Json, from_struct, from_value

DeadLetterList = list["DeadLetter"]


@dataclass(frozen=True)
class DeadLetter:
    """A task that used up its attempts, cannot succeed, or was not started in time."""

    job_id: str
    task: str
    """The task's name in its job."""
    handler: str
    queue: str
    arguments: Json
    """As they stand in the document."""
    attributes: Mapping[str, Json]
    """The job's."""
    reason: str
    attempts: int
    """Executions, those that were lost with their agents included."""
    died_at: datetime | None
    leased_until: datetime | None
    """A consumer of `dlq@QUEUE` has it at hand until then."""
    history: tuple[AttemptStatus, ...]
    """Its executions, the first one first; the last 100."""

    @classmethod
    def from_proto(cls, letter: wire.DeadLetter) -> DeadLetter:
        """From the wire."""
        return cls(
            job_id=letter.job_id,
            task=letter.task,
            handler=letter.handler,
            queue=letter.queue,
            arguments=from_value(letter.arguments),
            attributes=from_struct(letter.attributes),
            reason=letter.reason,
            attempts=letter.attempts,
            died_at=time_of(letter, "died_at"),
            leased_until=time_of(letter, "leased_until"),
            history=tuple(AttemptStatus.from_proto(attempt) for attempt in letter.history),
        )


class AsyncDeadLetters:
    """What failed for good, for those who look after it."""

    def __init__(self, link: Link) -> None:
        """Of a client."""
        self._link = link

    async def list(self, queue: str = "", *, limit: int = 100) -> DeadLetterList:
        """Those of a queue, or of all, the oldest first in each."""
        request = wire.ListDeadLettersRequest(queue=queue)
        pages = self._link.pages(
            DeadLetterServiceStub, "ListDeadLetters", request, "dead_letters", limit
        )
        return [DeadLetter.from_proto(letter) async for letter in pages]

    async def redrive(
        self,
        job_ids: Iterable[str] = (),
        *,
        queue: str = "",
        max_count: int = 100,
        filter: str = "",  # noqa: A002
        rate: float = 0,
    ) -> dict[str, str]:
        """Tries them once more: those of some jobs, or of a queue, the oldest first, with a filter
        only those it holds for. The new job of each job; with a rate so many begin per second."""
        request = wire.RedriveDeadLettersRequest(
            job_ids=_ids(job_ids), queue=queue, max_count=max_count, filter=filter, rate=rate
        )
        answer = await self._link.call(DeadLetterServiceStub, "RedriveDeadLetters", request)
        return {one.job_id: one.new_job_id for one in answer.redriven}

    async def purge(self, job_ids: Iterable[str] = (), *, queue: str = "") -> int:
        """Removes them: those of some jobs, or of a queue. How many there were."""
        request = wire.PurgeDeadLettersRequest(job_ids=_ids(job_ids), queue=queue)
        answer = await self._link.call(DeadLetterServiceStub, "PurgeDeadLetters", request)
        return int(answer.purged)


class DeadLetters:
    """The same for threads."""

    def __init__(self, dead_letters: AsyncDeadLetters) -> None:
        """Of a client."""
        self._async = dead_letters

    def list(self, queue: str = "", *, limit: int = 100) -> DeadLetterList:
        """Those of a queue, or of all, the oldest first in each."""
        return _loop.run(self._async.list(queue, limit=limit))

    def redrive(
        self,
        job_ids: Iterable[str] = (),
        *,
        queue: str = "",
        max_count: int = 100,
        filter: str = "",  # noqa: A002
        rate: float = 0,
    ) -> dict[str, str]:
        """See `AsyncDeadLetters.redrive`."""
        return _loop.run(
            self._async.redrive(job_ids, queue=queue, max_count=max_count, filter=filter, rate=rate)
        )

    def purge(self, job_ids: Iterable[str] = (), *, queue: str = "") -> int:
        """Removes them: those of some jobs, or of a queue. How many there were."""
        return _loop.run(self._async.purge(job_ids, queue=queue))


def _ids(given: Iterable[str]) -> list[str]:
    return [given] if isinstance(given, str) else list(given)
