"""What can be said to PostQ in SQL, as statements with their arguments. See docs/sql.md.

Arguments go as text with a cast, which every driver understands alike; JSON comes back as text.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from .. import telemetry
from ..aio import list_of
from ..ids import new_id
from ..outcome import seconds
from ..spec import Job, JobLike
from ..values import Duration, Json, dumps, revive
from .drivers import Row, Verb


@dataclass(slots=True)
class Delivery:
    """A task that a consumer holds, until its lease ends."""

    id: str
    """The job's; with `attempt` the right to say how it ended."""
    attempt: int
    task: str
    """The handler's name."""
    arguments: Json
    attributes: Mapping[str, Json]
    priority: int
    attempts: int
    """Executions that count, this one included."""
    max_attempts: int
    created_at: datetime
    lease_until: datetime
    queue: str = field(default="default", compare=False)

    @property
    def key(self) -> str:
        """The id."""
        return self.id

    @property
    def name(self) -> str:
        """The handler's name."""
        return self.task

    @property
    def args(self) -> list[Json]:
        """The positions of the call."""
        given = self.arguments
        if isinstance(given, dict) and given.keys() <= {"args", "kwargs"}:
            given = given.get("args", [])
        return revive(given) if isinstance(given, list) else []

    @property
    def kwargs(self) -> dict[str, Json]:
        """The keywords of the call."""
        given = self.arguments
        if not isinstance(given, dict):
            return {}
        is_call = given.keys() <= {"args", "kwargs"}
        return dict(revive(given.get("kwargs", {}) if is_call else given))

    @property
    def max_retries(self) -> int | None:
        """Executions after the first one; None: no limit."""
        return None if self.max_attempts == -1 else self.max_attempts - 1


@dataclass(frozen=True)
class JobRow:
    """A job as the view `postq.jobs` has it, with the tasks of `postq.tasks`."""

    id: str
    name: str
    queue: str
    state: str
    reason: str | None
    attributes: Mapping[str, Json]
    created_at: datetime
    finished_at: datetime | None
    tasks: Sequence[Mapping[str, Any]]
    """name, state, handler, arguments, attempts, agent, reason, results, errors, result,
    started_at and finished_at of each."""


def submit(job: JobLike, *, id: str | None = None) -> Verb[str]:  # noqa: A002
    """Submits a job, which exists when the transaction commits. The id, which may be given."""
    made = job if isinstance(job, Job) else Job.from_dict(job)
    return Verb(
        "submit",
        "select cast(postq.submit(cast(cast($1 as text) as jsonb), cast(cast($2 as text) as uuid),"
        " cast($3 as text)) as text)",
        (dumps(made.to_document()), id or new_id(), telemetry.carrier().get("traceparent")),
        _one,
        made.queue or "default",
    )


def publish(
    task: str,
    arguments: Json = None,
    *,
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    scheduled_at: datetime | None = None,
    timeout: Duration | None = None,
    priority: int | None = None,
    max_retries: int | None = None,
    queue: str | None = None,
    attributes: Mapping[str, Json] | None = None,
    backoff: Duration | None = None,
    factor: float | None = None,
    max_backoff: Duration | None = None,
    id: str | None = None,  # noqa: A002
) -> Verb[str]:
    """A job of one task, with its arguments or the args and kwargs of a call. The job's id.

    `max_retries` counts all executions, as `postq.publish` does.
    """
    call = {"args": list(args), "kwargs": dict(kwargs or {})}
    given = {key: value for key, value in call.items() if value}
    if given and arguments is not None:
        raise TypeError("give arguments, or args and kwargs")
    body = given or arguments
    return Verb(
        "publish",
        "select cast(postq.publish(cast($1 as text), cast(cast($2 as text) as jsonb),"
        " cast(cast($3 as text) as timestamptz), cast(cast($4 as text) as interval),"
        " cast($5 as int), cast($6 as int), cast($7 as text), cast(cast($8 as text) as jsonb),"
        " cast(cast($9 as text) as interval), cast($10 as double precision),"
        " cast(cast($11 as text) as interval), cast(cast($12 as text) as uuid)) as text)",
        (
            task,
            None if body is None else dumps(body),
            _time(scheduled_at),
            _interval(timeout),
            priority,
            max_retries,
            queue,
            None if attributes is None else dumps(dict(attributes)),
            _interval(backoff),
            factor,
            _interval(max_backoff),
            id or new_id(),
        ),
        _one,
        queue or "default",
    )


def publish_many(
    task: str,
    arguments: Iterable[Json],
    *,
    queue: str | None = None,
    priority: int | None = None,
    max_retries: int | None = None,
) -> Verb[list[str]]:
    """A job of one task for each of the arguments, all or none. Their ids in this order."""
    return Verb(
        "publish_many",
        "select cast(b.id as text) from postq.publish_bulk(array("
        "select row(cast($1 as text), e.value, null, null, cast($4 as int), cast($5 as int),"
        " cast($3 as text), null)::postq.bulk_job"
        " from jsonb_array_elements(cast(cast($2 as text) as jsonb)) with ordinality as e"
        " order by e.ordinality)) with ordinality as b (id, n) order by b.n",
        (task, dumps(list(arguments)), queue, priority, max_retries),
        lambda rows: [str(row[0]) for row in rows],
        queue or "default",
    )


def consume(
    num: int = 1,
    queue: str = "default",
    *,
    tasks: Iterable[str] | None = None,
    lease: Duration | None = None,
    delivery: str = "at_least_once",
) -> Verb[list[Delivery]]:
    """Takes up to `num` tasks; `tasks` chooses by LIKE. `dlq@NAME` gives dead letters."""
    return Verb(
        "consume",
        "select cast(id as text), attempt, task, cast(arguments as text), cast(attributes as text),"
        " priority, attempts, max_attempts, created_at, lease_until"
        " from postq.consume(cast($1 as int), cast($2 as text), cast($3 as text[]),"
        " cast(cast($4 as text) as interval), cast($5 as text))",
        (num, queue, None if tasks is None else list_of(tasks), _interval(lease), delivery),
        lambda rows: [_delivery(row, queue) for row in rows],
        queue,
    )


def is_at_most_once(verb: Verb[Any]) -> bool:
    """Whether it takes tasks that are not to be given again."""
    return verb.name == "consume" and verb.arguments[4] == "at_most_once"


def ack(delivery: Delivery, result: Json = None) -> Verb[None]:
    """It succeeded. Stale where it is not held any more."""
    return Verb(
        "ack",
        "select postq.ack(cast(cast($1 as text) as uuid), cast($2 as bigint),"
        " cast(cast($3 as text) as jsonb))",
        (delivery.id, delivery.attempt, None if result is None else dumps(result)),
        _nothing,
        delivery.queue,
    )


def ack_and_repeat(delivery: Delivery, result: Json, every: Duration) -> Verb[None]:
    """It succeeded, and a job like it is due after a while: both or neither."""
    return Verb(
        "ack_and_repeat",
        "select postq.ack(cast(cast($1 as text) as uuid), cast($2 as bigint),"
        " cast(cast($3 as text) as jsonb)), postq.publish(cast($4 as text),"
        " cast(cast($5 as text) as jsonb), queue => cast($6 as text),"
        " scheduled_at => now() + cast(cast($7 as text) as interval), priority => cast($8 as int),"
        " max_retries => cast($9 as int), attributes => cast(cast($10 as text) as jsonb))",
        (
            delivery.id,
            delivery.attempt,
            None if result is None else dumps(result),
            delivery.task,
            None if delivery.arguments is None else dumps(delivery.arguments),
            delivery.queue,
            _interval(every),
            delivery.priority,
            delivery.max_attempts,
            dumps(dict(delivery.attributes)),
        ),
        _nothing,
        delivery.queue,
    )


def nack(
    delivery: Delivery, error: str | None = None, *, retry_after: Duration | None = None
) -> Verb[None]:
    """It failed: offered again after `retry_after` or its backoff, while it has attempts left."""
    return Verb(
        "nack",
        "select postq.nack(cast(cast($1 as text) as uuid), cast($2 as bigint), cast($3 as text),"
        " now() + cast(cast($4 as text) as interval))",
        (delivery.id, delivery.attempt, error, _interval(retry_after)),
        _nothing,
        delivery.queue,
    )


def release(delivery: Delivery) -> Verb[None]:
    """It was not started: ready for others at once, uncounted."""
    return Verb(
        "release",
        "select postq.release(cast(cast($1 as text) as uuid), cast($2 as bigint))",
        (delivery.id, delivery.attempt),
        _nothing,
        delivery.queue,
    )


def renew(delivery: Delivery, lease: Duration = 60) -> Verb[bool]:
    """Holds it so much longer from now. False: somebody asked for the end of the job."""
    return Verb(
        "renew",
        "select cancel_requested from postq.renew(cast(cast($1 as text) as uuid),"
        " cast($2 as bigint), cast(cast($3 as text) as interval))",
        (delivery.id, delivery.attempt, _interval(lease)),
        lambda rows: not rows[0][0],
        delivery.queue,
    )


def cancel(job_id: str, reason: str | None = None) -> Verb[None]:
    """Asks for the end of a job, with the commit."""
    return Verb(
        "cancel",
        "select postq.cancel(cast(cast($1 as text) as uuid), cast($2 as text))",
        (job_id, reason),
        _nothing,
    )


def get(job_id: str) -> Verb[JobRow | None]:
    """The job as it is; None where there is none."""
    return Verb(
        "get",
        "select cast(j.id as text), j.name, j.queue, cast(j.state as text), j.reason,"
        " cast(j.attributes as text), j.created_at, j.finished_at,"
        " (select cast(jsonb_agg(jsonb_build_object('name', t.name, 'state', t.state,"
        "   'attempts', t.attempts, 'reason', t.reason, 'results', t.results,"
        "   'errors', t.errors, 'result', t.result, 'handler', t.spec -> 'handler',"
        "   'arguments', t.spec -> 'arguments', 'agent', t.agent, 'started_at', t.started_at,"
        "   'finished_at', t.finished_at) order by t.number) as text)"
        "  from postq.tasks t where t.job_id = j.id)"
        " from postq.jobs j where j.id = cast(cast($1 as text) as uuid)",
        (job_id,),
        _job,
    )


def redrive(job_id: str) -> Verb[str]:
    """Tries a dead letter once more, as a new job, whose id this is."""
    sql = "select cast(postq.redrive(cast(cast($1 as text) as uuid)) as text)"
    return Verb("redrive", sql, (job_id,), _one)


def depth(queue: str = "default") -> Verb[int]:
    """How many tasks could be taken now."""
    sql = "select postq.queue_depth(cast($1 as text))"
    return Verb("depth", sql, (queue,), lambda rows: int(rows[0][0]), queue)


def listen(queue: str) -> Verb[str]:
    """Registers the connection as sleeping; the channel to LISTEN on."""
    return Verb("listen", "select postq.listen(cast($1 as text))", (queue,), _one, queue)


def ack_many(ended: Sequence[tuple[Delivery, str]]) -> Verb[set[int]]:
    """Several at once, with their results as JSON text: the attempts that count. The others are not
    held any more."""
    has_results = any(result for _, result in ended)
    results = ",".join(result or "null" for _, result in ended) if has_results else ""
    return Verb(
        "ack_many",
        "select a.attempt from postq.ack_many(cast(cast($1 as text) as uuid[]),"
        " cast(cast($2 as text) as bigint[]), array(select nullif(e.value, 'null')"
        " from jsonb_array_elements(cast(cast($3 as text) as jsonb)) with ordinality as e"
        " order by e.ordinality)) a",
        (
            "{" + ",".join(delivery.id for delivery, _ in ended) + "}",
            "{" + ",".join(str(delivery.attempt) for delivery, _ in ended) + "}",
            f"[{results}]",
        ),
        lambda found: {int(row[0]) for row in found},
    )


def _delivery(row: Row, queue: str) -> Delivery:
    return Delivery(
        id=row[0],
        attempt=row[1],
        task=row[2],
        arguments=None if row[3] is None else json.loads(row[3]),
        attributes={} if row[4] == "{}" else json.loads(row[4]),
        priority=row[5],
        attempts=row[6],
        max_attempts=row[7],
        created_at=row[8],
        lease_until=row[9],
        queue=queue,
    )


def _job(rows: list[Row]) -> JobRow | None:
    if not rows:
        return None
    row = rows[0]
    return JobRow(
        id=row[0],
        name=row[1],
        queue=row[2],
        state=row[3],
        reason=row[4],
        attributes=json.loads(row[5]),
        created_at=row[6],
        finished_at=row[7],
        tasks=json.loads(row[8] or "[]"),
    )


def _one(rows: list[Row]) -> str:
    return str(rows[0][0])


def _nothing(rows: list[Row]) -> None:
    return None


def _interval(value: Duration | None) -> str | None:
    return None if value is None else f"{seconds(value):.6f} s"


def _time(at: datetime | None) -> str | None:
    if at is not None and at.tzinfo is None:
        raise ValueError(f"{at} has no time zone; use an aware datetime")
    return None if at is None else at.isoformat()
