"""`client.schedules`: what makes a job again and again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from google.protobuf import json_format

from .. import _loop
from .._link import Link
from ..spec import JobLike, document_of, parsed
from ..status import JobState, length_of, time_of
from ..v1 import job_pb2
from ..v1 import schedule_service_pb2 as wire
from ..v1.schedule_service_pb2_grpc import ScheduleServiceStub
from ..values import Duration, duration

ScheduleList = list["ScheduleStatus"]


@dataclass(frozen=True)
class ScheduleStatus:
    """A schedule, and what it has done."""

    name: str
    cron: str
    every: timedelta | None
    time_zone: str
    overlap: str
    catch_up: str
    catch_up_limit: int
    job: Mapping[str, Any]
    """The document of what is made."""
    is_paused: bool
    next_at: datetime | None
    last_at: datetime | None
    last_job_id: str
    last_job_state: JobState | None
    fired: int
    """How many jobs it has made."""
    skipped: int
    """How many times were left out because of the job before."""
    waiting: int
    """How many times wait for the job before to end."""
    error: str
    """Why it does not fire, if that is so."""
    created_at: datetime | None

    @classmethod
    def from_proto(cls, schedule: wire.Schedule) -> ScheduleStatus:
        """From the wire."""
        last = schedule.last_job_state
        return cls(
            name=schedule.name,
            cron=schedule.cron,
            every=length_of(schedule, "every"),
            time_zone=schedule.time_zone,
            overlap=wire.Schedule.Overlap.Name(schedule.overlap),
            catch_up=wire.Schedule.CatchUp.Name(schedule.catch_up),
            catch_up_limit=schedule.catch_up_limit,
            job=json_format.MessageToDict(schedule.job, preserving_proto_field_name=True),
            is_paused=schedule.is_paused,
            next_at=time_of(schedule, "next_at"),
            last_at=time_of(schedule, "last_at"),
            last_job_id=schedule.last_job_id,
            last_job_state=JobState(job_pb2.Job.State.Name(last).lower()) if last else None,
            fired=schedule.fired,
            skipped=schedule.skipped,
            waiting=schedule.waiting,
            error=schedule.error,
            created_at=time_of(schedule, "created_at"),
        )


class AsyncSchedules:
    """Schedules, which are kept in the database and fired by whichever coordinator runs."""

    def __init__(self, link: Link) -> None:
        """Of a client."""
        self._link = link

    async def put(
        self,
        name: str,
        job: JobLike,
        *,
        cron: str = "",
        every: Duration | None = None,
        time_zone: str = "",
        overlap: str = "ALLOW",
        catch_up: str = "LAST",
        catch_up_limit: int = 0,
    ) -> ScheduleStatus:
        """Makes a schedule, or puts another in the place of the one of that name: `job` at the
        times of a cron expression, or every so long.

        `overlap` is `ALLOW`, `SKIP` or `QUEUE`; `catch_up` is `LAST`, `NONE` or `ALL`.
        """
        document: dict[str, Any] = {
            "name": name,
            "job": document_of(job),
            "cron": cron,
            "time_zone": time_zone,
            "overlap": overlap,
            "catch_up": catch_up,
            "catch_up_limit": catch_up_limit,
        }
        if every is not None:
            document["every"] = duration(every)
        request = wire.PutScheduleRequest(schedule=parsed(document, wire.Schedule()))
        return ScheduleStatus.from_proto((await self._say("PutSchedule", request)).schedule)

    async def get(self, name: str) -> ScheduleStatus:
        """One schedule; NotFound where there is none."""
        answer = await self._say("GetSchedule", wire.GetScheduleRequest(name=name))
        return ScheduleStatus.from_proto(answer.schedule)

    async def list(self) -> ScheduleList:
        """All, by name."""
        request = wire.ListSchedulesRequest()
        pages = self._link.pages(ScheduleServiceStub, "ListSchedules", request, "schedules")
        return [ScheduleStatus.from_proto(schedule) async for schedule in pages]

    async def delete(self, name: str) -> None:
        """Forgets it; the jobs it has made go on."""
        await self._say("DeleteSchedule", wire.DeleteScheduleRequest(name=name))

    async def pause(self, name: str) -> ScheduleStatus:
        """Lets it rest."""
        answer = await self._say("PauseSchedule", wire.PauseScheduleRequest(name=name))
        return ScheduleStatus.from_proto(answer.schedule)

    async def resume(self, name: str) -> ScheduleStatus:
        """Goes on with the next time from now."""
        answer = await self._say("ResumeSchedule", wire.ResumeScheduleRequest(name=name))
        return ScheduleStatus.from_proto(answer.schedule)

    async def trigger(self, name: str) -> str:
        """Makes its job now, beside its times; the job's id."""
        answer = await self._say("TriggerSchedule", wire.TriggerScheduleRequest(name=name))
        return str(answer.job_id)

    async def _say(self, method: str, request: Any) -> Any:
        return await self._link.call(ScheduleServiceStub, method, request)


class Schedules:
    """The same for threads."""

    def __init__(self, schedules: AsyncSchedules) -> None:
        """Of a client."""
        self._async = schedules

    def put(
        self,
        name: str,
        job: JobLike,
        *,
        cron: str = "",
        every: Duration | None = None,
        time_zone: str = "",
        overlap: str = "ALLOW",
        catch_up: str = "LAST",
        catch_up_limit: int = 0,
    ) -> ScheduleStatus:
        """See `AsyncSchedules.put`."""
        return _loop.run(
            self._async.put(
                name,
                job,
                cron=cron,
                every=every,
                time_zone=time_zone,
                overlap=overlap,
                catch_up=catch_up,
                catch_up_limit=catch_up_limit,
            )
        )

    def get(self, name: str) -> ScheduleStatus:
        """One schedule; NotFound where there is none."""
        return _loop.run(self._async.get(name))

    def list(self) -> ScheduleList:
        """All, by name."""
        return _loop.run(self._async.list())

    def delete(self, name: str) -> None:
        """Forgets it; the jobs it has made go on."""
        _loop.run(self._async.delete(name))

    def pause(self, name: str) -> ScheduleStatus:
        """Lets it rest."""
        return _loop.run(self._async.pause(name))

    def resume(self, name: str) -> ScheduleStatus:
        """Goes on with the next time from now."""
        return _loop.run(self._async.resume(name))

    def trigger(self, name: str) -> str:
        """Makes its job now, beside its times; the job's id."""
        return _loop.run(self._async.trigger(name))
