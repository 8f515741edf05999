"""Jobs in and out by SQL, in transactions of every driver."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import parse_qs, urlsplit

import asyncpg
import psycopg
import pytest
import sqlalchemy
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session

from postq import (
    AlreadyExists,
    Client,
    FailedPrecondition,
    InvalidArgument,
    Job,
    NotFound,
    Stale,
    Task,
    new_id,
    sql,
)
from postq.sql import aio

from .cluster import eventually

Begin = Callable[[], Any]


class Undo(Exception):
    """Rolls a transaction back."""


def sqlalchemy_url(dsn: str, driver: str) -> str:
    scheme, _, rest = dsn.partition("://")
    assert scheme == "postgres"
    return f"postgresql+{driver}://{rest}"


@pytest.fixture(params=["psycopg", "cursor", "sqlalchemy", "session", "django"])
def transaction(request: pytest.FixtureRequest, dsn: str) -> Begin:
    """Begins a transaction on a synchronous connection."""
    if request.param in ("psycopg", "cursor"):

        @contextmanager
        def begin() -> Iterator[Any]:
            with (
                psycopg.connect(dsn) as connection,
                connection.transaction(),
                connection.cursor() as cursor,
            ):
                yield connection if request.param == "psycopg" else cursor

        return begin
    if request.param == "django":
        from django.db import transaction as django_transaction

        from .django_project import connection as django_connection

        @contextmanager
        def begin_django() -> Iterator[Any]:
            connection = django_connection(dsn)
            with django_transaction.atomic():
                yield connection

        return begin_django
    engine = sqlalchemy.create_engine(sqlalchemy_url(dsn, "psycopg"))

    @contextmanager
    def begin_sqlalchemy() -> Iterator[Any]:
        if request.param == "session":
            with Session(engine) as session, session.begin():
                yield session
        else:
            with engine.begin() as connection:
                yield connection

    return begin_sqlalchemy


def test_a_job_exists_when_the_transaction_commits_pt21(
    transaction: Begin, client: Client, name: str
) -> None:
    """PT21: by every driver: rolled back it never was, committed it is."""
    with suppress(Undo), transaction() as connection:
        lost = sql.enqueue(connection, Job({"a": Task(handler=name)}, queue=name))
        raise Undo
    with transaction() as connection:
        kept = sql.enqueue(connection, Job({"a": Task(handler=name)}, queue=name))
        assert client.list(queue=name) == [], "not before the commit"
    assert [job.id for job in client.list(queue=name)] == [kept]
    with pytest.raises(NotFound):
        client.get(lost)


def test_what_is_refused_is_told_alike_by_every_driver(transaction: Begin, name: str) -> None:
    with pytest.raises(InvalidArgument) as refused, transaction() as connection:
        sql.submit(connection, Job({"a": Task(), "b": Task("x", depends=["zz"])}))
    assert any("zz" in str(v) for v in refused.value.violations)
    with pytest.raises(InvalidArgument, match="priority"), transaction() as connection:
        sql.publish(connection, "x", priority=5000)
    job_id = new_id()
    with pytest.raises(AlreadyExists), transaction() as connection:
        sql.publish(connection, "x", queue=name, id=job_id)
        sql.publish(connection, "y", queue=name, id=job_id)


@pytest.mark.parametrize("driver", ["psycopg", "asyncpg", "sqlalchemy", "sqlalchemy-asyncpg"])
def test_asynchronous_drivers_publish_in_their_transaction(
    driver: str, dsn: str, client: Client, name: str
) -> None:
    async def use(connection: Any, transaction: Callable[[], Any]) -> None:
        try:
            async with transaction():
                await aio.publish(connection, name, args=[1], queue=name)
                raise Undo
        except Undo:
            pass
        async with transaction():
            await aio.publish(connection, name, args=[2], kwargs={"k": 3}, queue=name)
        async with transaction():
            [taken] = await aio.consume(connection, 5, name)
            assert (taken.args, taken.kwargs) == ([2], {"k": 3})
            await aio.ack(connection, taken, {"done": True})
        with pytest.raises(Stale):
            async with transaction():
                await aio.ack(connection, taken)
        job = await aio.get(connection, taken.id)
        assert job is not None
        assert (job.state, job.tasks[0]["result"]) == ("succeeded", {"done": True})

    async def run() -> None:
        if driver == "psycopg":
            async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
                await use(connection, connection.transaction)
        elif driver == "asyncpg":
            host = parse_qs(urlsplit(dsn).query)["host"][0]
            plain = await asyncpg.connect(dsn, host=host)
            await use(plain, plain.transaction)
            await plain.close()
        else:
            name = "asyncpg" if driver.endswith("asyncpg") else "psycopg"
            engine = create_async_engine(sqlalchemy_url(dsn, name))
            async with AsyncSession(engine) as session:
                await use(session, session.begin)
            await engine.dispose()

    asyncio.run(run())


def test_python_has_the_names_of_the_sql_functions_pj19(
    database: psycopg.Connection, name: str
) -> None:
    """PJ19: publish, consume, ack, nack, get and run, on the application's connection."""
    job_id = sql.publish(database, "tests.test_sql.total", args=[[1, 2]], queue=name)
    [taken] = sql.consume(database, 1, name)
    assert (taken.id, taken.key, taken.name) == (job_id, job_id, "tests.test_sql.total")
    sql.nack(database, taken, "not yet", retry_after=0)
    # A coordinator may have it at hand just then, to make it ready.
    [again] = eventually(lambda: sql.consume(database, 1, name))
    assert (again.attempts, again.max_attempts) == (2, 3)
    assert asyncio.run(sql.call(again)) == 3
    sql.ack(database, again, 3)
    done = sql.get(database, job_id)
    assert done is not None
    assert (done.state, done.tasks[0]["result"]) == ("succeeded", 3)
    assert sql.get(database, new_id()) is None


def total(numbers: list[int]) -> int:
    return sum(numbers)


async def later(text: str) -> str:
    await asyncio.sleep(0)
    return text.upper()


class Inner:
    @staticmethod
    def name() -> str:
        return "inner"


def test_a_dotted_name_is_run_also_if_it_is_async_pj21(
    database: psycopg.Connection, name: str
) -> None:
    """PJ21: package.module.func."""
    for task, args in [("later", ["abc"]), ("Inner.name", []), ("nowhere", [])]:
        sql.publish(database, f"tests.test_sql.{task}", args=args, queue=name)
    first, second, third = sql.consume(database, 3, name)
    assert asyncio.run(sql.call(first)) == "ABC"
    assert asyncio.run(sql.call(second)) == "inner"
    with pytest.raises(LookupError, match="nowhere"):
        asyncio.run(sql.call(third))


def test_free_bodies_travel_as_they_are_pj20_dq11(database: psycopg.Connection, name: str) -> None:
    """PJ20, DQ11: lists and scalars, too."""
    bodies: list[Any] = [[1, [2]], {"a": None}, "text", 7, 1.5, True]
    for body in bodies:
        sql.publish(database, "x", body, queue=name)
    assert [taken.arguments for taken in sql.consume(database, 10, name)] == bodies


def test_a_mib_of_bytes_travels_as_it_is_jq48(
    database: psycopg.Connection, client: Client, name: str
) -> None:
    """JQ48: random bytes arrive as they were, by either door."""
    import os

    from postq.values import revive

    raw = os.urandom(1 << 20)
    sql.publish(database, "x", {"raw": raw}, queue=name)
    client.submit(Job({"x": Task(handler="x", arguments={"raw": raw})}, queue=name))
    for taken in sql.consume(database, 2, name):
        assert revive(taken.arguments) == {"raw": raw}


def test_many_are_published_at_once(database: psycopg.Connection, name: str) -> None:
    ids = sql.publish_many(database, "x", [{"n": n} for n in range(500)], queue=name)
    taken = sql.consume(database, 500, name)
    assert [t.id for t in taken] == ids
    assert [t.kwargs["n"] for t in taken] == list(range(500))


def test_times_have_zones(database: psycopg.Connection, name: str) -> None:
    with pytest.raises(ValueError, match="time zone"):
        sql.publish(database, "x", scheduled_at=datetime(2030, 1, 1))  # noqa: DTZ001
    soon = datetime.now(timezone.utc) + timedelta(hours=1)
    sql.publish(database, "x", queue=name, scheduled_at=soon)
    assert sql.consume(database, 1, name) == []


def test_taking_at_most_once_inside_a_transaction_is_refused_dq4(
    transaction: Begin, dsn: str, database: psycopg.Connection, name: str
) -> None:
    """DQ4: it would be undone by a rollback; outside, what was taken is not given again."""
    sql.publish(database, "x", queue=name)
    with transaction() as connection, pytest.raises(FailedPrecondition, match="autocommit"):
        sql.consume(connection, 1, name, delivery="at_most_once")
    [taken] = sql.consume(database, 1, name, delivery="at_most_once")
    sql.nack(database, taken, "crashed")
    assert sql.consume(database, 1, name) == []
    job = sql.get(database, taken.id)
    assert job is not None
    assert job.state == "failed"


def test_dead_letters_are_consumed_and_redriven(database: psycopg.Connection, name: str) -> None:
    sql.publish(database, "x", {"k": 1}, queue=name, max_retries=1)
    [taken] = sql.consume(database, 1, name)
    sql.nack(database, taken, "no")
    [dead] = sql.consume(database, 1, f"dlq@{name}")
    assert (dead.id, dead.arguments) == (taken.id, {"k": 1})
    sql.release(database, dead)
    again = sql.redrive(database, taken.id)
    assert sql.depth(database, name) == 1
    assert again != taken.id


def test_a_hook_sees_each_statement_and_can_explain_it_jq43(
    database: psycopg.Connection, name: str
) -> None:
    """JQ43: the query and its arguments, on the connection."""
    seen: list[tuple[str, Any]] = []

    class Explain:
        def query(self, connection: Any, statement: str, arguments: Any) -> None:
            if name in arguments:
                typed = statement.replace("$1", "1").replace("$2", f"'{name}'")
                for place in ("$3", "$4"):
                    typed = typed.replace(place, "null")
                typed = typed.replace("$5", "'at_least_once'")
                plan = connection.execute(f"explain {typed}").fetchall()
                seen.append((statement, plan))

    hook = Explain()
    sql.on_query(hook)
    try:
        sql.consume(database, 1, name)
    finally:
        sql.off_query(hook)
    assert "postq.consume" in seen[0][0]
    assert seen[0][1]


def test_a_connection_of_something_else_is_named() -> None:
    with pytest.raises(TypeError, match="sqlite3"):
        import sqlite3

        sql.consume(sqlite3.connect(":memory:"))
