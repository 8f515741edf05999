"""JSON on the way to a handler and back, and durations as they are written in documents.

Bytes travel as ``{"$bytes": BASE64}``; dataclasses and pydantic models as the objects they hold.
Numbers are those of JSON: a whole float comes back as an int.
"""

from __future__ import annotations

import base64
import dataclasses
import json
import math
import typing
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from google.protobuf import duration_pb2 as protobuf
from google.protobuf.struct_pb2 import Struct, Value

Duration = timedelta | float | int | str
"""A length of time: a timedelta, seconds, or a document's own form such as ``"90s"``."""

Json = Any
"""None, bool, int, float, str, and lists and dicts of them."""

_BYTES = "$bytes"


def duration(value: Duration) -> str:
    """The proto3-JSON form, down to the microsecond."""
    if isinstance(value, str):
        return value
    seconds = value.total_seconds() if isinstance(value, timedelta) else float(value)
    if not math.isfinite(seconds):
        raise ValueError(f"{value} is not a length of time")
    text = f"{seconds:.6f}".rstrip("0").rstrip(".")
    return f"{text}s"


def to_duration(value: Duration | None) -> protobuf.Duration | None:
    """The message."""
    if value is None:
        return None
    made = protobuf.Duration()
    made.FromJsonString(duration(value))
    return made


def dumps(value: Json) -> str:
    """JSON text; TypeError for what JSON cannot hold."""
    return _encoder.encode(value)


def plain(value: Json) -> Json:
    """The same value made of nothing but what JSON has."""
    return json.loads(dumps(value))


def _plain(value: object) -> Json:
    if isinstance(value, bytes | bytearray | memoryview):
        return {_BYTES: base64.b64encode(value).decode("ascii")}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    dump = getattr(value, "model_dump", None)
    if callable(dump):
        return dump(mode="json")
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, UUID | Decimal):
        return str(value)
    raise TypeError(f"{type(value).__name__} cannot be written as JSON: {value!r}")


# One for all: making it takes longer than most values take.
_encoder = json.JSONEncoder(
    default=_plain, allow_nan=False, separators=(",", ":"), ensure_ascii=False
)


def revive(value: Json) -> Json:
    """What was given to `dumps`, with its bytes."""
    if isinstance(value, dict):
        if len(value) == 1 and isinstance(value.get(_BYTES), str):
            return base64.b64decode(value[_BYTES], validate=True)
        return {key: revive(item) for key, item in value.items()}
    if isinstance(value, list):
        return [revive(item) for item in value]
    return value


def from_value(value: Value) -> Json:
    """What a Value of protobuf holds. Its numbers are all floats; whole ones are ints here."""
    kind = value.WhichOneof("kind")
    if kind == "number_value":
        number = value.number_value
        return int(number) if number.is_integer() else number
    if kind == "string_value":
        return value.string_value
    if kind == "bool_value":
        return value.bool_value
    if kind == "struct_value":
        return from_struct(value.struct_value)
    if kind == "list_value":
        return [from_value(item) for item in value.list_value.values]
    return None


def from_struct(value: Struct) -> dict[str, Json]:
    """What a Struct of protobuf holds."""
    return {key: from_value(item) for key, item in value.fields.items()}


def takes_objects(wanted: object) -> bool:
    """Whether `shape` makes something of an object for this type."""
    is_model = callable(getattr(wanted, "model_validate", None))
    return isinstance(wanted, type) and (is_model or dataclasses.is_dataclass(wanted))


def shape(value: Json, wanted: Any) -> Json:
    """`value` as the dataclass or pydantic model that a parameter asks for; else as it is."""
    if not isinstance(value, dict) or not takes_objects(wanted):
        return value
    if callable(getattr(wanted, "model_validate", None)):
        return wanted.model_validate(value)
    hints = typing.get_type_hints(wanted)
    return wanted(**{key: shape(item, hints.get(key)) for key, item in value.items()})
