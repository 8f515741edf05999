"""Queues, schedules, dead letters, agents and retries by the client, over a real coordinator."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import psycopg
import pytest

import postq
from postq import AsyncClient, Client, Job, JobState, Queue, RetryPolicy, Task

from .cluster import eventually
from .workers import worker


def test_queues_are_declared_changed_paused_and_deleted(client: Client, name: str) -> None:
    queues = client.queues
    assert queues.create(name, max_running=2, retry=RetryPolicy(3, backoff=1), timeout=30)
    assert not queues.create(name, max_running=9)
    settings = queues.get(name).settings
    assert (settings.max_running, settings.timeout) == (2, timedelta(seconds=30))
    assert settings.retry is not None
    assert settings.retry.max_attempts == 3
    changed = queues.put(name, max_running=None, max_jobs=1, dead_letters=False).settings
    assert (changed.max_running, changed.max_jobs, changed.dead_letters) == (None, 1, False)
    assert changed.timeout == timedelta(seconds=30)
    assert queues.put(name).settings == changed, "naming nothing changes nothing"
    limited = queues.put(name, rate={"limit": 9, "period": "60s"}).settings
    assert limited.rate == {"limit": 9, "period": "60s"}
    assert queues.put(name, rate=None).settings == changed
    kept = queues.put(name, retention={"age": "604800s", "jobs": 9}, notify=True).settings
    assert (kept.retention, kept.notify) == ({"age": "604800s", "jobs": 9}, True)
    assert queues.pause(name).settings.paused
    job_id = client.submit(Job({"a": "true"}, queue=name))
    with pytest.raises(postq.ResourceExhausted):
        client.submit(Job({"a": "true"}, queue=name), wait=0.1)
    assert queues.get(name).stats.ready == 1
    assert name in [queue.name for queue in queues.list()]
    with pytest.raises(postq.FailedPrecondition):
        queues.delete(name)
    queues.resume(name)
    assert client.wait(job_id, timeout=30).state is JobState.SUCCEEDED
    assert queues.delete(name)
    assert not queues.delete(name)
    with pytest.raises(postq.NotFound):
        client.submit(Job({"a": "true"}, queue=f"{name}.no"), require_queue=True)
    with pytest.raises(postq.NotFound):
        queues.get(f"{name}.no")
    with pytest.raises(TypeError):
        queues.put(name, max_runing=1)
    with pytest.raises(postq.InvalidArgument):
        queues.put(name, max_running=-1)


def test_schedules_are_put_paused_triggered_and_deleted(client: Client, name: str) -> None:
    schedules = client.schedules
    job = Job({"a": Task("true")}, name=name, queue=name)
    put = schedules.put(name, job, cron="30 8 * * MON-FRI", time_zone="Asia/Tokyo", overlap="SKIP")
    assert (put.cron, put.time_zone, put.overlap, put.catch_up) == (
        *("30 8 * * MON-FRI", "Asia/Tokyo"),
        *("SKIP", "LAST"),
    )
    assert put.next_at is not None
    assert put.job["tasks"] == {"a": {"command": "true"}}
    job_id = schedules.trigger(name)
    assert client.wait(job_id, timeout=30).name == name
    assert schedules.pause(name).is_paused
    assert not schedules.resume(name).is_paused
    # The same name with another time is the same schedule.
    assert schedules.put(name, job, every=timedelta(hours=1)).every == timedelta(hours=1)
    assert name in [schedule.name for schedule in schedules.list()]
    schedules.delete(name)
    with pytest.raises(postq.NotFound):
        schedules.get(name)
    with pytest.raises(postq.InvalidArgument) as refused:
        schedules.put(name, {"tasks": {"a": {}}}, cron="never")
    assert refused.value.violations


def test_a_handler_is_scheduled_and_runs(client: Client, name: str) -> None:
    q = Queue(name, client=client)

    @q.handler(name=name)
    def tick(n: int) -> int:
        return n

    with worker(q, client.target):
        client.schedules.put(name, tick.job(7), every=1)
        found = eventually(lambda: client.list(queue=name, states=["succeeded"]))
        client.schedules.delete(name)
    assert client.get(found[0].id).result == 7


def test_dead_letters_are_listed_tried_again_and_purged(
    client: Client, database: psycopg.Connection[Any], name: str
) -> None:
    q = Queue(name, client=client, attributes={"team": "a"})

    @q.handler(name=name, max_attempts=2, backoff=0.01)
    def broken(n: int, what: str | None = None) -> int:
        if n < 0:
            raise ValueError(f"no such number {n}")
        return n

    with worker(q, client.target):
        jobs = [broken.push(n, what=None) for n in (-1, -2, -3)]
        for job_id in jobs:
            client.wait(job_id, timeout=30)
        letters = client.dead_letters.list(name)
        assert {letter.job_id for letter in letters} == set(jobs)
        letter = next(letter for letter in letters if letter.job_id == jobs[0])
        assert (letter.task, letter.handler, letter.attempts) == (name, name, 2)
        assert letter.arguments == {"args": [-1], "kwargs": {"what": None}}
        assert letter.attributes == {"team": "a"}
        assert [attempt.outcome for attempt in letter.history] == ["failed", "failed"]
        assert letter.reason == letter.history[-1].reason == "ValueError: no such number -1"
        assert len(client.dead_letters.list(name, limit=2)) == 2
        redriven = client.dead_letters.redrive([jobs[0]])
        assert list(redriven) == [jobs[0]]
        assert client.wait(redriven[jobs[0]], timeout=30).state is JobState.FAILED
        assert client.dead_letters.redrive([jobs[0]]) == {}
        chosen = client.dead_letters.redrive(queue=name, max_count=1, filter='$.team == "b"')
        assert chosen == {}
        assert len(client.dead_letters.redrive(queue=name, max_count=1, rate=5)) == 1
        eventually(lambda: len(client.dead_letters.list(name)) == 3)
        assert client.dead_letters.purge([jobs[0], redriven[jobs[0]]]) == 1
        assert client.dead_letters.purge(queue=name) == 2
    assert client.dead_letters.list(name) == []
    assert client.get(jobs[0]).state is JobState.FAILED
    retried = client.retry_many(queue=name, filter='$.team == "a"', rate=0.001)
    assert jobs[2] in retried or jobs[1] in retried
    assert jobs[0] not in retried, "it was redriven"
    assert client.get(list(retried.values())[-1]).state is JobState.SCHEDULED
    assert client.retry_many(queue=name) == {}
    client.cancel_many(queue=name)
    with pytest.raises(postq.InvalidArgument):
        client.dead_letters.purge()


def test_agents_are_listed_and_drained(client: Client, name: str) -> None:
    q = Queue(name, client=client)

    @q.handler(
        name=name, resources={"cpus": 0.5, "tapes": 1}, requires=[{"label": "zone", "exists": True}]
    )
    def run() -> str:
        return "ran"

    settings: dict[str, Any] = {"labels": {"zone": "a"}, "resources": {"cpus": 2, "tapes": 3}}
    with pytest.raises(postq.InvalidArgument):
        client.submit(run.using(requires=[{"label": "zone", "in": []}, {}]).job())
    with worker(q, client.target, name=name, concurrency=3, **settings):
        assert client.result(run.push(), timeout=30) == "ran"
        [found] = [agent for agent in client.agents.list() if agent.name == name]
        assert (found.handlers, found.slots, found.labels) == ((name,), 3, {"zone": "a"})
        assert found.resources == {"cpus": 2000, "tapes": 3}
        assert any("shell" in agent.executors for agent in client.agents.list())
        assert client.agents.drain(name, timeout=5).is_draining
    eventually(lambda: name not in [agent.name for agent in client.agents.list()])
    assert name in [agent.name for agent in client.agents.list(all=True)]


def test_a_job_is_retried_from_what_failed_or_is_named(client: Client, name: str) -> None:
    graph = Job([Task("echo one", name="first"), Task("false", name="second", depends=["first"])])
    job = client.wait(client.submit(graph), timeout=30)
    assert job.state is JobState.FAILED
    new_id = postq.new_id()
    assert client.retry(job.id, new_id=new_id) == new_id
    assert client.retry(job.id, new_id=new_id) == new_id
    again = client.wait(new_id, timeout=30)
    carried, first = again.tasks["first"], job.tasks["first"]
    assert (carried.started_at, carried.results) == (first.started_at, "one\n")
    assert again.tasks["second"].started_at != job.tasks["second"].started_at
    named = client.wait(client.retry(job.id, ["first"]), timeout=30)
    assert named.tasks["first"].started_at != first.started_at
    with pytest.raises(postq.NotFound):
        client.retry(postq.new_id())


def test_many_jobs_are_submitted_and_cancelled_all_or_none(client: Client, name: str) -> None:
    one = {"queue": name, "attributes": {"n": 1}, "tasks": {"a": {"handler": name}}}
    ids = client.submit_many([one] * 30 + [{**one, "attributes": {"n": 2}}])
    assert len(set(ids)) == 31
    with pytest.raises(postq.InvalidArgument) as refused:
        client.submit_many([one, {"queue": name, "tasks": {"a": {}}}])
    assert [v.field for v in refused.value.violations] == ["jobs[1].tasks.a.command"]
    assert len(client.list(queue=name)) == 31
    assert [job.id for job in client.list(queue=name, filter="$.n == 2")] == ids[-1:]
    assert client.cancel_many(queue=name, filter="$.n == 2", reason="enough") == 1
    assert client.cancel_many(ids[:2]) == 2
    assert client.cancel_many(queue=name) == 28


def test_all_of_it_is_there_for_asyncio(client: Client, name: str) -> None:
    async def look() -> tuple[int, int, int, int]:
        async with AsyncClient(client.target) as aclient:
            await aclient.queues.create(name)
            return (
                len(await aclient.queues.list()),
                len(await aclient.schedules.list()),
                len(await aclient.dead_letters.list(name)),
                len(await aclient.agents.list()),
            )

    queues, _, letters, agents = asyncio.run(look())
    assert queues >= 1
    assert letters == 0
    assert agents >= 1
