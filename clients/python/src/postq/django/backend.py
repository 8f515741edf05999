"""PostQ behind Django's own tasks: `TASKS = {"default": {"BACKEND":
"postq.django.backend.PostqBackend"}}`.

What is enqueued exists when the current transaction commits. `OPTIONS` are those of `postq.Options`
(`max_attempts`, `timeout`, ...), for all tasks of the backend.
"""

from __future__ import annotations

import functools
import json
from datetime import datetime
from typing import Any

from django.db import connections

from .. import sql
from ..context import current
from ..handlers import Handler, Options
from ..ids import new_id
from ..spec import Job
from ..sql.verbs import JobRow
from ..values import Json, plain, revive
from .conf import setting
from .queues import DjangoQueue, enqueue, queue
from .tasks_api import backends, base, exceptions, signals

_STATES = {"succeeded": "SUCCESSFUL", "running": "RUNNING"}
_ENDED = {"failed", "cancelled", "skipped"}


class PostqBackend(backends.BaseTaskBackend):  # type: ignore[misc]
    """A backend of `django.tasks`."""

    supports_defer = True
    supports_async_task = True
    supports_get_result = True
    supports_priority = True

    def enqueue(self, task: Any, args: Any, kwargs: Any) -> Any:
        """Queues a call of it on the current connection."""
        self.validate_task(task)
        said = Options(priority=task.priority).over(Options(**self.options))
        handler = handler_of(task).using(**{"priority": said.priority, **self.options})
        job: Job = handler.job(*args, **kwargs)
        job.queue, job.run_at = task.queue_name, task.run_after
        job_id = enqueue(job, id=new_id())
        result = base.TaskResult(
            task=task,
            id=job_id,
            status=base.TaskResultStatus.READY,
            enqueued_at=_now(),
            started_at=None,
            finished_at=None,
            last_attempted_at=None,
            args=plain(list(args)),
            kwargs=plain(dict(kwargs)),
            backend=self.alias,
            errors=[],
            worker_ids=[],
        )
        signals.task_enqueued.send(type(self), task_result=result)
        return result

    def get_result(self, result_id: str) -> Any:
        """What became of a call."""
        try:
            row = sql.get(connections[setting("DATABASE")], result_id)
        except Exception as error:
            if getattr(error.__cause__, "sqlstate", "") != "22P02":
                raise
            row = None
        if row is None or len(row.tasks) != 1:
            raise exceptions.TaskResultDoesNotExist(result_id)
        return _result(row, self.alias)


def is_ours(task: object) -> bool:
    """Whether it is a task whose backend is PostQ's."""
    return isinstance(task, base.Task) and isinstance(task.get_backend(), PostqBackend)


def handler_of(task: Any) -> Handler[..., Any]:
    """The handler that calls a task of Django's, named by its dotted path."""
    known: DjangoQueue = queue(task.queue_name)
    found = known.handlers.get(task.module_path)
    if found is None:
        function = _with_context(task) if task.takes_context else task.func
        found = known.handlers[task.module_path] = Handler(
            known, function, task.module_path, Options()
        )
    return found


def _with_context(task: Any) -> Any:
    def context() -> Any:
        result = task.get_backend().get_result(current().job_id)
        return base.TaskContext(task_result=result)

    if Handler(queue(), task.func, "", Options()).is_async:

        async def acall(*args: Any, **kwargs: Any) -> Any:
            from asgiref.sync import sync_to_async

            return await task.func(await sync_to_async(context)(), *args, **kwargs)

        return acall

    @functools.wraps(task.func, assigned=("__name__", "__doc__"))
    def call(*args: Any, **kwargs: Any) -> Any:
        return task.func(context(), *args, **kwargs)

    # The context is not among the arguments that are pushed.
    del call.__wrapped__
    return call


def _result(row: JobRow, alias: str) -> Any:
    told = row.tasks[0]
    task = _task_named(told["handler"])
    status = _STATES.get(told["state"], "FAILED" if told["state"] in _ENDED else "READY")
    arguments = told["arguments"] or {}
    result = base.TaskResult(
        task=task,
        id=row.id,
        status=base.TaskResultStatus(status),
        enqueued_at=row.created_at,
        started_at=_time(told["started_at"]),
        finished_at=_time(told["finished_at"]),
        last_attempted_at=_time(told["started_at"]),
        args=arguments.get("args", []),
        kwargs=arguments.get("kwargs", {}),
        backend=alias,
        errors=[_error(told)] if told["errors"] else [],
        worker_ids=[told["agent"] or "consumer"] * _attempts(told),
    )
    object.__setattr__(result, "_return_value", _returned(told))
    return result


def _attempts(told: Any) -> int:
    return int(told["attempts"]) + int(told["state"] == "running")


def _task_named(path: str) -> Any:
    from django.utils.module_loading import import_string

    try:
        return import_string(path)
    except ImportError as error:
        raise exceptions.TaskResultDoesNotExist(path) from error


def _returned(told: Any) -> Json:
    if told["result"] is not None:
        return revive(told["result"])
    return revive(json.loads(told["results"])) if told["results"] else None


def _error(told: Any) -> Any:
    last = told["errors"].rstrip().rpartition("\n")[2]
    path = last.partition(":")[0]
    named = path if "." in path else f"builtins.{path}"
    return base.TaskError(exception_class_path=named, traceback=told["errors"])


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _now() -> datetime:
    from django.utils import timezone

    return timezone.now()


__all__ = ["PostqBackend", "handler_of", "is_ours"]
