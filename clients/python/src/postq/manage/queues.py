"""`client.queues`: declared queues, their settings, and what is in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any

from google.protobuf import json_format

from .. import _loop
from .._link import Link
from ..spec import RetryPolicy
from ..status import length_of, time_of
from ..v1 import queue_service_pb2 as wire
from ..v1.queue_service_pb2_grpc import QueueServiceStub
from ..values import Duration, duration

QueueList = list["QueueStatus"]


@dataclass(frozen=True)
class QueueSettings:
    """What is decided for all jobs of a queue. None is the default."""

    description: str | None = None
    paused: bool | None = None
    """Nothing of it is started."""
    max_running: int | None = None
    """Tasks that may run at a time, on agents and in SQL consumers together."""
    rate: Mapping[str, Any] | None = None
    """`{"limit": 10, "period": "60s"}`: tasks that may be started in any such time."""
    max_jobs: int | None = None
    """Jobs it may hold that have not ended."""
    retry: RetryPolicy | None = None
    """For tasks that have none."""
    timeout: Duration | None = None
    """For tasks that have none."""
    expires_after: Duration | None = None
    """For jobs that have none."""
    dead_letters: bool | None = None
    """Whether tasks that failed for good are kept; by default they are."""
    aging: float | None = None
    """Points of priority that a task gains in a minute of waiting."""
    retention: Mapping[str, Any] | None = None
    """`{"age": "604800s", "jobs": 1000}`: how long, and how many, jobs that have ended stay."""
    notify: bool | None = None
    """What becomes of its jobs is told by NOTIFY."""
    webhook: Mapping[str, Any] | None = None
    """For jobs that have none: `{"url": ..., "secret": ...}`."""

    def to_proto(self) -> wire.QueueSettings:
        """For the wire."""
        said = {f.name: getattr(self, f.name) for f in fields(self)}
        document = {key: value for key, value in said.items() if value is not None}
        for key in ("timeout", "expires_after"):
            if key in document:
                document[key] = duration(document[key])
        if self.retry is not None:
            document["retry"] = self.retry.to_document()
        return json_format.ParseDict(document, wire.QueueSettings())

    @classmethod
    def from_proto(cls, settings: wire.QueueSettings) -> QueueSettings:
        """From the wire."""
        has = settings.HasField

        def document(name: str) -> dict[str, Any] | None:
            if not has(name):
                return None
            told = getattr(settings, name)
            return json_format.MessageToDict(told, preserving_proto_field_name=True)

        retry = document("retry")
        return cls(
            description=settings.description or None,
            paused=settings.paused or None,
            max_running=settings.max_running or None,
            max_jobs=settings.max_jobs or None,
            rate=document("rate"),
            retry=RetryPolicy(**retry) if retry is not None else None,
            timeout=length_of(settings, "timeout"),
            expires_after=length_of(settings, "expires_after"),
            dead_letters=settings.dead_letters if has("dead_letters") else None,
            aging=settings.aging or None,
            retention=document("retention"),
            notify=settings.notify or None,
            webhook=document("webhook"),
        )


@dataclass(frozen=True)
class QueueStats:
    """What is in a queue now."""

    jobs: int
    """Of which a task waits or runs."""
    ready: int
    scheduled: int
    parked: int
    running: int
    dead_letters: int
    oldest_ready_age: timedelta | None


@dataclass(frozen=True)
class QueueStatus:
    """A queue that is declared or in use."""

    name: str
    settings: QueueSettings
    is_declared: bool
    created_at: datetime | None
    stats: QueueStats

    @classmethod
    def from_proto(cls, queue: wire.Queue) -> QueueStatus:
        """From the wire."""
        told = queue.stats
        stats = QueueStats(
            told.jobs,
            told.ready,
            told.scheduled,
            told.parked,
            told.running,
            told.dead_letters,
            length_of(told, "oldest_ready_age"),
        )
        settings = QueueSettings.from_proto(queue.settings)
        at = time_of(queue, "created_at")
        return cls(queue.name, settings, queue.is_declared, at, stats)


class AsyncQueues:
    """Queues for those who look after them. A queue needs no declaration to be used."""

    def __init__(self, link: Link) -> None:
        """Of a client."""
        self._link = link

    async def create(self, name: str, **settings: Any) -> bool:
        """Declares a queue with these `QueueSettings`. False where it was declared already, and
        then nothing changes."""
        request = wire.PutQueueRequest(
            name=name, settings=QueueSettings(**settings).to_proto(), if_absent=True
        )
        return bool((await self._say("PutQueue", request)).created)

    async def put(self, name: str, **settings: Any) -> QueueStatus:
        """Declares a queue, or changes the settings that are named; None takes the default
        again."""
        request = wire.PutQueueRequest(
            name=name,
            settings=QueueSettings(**settings).to_proto(),
            fields=sorted(settings),
            # With no field named, all would be meant.
            if_absent=not settings,
        )
        return QueueStatus.from_proto((await self._say("PutQueue", request)).queue)

    async def get(self, name: str) -> QueueStatus:
        """One queue; NotFound where nobody declared or used it."""
        answer = await self._say("GetQueue", wire.GetQueueRequest(name=name))
        return QueueStatus.from_proto(answer.queue)

    async def list(self) -> QueueList:
        """Those that are declared or in use, by name."""
        pages = self._link.pages(QueueServiceStub, "ListQueues", wire.ListQueuesRequest(), "queues")
        return [QueueStatus.from_proto(queue) async for queue in pages]

    async def pause(self, name: str) -> QueueStatus:
        """Nothing of it is started until it is resumed; what runs goes on."""
        answer = await self._say("PauseQueue", wire.PauseQueueRequest(name=name))
        return QueueStatus.from_proto(answer.queue)

    async def resume(self, name: str) -> QueueStatus:
        """It goes on."""
        answer = await self._say("ResumeQueue", wire.ResumeQueueRequest(name=name))
        return QueueStatus.from_proto(answer.queue)

    async def delete(self, name: str, *, force: bool = False) -> bool:
        """Forgets its settings; False where it was not declared. FailedPrecondition while it has
        jobs that have not ended, which `force` cancels."""
        request = wire.DeleteQueueRequest(name=name, force=force)
        return bool((await self._say("DeleteQueue", request)).deleted)

    async def _say(self, method: str, request: Any) -> Any:
        return await self._link.call(QueueServiceStub, method, request)


class Queues:
    """The same for threads."""

    def __init__(self, queues: AsyncQueues) -> None:
        """Of a client."""
        self._async = queues

    def create(self, name: str, **settings: Any) -> bool:
        """See `AsyncQueues.create`."""
        return _loop.run(self._async.create(name, **settings))

    def put(self, name: str, **settings: Any) -> QueueStatus:
        """See `AsyncQueues.put`."""
        return _loop.run(self._async.put(name, **settings))

    def get(self, name: str) -> QueueStatus:
        """One queue; NotFound where nobody declared or used it."""
        return _loop.run(self._async.get(name))

    def list(self) -> QueueList:
        """Those that are declared or in use, by name."""
        return _loop.run(self._async.list())

    def pause(self, name: str) -> QueueStatus:
        """Nothing of it is started until it is resumed; what runs goes on."""
        return _loop.run(self._async.pause(name))

    def resume(self, name: str) -> QueueStatus:
        """It goes on."""
        return _loop.run(self._async.resume(name))

    def delete(self, name: str, *, force: bool = False) -> bool:
        """See `AsyncQueues.delete`."""
        return _loop.run(self._async.delete(name, force=force))
