"""A consumer on Django's connections; `exactly_once`: work and ack are in one `atomic`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connections, transaction
from psycopg.conninfo import make_conninfo

from ..sql import Consumer
from .conf import setting
from .queues import DjangoQueue


class DjangoConsumer(Consumer):
    """Runs the handlers of a queue; see `postq.sql.Consumer` for the settings."""

    def __init__(self, queue: DjangoQueue, **settings: Any) -> None:
        """The database is that of the setting `POSTQ`."""
        super().__init__(queue, dsn(), **settings)

    @contextmanager
    def _transaction(self) -> Iterator[Any]:
        alias = setting("DATABASE")
        with self.queue.around(), transaction.atomic(using=alias):
            yield connections[alias]


def dsn() -> str:
    """How libpq reaches the database of the queue."""
    parameters = connections[setting("DATABASE")].get_connection_params()
    names = ("dbname", "user", "password", "host", "port", "service", "passfile", "sslmode")
    return make_conninfo(**{key: parameters[key] for key in names if parameters.get(key)})
