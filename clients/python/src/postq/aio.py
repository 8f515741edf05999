"""`AsyncClient`: submits jobs and tells what becomes of them.

All that a client does is written here and in `manage`, once; `Client` is its synchronous face.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from . import _command, _rpc, ids, telemetry
from ._link import Link
from .errors import DeadlineExceeded, JobFailed, PostqError
from .manage import AsyncAgents, AsyncDeadLetters, AsyncQueues, AsyncSchedules
from .spec import JobLike, document_of, parsed
from .status import JobState, JobStatus, JobUpdate, LogChunk, TaskState, TaskStatus
from .v1 import job_pb2, job_service_pb2
from .v1.job_service_pb2_grpc import JobServiceStub
from .values import Duration, Json, to_duration

JobList = list[JobStatus]

_MOST_JOBS = 10_000
_MOST_BYTES = 32 * 1024 * 1024
"""Of one call of `submit_many`; a coordinator takes twice as much."""


class AsyncClient:
    """A client for asyncio. Use it as `async with AsyncClient() as client`, or `close` it.

    It may be made anywhere; the loop of its first call is the one it belongs to.
    """

    def __init__(
        self,
        target: str | None = None,
        *,
        token: str | None = None,
        token_file: str | os.PathLike[str] | None = None,
        timeout: float = _rpc.CALL_TIMEOUT,
        hooks: Sequence[telemetry.Hook] = (),
    ) -> None:
        """`target` is HOST:PORT, or `POSTQ_COORDINATOR`, or the default port here.

        `timeout` is for single calls, in seconds; streams have none.
        """
        self._timeout = timeout
        self._link = Link(target, token, token_file, timeout, hooks)
        self.queues = AsyncQueues(self._link)
        self.schedules = AsyncSchedules(self._link)
        self.dead_letters = AsyncDeadLetters(self._link)
        self.agents = AsyncAgents(self._link)

    @property
    def target(self) -> str:
        """Where the coordinator is."""
        return self._link.target

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Ends the connection; a later call opens another."""
        await self._link.close()

    async def submit(
        self,
        job: JobLike,
        *,
        id: str | None = None,  # noqa: A002
        wait: Duration | None = None,
        require_queue: bool = False,
    ) -> str:
        """Submits a job and returns its id, which may be given (a UUIDv7).

        An id makes a submit repeatable: the same job under the same id is one job. Without one the
        client makes it, so that an answer that was lost is asked for again, not the job.

        `wait` is how long to wait for room in a queue that holds as many jobs as it may (else
        ResourceExhausted); with `require_queue` one that nobody declared is NotFound.
        """
        request = job_service_pb2.SubmitJobRequest(
            job=_message(job),
            id=id or ids.new_id(),
            wait=to_duration(wait),
            require_queue=require_queue,
        )
        longer = request.wait.ToTimedelta().total_seconds() + self._timeout if wait else None
        with self._link.observed("submit", queue=request.job.queue or "default"):
            answer = await self._link.call(JobServiceStub, "SubmitJob", request, longer)
        return str(answer.id)

    async def submit_many(self, jobs: Iterable[JobLike]) -> list[str]:
        """Submits jobs, up to 10,000 (and 32 MiB) all or none; the ids in the order of the jobs.

        More than 10,000 jobs, or 32 MiB, go in several calls, each of which is taken whole or not
        at all. What is wrong is told with its place in the call, as `jobs[3].tasks.a.command`.
        """
        accepted: list[str] = []
        with self._link.observed("submit_many"):
            for request in _lists(jobs):
                answer = await self._link.call(JobServiceStub, "SubmitJobs", request)
                accepted.extend(one.id for one in answer.jobs)
        return accepted

    async def get(self, job_id: str) -> JobStatus:
        """The job with all its tasks."""
        with self._link.observed("get"):
            request = job_service_pb2.GetJobRequest(id=job_id)
            job = (await self._call("GetJob", request)).job
            status = JobStatus.from_proto(job)
            if job.tasks_truncated:
                tasks = {task.name: task async for task in self.tasks(job_id)}
                object.__setattr__(status, "tasks", tasks)
        return status

    async def tasks(
        self, job_id: str, *, states: Iterable[TaskState] = ()
    ) -> AsyncIterator[TaskStatus]:
        """The tasks of a job in the order of its plan."""
        request = job_service_pb2.ListTasksRequest(
            job_id=job_id, states=[TaskState(state).name for state in states]
        )
        async for task in self._link.pages(JobServiceStub, "ListTasks", request, "tasks"):
            yield TaskStatus.from_proto(task)

    async def list(
        self,
        *,
        states: Iterable[JobState | str] = (),
        queue: str = "",
        filter: str = "",  # noqa: A002
        limit: int = 100,
    ) -> JobList:
        """Jobs, newest first, without their tasks. `filter` is a predicate over their attributes,
        such as `$.team == "data"`."""
        request = job_service_pb2.ListJobsRequest(
            states=[JobState(state).name for state in states], queue=queue, filter=filter
        )
        with self._link.observed("list", queue=queue):
            pages = self._link.pages(JobServiceStub, "ListJobs", request, "jobs", limit)
            return [JobStatus.from_proto(job) async for job in pages]

    async def cancel(self, job_id: str, reason: str = "") -> JobStatus:
        """Ends what has not started and asks the rest to stop. Safe to repeat."""
        with self._link.observed("cancel"):
            request = job_service_pb2.CancelJobRequest(id=job_id, reason=reason)
            return JobStatus.from_proto((await self._call("CancelJob", request)).job)

    async def cancel_many(
        self,
        job_ids: Iterable[str] = (),
        *,
        filter: str = "",  # noqa: A002
        queue: str = "",
        waiting_only: bool = False,
        reason: str = "",
    ) -> int:
        """Cancels the jobs that are named, or those that the rest chooses; how many were asked to
        end. What is not there or has ended is left alone."""
        request = job_service_pb2.CancelJobsRequest(
            ids=list_of(job_ids),
            filter=filter,
            queue=queue,
            waiting_only=waiting_only,
            reason=reason,
        )
        with self._link.observed("cancel_many", queue=queue):
            return int((await self._call("CancelJobs", request)).requested)

    async def retry(
        self, job_id: str, tasks: Iterable[str] = (), *, new_id: str | None = None
    ) -> str:
        """Runs again what did not succeed of a job that has ended, and the tasks that are named,
        with all that comes after them, as a new job, whose id is returned. The rest is carried
        over with its results and files. Under one `new_id` (a UUIDv7) it is one job."""
        request = job_service_pb2.RetryJobRequest(
            id=job_id, tasks=list_of(tasks), new_id=new_id or ids.new_id()
        )
        with self._link.observed("retry"):
            return str((await self._call("RetryJob", request)).id)

    async def retry_many(
        self,
        *,
        filter: str = "",  # noqa: A002
        queue: str = "",
        with_cancelled: bool = False,
        max_count: int = 1000,
        rate: float = 0,
    ) -> dict[str, str]:
        """Retries those that a filter or a queue chooses, that have failed and have no retry yet,
        the newest first. The new job of each job; with a rate so many begin per second."""
        states = [job_pb2.Job.FAILED] + [job_pb2.Job.CANCELLED] * with_cancelled
        request = job_service_pb2.RetryJobsRequest(
            filter=filter, queue=queue, states=states, max_count=max_count, rate=rate
        )
        with self._link.observed("retry_many", queue=queue):
            answer = await self._call("RetryJobs", request)
            return {one.job_id: one.new_job_id for one in answer.retried}

    async def watch(self, job_id: str, *, after_revision: int = 0) -> AsyncIterator[JobUpdate]:
        """The job as it is, then each change, until it has ended.

        Goes on behind the last revision when the connection breaks.
        """
        revision = after_revision

        def look() -> Any:
            request = job_service_pb2.WatchJobRequest(id=job_id, after_revision=revision)
            return self._link.stub(JobServiceStub).WatchJob(request, metadata=self._link.headers())

        is_first = True
        async for message in self._link.resumed(look):
            if not is_first and message.revision == revision and not message.tasks:
                continue  # The same again, from a stream that was opened anew.
            is_first = False
            update = _update(message)
            yield update
            if message.complete:
                revision = message.revision
                if update.job.state.is_terminal:
                    return

    async def watch_many(
        self,
        *,
        filter: str = "",  # noqa: A002
        queue: str = "",
        max_count: int = 100,
        until_ended: bool = False,
    ) -> AsyncIterator[JobStatus]:
        """The newest jobs that a filter chooses, as they are, then each that comes or changes,
        without their tasks; with `until_ended` until none of them is open. Where the connection
        broke, those of the first look are told again."""
        request = job_service_pb2.WatchJobsRequest(
            filter=filter, queue=queue, max_count=max_count, until_ended=until_ended
        )

        def look() -> Any:
            return self._link.stub(JobServiceStub).WatchJobs(request, metadata=self._link.headers())

        async for message in self._link.resumed(look):
            for job in message.jobs:
                yield JobStatus.from_proto(job)

    async def wait(self, job_id: str, timeout: float | None = None) -> JobStatus:
        """The job once it has ended, with its tasks. DeadlineExceeded after `timeout` seconds."""

        async def ended() -> JobStatus:
            async for _ in self.watch(job_id):
                pass
            return await self.get(job_id)

        try:
            return await asyncio.wait_for(ended(), timeout)
        except asyncio.TimeoutError as error:
            if isinstance(error, PostqError):
                raise
            message = f"the job {job_id} has not ended within {timeout} s"
            raise DeadlineExceeded(message) from None

    async def result(self, job_id: str, timeout: float | None = None) -> Json:
        """What the handler of a job of one task returned; JobFailed where it did not succeed."""
        job = await self.wait(job_id, timeout)
        if job.state is JobState.SUCCEEDED:
            return job.result
        reasons = [f"{t.name}: {t.reason}" for t in job.tasks.values() if t.reason]
        text = "; ".join([job.reason, *reasons] if job.reason else reasons)
        raise JobFailed(f"the job {job_id} is {job.state.value}: {text}", job_id)

    async def logs(
        self,
        job_id: str,
        *,
        tasks: Iterable[str] = (),
        attempt: int = 0,
        follow: bool = False,
        tail: int = 0,
    ) -> AsyncIterator[LogChunk]:
        """What tasks wrote; with `follow` until the job has ended, with `tail` only the last so
        many lines of each attempt. Each chunk comes once, also where the connection broke."""
        request = job_service_pb2.ReadLogsRequest(
            job_id=job_id,
            tasks=list_of(tasks),
            attempt=attempt,
            follow=follow,
            tail_lines=tail,
        )
        seen = request.after

        def read() -> Any:
            return self._link.stub(JobServiceStub).ReadLogs(request, metadata=self._link.headers())

        async for message in self._link.resumed(read):
            if message.number > seen.get(message.attempt, 0):
                seen[message.attempt] = message.number
                yield LogChunk.from_proto(message)

    async def download(
        self, job_id: str, directory: str | os.PathLike[str], *, task: str | None = None
    ) -> None:
        """Writes the files that a job, or one of its tasks, left to an empty or new directory.

        The `postq` command does it: it must be in `PATH`, or `POSTQ_COMMAND` names it.
        """
        where = f"{job_id}/{task}" if task else job_id
        out = str(Path(directory))
        await _command.workspace(self.target, self._link.metadata, "get", where, "--out", out)

    async def upload(self, directory: str | os.PathLike[str]) -> str:
        """Uploads a directory; what is returned is for `Job.input`. By the command, too."""
        said = await _command.workspace(
            self.target, self._link.metadata, "put", str(Path(directory))
        )
        return said.strip()

    async def _call(self, method: str, request: object) -> Any:
        return await self._link.call(JobServiceStub, method, request)


def list_of(values: Iterable[str]) -> list[str]:
    """A list of names; a lone name is not taken for its letters."""
    return [values] if isinstance(values, str) else list(values)


def _message(job: JobLike) -> job_pb2.JobSpec:
    return parsed(document_of(job), job_pb2.JobSpec())


def _lists(jobs: Iterable[JobLike]) -> Iterator[job_service_pb2.SubmitJobsRequest]:
    """The calls that jobs are submitted by."""
    request, size = job_service_pb2.SubmitJobsRequest(), 0
    for job in jobs:
        one = job_service_pb2.SubmitJobRequest(job=_message(job), id=ids.new_id())
        size += one.ByteSize()
        if request.jobs and (len(request.jobs) >= _MOST_JOBS or size > _MOST_BYTES):
            yield request
            request, size = job_service_pb2.SubmitJobsRequest(), one.ByteSize()
        request.jobs.append(one)
    if request.jobs:
        yield request


def _update(message: job_service_pb2.WatchJobResponse) -> JobUpdate:
    tasks = {task.name: TaskStatus.from_proto(task) for task in message.tasks}
    return JobUpdate(JobStatus.from_proto(message.job), tasks, message.revision)
