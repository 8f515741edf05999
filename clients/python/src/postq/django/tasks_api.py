"""Django's own interface for tasks: `django.tasks` since 6.0, the package django-tasks before."""

from __future__ import annotations

import importlib
from typing import Any


def _package() -> str:
    for name in ("django.tasks", "django_tasks"):
        try:
            importlib.import_module(name)
        except ImportError:
            continue
        return name
    return ""


_PACKAGE = _package()
HAS_TASKS = bool(_PACKAGE)


def _part(name: str) -> Any:
    return importlib.import_module(f"{_PACKAGE}.{name}") if HAS_TASKS else None


base = _part("base")
backends = _part("backends.base")
exceptions = _part("exceptions")
signals = _part("signals")
