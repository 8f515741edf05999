"""What tests share: one cluster for all of them, and names of their own for each."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from postq import Client

from .cluster import POSTQ, Cluster, Coordinator


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    started = Cluster()
    try:
        yield started
    finally:
        started.stop()


@pytest.fixture(scope="session")
def client(cluster: Cluster) -> Iterator[Client]:
    os.environ["POSTQ_COMMAND"] = str(POSTQ)
    with Client(cluster.target) as client:
        yield client


@pytest.fixture
def dsn(cluster: Cluster) -> str:
    """The cluster's database."""
    return cluster.database_url


@pytest.fixture
def database(dsn: str) -> Iterator[psycopg.Connection]:
    """A connection that commits each statement."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        yield connection


@pytest.fixture
def name() -> str:
    """A name that no other test uses, for a queue or a handler."""
    return f"t-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def own_dsn(dsn: str, name: str) -> Iterator[str]:
    """A database of the test's own on the cluster's server, still empty."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(f'create database "{name}"')
    yield urlunsplit(urlsplit(dsn)._replace(path=f"/{name}"))
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(f'drop database "{name}" with (force)')


@pytest.fixture
def coordinator(own_dsn: str, tmp_path: Path) -> Iterator[Coordinator]:
    """A coordinator that the test may kill, on a database of its own."""
    started = Coordinator(own_dsn, tmp_path)
    try:
        yield started
    finally:
        started.kill()
