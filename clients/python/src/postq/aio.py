"""`AsyncClient`: submits jobs and tells what becomes of them.

All that a client does is written here, once; `Client` is its synchronous face.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import grpc.aio
from google.protobuf import json_format

from . import _command, _rpc, telemetry
from .errors import (
    DeadlineExceeded,
    InvalidArgument,
    JobFailed,
    PostqError,
    Unavailable,
    Violation,
)
from .ids import new_id
from .spec import Job
from .status import JobState, JobStatus, JobUpdate, LogChunk, TaskState, TaskStatus
from .v1 import job_pb2, job_service_pb2, job_service_pb2_grpc
from .values import Json

T = TypeVar("T")
JobLike = Job | Mapping[str, Any]
"""A `Job`, or a document such as YAML gives."""
JobList = list[JobStatus]

GIVE_UP_AFTER = 60.0
"""Seconds for which `watch`, `wait` and `logs` look for a coordinator that has gone."""


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
        self.target = _rpc.address(target)
        self.timeout = timeout
        self.hooks = tuple(hooks)
        self._metadata = _rpc.credentials(token, token_file)
        self._channel: grpc.aio.Channel | None = None
        self._made_jobs: Any = None

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Ends the connection; a later call opens another."""
        channel, self._channel, self._made_jobs = self._channel, None, None
        if channel is not None:
            await channel.close()

    async def submit(self, job: JobLike, *, id: str | None = None) -> str:  # noqa: A002
        """Submits a job and returns its id, which may be given (a UUIDv7).

        An id makes a submit repeatable: the same job under the same id is one job. Without one the
        client makes it, so that an answer that was lost is asked for again, not the job.
        """
        request = job_service_pb2.SubmitJobRequest(job=_message(job), id=id or new_id())
        with self._observed("submit", queue=request.job.queue or "default"):
            answer = await self._call(self._jobs.SubmitJob, request)
        return str(answer.id)

    async def submit_many(self, jobs: Iterable[JobLike]) -> list[str]:
        """Submits jobs, several at a time; the ids in the order of the jobs.

        Each is a submit of its own: where one is refused, the others may have been accepted.
        """
        limit = asyncio.Semaphore(32)

        async def one(job: JobLike) -> str:
            async with limit:
                return await self.submit(job)

        return list(await asyncio.gather(*(one(job) for job in jobs)))

    async def get(self, job_id: str) -> JobStatus:
        """The job with all its tasks."""
        with self._observed("get"):
            request = job_service_pb2.GetJobRequest(id=job_id)
            job = (await self._call(self._jobs.GetJob, request)).job
            status = JobStatus.from_proto(job)
            if job.tasks_truncated:
                tasks = {task.name: task async for task in self.tasks(job_id)}
                object.__setattr__(status, "tasks", tasks)
        return status

    async def tasks(
        self, job_id: str, *, states: Iterable[TaskState] = ()
    ) -> AsyncIterator[TaskStatus]:
        """The tasks of a job in the order of its plan."""
        wanted = [TaskState(state).name for state in states]
        token = ""
        while True:
            request = job_service_pb2.ListTasksRequest(
                job_id=job_id, states=wanted, page_size=1000, page_token=token
            )
            page = await self._call(self._jobs.ListTasks, request)
            for task in page.tasks:
                yield TaskStatus.from_proto(task)
            token = page.next_page_token
            if not token:
                return

    async def list(
        self, *, states: Iterable[JobState | str] = (), queue: str = "", limit: int = 100
    ) -> JobList:
        """Jobs, newest first, without their tasks."""
        wanted = [JobState(state).name for state in states]
        found: JobList = []
        token = ""
        with self._observed("list", queue=queue):
            while len(found) < limit:
                request = job_service_pb2.ListJobsRequest(
                    states=wanted,
                    queue=queue,
                    page_size=min(limit - len(found), 1000),
                    page_token=token,
                )
                page = await self._call(self._jobs.ListJobs, request)
                found.extend(JobStatus.from_proto(job) for job in page.jobs)
                token = page.next_page_token
                if not token:
                    break
        return found

    async def cancel(self, job_id: str, reason: str = "") -> JobStatus:
        """Ends what has not started and asks the rest to stop. Safe to repeat."""
        with self._observed("cancel"):
            request = job_service_pb2.CancelJobRequest(id=job_id, reason=reason)
            return JobStatus.from_proto((await self._call(self._jobs.CancelJob, request)).job)

    async def watch(self, job_id: str, *, after_revision: int = 0) -> AsyncIterator[JobUpdate]:
        """The job as it is, then each change, until it has ended.

        Goes on behind the last revision when the connection breaks.
        """
        revision = after_revision

        def look() -> Any:
            request = job_service_pb2.WatchJobRequest(id=job_id, after_revision=revision)
            return self._jobs.WatchJob(request, metadata=self._headers())

        is_first = True
        async for message in self._resumed(look):
            if not is_first and message.revision == revision and not message.tasks:
                continue  # The same again, from a stream that was opened anew.
            is_first = False
            update = _update(message)
            yield update
            if message.complete:
                revision = message.revision
                if update.job.state.is_terminal:
                    return

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
        self, job_id: str, *, tasks: Iterable[str] = (), attempt: int = 0, follow: bool = False
    ) -> AsyncIterator[LogChunk]:
        """What tasks wrote; with `follow` until the job has ended. Each chunk comes once, also
        where the connection broke."""
        request = job_service_pb2.ReadLogsRequest(
            job_id=job_id, tasks=list_of(tasks), attempt=attempt, follow=follow
        )
        seen: dict[int, int] = {}

        def read() -> Any:
            return self._jobs.ReadLogs(request, metadata=self._headers())

        async for message in self._resumed(read):
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
        await _command.workspace(self.target, self._metadata, "get", where, "--out", out)

    async def upload(self, directory: str | os.PathLike[str]) -> str:
        """Uploads a directory; what is returned is for `Job.input`. By the command, too."""
        said = await _command.workspace(self.target, self._metadata, "put", str(Path(directory)))
        return said.strip()

    @property
    def _jobs(self) -> Any:
        if self._made_jobs is None:
            self._channel = _rpc.channel(self.target)
            self._made_jobs = job_service_pb2_grpc.JobServiceStub(self._channel)  # type: ignore[no-untyped-call]
        return self._made_jobs

    def _headers(self) -> _rpc.Metadata:
        return (*self._metadata, *telemetry.carrier().items())

    def _observed(self, name: str, **attributes: str) -> Any:
        return telemetry.observed(self.hooks, name, **attributes)

    async def _call(self, method: Callable[..., Awaitable[Any]], request: object) -> Any:
        try:
            return await method(request, timeout=self.timeout, metadata=self._headers())
        except grpc.aio.AioRpcError as error:
            raise _rpc.translate(error) from None

    async def _resumed(self, start: Callable[[], Any]) -> AsyncIterator[Any]:
        """The messages of a stream, opened anew whenever it breaks."""
        loop = asyncio.get_running_loop()
        pauses = _rpc.pauses()
        last_word = loop.time()
        while True:
            call = start()
            try:
                async for message in call:
                    last_word, pauses = loop.time(), _rpc.pauses()
                    yield message
                return
            except grpc.aio.AioRpcError as error:
                broken = _rpc.translate(error)
                is_lasting = loop.time() - last_word > GIVE_UP_AFTER
                if not isinstance(broken, Unavailable) or is_lasting:
                    raise broken from None
            finally:
                call.cancel()
            await asyncio.sleep(next(pauses))


def list_of(values: Iterable[str]) -> list[str]:
    """A list of names; a lone name is not taken for its letters."""
    return [values] if isinstance(values, str) else list(values)


def _message(job: JobLike) -> job_pb2.JobSpec:
    document = (job if isinstance(job, Job) else Job.from_dict(job)).to_document()
    try:
        return json_format.ParseDict(document, job_pb2.JobSpec())
    except json_format.ParseError as error:
        raise InvalidArgument(str(error), (Violation("job", str(error)),)) from None


def _update(message: job_service_pb2.WatchJobResponse) -> JobUpdate:
    tasks = {task.name: TaskStatus.from_proto(task) for task in message.tasks}
    return JobUpdate(JobStatus.from_proto(message.job), tasks, message.revision)
