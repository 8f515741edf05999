"""The verbs of `postq.sql` for asyncio: on psycopg's AsyncConnection, asyncpg and SQLAlchemy's
AsyncConnection and AsyncSession. Each takes the connection, then what `postq.sql.verbs` says."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

from ..errors import FailedPrecondition
from . import verbs
from .drivers import Connection, Verb, arun, is_in_transaction
from .verbs import Delivery

P = ParamSpec("P")
T = TypeVar("T")


def _on(make: Callable[P, Verb[T]]) -> Callable[Concatenate[Connection, P], Awaitable[T]]:
    @wraps(make)
    async def verb(connection: Connection, /, *args: P.args, **kwargs: P.kwargs) -> T:
        made = make(*args, **kwargs)
        if verbs.is_at_most_once(made) and is_in_transaction(connection):
            raise FailedPrecondition(IN_TRANSACTION)
        return await arun(connection, made)

    return verb


IN_TRANSACTION = (
    "what is taken at most once must be committed before it is worked on:"
    " consume on a connection in autocommit, outside of a transaction"
)

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

__all__ = [
    "Delivery",
    "ack",
    "cancel",
    "consume",
    "depth",
    "enqueue",
    "get",
    "nack",
    "publish",
    "publish_many",
    "redrive",
    "release",
    "renew",
    "submit",
]
