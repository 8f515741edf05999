"""A queue by SQL alone: push, pop, execute, and what may be done with what was taken."""

from __future__ import annotations

import time

import psycopg
import pytest

import postq
from postq import Retry
from postq.sql import AlreadyAcquired, AlreadyEnded, ReceiverClosed, SqlQueue


@pytest.fixture
def q(dsn: str, name: str) -> SqlQueue:
    return SqlQueue(name, dsn)


def state(database: psycopg.Connection, job_id: str) -> str:
    row = database.execute("select postq.job_state(%s)", [job_id]).fetchone()
    assert row is not None
    return str(row[0])


def test_an_empty_queue_pops_none_pt7(q: SqlQueue) -> None:
    """PT7."""
    assert q.pop() is None


def test_what_is_popped_says_what_it_is_pt8(q: SqlQueue) -> None:
    """PT8: key, name, args, kwargs, attempts, max_retries."""

    @q.handler(max_retries=4)
    def add_numbers(a: int, b: int) -> int:
        return a + b

    key = add_numbers.push(2, b=3)
    task = q.pop()
    assert task is not None
    told = (task.key, task.name, task.args, task.kwargs, task.attempts, task.max_retries)
    assert told == (key, "add_numbers", [2], {"b": 3}, 1, 4)


def test_execute_returns_the_result_and_completes_the_task_pt9(
    q: SqlQueue, database: psycopg.Connection
) -> None:
    """PT9: also of an async handler."""

    @q.handler()
    def add(a: int, b: int) -> int:
        assert postq.current().attempt_number == 1
        return a + b

    @q.handler()
    async def aadd(a: int, b: int) -> int:
        return a + b

    ids = [add.push(2, 3), aadd.push(2, 4)]
    for expected in (5, 6):
        task = q.pop()
        assert task is not None
        assert task.execute() == expected
    assert [state(database, i) for i in ids] == ["succeeded", "succeeded"]


def test_execute_raises_what_the_handler_raises_and_reschedules_pt10(
    q: SqlQueue, database: psycopg.Connection
) -> None:
    """PT10: scheduled, with the attempt counted."""

    @q.handler(max_attempts=3)
    def broken() -> None:
        raise KeyError("x")

    job_id = broken.push()
    task = q.pop()
    assert task is not None
    with pytest.raises(KeyError):
        task.execute()
    row = database.execute(
        "select state, attempts, errors from postq.tasks where job_id = %s", [job_id]
    ).fetchone()
    assert row is not None
    assert row[:2] == ("scheduled", 1)
    assert "in broken" in row[2]


def test_each_misuse_of_a_handle_is_an_error_of_its_own_jq35(q: SqlQueue) -> None:
    """JQ35: acquired twice, after its end, after the receiver was closed."""

    @q.handler()
    def f() -> None: ...

    for _ in range(3):
        f.push()
    with q.receive(3) as (first, second, third):
        with first.acquire(), pytest.raises(AlreadyAcquired), first.acquire():
            pass
        with pytest.raises(AlreadyEnded), first.acquire():
            pass
        with pytest.raises(AlreadyEnded):
            first.ack()
        second.execute()
    with pytest.raises(ReceiverClosed), third.acquire():
        pass
    again = q.pop()
    assert again is not None
    assert (again.key, again.attempts) == (third.key, 1), "it went back at once, uncounted"


def test_an_acquired_task_is_nacked_by_an_exception(
    q: SqlQueue, database: psycopg.Connection
) -> None:
    @q.handler(max_attempts=2)
    def f() -> None: ...

    job_id = f.push()
    [taken] = q.take(1)
    with pytest.raises(ZeroDivisionError), taken.acquire():
        raise ZeroDivisionError
    assert state(database, job_id) == "running"
    row = database.execute("select state from postq.tasks where job_id = %s", [job_id]).fetchone()
    assert row == ("scheduled",)


def test_the_id_of_a_push_may_be_ignored_jq11(q: SqlQueue) -> None:
    """JQ11: the job runs all the same."""
    ran: list[int] = []

    @q.handler()
    def f() -> None:
        ran.append(1)

    f.push()
    assert q.drain() == 1
    assert ran == [1]


def test_everything_runs_here_and_now_in_tests_dq32(q: SqlQueue) -> None:
    """DQ32: drain runs what is ready, also what handlers push, and survives what they raise."""
    ran: list[int] = []

    @q.handler()
    def count(n: int) -> None:
        ran.append(n)
        if n:
            count.push(n - 1)
        else:
            raise ValueError("the end")

    count.push(5)
    assert q.drain() == 6
    assert ran == [5, 4, 3, 2, 1, 0]


def test_a_broken_connection_is_made_again(q: SqlQueue, database: psycopg.Connection) -> None:
    @q.handler()
    def f() -> None: ...

    f.push()
    killed = database.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity where application_name = %s",
        [f"postq {q.name}"],
    ).fetchall()
    assert killed == [(True,)]
    f.push()
    assert q.drain() == 2


def test_a_handler_may_ask_for_its_own_pause(q: SqlQueue) -> None:
    runs: list[float] = []

    @q.handler(max_attempts=2, backoff=3600)
    def busy() -> None:
        runs.append(time.monotonic())
        raise Retry("busy", after=0.05)

    busy.push()
    until = time.monotonic() + 10
    while len(runs) < 2 and time.monotonic() < until:
        q.drain()
    assert len(runs) == 2
