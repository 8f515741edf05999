"""Jobs as they are written become one document."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from postq import Job, RetryPolicy, Task, new_id
from postq.values import dumps, duration, plain, revive, shape


def test_tasks_depend_by_name_or_as_objects_which_then_belong_to_the_job() -> None:
    fetch = Task("fetch", name="fetch")
    count = Task("wc", name="count", depends=[fetch])
    document = Job([Task("report", name="report", depends=[count, "fetch"])]).to_document()
    assert document["tasks"]["report"]["depends"] == ["count", "fetch"]
    assert document["tasks"]["count"] == {"command": "wc", "depends": ["fetch"]}
    assert set(document["tasks"]) == {"fetch", "count", "report"}


def test_a_task_in_a_mapping_is_named_by_its_key() -> None:
    a = Task("one")
    document = Job({"a": a, "b": Task("two", depends=[a]), "c": "three"}).to_document()
    assert document["tasks"]["b"]["depends"] == ["a"]
    assert document["tasks"]["c"] == {"command": "three"}


def test_every_field_is_written_as_documents_have_it() -> None:
    task = Task(
        "run",
        name="a",
        image="debian",
        env={"K": "v"},
        timeout=timedelta(seconds=90),
        grace=2.5,
        retry=RetryPolicy(4, backoff="1s", max_backoff=60),
        run_if="FINISHED",
        workspace="NONE",
    )
    job = Job([task], name="n", queue="q", priority=3, attributes={"x": [1, None]}, env={"A": "b"})
    assert job.to_document() == {
        "name": "n",
        "queue": "q",
        "priority": 3,
        "attributes": {"x": [1, None]},
        "env": {"A": "b"},
        "tasks": {
            "a": {
                "command": "run",
                "image": "debian",
                "env": {"K": "v"},
                "timeout": "90s",
                "grace": "2.5s",
                "retry": {"max_attempts": 4, "backoff": "1s", "max_backoff": "60s"},
                "run_if": "FINISHED",
                "workspace": "NONE",
            }
        },
    }


def test_when_a_job_runs_is_written_as_documents_have_it() -> None:
    job = Job(
        {
            "a": Task(
                "x",
                priority=2,
                delivery="AT_MOST_ONCE",
                crash_limit=1,
                concurrency={"key": "k", "limit": 1},
                retry=RetryPolicy(3, factor=1.5, jitter=0.0, delays=[1, "5s"], exit_codes=[75]),
            )
        },
        run_at=datetime(2030, 1, 1, 12, tzinfo=timezone(timedelta(hours=2))),
        expires_after=60,
        timeout="1h",
        unique="once",
        after=["id"],
        notify=True,
    )
    assert job.to_document() == {
        "tasks": {
            "a": {
                "command": "x",
                "priority": 2,
                "delivery": "AT_MOST_ONCE",
                "crash_limit": 1,
                "concurrency": {"key": "k", "limit": 1},
                "retry": {
                    "max_attempts": 3,
                    "factor": 1.5,
                    "jitter": 0.0,
                    "delays": ["1s", "5s"],
                    "exit_codes": [75],
                },
            }
        },
        "run_at": "2030-01-01T10:00:00Z",
        "expires_after": "60s",
        "timeout": "1h",
        "unique": {"key": "once"},
        "after": {"jobs": ["id"]},
        "notify": True,
    }
    with pytest.raises(ValueError, match="time zone"):
        Job({"a": "x"}, run_at=datetime(2030, 1, 1)).to_document()  # noqa: DTZ001


def test_what_is_kept_of_files_is_written_as_documents_have_it() -> None:
    job = Job(
        {"a": Task("make", outputs=["/dist/"], ignore=("*.o",))},
        keep_workspace="ALWAYS",
        artifacts=["*.html"],
        ignore=["target/"],
    )
    assert job.to_document() == {
        "keep_workspace": "ALWAYS",
        "artifacts": ["*.html"],
        "ignore": ["target/"],
        "tasks": {"a": {"command": "make", "outputs": ["/dist/"], "ignore": ["*.o"]}},
    }


def test_two_tasks_of_one_name_and_nameless_ones_are_refused() -> None:
    with pytest.raises(ValueError, match="two tasks"):
        Job([Task("x", name="a"), Task("y", name="a")]).to_document()
    with pytest.raises(ValueError, match="needs a name"):
        Job([Task("x")]).to_document()
    with pytest.raises(TypeError, match=r"depends=\['a'\]"):
        Job([Task("x", name="b", depends="a")]).to_document()


def test_the_predecessors_form_is_understood_and_text_is_as_good_as_a_mapping() -> None:
    tasks = {"a": {"command": "echo Hey!", "params": {"image": "debian:bullseye-slim"}}}
    old = Job.from_dict({"qname": "playq", "tasks": tasks, "data": {"k": 1}})
    text = Job.from_dict({"qname": "playq", "tasks": dumps(tasks), "data": '{"k": 1}'})
    assert old.to_document() == text.to_document()
    assert old.to_document() == {
        "queue": "playq",
        "data": {"k": 1},
        "tasks": {"a": {"command": "echo Hey!", "image": "debian:bullseye-slim"}},
    }
    camel = Job.from_dict({"expiresAfter": "60s", "webhook": {"url": "https://a/b"}, "tasks": {}})
    assert camel.to_document() == {
        "expires_after": "60s",
        "webhook": {"url": "https://a/b"},
        "tasks": {},
    }
    with pytest.raises(ValueError, match="volume"):
        Job.from_dict({"tasks": {"a": {"params": {"volume": "x"}}}})
    with pytest.raises(ValueError, match="colour"):
        Job.from_dict({"colour": 1, "tasks": {}})


def test_yaml_is_read_from_text_and_from_a_file(tmp_path: Path) -> None:
    text = "name: n\ntasks:\n  a: {command: 'true'}\n  b: {depends: [a], command: 'false'}\n"
    path = tmp_path / "job.yaml"
    path.write_text(text)
    assert Job.from_yaml(text).to_document() == Job.from_yaml(path).to_document()


@pytest.mark.parametrize(
    ("given", "written"),
    [(1, "1s"), (0.1, "0.1s"), (timedelta(minutes=2), "120s"), ("90s", "90s"), (1e-6, "0.000001s")],
)
def test_durations_are_written_in_seconds(given: float, written: str) -> None:
    assert duration(given) == written


@dataclass
class Point:
    x: int
    y: int


@dataclass
class Line:
    start: Point
    name: str


def test_bytes_and_dataclasses_survive_json() -> None:
    value = {"raw": bytes(range(256)), "line": Line(Point(1, 2), "l")}
    back = revive(plain(value))
    assert back["raw"] == bytes(range(256))
    assert shape(back["line"], Line) == Line(Point(1, 2), "l")


def test_what_json_cannot_hold_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="object"):
        plain([object()])
    with pytest.raises(ValueError, match="Out of range"):
        plain(float("nan"))


def test_new_ids_are_uuids_of_version_7_in_order_of_time() -> None:
    ids = [uuid.UUID(new_id()) for _ in range(100)]
    assert {i.version for i in ids} == {7}
    assert {i.variant for i in ids} == {uuid.RFC_4122}
    assert [i.int >> 80 for i in ids] == sorted(i.int >> 80 for i in ids)
