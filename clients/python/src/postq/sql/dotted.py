"""Calls the function that a task's name leads to: `package.module.function`, with no registry.

Whoever may publish then names what is run here, so this is for queues whose publishers are trusted.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from typing import Any

from ..values import Json
from .verbs import Delivery


async def call(delivery: Delivery) -> Json:
    """What the function of that name returns for the arguments; an async one is awaited."""
    returned = resolve(delivery.task)(*delivery.args, **delivery.kwargs)
    return await returned if inspect.isawaitable(returned) else returned


def resolve(name: str) -> Callable[..., Any]:
    """The function, or an attribute of a class; LookupError where there is none."""
    parts = name.split(".")
    for end in range(len(parts) - 1, 0, -1):
        module = ".".join(parts[:end])
        try:
            found: Any = importlib.import_module(module)
        except ModuleNotFoundError as error:
            if error.name is not None and not module.startswith(error.name):
                raise  # The module is there; what it imports is not.
            continue
        for part in parts[end:]:
            found = getattr(found, part, None)
        if callable(found):
            function: Callable[..., Any] = found
            return function
        break
    raise LookupError(f"{name!r} names no function that can be imported here")
