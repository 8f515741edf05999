"""`Queue`: a named line of jobs, the functions that work on them, and the way in."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, ParamSpec, TypeVar, overload

from .client import Client
from .errors import AlreadyExists
from .handlers import Handler, Options
from .spec import Job

P = ParamSpec("P")
R = TypeVar("R")


class Queue:
    """A queue and its handlers.

    `Queue("mail")` submits to a coordinator (`POSTQ_COORDINATOR`, or the default port here).
    Opening a queue creates nothing: any process may open the same one.
    """

    prepare_process: Callable[[], None] | None = None
    """What a process of a handler does before it imports the handler's module."""

    def __init__(
        self,
        name: str = "default",
        *,
        client: Client | None = None,
        target: str | None = None,
        token: str | None = None,
        token_file: str | os.PathLike[str] | None = None,
        **options: Any,
    ) -> None:
        """`options`, as of `Options`, hold for all handlers that do not say otherwise."""
        self.name = name or "default"
        self.options = Options(**options)
        self.handlers: dict[str, Handler[..., Any]] = {}
        self._reach = {"target": target, "token": token, "token_file": token_file}
        self._client = client

    @property
    def client(self) -> Client:
        """The client that pushes."""
        if self._client is None:
            self._client = Client(**self._reach)  # type: ignore[arg-type]
        return self._client

    @overload
    def handler(self, function: Callable[P, R], /) -> Handler[P, R]: ...

    @overload
    def handler(
        self,
        *,
        name: str | None = None,
        body: bool = False,
        max_retries: int | None = None,
        **options: Any,
    ) -> Callable[[Callable[P, R]], Handler[P, R]]: ...

    def handler(  # type: ignore[misc]  # The overloads are the signature.
        self,
        function: Callable[..., Any] | None = None,
        /,
        *,
        name: str | None = None,
        body: bool = False,
        max_retries: int | None = None,
        **options: Any,
    ) -> Any:
        """Makes a function a handler, named like it or by `name`.

        With `body` it takes one argument: the arguments of its task as they are. `max_retries`
        counts what comes after the first execution, `max_attempts` (see `Options`) all of them.
        """
        if max_retries is not None:
            if max_retries < 0:
                raise ValueError(f"max_retries is {max_retries}; it may be 0 or more")
            options["max_attempts"] = max_retries + 1

        def register(function: Callable[..., Any]) -> Handler[..., Any]:
            said = Options(**options).over(self.options)
            called = str(name or getattr(function, "__name__", ""))
            if called in self.handlers:
                raise AlreadyExists(f"the queue {self.name} has a handler {called!r} already")
            made = Handler(self, function, called, said, takes_body=body)
            self.handlers[called] = made
            return made

        return register(function) if function is not None else register

    def submit(self, job: Job) -> str:
        """Submits a job to this queue."""
        job.queue = self.name
        return self.client.submit(job)

    def asubmit(self, job: Job) -> Awaitable[str]:
        """The same for asyncio, on the clients' own loop."""
        return asyncio.to_thread(self.submit, job)

    def around(self) -> AbstractContextManager[None]:
        """Entered around each run of a synchronous handler, in its thread."""
        return nullcontext()

    def enqueue(self, handler: str, *args: Any, **kwargs: Any) -> str:
        """Pushes a call by the handler's name; KeyError, and nothing queued, for an unknown one."""
        if handler not in self.handlers:
            known = ", ".join(sorted(self.handlers)) or "none"
            raise KeyError(f"the queue {self.name} has no handler {handler!r}; it has {known}")
        pushed: str = self.handlers[handler].push(*args, **kwargs)
        return pushed

    def run_worker(self, *, concurrency: int = 10, **settings: Any) -> None:
        """Runs the handlers until SIGTERM or SIGINT; see `Worker` for the settings."""
        from .worker import Worker

        reach = {key: value for key, value in self._reach.items() if value is not None}
        if self._client is not None and "target" not in reach:
            reach["target"] = self._client.target
        asyncio.run(Worker(self, concurrency=concurrency, **{**reach, **settings}).run())
