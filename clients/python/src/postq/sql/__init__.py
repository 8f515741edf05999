"""PostQ by plain SQL, in your own transaction: publish, consume, ack and nack on any connection.

Each verb takes the connection, then what `postq.sql.verbs` says. `postq.sql.aio` has them for
asyncio, `SqlQueue` runs handlers with nothing beside the database.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

from ..errors import FailedPrecondition
from . import verbs
from .aio import IN_TRANSACTION
from .dotted import call
from .drivers import Connection, Verb, is_in_transaction, off_query, on_query, run
from .verbs import Delivery, JobRow

P = ParamSpec("P")
T = TypeVar("T")


def _on(make: Callable[P, Verb[T]]) -> Callable[Concatenate[Connection, P], T]:
    @wraps(make)
    def verb(connection: Connection, /, *args: P.args, **kwargs: P.kwargs) -> T:
        made = make(*args, **kwargs)
        if verbs.is_at_most_once(made) and is_in_transaction(connection):
            raise FailedPrecondition(IN_TRANSACTION)
        return run(connection, made)

    return verb


submit = enqueue = _on(verbs.submit)
publish = _on(verbs.publish)
publish_many = _on(verbs.publish_many)
consume = _on(verbs.consume)
ack = _on(verbs.ack)
nack = _on(verbs.nack)
release = _on(verbs.release)
renew = _on(verbs.renew)
cancel = _on(verbs.cancel)
get = _on(verbs.get)
redrive = _on(verbs.redrive)
depth = _on(verbs.depth)

from .consumer import Consumer  # noqa: E402
from .queue import AlreadyAcquired, AlreadyEnded, Received, ReceiverClosed, SqlQueue  # noqa: E402

__all__ = [
    "AlreadyAcquired",
    "AlreadyEnded",
    "Consumer",
    "Delivery",
    "JobRow",
    "Received",
    "ReceiverClosed",
    "SqlQueue",
    "ack",
    "call",
    "cancel",
    "consume",
    "depth",
    "enqueue",
    "get",
    "nack",
    "off_query",
    "on_query",
    "publish",
    "publish_many",
    "redrive",
    "release",
    "renew",
    "submit",
]
