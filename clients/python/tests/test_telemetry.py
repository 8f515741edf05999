"""Hooks and spans around what clients and workers do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from postq import Client, Job, NotFound, Queue, Task, new_id, sql
from postq.telemetry import Attributes

from .workers import worker


@pytest.fixture(scope="module")
def exporter() -> InMemorySpanExporter:
    made = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(made))
    trace.set_tracer_provider(provider)
    return made


@pytest.fixture
def spans(exporter: InMemorySpanExporter) -> InMemorySpanExporter:
    exporter.clear()
    return exporter


def named(spans: InMemorySpanExporter, name: str) -> list[ReadableSpan]:
    return [span for span in spans.get_finished_spans() if span.name == name]


def test_a_hook_sees_each_operation_begin_and_end_jq43(client: Client, name: str) -> None:
    """JQ43: with the queue's name, and with the exception where there is one."""
    seen: list[tuple[str, Attributes, str]] = []

    class Hook:
        @contextmanager
        def operation(self, operation: str, attributes: Attributes) -> Iterator[None]:
            try:
                yield
            except Exception as error:
                seen.append((operation, attributes, type(error).__name__))
                raise
            seen.append((operation, attributes, ""))

    with Client(client.target, hooks=[Hook()]) as observed:
        job_id = observed.submit(Job({"a": Task(handler=name)}, queue=name))
        observed.cancel(job_id)
        with pytest.raises(NotFound):
            observed.get(new_id())
    assert seen == [
        ("submit", {"queue": name}, ""),
        ("cancel", {}, ""),
        ("get", {}, "NotFound"),
    ]


def test_a_span_of_the_caller_is_the_ancestor_of_the_handlers_span_jq43(
    client: Client, name: str, spans: InMemorySpanExporter
) -> None:
    """JQ43: from the application through the queue to the handler, one trace."""
    q = Queue(name, client=client)

    @q.handler(name=name)
    def work() -> str:
        with trace.get_tracer("app").start_as_current_span("inside"):
            return format(trace.get_current_span().get_span_context().trace_id, "032x")

    with worker(q, client.target):
        with trace.get_tracer("app").start_as_current_span("caller") as caller:
            job_id = work.push()
        trace_id = format(caller.get_span_context().trace_id, "032x")
        assert client.result(job_id, timeout=30) == trace_id
    [submitted] = [s for s in named(spans, "postq.submit") if s.parent is not None]
    assert submitted.attributes is not None
    assert submitted.attributes["postq.queue"] == name
    [handled] = named(spans, f"postq.handle {name}")
    [inside] = named(spans, "inside")
    assert handled.attributes is not None
    assert handled.attributes["postq.job"] == job_id
    assert inside.parent is not None
    assert handled.context is not None
    assert inside.parent.span_id == handled.context.span_id


def test_sql_keeps_the_trace_too(
    client: Client, database: psycopg.Connection, name: str, spans: InMemorySpanExporter
) -> None:
    with trace.get_tracer("app").start_as_current_span("caller") as caller:
        job_id = sql.submit(database, Job({"a": Task(handler=name)}, queue=name))
    trace_id = format(caller.get_span_context().trace_id, "032x")
    assert trace_id in client.get(job_id).traceparent
    sql.consume(database, 1, name)
    [submitted] = named(spans, "postq.submit")
    [consumed] = named(spans, "postq.consume")
    for span in (submitted, consumed):
        assert span.attributes is not None
        assert span.attributes["postq.queue"] == name
    client.cancel(job_id)
