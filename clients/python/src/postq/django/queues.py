"""Queues on Django's connections: what is pushed exists when the current transaction commits."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import django
from django.db import close_old_connections, connections
from django.utils.module_loading import autodiscover_modules

from .. import sql
from ..handlers import Handler
from ..ids import new_id
from ..queue import Queue
from ..spec import Job, JobLike
from .conf import setting

_queues: dict[str, DjangoQueue] = {}


class DjangoQueue(Queue):
    """A queue whose pushes go through Django's connection."""

    prepare_process = staticmethod(django.setup)

    def submit(self, job: Job) -> str:
        """Submits a job to this queue, in the current transaction."""
        job.queue = self.name
        return enqueue(job)

    def around(self) -> AbstractContextManager[None]:
        """As for a request: connections that broke or are too old are left behind."""
        return _fresh_connections()


def queue(name: str = "default", **options: Any) -> DjangoQueue:
    """The queue of that name; options, as of `postq.Options`, where it is named first."""
    if name not in _queues:
        _queues[name] = DjangoQueue(name, **options)
    return _queues[name]


def handler(*, queue_name: str = "default", **options: Any) -> Callable[..., Handler[..., Any]]:
    """Makes a function of `tasks.py` a handler; see `postq.Queue.handler`."""
    made: Callable[..., Handler[..., Any]] = queue(queue_name).handler(**options)
    return made


def enqueue(job: JobLike, *, id: str | None = None) -> str:  # noqa: A002
    """Submits a job on the current connection: commit and rollback decide. Its id."""
    made = job if isinstance(job, Job) else Job.from_dict(job)
    if setting("EAGER"):
        _run_here(made)
        return id or new_id()
    return sql.submit(connections[setting("DATABASE")], made, id=id)


def discover() -> dict[str, DjangoQueue]:
    """Imports the apps' modules of tasks; the queues with all their handlers."""
    autodiscover_modules(setting("MODULE"))
    register_django_tasks()
    return _queues


def register_django_tasks() -> None:
    """The tasks of `django.tasks` in those modules whose backend is PostQ's become handlers."""
    from django.apps import apps

    from .tasks_api import HAS_TASKS

    if not HAS_TASKS:
        return
    from .backend import handler_of, is_ours

    for app in apps.get_app_configs():
        try:
            module = importlib.import_module(f"{app.name}.{setting('MODULE')}")
        except ModuleNotFoundError:
            continue
        for task in vars(module).values():
            if is_ours(task):
                handler_of(task)


def _run_here(job: Job) -> None:
    for name, task in job.to_document()["tasks"].items():
        known = [
            q.handlers[task["handler"]]
            for q in _queues.values()
            if task.get("handler") in q.handlers
        ]
        if not known or task.get("depends"):
            raise ValueError(f"the task {name!r} cannot run here: only single handlers can")
        args, kwargs = known[0].bind(task.get("arguments"))
        known[0](*args, **kwargs)


@contextmanager
def _fresh_connections() -> Iterator[None]:
    close_old_connections()
    try:
        yield
    finally:
        close_old_connections()
