"""Functions that are handlers, without anything running them."""

from __future__ import annotations

import time
from dataclasses import dataclass

import psycopg
import pytest
from pydantic import BaseModel

import postq
from postq import AlreadyExists, Client, Queue


def test_a_queue_is_opened_in_one_line_any_number_of_times_pt1(client: Client, name: str) -> None:
    """PT1: nothing is created, so nothing is in the way."""
    first, second = Queue(name, client=client), Queue(name, client=client)
    assert first.name == second.name == name
    assert Queue().name == Queue("").name == "default"


def test_a_handler_is_called_as_before_pt2(
    client: Client, database: psycopg.Connection, name: str
) -> None:
    """PT2: directly, bypassing the queue; exceptions come out; no rows."""
    q = Queue(name, client=client)

    @q.handler()
    def add_numbers(a: int, b: int) -> int:
        """Adds."""
        return a + b

    @q.handler
    def broken() -> None:
        raise KeyError("x")

    assert add_numbers(2, 3) == 5
    assert add_numbers.__doc__ == "Adds."
    with pytest.raises(KeyError):
        broken()
    with pytest.raises(LookupError):
        postq.current()
    assert database.execute("select from postq.jobs where queue = %s", [name]).fetchall() == []


def test_push_stores_the_call_and_returns_at_once_pt3_pt5(
    client: Client, database: psycopg.Connection, name: str
) -> None:
    """PT3, PT5: a row with name, args and kwargs; the name is the function's or another."""
    q = Queue(name, client=client)

    @q.handler()
    def add_numbers(a: int, b: int = 0) -> int:
        return a + b

    @q.handler(name="sum_task")
    def other(a: int) -> int:
        return a

    client.list(limit=1)
    began = time.monotonic()
    add_numbers.push(2, b=3)
    took = time.monotonic() - began
    other.push(1)
    rows = database.execute(
        "select t.spec ->> 'handler', t.spec -> 'arguments' from postq.tasks t"
        " join postq.jobs j on j.id = t.job_id where j.queue = %s order by j.created_at",
        [name],
    ).fetchall()
    assert rows == [
        ("add_numbers", {"args": [2], "kwargs": {"b": 3}}),
        ("sum_task", {"args": [1]}),
    ]
    assert took < 1, "the figure itself belongs into a benchmark"


def test_arguments_that_json_cannot_hold_are_refused_pt4(
    client: Client, database: psycopg.Connection, name: str
) -> None:
    """PT4: TypeError, and nothing is queued."""
    q = Queue(name, client=client)

    @q.handler()
    def take(what: object) -> None: ...

    with pytest.raises(TypeError):
        take.push(object())
    assert database.execute("select from postq.jobs where queue = %s", [name]).fetchall() == []


def test_two_handlers_of_one_name_are_refused_pt6(client: Client) -> None:
    """PT6."""
    q = Queue("q", client=client)
    q.handler(name="x")(lambda: None)
    with pytest.raises(AlreadyExists, match="'x' already"):
        q.handler(name="x")(lambda: None)


def test_an_unknown_task_is_refused_when_it_is_enqueued_dq12(
    client: Client, database: psycopg.Connection, name: str
) -> None:
    """DQ12: an error, and nothing stored."""
    q = Queue(name, client=client)
    q.handler(name="known")(lambda: None)
    with pytest.raises(KeyError, match="known"):
        q.enqueue("unknown")
    assert database.execute("select from postq.jobs where queue = %s", [name]).fetchall() == []


def test_options_of_a_handler_go_over_those_of_its_queue(client: Client) -> None:
    q = Queue("q", client=client, max_attempts=5, timeout=60)

    @q.handler(timeout="5s")
    def f(n: int) -> int:
        return n

    job = f.using(priority=7, attributes={"k": 1}, name="other").job(1).to_document()
    assert job == {
        "name": "other",
        "queue": "q",
        "priority": 7,
        "attributes": {"k": 1},
        "tasks": {
            "other": {
                "handler": "f",
                "arguments": {"args": [1]},
                "timeout": "5s",
                "retry": {"max_attempts": 5},
            }
        },
    }


@dataclass
class Point:
    x: int
    y: int


class Model(BaseModel):
    name: str
    at: Point


def test_arguments_take_the_types_that_a_handler_asks_for(client: Client) -> None:
    q = Queue("q", client=client)

    @q.handler()
    def place(point: Point, model: Model, raw: bytes) -> None: ...

    model = Model(name="m", at=Point(3, 4))
    sent = place.arguments([Point(1, 2), model], {"raw": b"\x00\xff"})
    args, kwargs = place.bind(sent)
    assert args == [Point(1, 2), model, b"\x00\xff"]
    assert kwargs == {}


@pytest.mark.parametrize(
    ("given", "args", "kwargs"),
    [
        (None, [], {}),
        ([1, 2], [1, 2], {}),
        ("x", ["x"], {}),
        ({"a": 1}, [], {"a": 1}),
        ({"args": [1], "kwargs": {"b": 2}}, [1], {"b": 2}),
        ({"args": 1}, [], {"args": 1}),
    ],
)
def test_calls_that_were_written_by_hand_are_understood(
    client: Client, given: object, args: list[object], kwargs: dict[str, object]
) -> None:
    q = Queue("q", client=client)

    @q.handler()
    def anything(*a: object, **k: object) -> None: ...

    assert anything.bind(given) == (args, kwargs)


@pytest.mark.parametrize("body", [[1, 2], {"a": 1}, "x", 3, None])
def test_a_body_is_kept_as_it_is_pj20_dq11(client: Client, body: object) -> None:
    """PJ20, DQ11: a list stays a list, a scalar a scalar."""
    q = Queue("q", client=client)

    @q.handler(body=True)
    def take(what: object) -> None: ...

    assert take.bind(take.arguments([body], {})) == ([body], {})
