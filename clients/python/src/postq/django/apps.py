"""The app: finds handlers when Django starts, and keeps the schema with `manage.py migrate`."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate

from .conf import setting


class PostqConfig(AppConfig):
    """Put `postq.django` into INSTALLED_APPS."""

    name = "postq.django"
    label = "postq"
    verbose_name = "PostQ"

    def ready(self) -> None:
        """Django has loaded the models."""
        from .queues import discover

        discover()
        post_migrate.connect(_bring_schema, sender=self)


def _bring_schema(using: str, **_: Any) -> None:
    from django.db import connections

    from ..sql.migrate import migrate_on

    if setting("MIGRATE") and using == setting("DATABASE"):
        import psycopg

        parameters = connections[using].get_connection_params()
        names = ("dbname", "user", "password", "host", "port", "service", "passfile")
        reach = {key: parameters[key] for key in names if parameters.get(key)}
        with psycopg.connect(autocommit=True, **reach) as connection:
            migrate_on(connection)
