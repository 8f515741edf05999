"""Functions that are tasks: they stay callable, and can be pushed or put into a graph."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from functools import cached_property, update_wrapper
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar

from .outcome import Outcome, Verdict, seconds
from .spec import Job, RetryPolicy, Task
from .values import Duration, Json, plain, revive, shape, takes_objects

if TYPE_CHECKING:
    from .queue import Queue

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True)
class Options:
    """What can be said about a handler, about a queue for all of its own, or about one push."""

    max_attempts: int | None = None
    """Executions in total, the first included; -1: no limit. PostQ's default is 1."""
    backoff: Duration | None = None
    max_backoff: Duration | None = None
    timeout: Duration | None = None
    grace: Duration | None = None
    retry_on: tuple[type[BaseException], ...] | None = None
    """Only these exceptions (and `Retry`) are tried again."""
    pause: Callable[[int], Duration] | None = None
    """After the n-th attempt, the pause before the next; asked for each when a call is pushed."""
    every: Duration | None = None
    """So long after each success it is pushed again, with the same arguments. It never overlaps
    itself: the next one begins with the end of the one before."""
    priority: int = 0
    attributes: Mapping[str, Json] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    name: str | None = None
    """Of the task, or of the job of one task; else the handler's."""
    depends: Sequence[str | Task] = ()
    run_if: str | None = None
    workspace: str | None = None
    """`FILES`: it has the files that its ancestors left, in `postq.current().workspace`."""
    mode: str | None = None
    """`process`: it runs in a process of its own, which is killed where it does not stop. Else an
    async handler runs on the worker's loop, and another one in a thread."""
    delivery: str | None = None
    crash_limit: int | None = None
    concurrency: Mapping[str, Any] | None = None
    rate: Mapping[str, Any] | None = None
    resources: Mapping[str, Any] = field(default_factory=dict)
    requires: Sequence[Mapping[str, Any]] = ()
    """These six as `Task` has them."""

    def retry(self) -> RetryPolicy | None:
        """As tasks have it; None where nothing is said."""
        attempts = self.max_attempts or 1
        if self.pause is not None and attempts != 1:
            pauses = range(1, attempts if 0 < attempts <= _MOST_DELAYS else _MOST_DELAYS + 1)
            return RetryPolicy(attempts, delays=[self.pause(n) for n in pauses], jitter=0.0)
        if (self.max_attempts, self.backoff, self.max_backoff) == (None, None, None):
            return None
        return RetryPolicy(attempts, self.backoff, self.max_backoff)

    def over(self, below: Options) -> Options:
        """These where they say something, else those below."""
        said = {f.name: getattr(self, f.name) for f in fields(self)}
        given = {key: v for key, v in said.items() if v != getattr(_NOTHING_SAID, key)}
        return replace(below, **given)


_MOST_DELAYS = 100
_NOTHING_SAID = Options()


class Handler(Generic[P, R]):
    """A function of a queue. Calling it runs it, here and now."""

    def __init__(
        self,
        queue: Queue,
        function: Callable[P, R],
        name: str,
        options: Options,
        takes_body: bool = False,
    ) -> None:
        """Made by `Queue.handler`."""
        update_wrapper(self, function)
        self.queue = queue
        self.function = function
        self.name = name
        self.options = options
        self.takes_body = takes_body
        self.is_async = inspect.iscoroutinefunction(function)
        if options.mode not in (None, "process"):
            raise ValueError(f"{name}: mode is {options.mode!r}; it may be 'process'")
        if self.has_process and "<" in function.__qualname__:
            raise ValueError(
                f"{name}: a handler in a process must be a function of a module, "
                f"and {function.__qualname__} is inside another one"
            )

    @property
    def has_process(self) -> bool:
        """It runs in a process of its own."""
        return self.options.mode == "process"

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Runs the function, without any queue."""
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<handler {self.name!r} of queue {self.queue.name!r}>"

    def using(self, **options: Any) -> Handler[P, R]:
        """The same handler with other `Options`: `add.using(priority=5).push(2, 3)`."""
        said = Options(**options).over(self.options)
        return Handler(self.queue, self.function, self.name, said, self.takes_body)

    def task(self, *args: P.args, **kwargs: P.kwargs) -> Task:
        """A call of it, as a task for a job."""
        return self.task_of(self.arguments(args, kwargs))

    def task_of(self, arguments: Json) -> Task:
        """A task of it, with arguments as they stand in a document."""
        said = self.options
        return Task(
            name=said.name or self.name,
            handler=self.name,
            arguments=arguments,
            depends=said.depends,
            env=said.env,
            timeout=said.timeout,
            grace=said.grace,
            retry=said.retry(),
            run_if=said.run_if,
            workspace=said.workspace,
            delivery=said.delivery,
            crash_limit=said.crash_limit,
            concurrency=said.concurrency,
            rate=said.rate,
            resources=said.resources,
            requires=said.requires,
        )

    def job(self, *args: P.args, **kwargs: P.kwargs) -> Job:
        """A call of it, as a job of one task."""
        task = self.task(*args, **kwargs)
        return Job(
            [task],
            name=task.name or "",
            queue=self.queue.name,
            priority=self.options.priority,
            attributes=self.options.attributes,
        )

    def push(self, *args: P.args, **kwargs: P.kwargs) -> str:
        """Queues a call of it and returns the job's id; TypeError for what JSON cannot hold."""
        return self.queue.submit(self.job(*args, **kwargs))

    def apush(self, *args: P.args, **kwargs: P.kwargs) -> Awaitable[str]:
        """The same for asyncio."""
        return self.queue.asubmit(self.job(*args, **kwargs))

    def push_in(self, delay: Duration, *args: P.args, **kwargs: P.kwargs) -> str:
        """Queues a call of it that runs after `delay`, by the database's clock."""
        return self.queue.submit(replace(self.job(*args, **kwargs), delay=delay))

    def push_at(self, at: datetime, *args: P.args, **kwargs: P.kwargs) -> str:
        """Queues a call of it that runs at a time, which has a zone."""
        return self.queue.submit(replace(self.job(*args, **kwargs), run_at=at))

    def arguments(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Json:
        """The JSON of a call."""
        if not self.takes_body:
            given = {"args": list(args), "kwargs": dict(kwargs)}
            return plain({key: value for key, value in given.items() if value})
        if len(args) != 1 or kwargs:
            raise TypeError(f"{self.name} takes one body, and nothing else")
        return plain(args[0])

    def bind(self, arguments: Json) -> tuple[list[Any], dict[str, Any]]:
        """What the function is called with: the reverse of `arguments`, and for calls that were
        written by hand an object as keywords, a list as positions, anything else as one argument.
        """
        args, kwargs = self._split(revive(arguments))
        signature, hints = self._shape
        try:
            bound = signature.bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{self.name}: {error}; it was given {arguments!r}") from None
        if not hints:
            return args, kwargs
        for name, hint in hints.items():
            if name in bound.arguments:
                bound.arguments[name] = shape(bound.arguments[name], hint)
        return list(bound.args), dict(bound.kwargs)

    @cached_property
    def _shape(self) -> tuple[inspect.Signature, dict[str, Any]]:
        """What the function takes, and the types that arguments are made into."""
        return inspect.signature(self.function), _hints(self.function)

    def paused(self, verdict: Verdict, attempts: int) -> Verdict:
        """A failure with the pause that the options say, also for a call that was made without
        them."""
        pause = self.options.pause
        if pause is None or verdict.outcome is not Outcome.FAILED or verdict.after is not None:
            return verdict
        try:
            return replace(verdict, after=seconds(pause(attempts)))
        except Exception as error:  # The user's own; the policy's pause is left.
            problem = f"{verdict.errors or verdict.reason}\nits pause raised {error!r}\n"
            return replace(verdict, errors=problem)

    def _split(self, given: Json) -> tuple[list[Any], dict[str, Any]]:
        if self.takes_body:
            return [given], {}
        if given is None:
            return [], {}
        if isinstance(given, list):
            return given, {}
        if not isinstance(given, dict):
            return [given], {}
        args, kwargs = given.get("args", []), given.get("kwargs", {})
        is_call = given.keys() <= {"args", "kwargs"}
        if is_call and isinstance(args, list) and isinstance(kwargs, dict):
            return args, kwargs
        return [], given


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    try:
        hints = typing.get_type_hints(function)
    except Exception:  # Names that exist for type checkers only: then nothing is shaped.
        return {}
    return {name: hint for name, hint in hints.items() if takes_objects(hint)}
