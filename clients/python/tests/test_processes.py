"""Handlers in processes of their own, over a real coordinator."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest

from postq import Client, Job, JobState, Queue, Stream, sql
from postq.processes import Child
from postq.sql import Consumer, SqlQueue

from . import apart
from .cluster import eventually, is_alive
from .workers import worker


def test_a_handler_in_a_process_is_used_again_and_leaves_with_its_worker(client: Client) -> None:
    with worker(apart.queue, client.target, concurrency=1):
        pids = {client.result(client.submit(apart.pid.job()), timeout=60) for _ in range(3)}
        counts = [client.result(client.submit(apart.count.job()), timeout=30) for _ in range(2)]
        assert counts == [1, 2]
    assert len(pids) == 1
    assert os.getpid() not in pids
    assert apart.calls == 0
    assert not is_alive(pids.pop())


def test_a_process_that_died_while_it_waited_costs_no_attempt(client: Client) -> None:
    with worker(apart.queue, client.target, concurrency=1):
        pid = client.result(client.submit(apart.pid.job()), timeout=60)
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: not is_alive(pid))
        job = client.wait(client.submit(apart.pid.job()), timeout=60)
        assert job.state is JobState.SUCCEEDED
        assert job.tasks["apart.pid"].attempts == 1


def test_a_signal_to_the_whole_service_lets_a_handler_in_a_process_end(
    client: Client, tmp_path: Path
) -> None:
    with worker(apart.queue, client.target, concurrency=1):
        path = tmp_path / "held"
        job_id = client.submit(apart.hold.job(str(path), "until"))
        pid = int(eventually(lambda: path.exists() and path.read_text()).split()[0])
        os.kill(pid, signal.SIGTERM)
        path.with_suffix(".go").touch()
        assert client.result(job_id, timeout=30) == "held"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_whole_service_lets_a_process_start(number: signal.Signals) -> None:
    before = set(multiprocessing.active_children())
    with ThreadPoolExecutor(1) as pool:
        starting = pool.submit(Child)
        new = eventually(lambda: set(multiprocessing.active_children()) - before, every=0.001)
        started = new.pop()
        assert started.pid is not None
        os.kill(started.pid, number)
        child = starting.result(60)
    assert child.is_alive
    # It hears what comes later, as any program that it starts does.
    held = Path(f"/proc/{started.pid}/status")
    if held.exists():
        blocked = int(held.read_text().split("SigBlk:")[1].split()[0], 16)
        assert not blocked & 1 << (number - 1)
    child.quit()


def test_what_a_handler_in_a_process_raises_says_and_logs_arrives(
    client: Client, name: str
) -> None:
    with worker(apart.queue, client.target, concurrency=1):
        job = client.wait(client.submit(apart.fail.job("colour")), timeout=60)
        task = job.tasks["apart.fail"]
        assert (task.reason, task.attempts) == ("ValueError: no such colour", 1)
        assert "in fail" in task.errors
        assert "processes.py" not in task.errors
        job = client.wait(client.submit(apart.fail.job("again")), timeout=30)
        assert job.tasks["apart.fail"].attempts == 3
        first = apart.count.using(name="first").task()
        second = apart.twice.using(name="second", depends=[first]).task()
        job_id = client.submit(Job([second], queue=name))
        job = client.wait(job_id, timeout=30)
    assert job.tasks["second"].result == str(job.tasks["first"].result * 2)
    output = [(c.stream, c.text) for c in client.logs(job_id, tasks=["second"])]
    assert (Stream.STDOUT, f"second of {name}\n") in output


@pytest.mark.parametrize("kind", ["polite", "deaf"])
def test_a_cancel_stops_a_handler_in_a_process_or_kills_it(
    client: Client, tmp_path: Path, kind: str
) -> None:
    """What it has started goes with it, and the worker goes on."""
    with worker(apart.queue, client.target, concurrency=1):
        path = tmp_path / "pids"
        job_id = client.submit(apart.hold.using(grace=0.5).job(str(path), kind))
        eventually(lambda: path.exists() and " " in path.read_text())
        pids = [int(pid) for pid in path.read_text().split()]
        asked = time.monotonic()
        client.cancel(job_id, "enough")
        job = client.wait(job_id, timeout=30)
        assert job.state is JobState.CANCELLED
        assert time.monotonic() - asked < 10
        assert path.with_suffix(".stopped").exists() == (kind == "polite")
        eventually(lambda: not is_alive(pids[1]))
        assert is_alive(pids[0]) == (kind == "polite")
        assert client.result(client.submit(apart.count.job()), timeout=60) == 1


def test_a_process_that_dies_is_a_failed_attempt_and_the_worker_goes_on(client: Client) -> None:
    with worker(apart.queue, client.target, concurrency=1):
        job = client.wait(client.submit(apart.die.job()), timeout=60)
        assert job.tasks["apart.die"].reason == "its process was killed by SIGKILL"
        assert client.result(client.submit(apart.count.job()), timeout=60) == 1


def test_a_timeout_and_a_drain_end_what_is_in_a_process(client: Client, tmp_path: Path) -> None:
    with worker(apart.queue, client.target, concurrency=1, drain=0.1):
        path = tmp_path / "late"
        late = apart.hold.using(timeout=0.5, grace=0.2).job(str(path), "deaf")
        job = client.wait(client.submit(late), timeout=60)
        attempt = job.tasks["apart.hold"].attempt
        assert attempt is not None
        assert attempt.outcome == "timed_out"
        path = tmp_path / "left"
        job_id = client.submit(apart.hold.job(str(path), "deaf"))
        eventually(lambda: path.exists() and " " in path.read_text())
    pids = [int(pid) for pid in path.read_text().split()]
    eventually(lambda: not any(is_alive(pid) for pid in pids))
    eventually(lambda: client.get(job_id).tasks["apart.hold"].state == "ready")
    client.cancel(job_id)


def test_only_functions_of_a_module_run_in_processes() -> None:
    with pytest.raises(ValueError, match="function of a module"):

        @Queue("q").handler(mode="process")
        def inner() -> None:
            pass

    with pytest.raises(ValueError, match="may be 'process'"):
        Queue("q").handler(mode="thread")(inner_free)


def inner_free() -> None:
    pass


def test_a_sql_consumer_runs_handlers_in_processes_but_not_exactly_once(
    dsn: str, database: psycopg.Connection[Any], name: str
) -> None:
    queue = SqlQueue(name, dsn)
    queue.handlers = dict(apart.queue.handlers)
    job_id = queue.submit(apart.pid.job())
    assert asyncio.run(Consumer(queue).run_once()) == 1
    job = sql.get(database, job_id)
    assert job is not None
    assert job.state == "succeeded"
    assert job.tasks[0]["result"] != os.getpid()
    with pytest.raises(ValueError, match="apart"):
        Consumer(queue, mode="exactly_once")
