"""`Client`: the synchronous face of `AsyncClient`. No logic of its own."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence

from . import _loop, _rpc, telemetry
from .aio import AsyncClient, JobList
from .manage import Agents, DeadLetters, Queues, Schedules
from .spec import JobLike
from .status import JobState, JobStatus, JobUpdate, LogChunk, TaskState, TaskStatus
from .values import Duration, Json

Ids = list[str]


class Client:
    """A client for threads; any number of them may share it. Close it, or use it by `with`."""

    def __init__(
        self,
        target: str | None = None,
        *,
        token: str | None = None,
        token_file: str | os.PathLike[str] | None = None,
        timeout: float = _rpc.CALL_TIMEOUT,
        hooks: Sequence[telemetry.Hook] = (),
    ) -> None:
        """See `AsyncClient`."""
        self._async = AsyncClient(
            target, token=token, token_file=token_file, timeout=timeout, hooks=hooks
        )
        self.queues = Queues(self._async.queues)
        self.schedules = Schedules(self._async.schedules)
        self.dead_letters = DeadLetters(self._async.dead_letters)
        self.agents = Agents(self._async.agents)

    @property
    def target(self) -> str:
        """Where the coordinator is."""
        return self._async.target

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the connection; a later call opens another."""
        _loop.run(self._async.close())

    def submit(
        self,
        job: JobLike,
        *,
        id: str | None = None,  # noqa: A002
        wait: Duration | None = None,
        require_queue: bool = False,
    ) -> str:
        """Submits a job and returns its id. See `AsyncClient.submit`."""
        return _loop.run(self._async.submit(job, id=id, wait=wait, require_queue=require_queue))

    def submit_many(self, jobs: Iterable[JobLike]) -> Ids:
        """Submits jobs, up to 10,000 (and 32 MiB) all or none. See `AsyncClient.submit_many`."""
        return _loop.run(self._async.submit_many(jobs))

    def get(self, job_id: str) -> JobStatus:
        """The job with all its tasks."""
        return _loop.run(self._async.get(job_id))

    def tasks(self, job_id: str, *, states: Iterable[TaskState] = ()) -> Iterator[TaskStatus]:
        """The tasks of a job in the order of its plan."""
        return _loop.iterate(self._async.tasks(job_id, states=states))

    def list(
        self,
        *,
        states: Iterable[JobState | str] = (),
        queue: str = "",
        filter: str = "",  # noqa: A002
        limit: int = 100,
    ) -> JobList:
        """Jobs, newest first, without their tasks. See `AsyncClient.list`."""
        return _loop.run(self._async.list(states=states, queue=queue, filter=filter, limit=limit))

    def cancel(self, job_id: str, reason: str = "") -> JobStatus:
        """Ends what has not started and asks the rest to stop. Safe to repeat."""
        return _loop.run(self._async.cancel(job_id, reason))

    def cancel_many(
        self,
        job_ids: Iterable[str] = (),
        *,
        filter: str = "",  # noqa: A002
        queue: str = "",
        waiting_only: bool = False,
        reason: str = "",
    ) -> int:
        """Cancels many jobs. See `AsyncClient.cancel_many`."""
        return _loop.run(
            self._async.cancel_many(
                job_ids, filter=filter, queue=queue, waiting_only=waiting_only, reason=reason
            )
        )

    def retry(self, job_id: str, tasks: Iterable[str] = (), *, new_id: str | None = None) -> str:
        """Runs again what did not succeed, as a new job. See `AsyncClient.retry`."""
        return _loop.run(self._async.retry(job_id, tasks, new_id=new_id))

    def retry_many(
        self,
        *,
        filter: str = "",  # noqa: A002
        queue: str = "",
        with_cancelled: bool = False,
        max_count: int = 1000,
        rate: float = 0,
    ) -> dict[str, str]:
        """Retries many jobs. See `AsyncClient.retry_many`."""
        return _loop.run(
            self._async.retry_many(
                filter=filter,
                queue=queue,
                with_cancelled=with_cancelled,
                max_count=max_count,
                rate=rate,
            )
        )

    def watch(self, job_id: str, *, after_revision: int = 0) -> Iterator[JobUpdate]:
        """The job as it is, then each change, until it has ended. See `AsyncClient.watch`."""
        return _loop.iterate(self._async.watch(job_id, after_revision=after_revision))

    def watch_many(
        self,
        *,
        filter: str = "",  # noqa: A002
        queue: str = "",
        max_count: int = 100,
        until_ended: bool = False,
    ) -> Iterator[JobStatus]:
        """The newest jobs that a filter chooses, then each change. See `AsyncClient.watch_many`."""
        return _loop.iterate(
            self._async.watch_many(
                filter=filter, queue=queue, max_count=max_count, until_ended=until_ended
            )
        )

    def wait(self, job_id: str, timeout: float | None = None) -> JobStatus:
        """The job once it has ended. DeadlineExceeded after `timeout` seconds."""
        return _loop.run(self._async.wait(job_id, timeout))

    def result(self, job_id: str, timeout: float | None = None) -> Json:
        """What the handler of a job of one task returned; JobFailed where it did not succeed."""
        return _loop.run(self._async.result(job_id, timeout))

    def logs(
        self,
        job_id: str,
        *,
        tasks: Iterable[str] = (),
        attempt: int = 0,
        follow: bool = False,
        tail: int = 0,
    ) -> Iterator[LogChunk]:
        """What tasks wrote; with `follow` until the job has ended. See `AsyncClient.logs`."""
        chunks = self._async.logs(job_id, tasks=tasks, attempt=attempt, follow=follow, tail=tail)
        return _loop.iterate(chunks)

    def download(
        self, job_id: str, directory: str | os.PathLike[str], *, task: str | None = None
    ) -> None:
        """Writes the files that a job, or a task, left. See `AsyncClient.download`."""
        _loop.run(self._async.download(job_id, directory, task=task))

    def upload(self, directory: str | os.PathLike[str]) -> str:
        """Uploads a directory; what is returned is for `Job.input`."""
        return _loop.run(self._async.upload(directory))
