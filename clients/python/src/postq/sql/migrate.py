"""Brings a database to the schema in this package: what `postq migrate` does, in Python.

`postq-migrate DSN`. Safe when several start at once, also beside coordinators: the same lock, the
same records.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import sys
import time
from pathlib import Path

import psycopg

_LOCK = 0x706F_7374_7101
_HERE = Path(__file__).resolve()


def directory() -> Path:
    """The SQL: in the package or, where that is a source tree, beside it."""
    inside = _HERE.parent / "migrations"
    return inside if inside.is_dir() else _HERE.parents[5] / "migrations"


def migrate(dsn: str) -> int:
    """Applies what is missing; twice is as good as once. How many migrations were applied."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        return migrate_on(connection)


def migrate_on(connection: psycopg.Connection) -> int:
    """The same on a connection in autocommit, which keeps the lock until it is closed."""
    connection.execute("select pg_advisory_lock(%s)", [_LOCK])
    applied = _apply_numbered(connection)
    _replace_functions(connection)
    return applied


def _apply_numbered(connection: psycopg.Connection) -> int:
    connection.execute("create schema if not exists postq")
    connection.execute(
        "create table if not exists postq.migration (version bigint primary key,"
        " description text not null, installed_on timestamptz not null default now(),"
        " success boolean not null, checksum bytea not null, execution_time bigint not null)"
    )
    rows = connection.execute("select version, checksum from postq.migration where success")
    known = {int(version): bytes(checksum) for version, checksum in rows.fetchall()}
    applied = 0
    for path in sorted(directory().glob("[0-9]*_*.sql")):
        number, _, name = path.stem.partition("_")
        sql = path.read_bytes()
        checksum = hashlib.sha384(sql).digest()
        if int(number) in known:
            if known[int(number)] != checksum:
                raise RuntimeError(f"{path.name} differs from what was applied")
            continue
        began = time.monotonic_ns()
        with connection.transaction():
            connection.execute(sql)
            connection.execute(
                "insert into postq.migration (version, description, success, checksum,"
                " execution_time) values (%s, %s, true, %s, %s)",
                [int(number), name, checksum, time.monotonic_ns() - began],
            )
        applied += 1
    return applied


def _replace_functions(connection: psycopg.Connection) -> None:
    manifest = (directory() / "MANIFEST").read_text()
    found = re.search(r"^functions (\d+) (\w+)$", manifest, re.MULTILINE)
    if found is None:
        raise RuntimeError("the manifest does not name the functions' revision")
    ours, digest = int(found[1]), found[2]
    row = connection.execute(
        "select r.value::bigint, d.value from postq.fact r"
        " left join postq.fact d on d.key = 'functions_digest' where r.key = 'functions_revision'"
    ).fetchone()
    # Between two releases functions change under one number.
    if row is not None and (row[0] > ours or tuple(row) == (ours, digest)):
        return
    with connection.transaction():
        connection.execute("set local check_function_bodies = off")
        for path in sorted((directory() / "functions").glob("*.sql")):
            connection.execute(path.read_bytes())
        connection.execute(
            "insert into postq.fact (key, value)"
            " values ('functions_revision', %s), ('functions_digest', %s)"
            " on conflict (key) do update set value = excluded.value",
            [str(ours), digest],
        )
        connection.execute("select postq.grant_roles()")


def main(arguments: list[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser("postq-migrate", description=__doc__)
    parser.add_argument("dsn", help="postgres://user@host/database")
    given = parser.parse_args(arguments)
    try:
        applied = migrate(given.dsn)
    except (psycopg.Error, RuntimeError) as error:
        print(f"postq-migrate: {error}", file=sys.stderr)
        return 1
    print(f"{applied} migrations applied")
    return 0


if __name__ == "__main__":
    sys.exit(main())
