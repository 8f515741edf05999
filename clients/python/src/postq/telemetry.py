"""Hooks around what clients and workers do, and trace context where OpenTelemetry is installed.

An operation is named like the verb it does (`submit`, `get`, `consume`, `ack`, `handle`, ...) and
has attributes such as `queue`. A hook sees it begin and end; one for SQL also sees the statement
and its arguments on the connection it is about to run on, and may EXPLAIN it there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from .context import Context

try:
    from opentelemetry import propagate, trace
    from opentelemetry.trace import SpanKind
except ImportError:  # The extra `otel` is not installed.
    HAS_OPENTELEMETRY = False
else:
    HAS_OPENTELEMETRY = True

Attributes = Mapping[str, str | int | float | bool]


class Hook(Protocol):
    """Sees every operation: entered before, left after it, with its exception if it has one."""

    def operation(self, name: str, attributes: Attributes) -> AbstractContextManager[object]:
        """Called on the thread, or in the task, that does it."""


class QueryHook(Protocol):
    """Sees every statement of `postq.sql`."""

    def query(self, connection: Any, sql: str, arguments: Sequence[Any]) -> None:
        """Called before it runs, with the driver's own connection or cursor."""


class OpenTelemetryHook:
    """A span per operation, of the current span."""

    def operation(self, name: str, attributes: Attributes) -> AbstractContextManager[object]:
        """Begins the span."""
        if not HAS_OPENTELEMETRY:
            return nullcontext()
        return trace.get_tracer("postq").start_as_current_span(
            f"postq.{name}",
            kind=SpanKind.CLIENT,
            attributes={f"postq.{key}": value for key, value in attributes.items()},
        )


@contextmanager
def observed(
    hooks: Sequence[Hook], name: str, **attributes: str | int | float | bool
) -> Iterator[None]:
    """Runs what is inside under all hooks and, where it is installed, OpenTelemetry."""
    if not hooks and not HAS_OPENTELEMETRY:
        yield
        return
    with ExitStack() as stack:
        stack.enter_context(OpenTelemetryHook().operation(name, attributes))
        for hook in hooks:
            stack.enter_context(hook.operation(name, attributes))
        yield


def carrier() -> dict[str, str]:
    """Headers with the trace context of the current span; empty without one."""
    headers: dict[str, str] = {}
    if HAS_OPENTELEMETRY:
        propagate.inject(headers)
    return headers


def attempt(context: Context, handler: str) -> AbstractContextManager[object]:
    """A span for one attempt, whose parent is the one that came with it."""
    if not HAS_OPENTELEMETRY:
        return _NOTHING
    came = context.traceparent
    return trace.get_tracer("postq").start_as_current_span(
        f"postq.handle {handler}",
        context=propagate.extract({"traceparent": came}) if came else None,
        kind=SpanKind.CONSUMER,
        attributes={
            "postq.queue": context.queue,
            "postq.job": context.job_id,
            "postq.attempt": context.attempt,
        },
    )


_NOTHING = nullcontext()
