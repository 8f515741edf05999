"""Jobs as they are written: tasks, what they depend on, and the document that is submitted.

Everything becomes one document, the proto3-JSON form of `JobSpec`, which gRPC and SQL both take.
Whether it makes sense is the coordinator's to say; here only what cannot be written is refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from os import PathLike
from pathlib import Path
from typing import Any, TypeVar

from google.protobuf import json_format
from google.protobuf.message import Message

from .errors import InvalidArgument, Violation
from .values import Duration, Json, duration, plain

Document = dict[str, Any]
M = TypeVar("M", bound=Message)


@dataclass(frozen=True)
class RetryPolicy:
    """How often a task is tried, and after what pause."""

    max_attempts: int = 1
    """Executions in total, the first included; -1: no limit."""
    backoff: Duration | None = None
    max_backoff: Duration | None = None
    factor: float | None = None
    """The n-th retry waits `backoff * factor^(n-1) + increment * (n-1)`, at most `max_backoff`."""
    increment: Duration | None = None
    jitter: float | None = None
    """The largest part of a pause that is left out by chance."""
    delays: Sequence[Duration] = ()
    """The pauses themselves, instead; the last one for ever."""
    outcomes: Sequence[str] = ()
    """Of `FAILED` and `TIMED_OUT` those that are tried again; empty: both."""
    exit_codes: Sequence[int] = ()

    def to_document(self) -> Document:
        """As it stands in a job document."""
        document: Document = {"max_attempts": self.max_attempts}
        for key in ("backoff", "max_backoff", "increment"):
            if getattr(self, key) is not None:
                document[key] = duration(getattr(self, key))
        for key in ("factor", "jitter"):
            if getattr(self, key) is not None:
                document[key] = getattr(self, key)
        if self.delays:
            document["delays"] = [duration(delay) for delay in self.delays]
        for key in ("outcomes", "exit_codes"):
            if getattr(self, key):
                document[key] = list(getattr(self, key))
        return document


@dataclass(eq=False)
class Task:
    """A node of the graph: a shell command, a container (`image`) or a function (`handler`)."""

    command: str = ""
    name: str | None = None
    """Needed where tasks are listed; in a mapping the key is the name."""
    depends: Sequence[str | Task] = ()
    """What must end first, by name or as the task itself, which then belongs to the job too."""
    image: str | None = None
    handler: str | None = None
    arguments: Json = None
    env: Mapping[str, str] = field(default_factory=dict)
    timeout: Duration | None = None
    grace: Duration | None = None
    retry: RetryPolicy | int | None = None
    """A policy, or just the number of attempts."""
    run_if: str | None = None
    """`SUCCEEDED`, `FAILED` or `FINISHED`."""
    workspace: str | None = None
    """`FILES` or `NONE`."""
    priority: int | None = None
    """Instead of the job's."""
    delivery: str | None = None
    """`AT_LEAST_ONCE` or `AT_MOST_ONCE`."""
    crash_limit: int | None = None
    concurrency: Mapping[str, Any] | None = None
    """`{"key": ..., "limit": ...}`: so many with that key run at a time."""
    rate: Mapping[str, Any] | None = None
    """`{"key": ..., "limit": ..., "period": "60s"}`: so many with that key start in a period."""
    outputs: Sequence[str] = ()
    """Patterns as in .gitignore: of what it writes, only what matches is kept."""
    ignore: Sequence[str] = ()
    """Patterns as in .gitignore, after the job's: what it does there is not kept."""
    container: Mapping[str, Any] | None = None
    """How the container of an `image` is made: `{"user": ..., "network": ..., "mounts": [...]}`."""
    secrets: Mapping[str, str] = field(default_factory=dict)
    """Variables whose values the agent knows, by reference."""
    resources: Mapping[str, Any] = field(default_factory=dict)
    """What it takes of its agent: `{"cpus": 1.5, "memory": "512MiB", "gpus": 1}`."""
    requires: Sequence[Mapping[str, Any]] = ()
    """What must hold of its agent's labels: `[{"label": "zone", "in": ["a"]}]`."""

    def to_document(self, names: Mapping[int, str]) -> Document:
        """As it stands in a job document; `names` of the job's tasks by identity."""
        document: Document = {}
        if self.depends:
            document["depends"] = [
                d if isinstance(d, str) else names[id(d)] for d in _listed(self.depends)
            ]
        texts = ("command", "image", "handler", "run_if", "workspace", "delivery")
        document |= {
            key: getattr(self, key) for key in texts if getattr(self, key) not in (None, "")
        }
        if self.image == "":
            document["image"] = ""  # Refused by the coordinator, which names the field.
        if self.arguments is not None:
            document["arguments"] = plain(self.arguments)
        if self.env:
            document["env"] = dict(self.env)
        for key in ("timeout", "grace"):
            if getattr(self, key) is not None:
                document[key] = duration(getattr(self, key))
        for key in ("priority", "crash_limit", "concurrency", "rate", "container"):
            if getattr(self, key) is not None:
                document[key] = plain(getattr(self, key))
        for key in ("outputs", "ignore"):
            if getattr(self, key):
                document[key] = list(getattr(self, key))
        for key in ("secrets", "resources", "requires"):
            if getattr(self, key):
                document[key] = plain(getattr(self, key))
        if self.retry is not None:
            policy = RetryPolicy(self.retry) if isinstance(self.retry, int) else self.retry
            document["retry"] = policy.to_document()
        return document


@dataclass
class Job:
    """A graph of tasks, to be submitted."""

    tasks: Mapping[str, Task | Mapping[str, Any] | str] | Iterable[Task] = ()
    """By name (a `Task`, a mapping as in a document, or just a command), or listed."""
    name: str = ""
    queue: str = ""
    attributes: Mapping[str, Json] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    priority: int = 0
    input: str = ""
    on_conflict: str | None = None
    data: Json = None
    """Free JSON for the tasks, which find it in the file `$POSTQ_DATA`."""
    run_at: datetime | None = None
    """Not before this time."""
    delay: Duration | None = None
    """Not before so long after its submit."""
    expires_after: Duration | None = None
    """Fails where nothing of it has started so long after its submit."""
    timeout: Duration | None = None
    """Of the whole job."""
    unique: Mapping[str, Any] | str | None = None
    """A key, or `{"key": ..., "scope": ..., "period": ..., "existing": ...}`: one job holds it."""
    after: Sequence[str] | Mapping[str, Any] = ()
    """Ids of jobs that must have succeeded before; or `{"jobs": [...], "run_if": ...}`."""
    notify: bool = False
    """Its end is told on the channel `postq_completed`."""
    keep_workspace: str | None = None
    """`ON_FAILURE`, `ALWAYS` or `NEVER`: whether what each task left stays when it has ended."""
    artifacts: Sequence[str] = ()
    """Patterns as in .gitignore: what of its files stays when it is forgotten."""
    ignore: Sequence[str] = ()
    """Patterns as in .gitignore: what its tasks do there is not kept."""
    webhook: Mapping[str, Any] | None = None
    """`{"url": ..., "secret": ...}`: where its end is told by HTTP."""

    @classmethod
    def from_dict(cls, document: Mapping[str, Any] | str) -> Job:
        """A job from a document, as a mapping or as JSON.

        The form of PostQ's predecessor is understood as well: `qname`, `data`, tasks as JSON text
        and `params: {image: ...}`.
        """
        given = {_snake(key): value for key, value in _decoded(document, "the job").items()}
        if "qname" in given:
            given["queue"] = given.pop("qname")
        if "data" in given:
            given["data"] = _maybe_text(given["data"])
        tasks = _decoded(given.pop("tasks", {}), "tasks")
        unknown = set(given) - set(cls.__dataclass_fields__)
        if unknown:
            raise ValueError(f"a job has no {', '.join(sorted(unknown))}")
        return cls(tasks={name: _modern(name, task) for name, task in tasks.items()}, **given)

    @classmethod
    def from_yaml(cls, source: str | PathLike[str]) -> Job:
        """A job from YAML text or, given a path, from a file (needs `postq-client[yaml]`)."""
        import yaml

        text = source if isinstance(source, str) else Path(source).read_text(encoding="utf-8")
        return cls.from_dict(yaml.safe_load(text))

    def to_document(self) -> Document:
        """The proto3-JSON form of `JobSpec`."""
        document: Document = {"tasks": self._tasks()}
        texts = ("name", "queue", "priority", "input", "on_conflict", "keep_workspace")
        document |= {key: getattr(self, key) for key in texts if getattr(self, key)}
        if self.attributes:
            document["attributes"] = plain(dict(self.attributes))
        if self.env:
            document["env"] = dict(self.env)
        for key in ("artifacts", "ignore"):
            if getattr(self, key):
                document[key] = list(getattr(self, key))
        return document | self._conditions()

    def _conditions(self) -> Document:
        """When it runs, and beside what."""
        document: Document = {}
        if self.data is not None:
            document["data"] = plain(self.data)
        if self.run_at is not None:
            at = self.run_at
            document["run_at"] = timestamp(at) if isinstance(at, datetime) else at
        for key in ("delay", "expires_after", "timeout"):
            if getattr(self, key) is not None:
                document[key] = duration(getattr(self, key))
        if self.unique is not None:
            is_key = isinstance(self.unique, str)
            document["unique"] = {"key": self.unique} if is_key else plain(self.unique)
        if self.after:
            is_rule = isinstance(self.after, Mapping)
            document["after"] = plain(self.after) if is_rule else {"jobs": list(self.after)}
        if self.notify:
            document["notify"] = True
        if self.webhook is not None:
            document["webhook"] = plain(self.webhook)
        return document

    def _tasks(self) -> Document:
        by_name: dict[str, Task | Mapping[str, Any] | str] = {}
        names: dict[int, str] = {}
        if isinstance(self.tasks, Mapping):
            by_name.update(self.tasks)
        for task in [] if isinstance(self.tasks, Mapping) else self.tasks:
            _enter(by_name, task)
        names = {id(task): name for name, task in by_name.items()}
        # Tasks that are only named as dependencies belong to the job, too.
        waiting = [task for task in by_name.values() if isinstance(task, Task)]
        while waiting:
            for parent in _listed(waiting.pop().depends):
                if isinstance(parent, Task) and id(parent) not in names:
                    names[id(parent)] = _enter(by_name, parent)
                    waiting.append(parent)
        return {name: _task_document(task, names) for name, task in by_name.items()}


JobLike = Job | Mapping[str, Any]
"""A `Job`, or a document such as YAML gives."""


def document_of(job: JobLike) -> Document:
    """The proto3-JSON form of a job that is given in either way."""
    return (job if isinstance(job, Job) else Job.from_dict(job)).to_document()


def parsed(document: Document, message: M) -> M:
    """A document as a message; InvalidArgument where it cannot be one."""
    try:
        return json_format.ParseDict(document, message)
    except json_format.ParseError as error:
        raise InvalidArgument(str(error), (Violation("job", str(error)),)) from None


def _snake(name: str) -> str:
    """A field's name as it is here, from either form that a document may use."""
    return re.sub("[A-Z]", lambda found: "_" + found[0].lower(), name)


def _listed(depends: Sequence[str | Task]) -> Sequence[str | Task]:
    if isinstance(depends, str):
        raise TypeError(f"depends is a list of names; write depends=[{depends!r}]")
    return depends


def _enter(by_name: dict[str, Task | Mapping[str, Any] | str], task: Task) -> str:
    if not task.name:
        raise ValueError(f"a task that is listed needs a name: {task}")
    if by_name.setdefault(task.name, task) is not task:
        raise ValueError(f"two tasks are named {task.name!r}")
    return task.name


def _task_document(task: Task | Mapping[str, Any] | str, names: Mapping[int, str]) -> Document:
    if isinstance(task, Task):
        return task.to_document(names)
    if isinstance(task, str):
        return {"command": task}
    document: Document = plain(dict(task))
    return document


def _decoded(value: Mapping[str, Any] | str, what: str) -> Mapping[str, Any]:
    decoded = json.loads(value) if isinstance(value, str) else value
    if not isinstance(decoded, Mapping):
        raise ValueError(f"{what} must be a mapping, not {type(decoded).__name__}")
    return decoded


def _maybe_text(value: Json) -> Json:
    """Data was often stored as JSON text."""
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _modern(name: str, task: Mapping[str, Any] | Task | str) -> Mapping[str, Any] | Task | str:
    """A task in today's form: `params` held what belongs to the executor."""
    if isinstance(task, Task | str) or "params" not in task:
        return task
    modern = dict(task)
    params = dict(_decoded(modern.pop("params"), f"the params of {name}"))
    if "image" in params:
        modern["image"] = params.pop("image")
    if params:
        raise ValueError(f"task {name!r} has params that mean nothing here: {sorted(params)}")
    return modern


def timestamp(at: datetime) -> str:
    """The proto3-JSON form; times without a zone are refused."""
    if at.tzinfo is None:
        raise ValueError(f"{at} has no time zone; use an aware datetime")
    return at.astimezone(timezone.utc).isoformat().replace("+00:00", "Z")
