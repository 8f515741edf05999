"""Runs a statement on whatever connection the application has, inside the transaction it is in.

psycopg 3 (connections and cursors, both kinds), asyncpg, SQLAlchemy 2 (connections and sessions,
both kinds) and Django's connections. None of them is imported here.
Invariant: nothing is committed or rolled back here.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from .. import telemetry
from ..errors import (
    AlreadyExists,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    PostqError,
    Stale,
    Violation,
)

T = TypeVar("T")
Row = Sequence[Any]
Connection = Any
"""A connection, session or cursor of a supported driver."""

_PLACE = re.compile(r"\$(\d+)")
_hooks: list[telemetry.QueryHook] = []


@dataclass(frozen=True)
class Verb(Generic[T]):
    """A statement with its arguments (`$1` is the first), and what its rows mean."""

    name: str
    sql: str
    arguments: tuple[Any, ...]
    read: Callable[[list[Row]], T]
    queue: str = ""

    def commented(self) -> str:
        """The statement with its name, so that pg_stat_activity tells it."""
        return f"/* client.{self.name} */ {self.sql}"


def on_query(hook: telemetry.QueryHook) -> None:
    """From now on `hook` sees every statement before it runs."""
    _hooks.append(hook)


def off_query(hook: telemetry.QueryHook) -> None:
    """And from now on no more."""
    _hooks.remove(hook)


def run(connection: Connection, verb: Verb[T]) -> T:
    """On a synchronous connection."""
    with _told(connection, verb):
        return verb.read(_fetch(connection, verb))


async def arun(connection: Connection, verb: Verb[T]) -> T:
    """On an asynchronous connection."""
    with _told(connection, verb):
        return verb.read(await _afetch(connection, verb))


def is_in_transaction(connection: Connection) -> bool:
    """Whether what is done on it now takes effect with a commit of its own, later."""
    kind = _kind(connection)
    if kind == "psycopg":
        owner = _psycopg(connection)
        return not (owner.autocommit and owner.info.transaction_status == 0)
    if kind == "asyncpg":
        return bool(connection.is_in_transaction())
    if kind == "django":
        return bool(connection.in_atomic_block or not connection.get_autocommit())
    options = getattr(connection, "get_execution_options", None)
    return options is None or options().get("isolation_level") != "AUTOCOMMIT"


def _kind(connection: Connection) -> str:
    return _kind_of(connection.__class__)


@functools.cache
def _kind_of(made: type) -> str:
    for base in made.__mro__:
        top = base.__module__.partition(".")[0]
        if top in ("psycopg", "asyncpg", "sqlalchemy", "django"):
            return top
    name = f"{made.__module__}.{made.__qualname__}"
    raise TypeError(f"{name} is no connection of psycopg 3, asyncpg, SQLAlchemy or Django")


def _fetch(connection: Connection, verb: Verb[Any]) -> list[Row]:
    kind = _kind(connection)
    if kind == "sqlalchemy":
        return list(connection.execute(*_for_sqlalchemy(verb)).all())
    if kind == "asyncpg":
        raise TypeError("this connection is asynchronous; use postq.sql.aio")
    sql, arguments = _for_percent(verb)
    if kind == "django":
        # Its own cursor, or the wrapper around one.
        if hasattr(connection, "fetchall"):
            connection.execute(sql, arguments)
            return list(connection.fetchall())
        with connection.cursor() as cursor:
            cursor.execute(sql, arguments)
            return list(cursor.fetchall())
    with _psycopg(connection).cursor(row_factory=_tuples()) as cursor:
        return list(cursor.execute(sql, arguments).fetchall())


async def _afetch(connection: Connection, verb: Verb[Any]) -> list[Row]:
    kind = _kind(connection)
    if kind == "asyncpg":
        return list(await connection.fetch(verb.commented(), *verb.arguments))
    if kind == "sqlalchemy":
        return list((await connection.execute(*_for_sqlalchemy(verb))).all())
    if kind == "django":
        raise TypeError("Django's connections are synchronous; use postq.sql")
    sql, arguments = _for_percent(verb)
    async with _psycopg(connection).cursor(row_factory=_tuples()) as cursor:
        await cursor.execute(sql, arguments)
        return list(await cursor.fetchall())


def _psycopg(connection: Connection) -> Any:
    # A cursor of the application's may have a row factory of its own, or rows yet to be read.
    return getattr(connection, "connection", connection)


def _tuples() -> Any:
    from psycopg.rows import tuple_row

    return tuple_row


def _for_percent(verb: Verb[Any]) -> tuple[str, list[Any]]:
    sql, places = _with_percent(verb.commented())
    return sql, [verb.arguments[place] for place in places]


@functools.lru_cache(1000)
def _with_percent(sql: str) -> tuple[str, list[int]]:
    places = [int(place) - 1 for place in _PLACE.findall(sql)]
    return _PLACE.sub("%s", sql.replace("%", "%%")), places


def _for_sqlalchemy(verb: Verb[Any]) -> tuple[Any, dict[str, Any]]:
    from sqlalchemy import text

    named = {f"p{place}": value for place, value in enumerate(verb.arguments, 1)}
    return text(_PLACE.sub(r":p\1", verb.commented())), named


@contextmanager
def _told(connection: Connection, verb: Verb[Any]) -> Iterator[None]:
    for hook in _hooks:
        hook.query(connection, verb.commented(), verb.arguments)
    with telemetry.observed((), verb.name, queue=verb.queue):
        try:
            yield
        except Exception as error:
            ours = _ours(error)
            if ours is None:
                raise
            raise ours from error


def _ours(error: BaseException) -> PostqError | None:
    """The exception for an error with a SQLSTATE of PostQ's."""
    for candidate in (error, getattr(error, "orig", None), error.__cause__):
        state = getattr(candidate, "sqlstate", None) or getattr(candidate, "pgcode", None)
        if isinstance(state, str) and state.startswith("PQ"):
            message, detail = _texts(candidate)
            return _exception(state, message, detail)
    return None


def _texts(error: Any) -> tuple[str, str]:
    said = getattr(error, "diag", error)
    for source in (said, getattr(error, "__cause__", None)):
        message = getattr(source, "message_primary", None) or getattr(source, "message", None)
        if message:
            detail = getattr(source, "message_detail", None) or getattr(source, "detail", None)
            return str(message), str(detail or "")
    return str(error), ""


def _exception(state: str, message: str, detail: str) -> PostqError:
    if state in ("PQ002", "PQ005"):
        return InvalidArgument(message, tuple(_violations(detail or message)))
    kinds: dict[str, type[PostqError]] = {
        "PQ001": AlreadyExists,
        "PQ003": NotFound,
        "PQ004": Stale,
        "PQ006": FailedPrecondition,
    }
    return kinds.get(state, PostqError)(message)


def _violations(text: str) -> Iterator[Violation]:
    for line in text.splitlines():
        path, found, problem = line.partition(": ")
        yield Violation(path, problem) if found else Violation("", line)
