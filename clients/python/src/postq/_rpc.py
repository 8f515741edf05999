"""The way to a coordinator: address, credentials, retries, and statuses turned into exceptions.

It knows no service. No TLS: a proxy does that, as everywhere in PostQ.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from . import errors
from .errors import InvalidArgument, PostqError, Violation

DEFAULT_TARGET = "127.0.0.1:7432"
MESSAGE_LIMIT = 64 * 1024 * 1024
CALL_TIMEOUT = 30.0
"""Seconds for one call, its retries included."""

# A call that no coordinator has answered is sent again by gRPC itself. A submit may be, because the
# client mints the id.
_RETRY = {
    "maxAttempts": 5,
    "initialBackoff": "0.2s",
    "maxBackoff": "3s",
    "backoffMultiplier": 2,
    "retryableStatusCodes": ["UNAVAILABLE"],
}
_SERVICES = (
    "JobService",
    "QueueService",
    "ScheduleService",
    "DeadLetterService",
    "AgentService",
    "WorkspaceService",
)
_NOT_REPEATED = (
    ("ScheduleService", "TriggerSchedule"),
    ("DeadLetterService", "RedriveDeadLetters"),
)
_SERVICE_CONFIG = {
    "methodConfig": [
        {"name": [{"service": f"postq.v1.{name}"} for name in _SERVICES], "retryPolicy": _RETRY},
        # Each call of these does something more.
        {"name": [{"service": f"postq.v1.{of}", "method": name} for of, name in _NOT_REPEATED]},
    ]
}
_OPTIONS: list[tuple[str, Any]] = [
    ("grpc.max_send_message_length", MESSAGE_LIMIT),
    ("grpc.max_receive_message_length", MESSAGE_LIMIT),
    ("grpc.service_config", json.dumps(_SERVICE_CONFIG)),
    ("grpc.enable_retries", 1),
    # A connection that says nothing is broken, as for every other part of PostQ.
    ("grpc.keepalive_time_ms", 2_000),
    ("grpc.keepalive_timeout_ms", 4_000),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    # Each client has connections of its own: one that is chatty does not hold up another.
    ("grpc.use_local_subchannel_pool", 1),
]

Metadata = tuple[tuple[str, str], ...]


def address(target: str | None) -> str:
    """`HOST:PORT` from that or from `http://HOST:PORT`; `POSTQ_COORDINATOR` where it is None."""
    text = (target or os.environ.get("POSTQ_COORDINATOR") or DEFAULT_TARGET).strip()
    scheme, separator, rest = text.partition("://")
    if separator and scheme != "http":
        raise ValueError(f"{text!r}: write HOST:PORT or http://HOST:PORT; TLS is for a proxy")
    return (rest if separator else text).rstrip("/")


def credentials(
    token: str | None, token_file: str | os.PathLike[str] | None, role: str = "client"
) -> Metadata:
    """The header of a token, of the first line of a file that is for the role (or for all), or of
    `POSTQ_TOKEN`; perhaps none."""
    if token is not None and token_file is not None:
        raise ValueError("give a token or a token_file, not both")
    if token_file is not None:
        lines = Path(token_file).read_text(encoding="ascii").splitlines()
        split = [line.split() for line in lines if not line.lstrip().startswith("#")]
        tokens = [words[-1] for words in split if words[:-1] in ([], [role]) and words]
        if not tokens:
            raise ValueError(f"there is no token for {role}s in {os.fspath(token_file)}")
        token = tokens[0]
    text = (token if token is not None else os.environ.get("POSTQ_TOKEN", "")).strip()
    return (("authorization", f"Bearer {text}"),) if text else ()


def channel(target: str) -> grpc.aio.Channel:
    """A channel that belongs to the running loop."""
    return grpc.aio.insecure_channel(target, options=_OPTIONS)


def pauses(longest: float = 3.0) -> Iterator[float]:
    """Growing pauses with jitter, in seconds, for ever."""
    pause = 0.1
    while True:
        yield pause * random.uniform(0.5, 1.0)
        pause = min(pause * 2, longest)


_EXCEPTIONS: dict[grpc.StatusCode, type[PostqError]] = {
    grpc.StatusCode.NOT_FOUND: errors.NotFound,
    grpc.StatusCode.ALREADY_EXISTS: errors.AlreadyExists,
    grpc.StatusCode.FAILED_PRECONDITION: errors.FailedPrecondition,
    grpc.StatusCode.UNAUTHENTICATED: errors.Unauthenticated,
    grpc.StatusCode.PERMISSION_DENIED: errors.PermissionDenied,
    grpc.StatusCode.RESOURCE_EXHAUSTED: errors.ResourceExhausted,
    grpc.StatusCode.UNAVAILABLE: errors.Unavailable,
    grpc.StatusCode.DEADLINE_EXCEEDED: errors.DeadlineExceeded,
}


def translate(error: grpc.aio.AioRpcError) -> PostqError:
    """The exception for a status."""
    message = error.details() or error.code().name
    if error.code() in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.OUT_OF_RANGE):
        return InvalidArgument(message, _violations(error))
    return _EXCEPTIONS.get(error.code(), errors.Internal)(message)


def _violations(error: grpc.aio.AioRpcError) -> tuple[Violation, ...]:
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin" and isinstance(value, bytes):
            return tuple(_read_details(value))
    return ()


def _read_details(data: bytes) -> Iterator[Violation]:
    for detail in _STATUS.FromString(data).details:
        if detail.type_url.endswith("/google.rpc.BadRequest"):
            for violation in _BAD_REQUEST.FromString(detail.value).field_violations:
                yield Violation(violation.field, violation.description)


def _details_messages() -> tuple[Any, Any]:
    """The two messages of google.rpc that are read here, without a dependency for them.

    They live in a pool of their own, so an application may load the real ones beside them.
    """
    file = descriptor_pb2.FileDescriptorProto(
        name="postq/details.proto", package="postq.details", syntax="proto3"
    )
    kinds = descriptor_pb2.FieldDescriptorProto

    def message(name: str, *fields: tuple[str, int, int, str]) -> None:
        described = file.message_type.add(name=name)
        for field, number, kind, of in fields:
            is_list = kind == kinds.TYPE_MESSAGE
            label = kinds.LABEL_REPEATED if is_list else kinds.LABEL_OPTIONAL
            described.field.add(
                name=field,
                number=number,
                type=kind,
                label=label,
                type_name=of or None,
            )

    text, nested = kinds.TYPE_STRING, kinds.TYPE_MESSAGE
    message("Any", ("type_url", 1, text, ""), ("value", 2, kinds.TYPE_BYTES, ""))
    message("Status", ("details", 3, nested, ".postq.details.Any"))
    message("Violation", ("field", 1, text, ""), ("description", 2, text, ""))
    message("BadRequest", ("field_violations", 1, nested, ".postq.details.Violation"))
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    of = message_factory.GetMessageClass
    return (
        of(pool.FindMessageTypeByName("postq.details.Status")),
        of(pool.FindMessageTypeByName("postq.details.BadRequest")),
    )


_STATUS, _BAD_REQUEST = _details_messages()
