"""The setting `POSTQ`, a dictionary, and what holds where it says nothing."""

from __future__ import annotations

from typing import Any

DEFAULTS: dict[str, Any] = {
    # The alias of the database that holds the queue.
    "DATABASE": "default",
    # Whether `manage.py migrate` brings the schema `postq`.
    "MIGRATE": True,
    # The modules of apps in which handlers are found.
    "MODULE": "tasks",
    # Run each job within enqueue, without storing it: for tests.
    "EAGER": False,
}


def setting(name: str) -> Any:
    """Its value."""
    from django.conf import settings

    said: dict[str, Any] = getattr(settings, "POSTQ", {})
    return said.get(name, DEFAULTS[name])
