"""Handlers run by a worker, over a real coordinator."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import os
import random
import tempfile
import threading
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

import postq
from postq import Client, Fail, Job, JobState, Queue, Retry, Stream, Task, TaskState
from postq.outcome import failure
from postq.worker import Worker

from .cluster import Cluster, Coordinator, eventually
from .workers import Process, worker


def made(client: Client, name: str, **options: Any) -> Queue:
    return Queue(name, client=client, **options)


def test_results_of_sync_and_async_handlers_come_back(client: Client, name: str) -> None:
    q = made(client, name)

    @q.handler(name=f"{name}.add")
    def add(a: int, b: int) -> int:
        return a + b

    @q.handler(name=f"{name}.later")
    async def later(words: list[str]) -> dict[str, int]:
        await asyncio.sleep(0)
        return {word: len(word) for word in words}

    with worker(q, client.target):
        assert client.result(add.push(2, 3), timeout=30) == 5
        assert client.result(add.push(a=2, b=5), timeout=30) == 7
        assert client.result(later.push(["ab", "c"]), timeout=30) == {"ab": 2, "c": 1}


def test_a_handler_has_the_files_of_its_ancestors_and_leaves_its_own(
    client: Client, name: str, tmp_path: Path
) -> None:
    q = made(client, name)

    @q.handler(name=f"{name}.count", workspace="FILES")
    def count() -> int:
        here = postq.current().workspace
        assert here is not None
        words = len((here / "text").read_text().split())
        (here / "words").write_text(f"{words}\n")
        (here / "text").unlink()
        return words

    @q.handler(name=f"{name}.fail", workspace="FILES")
    async def fail() -> None:
        raise ValueError("no files for you")

    source = tmp_path / "source"
    source.mkdir()
    (source / "text").write_text("one two three\n")
    first = Task("echo four >> text", name="first")
    counted = count.using(name="count", depends=[first]).task()
    failed = fail.using(name="fail", depends=[first]).task()
    last = Task("ls; cat words", name="last", depends=[counted])
    with worker(q, client.target):
        job_id = client.submit(Job([last, failed], input=client.upload(source)))
        job = client.wait(job_id, timeout=60)
    assert job.tasks["count"].result == 4
    assert job.tasks["last"].results == "words\n4\n"
    assert job.tasks["fail"].reason == "ValueError: no files for you"
    assert not list(Path(tempfile.gettempdir()).glob("postq-attempt-*/workspace/words"))


def test_arguments_arrive_as_json_has_them(client: Client, name: str) -> None:
    q = made(client, name)

    @q.handler(name=name)
    def kinds(*values: Any) -> list[str]:
        return [repr(value) for value in values]

    given = [1, 1 - 2**53, 1.5, 2.0, True, None, "x", b"\x00", [1, {"a": 2}]]
    told = ["1", str(1 - 2**53), "1.5", "2", "True", "None", "'x'", "b'\\x00'", "[1, {'a': 2}]"]
    with worker(q, client.target):
        assert client.result(kinds.push(*given), timeout=30) == told
    job_id = client.submit(Job({"a": Task(handler=name)}, queue=name, attributes={"n": 3}))
    assert repr(client.cancel(job_id).attributes) == "{'n': 3}"


def test_a_handler_takes_its_place_in_a_graph_with_shell_tasks(client: Client, name: str) -> None:
    q = made(client, name)

    @q.handler(name=name)
    def double() -> int:
        [parent] = postq.current().inputs().values()
        assert parent.state is TaskState.SUCCEEDED
        return int(parent.output["by"]) * int(parent.results)

    first = Task("echo 21; echo '{\"by\": 2}' > $POSTQ_OUTPUT", name="first")
    second = double.using(name="second", depends=[first]).task()
    last = Task('echo "done"', name="last", depends=[second])
    with worker(q, client.target):
        job = client.wait(client.submit(Job([last])), timeout=30)
    assert job.tasks["second"].result == 42
    assert job.tasks["last"].results == "done\n"


def test_an_exception_becomes_an_error_with_its_traceback_pj29(client: Client, name: str) -> None:
    """PJ29: the traceback is text in the history, and in the output."""
    q = made(client, name)

    @q.handler(name=name, max_attempts=2, backoff=0.01)
    def broken() -> None:
        raise ValueError("no such colour: blurple")

    with worker(q, client.target):
        job = client.wait(broken.push(), timeout=30)
    task = job.tasks[name]
    assert (job.state, task.attempts) == (JobState.FAILED, 2)
    assert task.reason == "ValueError: no such colour: blurple"
    assert "Traceback" in task.errors
    assert "in broken" in task.errors
    assert "calling.py" not in task.errors
    output = "".join(c.text for c in client.logs(job.id) if c.stream is Stream.STDERR)
    assert output.count("Traceback") == 2


def test_fail_is_not_tried_again_and_retry_is(client: Client, name: str) -> None:
    q = made(client, name, max_attempts=3, backoff=0.01)
    runs: list[str] = []

    @q.handler(name=f"{name}.fail")
    def hopeless() -> None:
        runs.append("hopeless")
        raise Fail("there is no such account")

    @q.handler(name=f"{name}.retry")
    def busy() -> int:
        runs.append("busy")
        if postq.current().attempt_number < 3:
            raise Retry("busy")
        return postq.current().attempt_number

    @q.handler(name=f"{name}.only", retry_on=(OSError,))
    def only(kind: str) -> None:
        runs.append(kind)
        raise OSError if kind == "os" else KeyError("x")

    with worker(q, client.target):
        job = client.wait(hopeless.push(), timeout=30)
        assert job.tasks[f"{name}.fail"].reason == "there is no such account"
        assert client.result(busy.push(), timeout=30) == 3
        for kind in ("os", "key"):
            client.wait(only.push(kind), timeout=30)
    assert (runs.count("hopeless"), runs.count("busy")) == (1, 3)
    assert (runs.count("os"), runs.count("key")) == (3, 1)


def test_unlimited_attempts_go_on_pt16(client: Client, name: str) -> None:
    """PT16: still trying after ten failures."""
    q = made(client, name)

    @q.handler(name=name, max_attempts=-1, backoff=0.01, max_backoff=0.01)
    def stubborn() -> int:
        if postq.current().attempt_number <= 11:
            raise OSError
        return postq.current().attempt_number

    with worker(q, client.target):
        assert client.result(stubborn.push(), timeout=60) == 12


def test_max_retries_counts_what_comes_after_the_first_execution_pt15(
    client: Client, name: str
) -> None:
    """PT15: max_retries=1 gives exactly two executions; a negative number is refused."""
    q = made(client, name)
    runs: list[int] = []

    @q.handler(name=name, max_retries=1, backoff=0.01)
    def twice() -> None:
        runs.append(1)
        raise OSError

    with pytest.raises(ValueError, match="max_retries"):
        q.handler(max_retries=-1)(lambda: None)
    with worker(q, client.target):
        job = client.wait(twice.push(), timeout=30)
    assert (len(runs), job.state) == (2, JobState.FAILED)


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_cancel_interrupts_a_handler_and_the_worker_goes_on(
    client: Client, name: str, kind: str
) -> None:
    q = made(client, name)
    started, ended = threading.Event(), threading.Event()

    def block() -> None:
        try:
            # Inside: it may be interrupted as soon as it is seen to have started.
            started.set()
            while True:
                time.sleep(0.01)
        finally:
            ended.set()

    async def ablock() -> None:
        try:
            started.set()
            await asyncio.sleep(3600)
        finally:
            ended.set()

    blocking = q.handler(name=f"{name}.block")(block if kind == "sync" else ablock)

    @q.handler(name=f"{name}.ok")
    def ok() -> str:
        return "ok"

    with worker(q, client.target, concurrency=1):
        job_id = blocking.push()
        assert started.wait(30)
        client.cancel(job_id, "enough")
        job = client.wait(job_id, timeout=30)
        assert job.state is JobState.CANCELLED
        # It would never end by itself. A job whose worker falls silent for seconds is over before.
        assert ended.wait(30), job
        assert client.result(ok.push(), timeout=30) == "ok"


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_timeout_ends_a_handler(client: Client, name: str, kind: str) -> None:
    q = made(client, name)

    def block() -> None:
        while not postq.current().is_cancelled:
            time.sleep(0.01)

    async def ablock() -> None:
        await asyncio.sleep(3600)

    handler = q.handler(name=name, timeout=0.2)(block if kind == "sync" else ablock)
    with worker(q, client.target):
        job = client.wait(handler.push(), timeout=30)
    attempt = job.tasks[name].attempt
    assert attempt is not None
    # A synchronous handler may see the wish in time and return: then it has succeeded.
    assert attempt.outcome in ({"timed_out"} if kind == "async" else {"timed_out", "succeeded"})


def test_a_handler_that_does_not_stop_is_given_up_after_its_grace(
    client: Client, name: str
) -> None:
    q = made(client, name)
    release = threading.Event()

    @q.handler(name=name, timeout=0.1, grace=0.2)
    def deaf() -> None:
        release.wait(60)  # In C: nothing can be raised in it.

    with worker(q, client.target):
        job = client.wait(deaf.push(), timeout=30)
        release.set()
    assert "did not stop" in job.tasks[name].reason
    attempt = job.tasks[name].attempt
    assert attempt is not None
    assert attempt.outcome == "timed_out"


def test_what_a_handler_logs_is_the_output_of_its_task(client: Client, name: str) -> None:
    q = made(client, name)

    @q.handler(name=name)
    def talk() -> None:
        for n in range(300):
            postq.current().log(f"line {n}")
        postq.current().log("oh", Stream.STDERR)

    with worker(q, client.target):
        job_id = talk.push()
        chunks = list(client.logs(job_id, follow=True))
    out = "".join(c.text for c in chunks if c.stream is Stream.STDOUT)
    assert out.splitlines() == [f"line {n}" for n in range(300)]
    assert "".join(c.text for c in chunks if c.stream is Stream.STDERR) == "oh\n"


def test_a_mib_of_bytes_arrives_and_a_return_value_may_have_one_jq48(
    client: Client, name: str
) -> None:
    """JQ48: random bytes arrive as they were; by SQL in test_sql."""
    q = made(client, name)

    @q.handler(name=name)
    def large(given: bytes, size: int) -> str:
        return hashlib.sha256(given).hexdigest() + "x" * size

    given = random.Random(48).randbytes(1 << 20)
    digest = hashlib.sha256(given).hexdigest()
    with worker(q, client.target):
        assert client.result(large.push(given, 0), timeout=30) == digest
        assert client.result(large.push(given, 1_000_000), timeout=30) == digest + "x" * 1_000_000
        job = client.wait(large.push(given, 1_100_000), timeout=30)
    assert job.tasks[name].reason.startswith("its return value has 1100066 bytes")
    with pytest.raises(postq.InvalidArgument, match="2097152"):
        large.push(given + given, 0)


def test_the_pause_of_a_retry_is_what_the_handler_asks_for(client: Client, name: str) -> None:
    q = made(client, name)

    @q.handler(name=f"{name}.soon", max_attempts=2, backoff="3600s", max_backoff="3600s")
    def soon() -> int:
        if postq.current().attempt_number == 1:
            raise Retry("in a moment", after=0.3)
        return postq.current().attempt_number

    @q.handler(name=f"{name}.later", max_attempts=-1, backoff=0)
    def later() -> None:
        raise postq.Again(timedelta(hours=1))

    with worker(q, client.target):
        job = client.wait(soon.push(), timeout=30)
        task = job.tasks[f"{name}.soon"]
        assert (task.result, task.attempts) == (2, 2)
        job_id = later.push()
        task = eventually(
            lambda: (found := client.get(job_id).tasks[f"{name}.later"]).attempts == 1 and found
        )
        assert task.state is TaskState.SCHEDULED
        assert task.run_at is not None
        assert task.run_at - datetime.now(timezone.utc) > timedelta(minutes=50)
        client.cancel(job_id)
    with pytest.raises(ValueError, match="length of time"):
        Retry(after=float("nan"))


def test_what_is_held_ready_starts_in_its_turn_or_goes_back_uncounted(
    client: Client, name: str
) -> None:
    q = made(client, name)
    runs: list[int] = []
    release = threading.Event()

    @q.handler(name=name)
    def run(n: int) -> int:
        runs.append(n)
        if n == 0:
            release.wait(60)
        return n

    with worker(q, client.target, concurrency=1, prefetch=3, drain=60):
        jobs = [run.push(n) for n in range(4)]
        eventually(lambda: all(client.get(job).state is JobState.RUNNING for job in jobs))
        client.cancel(jobs[1], "not needed")
        assert client.wait(jobs[1], timeout=30).state is JobState.CANCELLED
        assert runs == [0]
        [agent] = [agent for agent in client.agents.list() if name in agent.handlers]
        client.agents.drain(agent.id)
        eventually(lambda: client.get(jobs[3]).tasks[name].state is TaskState.READY)
        release.set()
        assert client.wait(jobs[0], timeout=30).state is JobState.SUCCEEDED
    assert runs == [0]
    with worker(q, client.target, prefetch=2):
        assert [client.result(job, timeout=30) for job in jobs[2:]] == [2, 3]
    assert client.get(jobs[3]).tasks[name].attempts == 1


def test_what_may_run_once_only_is_not_given_again_by_a_worker_that_leaves(
    client: Client, name: str
) -> None:
    q = made(client, name)
    started = threading.Event()

    @q.handler(name=name, delivery="AT_MOST_ONCE")
    async def once() -> None:
        started.set()
        await asyncio.sleep(3600)

    with worker(q, client.target, drain=0.1):
        job_id = once.push()
        assert started.wait(30)
    job = client.wait(job_id, timeout=30)
    assert "delivered at most once" in job.tasks[name].reason


def test_what_must_not_overlap_is_stopped_when_no_coordinator_is_heard(
    coordinator: Coordinator, name: str
) -> None:
    """Others go on, and are adopted."""
    with Client(coordinator.target) as client:
        q = made(client, name)
        stopped, done = threading.Event(), threading.Event()

        @q.handler(name=f"{name}.alone", concurrency={"key": name, "limit": 1})
        async def alone() -> None:
            try:
                await asyncio.sleep(3600)
            finally:
                stopped.set()

        @q.handler(name=f"{name}.free")
        async def free() -> str:
            await asyncio.to_thread(done.wait, 60)
            return "held"

        with worker(q, coordinator.target):
            jobs = [alone.push(), free.push()]
            eventually(lambda: all(client.get(job).state is JobState.RUNNING for job in jobs))
            coordinator.kill()
            assert stopped.wait(30)
            coordinator.start()
            done.set()
            assert client.result(jobs[1], timeout=30) == "held"
            assert client.get(jobs[1]).tasks[f"{name}.free"].attempts == 1
            client.cancel(jobs[0])


def test_a_call_runs_after_a_delay_or_at_a_time(client: Client, name: str) -> None:
    q = made(client, name)

    @q.handler(name=name)
    def now() -> float:
        return time.monotonic()

    with worker(q, client.target):
        pushed = time.monotonic()
        later = [
            now.push_in(1.0),
            now.push_at(datetime.now(timezone.utc) + timedelta(seconds=1)),
        ]
        assert {client.get(i).state for i in later} == {JobState.SCHEDULED}
        assert all(client.result(i, timeout=30) - pushed > 0.9 for i in later)
    with pytest.raises(ValueError, match="time zone"):
        now.push_at(datetime(2030, 1, 1))  # noqa: DTZ001


def test_a_repeated_handler_never_overlaps_itself_dq21(client: Client, name: str) -> None:
    """DQ21: each run submits the next one, once, before it is reported."""
    q = made(client, name)
    inside, runs, overlaps = [0], [0], [0]

    @q.handler(name=name, every=0.1)
    def tick() -> None:
        inside[0] += 1
        overlaps[0] += inside[0] > 1
        time.sleep(0.02)
        runs[0] += 1
        inside[0] -= 1

    with worker(q, client.target):
        tick.push()
        eventually(lambda: runs[0] >= 4)
    assert overlaps == [0]
    open_now = client.list(queue=name, states=["scheduled", "queued", "running"])
    assert len(open_now) == 1
    client.cancel(open_now[0].id)


def test_arguments_that_do_not_fit_fail_with_what_was_given(client: Client, name: str) -> None:
    q = made(client, name)

    @q.handler(name=name)
    def add(a: int, b: int) -> int:
        return a + b

    with worker(q, client.target):
        job = client.wait(q.submit(Job([Task(name="x", handler=name, arguments=[1])])), 30)
    assert "missing a required argument: 'b'" in job.tasks["x"].reason


def test_handlers_that_raise_do_not_end_the_worker_pt12(client: Client, name: str) -> None:
    """PT12: of 100 tasks 10 raise, also what would end a process; 90 are done."""
    q = made(client, name)

    @q.handler(name=name)
    def some(n: int) -> int:
        if n % 10 == 0:
            raise SystemExit(3) if n % 20 == 0 else RuntimeError(str(n))
        return n

    with worker(q, client.target):
        ids = client.submit_many(some.job(n) for n in range(100))
        states = [client.wait(job_id, timeout=60).state for job_id in ids]
    assert states.count(JobState.SUCCEEDED) == 90
    assert states.count(JobState.FAILED) == 10


def test_each_attempt_is_a_task_of_its_own_pj28(client: Client, name: str) -> None:
    """PJ28: as many at a time as the concurrency says."""
    q = made(client, name)
    met = asyncio.Event()
    inside: set[str] = set()

    @q.handler(name=name)
    async def meet() -> None:
        inside.add(postq.current().job_id)
        if len(inside) == 8:
            met.set()
        await asyncio.wait_for(met.wait(), 30)

    with worker(q, client.target, concurrency=8):
        ids = client.submit_many(meet.job() for _ in range(8))
        assert {client.wait(i, timeout=60).state for i in ids} == {JobState.SUCCEEDED}


def test_a_push_wakes_an_idle_worker_at_once_pt13(client: Client, name: str) -> None:
    """PT13: no poll: idle it costs nothing, and work starts when it comes."""
    q = made(client, name)

    @q.handler(name=name)
    def now() -> float:
        return time.monotonic()

    with worker(q, client.target):
        client.result(now.push(), timeout=30)
        delays = []
        for _ in range(9):
            pushed = time.monotonic()
            delays.append(client.result(now.push(), timeout=30) - pushed)
    # The figure belongs into a benchmark; a poll would show here as seconds.
    assert sorted(delays)[4] < 0.5


def test_an_idle_worker_uses_almost_no_processor_pt13(
    cluster: Cluster, client: Client, name: str, tmp_path: Path
) -> None:
    """PT13: idle CPU."""
    with Process(cluster.target, name, tmp_path) as process:
        eventually(lambda: "connected" in process.log.read_text())
        ticks = os.sysconf("SC_CLK_TCK")

        def used() -> float:
            fields = Path(f"/proc/{process.process.pid}/stat").read_text().split()
            return (int(fields[13]) + int(fields[14])) / ticks

        job_id = client.submit(Job({"a": "sleep 3"}))
        before = used()
        client.wait(job_id, timeout=30)
        assert used() - before < 0.15


def test_a_worker_that_is_terminated_finishes_what_runs_and_exits_with_0(
    cluster: Cluster, client: Client, name: str, tmp_path: Path
) -> None:
    marks = tmp_path / "marks"
    with Process(cluster.target, name, tmp_path, "--concurrency", "1") as process:
        handler = f"{name}hold"
        ids = [
            client.submit(Job([Task(name="t", handler=handler, arguments=[str(marks), 1.0])]))
            for _ in range(2)
        ]
        eventually(marks.exists)
        assert process.terminate() == 0
        states = [client.get(i).tasks["t"].state for i in ids]
        assert sorted(states) == [TaskState.READY, TaskState.SUCCEEDED]


def test_what_runs_too_long_at_the_end_is_given_back_uncounted(
    cluster: Cluster, client: Client, name: str, tmp_path: Path
) -> None:
    marks = tmp_path / "marks"
    with Process(cluster.target, name, tmp_path, "--drain", "0.2") as process:
        task = Task(name="t", handler=f"{name}ahold", arguments=[str(marks), 3600])
        job_id = client.submit(Job([task]))
        eventually(marks.exists)
        assert process.terminate() == 0
        given_back = client.get(job_id).tasks["t"]
        assert (given_back.state, given_back.attempts) == (TaskState.READY, 0)
    client.cancel(job_id)


def test_tasks_of_a_killed_worker_run_elsewhere(
    cluster: Cluster, client: Client, name: str, tmp_path: Path
) -> None:
    marks = tmp_path / "marks"
    with Process(cluster.target, name, tmp_path) as first:
        task = Task(name="t", handler=f"{name}hold", arguments=[str(marks), 3.0])
        job_id = client.submit(Job([task]))
        eventually(marks.exists)
        first.process.kill()
        with Process(cluster.target, name, tmp_path):
            job = client.wait(job_id, timeout=60)
    assert (job.state, job.tasks["t"].crashes) == (JobState.SUCCEEDED, 1)
    assert len(set(marks.read_text().split())) == 2


def test_a_worker_survives_coordinators_and_runs_nothing_twice(
    coordinator: Coordinator, name: str
) -> None:
    with Client(coordinator.target) as client:
        q = made(client, name)
        runs: list[int] = []
        go_on = threading.Event()

        @q.handler(name=name)
        def wait(n: int) -> int:
            runs.append(n)
            go_on.wait(60)
            return n

        with worker(q, coordinator.target, concurrency=5):
            ids = client.submit_many(wait.job(n) for n in range(5))
            eventually(lambda: len(runs) == 5)
            coordinator.kill()
            go_on.set()  # They end while nobody is there to hear it.
            coordinator.start()
            assert [client.result(i, timeout=60) for i in ids] == list(range(5))
            assert sorted(runs) == list(range(5))
            assert client.result(wait.push(7), timeout=60) == 7
        jobs = [client.get(i) for i in ids]
        assert {job.tasks[name].crashes for job in jobs} == {0}


def test_output_is_whole_though_its_coordinator_died(coordinator: Coordinator, name: str) -> None:
    with Client(coordinator.target) as client:
        q = made(client, name)
        is_back = threading.Event()

        @q.handler(name=name)
        def talk() -> None:
            for n in range(50):
                postq.current().log(f"before {n}")
            is_back.wait(60)
            for n in range(50):
                postq.current().log(f"after {n}")

        with worker(q, coordinator.target):
            job_id = talk.push()
            eventually(lambda: list(client.logs(job_id)))
            coordinator.kill()
            coordinator.start()
            is_back.set()
            client.wait(job_id, timeout=60)
            text = "".join(c.text for c in client.logs(job_id, follow=True))
    lines = [f"before {n}" for n in range(50)] + [f"after {n}" for n in range(50)]
    assert text.splitlines() == lines


def test_the_place_of_a_handler_that_did_not_stop_is_not_given_away(
    client: Client, name: str
) -> None:
    q = made(client, name)
    go_on = threading.Event()

    @q.handler(name=f"{name}.deaf", timeout=0.2, grace=0.2)
    def deaf() -> None:
        go_on.wait(60)

    @q.handler(name=f"{name}.next")
    def following() -> str:
        return "ran"

    with worker(q, client.target, concurrency=1) as running:
        client.wait(deaf.push(), timeout=30)
        eventually(lambda: running.slots == 0)
        job_id = following.push()
        with pytest.raises(TimeoutError):
            client.wait(job_id, timeout=1)
        assert client.get(job_id).tasks[f"{name}.next"].state is TaskState.READY
        go_on.set()
        assert client.result(job_id, timeout=30) == "ran"


def test_each_attempt_is_logged_with_its_data_dq28_dq29_dq34(
    client: Client, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """DQ28, DQ29, DQ34: a line for each start and end with ids, result and seconds; failures are
    errors; as JSON where that is asked for."""
    q = made(client, name)

    @q.handler(name=f"{name}.ok")
    def ok() -> list[int]:
        return [1, 2]

    @q.handler(name=f"{name}.bad")
    def bad() -> None:
        raise ValueError("bad luck")

    with caplog.at_level(logging.INFO, "postq.task"), worker(q, client.target):
        done, failed = ok.push(), bad.push()
        client.wait(done, timeout=30)
        client.wait(failed, timeout=30)
    from postq.journal import JsonFormatter

    lines = [json.loads(JsonFormatter().format(r)) for r in caplog.records]
    of_done = [line for line in lines if line.get("job") == done]
    assert [line["level"] for line in of_done] == ["info", "info"]
    assert (of_done[1]["result"], of_done[1]["outcome"]) == ([1, 2], "succeeded")
    assert of_done[1]["seconds"] >= 0
    of_failed = [line for line in lines if line.get("job") == failed]
    assert [line["level"] for line in of_failed] == ["info", "error"]
    assert of_failed[1]["reason"] == "ValueError: bad luck"


def test_the_command_names_what_is_missing(tmp_path: Path) -> None:
    from postq.worker.command import main

    assert main(["tests.nowhere:queue"]) == 2
    assert main(["tests.app:add"]) == 2


def test_a_token_that_will_never_do_ends_the_worker(own_dsn: str, tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text("client c\n")
    coordinator = Coordinator(own_dsn, tmp_path, "--token-file", str(tokens))
    try:
        with Process(coordinator.target, "x", tmp_path) as process:
            assert process.process.wait(30) == 3
    finally:
        coordinator.kill()


def test_a_worker_takes_the_token_of_agents_and_needs_no_other(
    own_dsn: str, tmp_path: Path, name: str
) -> None:
    tokens, ours = tmp_path / "tokens", tmp_path / "ours"
    tokens.write_text("client c\nagent a\n")
    ours.write_text("agent a\n")
    coordinator = Coordinator(own_dsn, tmp_path, "--token-file", str(tokens))
    q = Queue(name)
    once = q.handler(name=name)(lambda: "done")
    try:
        with Client(coordinator.target, token="c") as client:
            for file in (tokens, ours):
                with worker(q, coordinator.target, token_file=file):
                    assert client.result(client.submit(once.job()), timeout=30) == "done"
        q.handler(name=f"{name}-again", every=60)(lambda: None)
        again = Worker(q, target=coordinator.target, token_file=ours)
        with pytest.raises(ValueError, match="no token for clients"):
            asyncio.run(again.run())
    finally:
        coordinator.kill()


def test_retries_wait_as_a_formula_says_for_the_exceptions_named_dq22(
    client: Client, name: str
) -> None:
    """DQ22: 2^(n+6) seconds, give or take 15; configurable; other exceptions are final."""
    q = made(client, name)

    def pause(attempt: int) -> float:
        return 2 ** (attempt + 6) + random.uniform(-15, 15)

    @q.handler(name=name, max_attempts=5, retry_on=(ConnectionError,), pause=pause)
    def fetch(kind: str) -> None:
        raise ConnectionError if kind == "net" else KeyError(kind)

    with worker(q, client.target):
        job_id, other = fetch.push("net"), fetch.push("other")
        assert client.wait(other, timeout=30).tasks[name].attempts == 1

        def waiting() -> postq.TaskStatus | None:
            task = client.get(job_id).tasks[name]
            return task if task.state is TaskState.SCHEDULED else None

        task = eventually(waiting)
    assert task is not None
    assert task.run_at is not None
    assert task.attempt is not None
    assert task.attempt.finished_at is not None
    pause_was = (task.run_at - task.attempt.finished_at).total_seconds()
    assert 128 - 16 <= pause_was <= 128 + 16
    client.cancel(job_id)


def test_a_pause_beyond_all_reason_is_refused_where_it_is_raised() -> None:
    with pytest.raises(ValueError, match="3660 days"):
        postq.Retry(after=1.7e12)
    with pytest.raises(ValueError, match="3660 days"):
        postq.Retry(after=timedelta(days=3661))


def test_what_no_report_can_hold_is_replaced_in_what_a_failure_tells() -> None:
    try:
        raise FileNotFoundError("caf\udce9\0")  # As names of files are that are not UTF-8.
    except FileNotFoundError as error:
        verdict = failure(error)
    assert verdict.reason == "FileNotFoundError: caf?\N{REPLACEMENT CHARACTER}"
    assert "\udce9" not in verdict.errors
