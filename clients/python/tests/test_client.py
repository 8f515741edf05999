"""Submitting, watching and reading jobs, by the synchronous and the asynchronous client."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import psycopg
import pytest

from postq import (
    AlreadyExists,
    AsyncClient,
    Client,
    DeadlineExceeded,
    InvalidArgument,
    Job,
    JobFailed,
    JobState,
    JobUpdate,
    NotFound,
    PermissionDenied,
    Stream,
    Task,
    TaskState,
    Unauthenticated,
    Unavailable,
    _link,
    new_id,
)

from .cluster import Cluster, Coordinator, eventually, free_port, is_alive


def test_a_job_entry_has_the_tasks_outputs_after_its_end_pq30(client: Client) -> None:
    """PQ30: submit, wait, get: the results are there."""
    job_id = client.submit(Job({"a": Task("echo Hey!"), "b": Task("echo oh >&2; exit 3")}))
    job = client.wait(job_id, timeout=30)
    assert job.state is JobState.FAILED
    assert job.tasks["a"].results == "Hey!\n"
    assert job.tasks["b"].errors == "oh\n"
    assert job.tasks["b"].attempt is not None
    assert job.tasks["b"].attempt.exit_code == 3
    assert client.get(job_id) == job


def test_a_graph_runs_in_the_order_of_its_edges(client: Client) -> None:
    a = Task("echo a > a", name="a")
    b = Task("cat a > b", name="b", depends=[a])
    c = Task("cat a > c", name="c", depends=[a])
    job_id = client.submit(Job([Task("cat b c", name="d", depends=[b, c])]))
    job = client.wait(job_id, timeout=30)
    assert job.tasks["d"].results == "a\na\n"
    started = job.tasks["d"].started_at
    assert started is not None
    assert all(started >= (job.tasks[n].finished_at or started) for n in "abc")


def test_an_unknown_dependency_is_refused_with_its_place_pq2(
    client: Client, database: psycopg.Connection, name: str
) -> None:
    """PQ2: the task and what it names are told, and nothing is stored."""
    with pytest.raises(InvalidArgument) as refused:
        client.submit(Job({"a": Task(), "b": Task("x", depends=["zz"])}, queue=name))
    assert {v.field for v in refused.value.violations} >= {"job.tasks.b.depends[0]"} or any(
        "zz" in str(v) and "b" in v.field for v in refused.value.violations
    )
    assert len(refused.value.violations) >= 2, "the missing command is told as well"
    assert database.execute("select 1 from postq.jobs where queue = %s", [name]).fetchall() == []


def test_tasks_as_a_mapping_and_as_text_give_the_same_rows_pq35(
    client: Client, database: psycopg.Connection, name: str
) -> None:
    """PQ35: dict and JSON string."""
    tasks = '{"a": {"command": "true"}, "b": {"depends": ["a"], "command": "true"}}'
    as_text = {"queue": name, "tasks": tasks, "data": '{"k": [1]}'}
    as_mapping = {
        "queue": name,
        "tasks": {"a": {"command": "true"}, "b": {"depends": ["a"], "command": "true"}},
        "data": {"k": [1]},
    }
    ids = client.submit_many([Job.from_dict(as_text), as_mapping])
    rows = [
        database.execute(
            "select j.queue, s.spec, t.name, t.number, t.spec from postq.jobs j"
            " join postq.tasks t on t.job_id = j.id join postq.job_spec s on s.job = j.id"
            " where j.id = %s order by t.number",
            [job_id],
        ).fetchall()
        for job_id in ids
    ]
    assert rows[0] == rows[1]
    assert len(rows[0]) == 2
    assert rows[0][0][1]["data"] == {"k": [1]}


def test_a_submit_under_one_id_is_one_job(client: Client) -> None:
    job_id = new_id()
    first = Job({"a": "true"}, name="first")
    assert client.submit(first, id=job_id) == client.submit(first, id=job_id) == job_id
    with pytest.raises(AlreadyExists):
        client.submit(Job({"a": "true"}, name="second"), id=job_id)


def test_jobs_are_listed_by_queue_and_state_over_pages(client: Client, name: str) -> None:
    ids = client.submit_many(Job({"a": Task(handler=name)}, queue=name) for _ in range(12))
    client.cancel(ids[0], "not needed")
    queued = client.list(queue=name, states=[JobState.QUEUED])
    assert {job.id for job in queued} == set(ids[1:])
    assert len(client.list(queue=name, limit=5)) == 5
    [cancelled] = client.list(queue=name, states=["cancelled"])
    assert (cancelled.id, cancelled.state) == (ids[0], JobState.CANCELLED)


def test_an_unknown_job_is_not_found(client: Client) -> None:
    for call in (client.get, client.cancel, client.wait):
        with pytest.raises(NotFound):
            call(new_id())


def test_a_wait_that_takes_too_long_says_so(client: Client, name: str) -> None:
    job_id = client.submit(Job({"a": Task(handler=name)}))
    with pytest.raises(DeadlineExceeded, match="has not ended"):
        client.wait(job_id, timeout=0.2)
    with pytest.raises(TimeoutError):
        client.wait(job_id, timeout=0.2)
    client.cancel(job_id)


def test_the_result_of_a_job_that_failed_is_an_exception(client: Client) -> None:
    job_id = client.submit(Job({"a": "exit 7"}))
    with pytest.raises(JobFailed, match="7") as failed:
        client.result(job_id, timeout=30)
    assert failed.value.job_id == job_id


def test_watching_tells_each_change_until_the_end(client: Client) -> None:
    job_id = client.submit(Job({"a": "true", "b": Task("true", depends=["a"])}))
    updates = list(client.watch(job_id))
    assert updates[-1].job.state is JobState.SUCCEEDED
    last = {name: task.state for update in updates for name, task in update.tasks.items()}
    assert last == {"a": TaskState.SUCCEEDED, "b": TaskState.SUCCEEDED}
    revisions = [update.revision for update in updates]
    assert revisions == sorted(revisions)
    again = list(client.watch(job_id, after_revision=updates[-1].revision))
    assert [update.tasks for update in again] == [{}]


def test_watching_many_tells_those_that_are_chosen_until_all_have_ended(
    client: Client, name: str
) -> None:
    chosen = client.submit_many(
        Job({"a": command}, queue=name, attributes={"n": 1}) for command in ("sleep 1", "exit 1")
    )
    other = client.submit(Job({"a": "true"}, queue=name))
    last = {}
    for job in client.watch_many(filter="$.n == 1", queue=name, until_ended=True):
        last[job.id] = job.state
    assert last == {chosen[0]: JobState.SUCCEEDED, chosen[1]: JobState.FAILED}
    assert other in {job.id for job in client.list(queue=name)}


def test_leaving_a_watch_early_ends_it(client: Client, name: str) -> None:
    job_id = client.submit(Job({"a": Task(handler=name)}))
    for update in client.watch(job_id):
        assert update.job.id == job_id
        break
    client.cancel(job_id)


def test_logs_are_followed_to_the_end(client: Client) -> None:
    job_id = client.submit(
        Job({"a": "echo one; sleep 0.5; echo two >&2", "b": Task("echo three", depends=["a"])})
    )
    chunks = list(client.logs(job_id, follow=True))
    assert "".join(c.text for c in chunks if c.stream is Stream.STDOUT) == "one\nthree\n"
    assert "".join(c.text for c in chunks if c.stream is Stream.STDERR) == "two\n"
    assert "".join(c.text for c in client.logs(job_id, tasks=["b"])) == "three\n"
    assert "".join(c.text for c in client.logs(job_id, tasks=["a"], tail=1)) == "two\n"


def test_files_of_a_job_and_of_a_task_are_downloaded(client: Client, tmp_path: Path) -> None:
    job_id = client.submit(Job({"a": "echo 1 > x", "b": Task("echo 2 > y", depends=["a"])}))
    client.wait(job_id, timeout=30)
    client.download(job_id, tmp_path / "job")
    client.download(job_id, tmp_path / "task", task="a")
    assert (tmp_path / "job" / "y").read_text() == "2\n"
    assert [p.name for p in (tmp_path / "task").iterdir()] == ["x"]
    with pytest.raises(NotFound):
        client.download(new_id(), tmp_path / "none")


def test_large_jobs_are_read_as_a_whole(client: Client) -> None:
    many = {f"t{n:04}": Task("x" * 2000, depends=["t0000"] if n else []) for n in range(1500)}
    many["t0000"] = Task("exit 1")
    job_id = client.submit(Job(many))
    job = client.wait(job_id, timeout=60)
    assert len(job.tasks) == 1500
    assert {t.state for n, t in job.tasks.items() if n != "t0000"} == {TaskState.SKIPPED}


def test_no_coordinator_is_unavailable_soon() -> None:
    with Client(f"127.0.0.1:{free_port()}") as nowhere, pytest.raises(Unavailable):
        nowhere.submit(Job({"a": "true"}))


def test_an_address_may_be_a_url_but_not_of_tls() -> None:
    assert Client("http://example.org:7432/").target == "example.org:7432"
    with pytest.raises(ValueError, match="proxy"):
        Client("https://example.org:7432")


def test_tokens_open_the_door(own_dsn: str, tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text("# ours\nagent worker\nclient letmein\n")
    coordinator = Coordinator(own_dsn, tmp_path, "--token-file", str(tokens))
    try:
        with Client(coordinator.target) as nobody, pytest.raises(Unauthenticated):
            nobody.list()
        with Client(coordinator.target, token="worker") as agent, pytest.raises(PermissionDenied):
            agent.list()
        with Client(coordinator.target, token="letmein") as known:
            assert known.list() == []
        with Client(coordinator.target, token_file=tokens) as known:
            assert known.list() == []
    finally:
        coordinator.kill()


def test_a_stream_that_was_quiet_for_long_goes_on_when_its_connection_breaks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_link, "GIVE_UP_AFTER", 0.0)  # Any time at all is long.
    assert heard_of([["one", None], ["two"]]) == ["one", "two"]
    with pytest.raises(Unavailable):
        heard_of([["one", None], [None], ["two"]])
    monkeypatch.setattr(_link, "SURELY_THERE", -1.0)  # The second one was there, and said nothing.
    assert heard_of([["one", None], [None], ["two"]]) == ["one", "two"]


def heard_of(calls: list[list[str | None]]) -> list[str]:
    """What comes of streams that say these words, and break at None."""
    left = iter(calls)

    class Call:
        async def __aiter__(self) -> AsyncIterator[str]:
            for word in next(left):
                if word is None:
                    nothing = grpc.aio.Metadata()
                    raise grpc.aio.AioRpcError(grpc.StatusCode.UNAVAILABLE, nothing, nothing)
                yield word

        def cancel(self) -> None:
            """Nothing is open."""

    async def listen() -> list[str]:
        link = _link.Link("127.0.0.1:1", None, None, 1.0, ())
        return [word async for word in link.resumed(Call)]

    return asyncio.run(listen())


def test_a_download_that_is_cancelled_leaves_no_command_behind(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    command, told = tmp_path / "postq", tmp_path / "pid"
    command.write_text(f"#!/bin/sh\necho $$ > {told}\nexec sleep 1000\n")
    command.chmod(0o755)
    monkeypatch.setenv("POSTQ_COMMAND", str(command))

    def pid() -> int:
        return int(told.read_text() or 0) if told.exists() else 0

    async def cancelled() -> None:
        task = asyncio.ensure_future(AsyncClient("127.0.0.1:1").download("x", tmp_path / "to"))
        await asyncio.to_thread(eventually, pid)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.to_thread(eventually, lambda: not is_alive(pid()))

    asyncio.run(cancelled())


def test_a_submit_while_the_coordinator_is_away_is_one_job(
    coordinator: Coordinator, own_dsn: str, name: str
) -> None:
    with Client(coordinator.target) as client:
        client.list()
        coordinator.kill()
        later = threading.Timer(1.0, coordinator.start)
        later.start()
        job_id = client.submit(Job({"a": Task(handler=name)}))
        later.join()
        assert [job.id for job in client.list()] == [job_id]


def test_watch_goes_on_behind_what_it_had_when_the_coordinator_dies(
    coordinator: Coordinator, name: str
) -> None:
    with Client(coordinator.target) as client:
        job_id = client.submit(Job({"a": Task(handler=name)}))
        seen: list[JobUpdate] = []
        watching = threading.Thread(target=lambda: seen.extend(client.watch(job_id)))
        watching.start()
        eventually(lambda: seen)
        coordinator.kill()
        coordinator.start()
        client.cancel(job_id, "enough")
        watching.join(30)
        assert not watching.is_alive()
        assert seen[0].job.state is JobState.QUEUED
        assert seen[-1].job.state is JobState.CANCELLED
        # Each has something new: the job's revision, or tasks that changed after the job was read.
        pairs = itertools.pairwise(seen)
        assert all(new.revision > old.revision or new.tasks for old, new in pairs)


def test_one_client_serves_many_threads(client: Client) -> None:
    ids: list[str] = []
    threads = [
        threading.Thread(target=lambda: ids.append(client.submit(Job({"a": "true"}))))
        for _ in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(ids)) == 16
    assert {client.wait(i, timeout=30).state for i in ids} == {JobState.SUCCEEDED}


def test_the_asynchronous_client_does_the_same(cluster: Cluster) -> None:
    async def use() -> None:
        async with AsyncClient(cluster.target) as client:
            job_id = await client.submit(Job({"a": "echo Hey!"}))
            states = [update.job.state async for update in client.watch(job_id)]
            assert states[-1] is JobState.SUCCEEDED
            assert (await client.get(job_id)).tasks["a"].results == "Hey!\n"
            text = [chunk.text async for chunk in client.logs(job_id)]
            assert text == ["Hey!\n"]
            waits = [client.wait(job_id) for _ in range(20)]
            assert len(await asyncio.gather(*waits)) == 20

    asyncio.run(use())


def test_a_synchronous_client_beside_an_asynchronous_one_leaves_both_working(
    cluster: Cluster, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    async def use() -> float:
        async with AsyncClient(cluster.target) as other:
            began = time.monotonic()
            for _ in range(30):
                await asyncio.gather(other.list(limit=1), asyncio.to_thread(client.list, limit=1))
            return time.monotonic() - began

    assert asyncio.run(use()) < 30
    assert [r.getMessage() for r in caplog.records if r.name in ("asyncio", "grpc")] == []
