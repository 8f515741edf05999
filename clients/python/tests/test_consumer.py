"""Handlers run by SQL alone, many at a time."""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import random
import subprocess
import sys
import threading
import time
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

import postq
from postq import Again, sql
from postq.sql import Consumer, SqlQueue
from postq.sql.migrate import directory, migrate, migrate_on

from .cluster import ROOT, eventually

HERE = Path(__file__).resolve().parent


@pytest.fixture
def q(dsn: str, name: str) -> SqlQueue:
    return SqlQueue(name, dsn)


@contextmanager
def consuming(queue: SqlQueue, **settings: Any) -> Iterator[None]:
    """A consumer on a thread of its own."""
    stop = asyncio.Event()
    loop = asyncio.new_event_loop()
    problems: list[BaseException] = []

    def run() -> None:
        try:
            loop.run_until_complete(Consumer(queue, **settings).run(stop))
        except BaseException as error:
            problems.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(60)
        assert not thread.is_alive(), "the consumer does not stop"
        loop.close()
    assert not problems, problems


def states(database: psycopg.Connection, queue: str) -> dict[str, int]:
    rows = database.execute(
        "select state, count(*) from postq.jobs where queue = %s group by 1", [queue]
    )
    return {str(state): count for state, count in rows.fetchall()}


def busy(database: psycopg.Connection, queue: str) -> int:
    """How many statements of its consumers are under way."""
    row = database.execute(
        "select count(*) from pg_stat_activity where application_name = %s and state <> 'idle'",
        [f"postq consumer {queue}"],
    ).fetchone()
    assert row is not None
    return int(row[0])


def sleepers(database: psycopg.Connection, queue: str) -> int:
    row = database.execute(
        "select count(*) from postq.sleeper where queue = %s", [queue]
    ).fetchone()
    assert row is not None
    return int(row[0])


@pytest.mark.parametrize("mode", ["at_least_once", "at_most_once", "exactly_once"])
def test_sync_and_async_handlers_run_in_every_mode(
    q: SqlQueue, database: psycopg.Connection, mode: sql.consumer.Mode
) -> None:
    @q.handler(max_attempts=2, backoff=0)
    def add(a: int, b: int) -> int:
        return a + b

    @q.handler(max_attempts=2, backoff=0)
    async def later(a: int) -> int:
        await asyncio.sleep(0)
        if a < 0:
            raise ValueError("negative")
        return a

    ids = [add.push(n, 1) for n in range(20)] + [later.push(n) for n in range(20)]
    failing = later.push(-1)
    with consuming(q, mode=mode, concurrency=4):
        eventually(lambda: states(database, q.name) == {"succeeded": 40, "failed": 1})
    results = [sql.get(database, i).tasks[0]["result"] for i in ids]  # type: ignore[union-attr]
    assert results == [n + 1 for n in range(20)] + list(range(20))
    failed = sql.get(database, failing)
    assert failed is not None
    task = failed.tasks[0]
    assert task["attempts"] == (1 if mode == "at_most_once" else 2)
    assert "negative" in task["errors"]


def test_what_is_fetched_ahead_waits_its_turn_and_goes_back_when_the_consumer_leaves(
    q: SqlQueue, database: psycopg.Connection
) -> None:
    release = threading.Event()
    runs: list[int] = []

    @q.handler
    def run(n: int) -> int:
        runs.append(n)
        if n == 0:
            release.wait(60)
        return n

    def tasks() -> dict[str, int]:
        rows = database.execute(
            "select t.state, count(*) from postq.tasks t join postq.jobs j on j.id = t.job_id"
            " where j.queue = %s group by 1",
            [q.name],
        )
        return {str(state): count for state, count in rows.fetchall()}

    def let_it_end() -> None:
        eventually(lambda: tasks() == {"running": 1, "ready": 3})
        release.set()

    ids = [run.push(n) for n in range(4)]
    ending = threading.Thread(target=let_it_end)
    with consuming(q, concurrency=1, prefetch=2, drain=60):
        eventually(lambda: tasks() == {"running": 3, "ready": 1})
        assert runs == [0]
        ending.start()
    ending.join()
    assert runs == [0]
    with consuming(q, concurrency=1, prefetch=2):
        eventually(lambda: states(database, q.name) == {"succeeded": 4})
    # What was handed back did not count; it came behind what waited.
    assert runs == [0, 3, 1, 2]
    jobs = [sql.get(database, job) for job in ids]
    assert [job.tasks[0]["attempts"] for job in jobs if job is not None] == [1, 1, 1, 1]


def test_nothing_is_fetched_ahead_that_would_be_lost(q: SqlQueue) -> None:
    with pytest.raises(ValueError, match="lost with the process"):
        Consumer(q, mode="at_most_once", prefetch=1)


def test_a_consumer_that_could_hold_nothing_is_refused(q: SqlQueue) -> None:
    for settings in ({"concurrency": 0}, {"prefetch": -1}):
        with pytest.raises(ValueError, match="at least one runs at a time"):
            Consumer(q, **settings)


def test_a_result_that_the_database_refuses_fails_its_task_and_nothing_else(
    q: SqlQueue, database: psycopg.Connection
) -> None:
    @q.handler
    def zero() -> str:
        return "a\0b"

    @q.handler
    def many() -> list[int]:
        return [1] * 300_000

    @q.handler
    def good() -> int:
        return 1

    refused = [zero.push(), many.push()]
    good.push()
    with consuming(q):
        eventually(lambda: states(database, q.name) == {"succeeded": 1, "failed": 2})
        good.push()
        eventually(lambda: states(database, q.name) == {"succeeded": 2, "failed": 2})
    for job_id in refused:
        job = sql.get(database, job_id)
        assert job is not None
        assert "could not be stored" in job.tasks[0]["errors"]


def test_exactly_once_work_and_ack_are_one_transaction(
    q: SqlQueue, dsn: str, database: psycopg.Connection
) -> None:
    """What a handler did before it raised is undone; what it did when it returned is there once."""
    database.execute(f'create table "{q.name}" (n int)')

    @q.handler(max_attempts=5, backoff=0)
    def book(n: int) -> None:
        postq.current().connection.execute(f'insert into "{q.name}" values (%s)', [n])
        if random.random() < 0.3 and postq.current().attempt_number < 5:
            raise OSError("after the work")

    @q.handler(max_attempts=5, backoff=0)
    async def abook(n: int) -> None:
        await postq.current().connection.execute(f'insert into "{q.name}" values (%s)', [n])

    for n in range(60):
        (book if n % 2 else abook).push(n)
    with consuming(q, mode="exactly_once", concurrency=5):
        eventually(lambda: states(database, q.name) == {"succeeded": 60})
    rows = database.execute(f'select n from "{q.name}" order by n').fetchall()
    assert [n for (n,) in rows] == list(range(60))


def test_killed_consumers_leave_each_piece_of_work_done_once(
    q: SqlQueue, dsn: str, database: psycopg.Connection, tmp_path: Path
) -> None:
    """Killed at random, with short leases: as many rows as jobs."""
    database.execute(f'create table "{q.name}" (n int)')
    script = tmp_path / "work.py"
    script.write_text(
        "import asyncio, sys, postq\n"
        "from postq.sql import Consumer, SqlQueue\n"
        "name, dsn = sys.argv[1:]\n"
        "q = SqlQueue(name, dsn)\n"
        "@q.handler()\n"
        "def book(n):\n"
        "    c = postq.current().connection\n"
        "    c.execute(f'insert into \"{name}\" values (%s)', [n])\n"
        "asyncio.run(Consumer(q, mode='exactly_once', lease=1, poll=0.2).run())\n"
    )
    numbers = [{"n": n} for n in range(300)]
    sql.publish_many(database, "book", numbers, queue=q.name, max_retries=-1)
    until = time.monotonic() + 90
    while states(database, q.name).get("succeeded", 0) < 300 and time.monotonic() < until:
        process = subprocess.Popen([sys.executable, str(script), q.name, dsn])
        done = states(database, q.name).get("succeeded", 0)
        some = done + random.randint(20, 120)
        eventually(lambda some=some: states(database, q.name).get("succeeded", 0) >= min(some, 300))
        process.kill()
        process.wait()
    rows = database.execute(f'select n from "{q.name}" order by n').fetchall()
    assert [n for (n,) in rows] == list(range(300))


def test_an_unknown_task_fails_with_that_reason_and_the_consumer_goes_on_dq13(
    q: SqlQueue, database: psycopg.Connection
) -> None:
    """DQ13; or it is left to others, if the consumer is to take only what it knows."""

    @q.handler()
    def known() -> None: ...

    unknown = sql.publish(database, "un%known", queue=q.name, max_retries=1)
    known.push()
    with consuming(q, only_known=True):
        eventually(lambda: states(database, q.name) == {"succeeded": 1, "queued": 1})
    with consuming(q):
        eventually(lambda: states(database, q.name) == {"succeeded": 1, "failed": 1})
    job = sql.get(database, unknown)
    assert job is not None
    assert "no handler 'un%known'; it has known" in job.tasks[0]["reason"]


def test_a_consumer_is_woken_at_once(q: SqlQueue, database: psycopg.Connection) -> None:
    @q.handler()
    def now() -> None: ...

    asleep = "select count(*) from postq.sleeper where queue = %s"
    with consuming(q, poll=60):
        for n in range(1, 6):
            # Pushed while it falls asleep, a job may wake nobody: then the poll finds it.
            eventually(lambda: database.execute(asleep, [q.name]).fetchone() == (1,))
            now.push()
            began = time.monotonic()
            eventually(lambda n=n: states(database, q.name).get("succeeded") == n, 30, 0.005)
            assert time.monotonic() - began < 5


def test_without_listen_a_consumer_polls(q: SqlQueue, database: psycopg.Connection) -> None:
    @q.handler()
    def now() -> None: ...

    with consuming(q, poll=0.05, listen=False):
        now.push()
        eventually(lambda: states(database, q.name).get("succeeded") == 1)


def test_closing_ends_gracefully_and_leaves_no_connection_pj22(
    q: SqlQueue, database: psycopg.Connection
) -> None:
    """PJ22: what runs is finished, what was taken ahead is not lost, connections are gone."""
    started = threading.Event()

    @q.handler()
    def slow() -> None:
        started.set()
        time.sleep(0.3)

    for _ in range(5):
        slow.push()
    with consuming(q, concurrency=2):
        assert started.wait(30)
    counts = states(database, q.name)
    assert counts.get("running", 0) == 0
    assert counts["succeeded"] >= 2
    open_now = "select count(*) from pg_stat_activity where application_name = %s"
    eventually(lambda: database.execute(open_now, [f"postq consumer {q.name}"]).fetchone() == (0,))


def test_what_does_not_end_in_time_goes_back_uncounted(
    q: SqlQueue, database: psycopg.Connection
) -> None:
    started = threading.Event()

    @q.handler()
    async def stuck() -> None:
        started.set()
        await asyncio.sleep(3600)

    job_id = stuck.push()
    with consuming(q, drain=0.1):
        assert started.wait(30)
    row = database.execute(
        "select state, attempts from postq.tasks where job_id = %s", [job_id]
    ).fetchone()
    assert row == ("ready", 0)


def test_a_consumer_connects_again_pj23(q: SqlQueue, database: psycopg.Connection) -> None:
    """PJ23: pg_terminate_backend, again and again; ten jobs finish."""

    @q.handler()
    def f(n: int) -> int:
        time.sleep(0.02)
        return n

    with consuming(q, concurrency=2, poll=1):
        for n in range(10):
            f.push(n)
            database.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where application_name = %s",
                [f"postq consumer {q.name}"],
            )
        eventually(lambda: states(database, q.name) == {"succeeded": 10}, 60)


def test_a_lease_is_renewed_while_a_handler_works(
    q: SqlQueue, database: psycopg.Connection
) -> None:
    runs: list[int] = []

    @q.handler(max_attempts=3)
    def long() -> None:
        runs.append(1)
        time.sleep(3)

    long.push()
    with consuming(q, lease=1, poll=0.2), consuming(q, lease=1, poll=0.2):
        eventually(lambda: states(database, q.name) == {"succeeded": 1})
    assert runs == [1]


def test_a_cancel_reaches_a_running_handler(q: SqlQueue, database: psycopg.Connection) -> None:
    started, ended = threading.Event(), threading.Event()

    @q.handler()
    async def forever() -> None:
        started.set()
        try:
            await asyncio.sleep(3600)
        finally:
            ended.set()

    job_id = forever.push()
    with consuming(q, lease=1):
        assert started.wait(30)
        sql.cancel(database, job_id, "enough")
        assert ended.wait(30)
    eventually(lambda: states(database, q.name) == {"cancelled": 1})


def test_two_statements_take_no_more_than_may_be_held_and_miss_no_wake_up(
    q: SqlQueue, database: psycopg.Connection
) -> None:
    go_on = threading.Event()

    @q.handler()
    def hold() -> None:
        go_on.wait(60)

    for _ in range(300):
        hold.push()
    with consuming(q, concurrency=3, prefetch=4, poll=3600):
        eventually(lambda: states(database, q.name) == {"running": 7, "queued": 293})
        # Where there was room, a statement would be under way.
        eventually(lambda: busy(database, q.name) == 0)
        assert states(database, q.name) == {"running": 7, "queued": 293}
        go_on.set()
        eventually(lambda: states(database, q.name) == {"succeeded": 300})
        eventually(lambda: sleepers(database, q.name) == 1)
        for _ in range(20):
            hold.push()
        eventually(lambda: states(database, q.name) == {"succeeded": 320})


def test_one_at_a_time_keeps_the_order_of_the_queue(
    q: SqlQueue, database: psycopg.Connection
) -> None:
    begun: list[int] = []

    @q.handler()
    async def note(i: int) -> None:
        begun.append(i)

    for i in range(200):
        note.push(i)
    with consuming(q, concurrency=1, prefetch=10):
        eventually(lambda: states(database, q.name) == {"succeeded": 200})
    assert begun == list(range(200))


def test_unknown_handlers_that_fill_every_place_hold_up_nobody(
    q: SqlQueue, database: psycopg.Connection
) -> None:
    for _ in range(3):
        sql.publish(database, "nobody_has_this", queue=q.name)

    @q.handler()
    def known() -> None:
        pass

    for _ in range(3):
        known.push()
    with consuming(q, concurrency=3):
        eventually(lambda: states(database, q.name) == {"failed": 3, "succeeded": 3})


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise AttributeError("it has no words")


def test_an_exception_that_cannot_be_told_is_a_failure_as_well(
    q: SqlQueue, database: psycopg.Connection
) -> None:
    @q.handler()
    async def worse() -> None:
        raise Unspeakable

    @q.handler()
    def fine() -> None:
        pass

    worse.push()
    fine.push()
    with consuming(q, concurrency=1):
        eventually(lambda: states(database, q.name) == {"failed": 1, "succeeded": 1})


class FailsOnce(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.has_failed = False

    def emit(self, record: logging.LogRecord) -> None:
        if not self.has_failed:
            self.has_failed = True
            raise RuntimeError("the disk of logs is full")


def test_a_log_handler_that_fails_costs_one_attempt(
    q: SqlQueue, database: psycopg.Connection
) -> None:
    @q.handler()
    async def noted() -> None:
        pass

    for _ in range(6):
        noted.push()
    log, failing = logging.getLogger("postq.task"), FailsOnce()
    level = log.level
    log.addHandler(failing)
    log.setLevel(logging.INFO)
    try:
        with consuming(q, concurrency=2, prefetch=4):
            eventually(lambda: states(database, q.name) == {"succeeded": 5, "running": 1})
    finally:
        log.removeHandler(failing)
        log.setLevel(level)
    assert failing.has_failed


def test_a_consumer_that_is_cancelled_begins_nothing_more(
    q: SqlQueue, database: psycopg.Connection
) -> None:
    begun: list[int] = []

    @q.handler()
    async def wait(i: int) -> None:
        begun.append(i)
        if len(begun) == 2:
            both_begun.set()
        await go_on.wait()

    for i in range(20):
        wait.push(i)
    both_begun, go_on = asyncio.Event(), asyncio.Event()

    async def cancelled() -> None:
        running = asyncio.ensure_future(Consumer(q, concurrency=2, prefetch=4).run(asyncio.Event()))
        await asyncio.wait_for(both_begun.wait(), 30)
        assert states(database, q.name) == {"running": 6, "queued": 14}
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        go_on.set()
        here = asyncio.current_task()
        await asyncio.wait({task for task in asyncio.all_tasks() if task is not here}, timeout=30)
        assert asyncio.all_tasks() == {here}

    asyncio.run(cancelled())
    assert begun == [0, 1]


def test_what_is_cancelled_while_it_is_held_ready_does_not_begin(
    q: SqlQueue, database: psycopg.Connection
) -> None:
    begun: list[int] = []
    go_on = threading.Event()

    @q.handler()
    def hold(i: int) -> None:
        begun.append(i)
        go_on.wait(30)

    ids = [hold.push(i) for i in range(3)]
    with consuming(q, concurrency=1, prefetch=2, lease=3, poll=0.2):
        eventually(lambda: states(database, q.name) == {"running": 3})
        sql.cancel(database, ids[1], "enough")
        eventually(lambda: states(database, q.name) == {"running": 2, "cancelled": 1})
        go_on.set()
        eventually(lambda: states(database, q.name) == {"succeeded": 2, "cancelled": 1})
    assert begun == [0, 2]


def test_a_job_is_queued_again_by_its_own_handler_dq20(
    q: SqlQueue, database: psycopg.Connection
) -> None:
    """DQ20: the same job, at a later time."""
    runs: list[tuple[str, float]] = []

    @q.handler(max_attempts=-1)
    def visit() -> None:
        runs.append((postq.current().job_id, time.monotonic()))
        if len(runs) < 3:
            raise Again(after=timedelta(seconds=0.2))

    job_id = visit.push()
    with consuming(q, poll=0.05):
        eventually(lambda: states(database, q.name) == {"succeeded": 1})
    assert [job for job, _ in runs] == [job_id] * 3
    assert all(b[1] - a[1] >= 0.19 for a, b in itertools.pairwise(runs))


def test_a_repeated_handler_never_overlaps_itself_dq21(
    q: SqlQueue, database: psycopg.Connection
) -> None:
    """DQ21: about as many runs as periods, and never two at a time."""
    inside, runs, overlaps = [0], [0], [0]

    @q.handler(every=0.2)
    def tick() -> None:
        inside[0] += 1
        overlaps[0] += inside[0] > 1
        time.sleep(0.05)
        runs[0] += 1
        inside[0] -= 1

    began = time.monotonic()
    tick.push()
    with consuming(q, poll=0.02), consuming(q, poll=0.02):
        eventually(lambda: runs[0] >= 5)
    took = time.monotonic() - began
    assert overlaps == [0]
    assert runs[0] <= took / 0.2 + 2
    row = database.execute(
        "select count(*) from postq.jobs where queue = %s and state in ('scheduled', 'queued')",
        [q.name],
    ).fetchone()
    assert row == (1,), "the next one waits"


def test_retries_wait_as_a_formula_says_for_the_exceptions_named_dq22(
    q: SqlQueue, database: psycopg.Connection
) -> None:
    """DQ22: 2^(n+6) seconds, give or take 15; configurable."""

    def pause(attempt: int) -> float:
        return 2 ** (attempt + 6) + random.uniform(-15, 15)

    @q.handler(max_attempts=5, retry_on=(ConnectionError,), pause=pause)
    def fetch(kind: str) -> None:
        raise ConnectionError if kind == "net" else KeyError(kind)

    job_id = fetch.push("net")
    with consuming(q):
        eventually(lambda: sql.depth(database, q.name) == 0)
        query = (
            "select state, extract(epoch from run_at - finished)::float from postq.tasks t,"
            " lateral (select max(a.finished_at) as finished from postq.attempt a"
            "          where a.job = t.job_id) a where t.job_id = %s"
        )

        def waiting() -> Any:
            row = database.execute(query, [job_id]).fetchone()
            return row if row and row[0] == "scheduled" else None

        state, pause_was = eventually(waiting)
    assert state == "scheduled"
    assert 128 - 16 <= pause_was <= 128 + 16


def test_a_pause_that_raises_leaves_the_failure_one(
    q: SqlQueue, database: psycopg.Connection
) -> None:
    @q.handler(max_attempts=1, pause=lambda attempt: 1 / 0)
    def fetch() -> None:
        raise KeyError("the first problem")

    job_id = fetch.push()
    asyncio.run(Consumer(q).run_once())
    job = sql.get(database, job_id)
    assert job is not None
    assert job.state == "failed"
    assert "the first problem" in job.tasks[0]["errors"]
    assert "ZeroDivisionError" in job.tasks[0]["errors"]


@pytest.mark.timeout(900)
def test_several_processes_lose_and_double_nothing_while_others_publish_pj24(
    q: SqlQueue, dsn: str, database: psycopg.Connection, tmp_path: Path
) -> None:
    """PJ24: three processes with three handlers at a time each; POSTQ_SOAK for its full size."""
    more = 30_000 if os.environ.get("POSTQ_SOAK") else 3_000
    database.execute(f'create table "{q.name}" (n int)')
    script = tmp_path / "work.py"
    script.write_text(
        "import asyncio, sys, psycopg\n"
        "from postq.sql import Consumer, SqlQueue\n"
        "name, dsn = sys.argv[1:]\n"
        "q = SqlQueue(name, dsn)\n"
        "db = psycopg.connect(dsn, autocommit=True)\n"
        "@q.handler()\n"
        "def mark(n):\n"
        "    db.execute(f'insert into \"{name}\" values (%s)', [n])\n"
        "asyncio.run(Consumer(q, concurrency=3).run())\n"
    )
    sql.publish_many(database, "mark", [{"n": n} for n in range(300)], queue=q.name)
    command = [sys.executable, str(script), q.name, dsn]
    processes = [subprocess.Popen(command) for _ in range(3)]
    try:
        for start in range(300, 300 + more, 500):
            numbers = range(start, start + 500)
            sql.publish_many(database, "mark", [{"n": n} for n in numbers], queue=q.name)
        eventually(
            lambda: states(database, q.name) == {"succeeded": 300 + more}, 90 * more / 3000, 0.2
        )
    finally:
        for process in processes:
            process.terminate()
        codes = [process.wait(30) for process in processes]
    rows = database.execute(f'select n from "{q.name}" order by n').fetchall()
    assert [n for (n,) in rows] == list(range(300 + more))
    assert codes == [0, 0, 0]


def test_an_own_table_stands_beside_the_jobs_dq31(
    q: SqlQueue, dsn: str, database: psycopg.Connection
) -> None:
    """DQ31: what a custom model of jobs would hold is a row of the application's own with the
    job's id, made in the same transaction, and joined to the views."""
    database.execute(f'create table "{q.name}" (job uuid primary key, customer text)')

    @q.handler()
    def ship(order: int) -> None: ...

    with psycopg.connect(dsn) as connection:
        job_id = sql.enqueue(connection, ship.using(attributes={"vip": True}).job(17))
        connection.execute(f'insert into "{q.name}" values (%s, %s)', [job_id, "ann"])
    rows = database.execute(
        f'select c.customer, j.state, j.attributes from "{q.name}" c'
        " join postq.jobs j on j.id = c.job"
    ).fetchall()
    assert rows == [("ann", "queued", {"vip": True})]


def test_run_once_runs_what_is_ready_and_returns_dq32(
    q: SqlQueue, database: psycopg.Connection
) -> None:
    """DQ32."""

    @q.handler()
    async def f(n: int) -> int:
        return n

    for n in range(25):
        f.push(n)
    assert asyncio.run(Consumer(q, concurrency=4).run_once()) == 25
    assert states(database, q.name) == {"succeeded": 25}


def test_the_commands_migrate_and_work_pj25(own_dsn: str, tmp_path: Path) -> None:
    """PJ25: `postq-migrate`, `postq-worker --database-url`."""
    programs = Path(sys.executable).parent
    for expected in (len(list(directory().glob("[0-9]*.sql"))), 0):
        ran = subprocess.run(
            [programs / "postq-migrate", own_dsn], capture_output=True, text=True, check=True
        )
        assert ran.stdout == f"{expected} migrations applied\n"
    (tmp_path / "app.py").write_text(
        "import postq\nqueue = postq.Queue('work')\n"
        "@queue.handler()\ndef add(a, b):\n    return a + b\n"
    )
    with psycopg.connect(own_dsn, autocommit=True) as connection:
        job_id = sql.publish(connection, "add", args=[2, 3], queue="work")
        worker = subprocess.Popen(
            [programs / "postq-worker", "app:queue", "--database-url", own_dsn], cwd=tmp_path
        )
        try:

            def result() -> Any:
                job = sql.get(connection, job_id)
                return job is not None and job.tasks[0]["result"]

            assert eventually(result) == 5
        finally:
            worker.terminate()
        assert worker.wait(30) == 0


def test_a_database_made_by_python_is_the_one_a_coordinator_makes(
    own_dsn: str, tmp_path: Path
) -> None:
    from .cluster import Coordinator

    assert migrate(own_dsn) > 0
    coordinator = Coordinator(own_dsn, tmp_path)
    try:
        assert migrate(own_dsn) == 0
    finally:
        coordinator.kill()


def test_functions_that_differ_under_one_revision_are_replaced(own_dsn: str) -> None:
    migrate(own_dsn)
    with psycopg.connect(own_dsn, autocommit=True) as connection:
        connection.execute("select postq.create_roles()")
        connection.execute("drop function postq.ack(uuid, bigint, jsonb)")
        connection.execute("update postq.fact set value = 'x' where key = 'functions_digest'")
        assert migrate_on(connection) == 0
        sql.publish(connection, "x")
        [task] = sql.consume(connection, 1)
        sql.ack(connection, task)
        ack = "postq.ack(uuid, bigint, jsonb)"
        may = "select has_function_privilege('postq_consumer', %s, 'execute')"
        assert connection.execute(may, [ack]).fetchone() == (True,)


def test_the_wheel_has_the_schema_and_works_where_nothing_else_is_pj31(
    own_dsn: str, tmp_path: Path
) -> None:
    """PJ31: built, installed into a new environment, applied from there."""
    source = ROOT / "clients" / "python"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    subprocess.run([*pip, "wheel", "--no-deps", "-w", tmp_path, source], check=True)
    [wheel] = tmp_path.glob("*.whl")
    fresh = tmp_path / "fresh"
    venv.create(fresh, with_pip=False)
    subprocess.run(
        [*pip, "--python", fresh / "bin" / "python", "install", f"{wheel}[sql]"], check=True
    )
    subprocess.run([fresh / "bin" / "postq-migrate", own_dsn], check=True, cwd=tmp_path)
    with psycopg.connect(own_dsn, autocommit=True) as connection:
        sql.publish(connection, "x")
        assert len(sql.consume(connection, 1)) == 1
