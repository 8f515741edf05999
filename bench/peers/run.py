"""How many jobs that do nothing one worker process gets through in a second, beside other queues.

One Postgres, one machine, in alternation: each round fills every queue and lets one worker process
empty it. Counted is from the first look at which some jobs have ended to the one at which all have,
as the database tells it, so that the start of a process is no part of it. JSON lines to standard
output, a table to standard error.

    run.py [--jobs N] [--rounds N] [--concurrency N ...] [CONTENDER ...]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
from contenders import CONTENDERS, Contender

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = Path(os.environ.get("POSTQ_PROGRAMS", ROOT / "target" / "release"))
PORT = 17632
LOOK_EVERY = 0.05
PATIENCE = 300.0


@contextmanager
def cluster() -> Iterator[str]:
    """A Postgres and a coordinator without agents, as `postq up` keeps them; the database's URL."""
    with tempfile.TemporaryDirectory(prefix="postq-bench-") as directory:
        os.chmod(directory, 0o755)
        log = Path(directory) / "up.log"
        command = [str(PROGRAMS / "postq"), "up", "--agents", "0", "--listen", f"127.0.0.1:{PORT}"]
        environment = {**os.environ, "POSTQ_STATE_DIR": str(Path(directory) / "state")}
        with log.open("wb") as output:
            process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
        try:
            yield database_url(process, log)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)


def database_url(process: subprocess.Popen[bytes], log: Path) -> str:
    until = time.monotonic() + 60
    while time.monotonic() < until and process.poll() is None:
        told = log.read_text()
        found = re.search(r"^database\s+(\S+)$", told, re.M)
        if found and re.search(r"^Submit with", told, re.M):
            return found[1]
        time.sleep(0.1)
    raise SystemExit(f"`postq up` does not come up: {log.read_text()}")


def database_of(name: str, url: str) -> str:
    """A database of its own on the same server; the coordinator's for its worker. Written so that
    all drivers find the socket."""
    parts = urlsplit(url)
    if name == "postq-grpc":
        name = parts.path.strip("/")
    else:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f'create database "{name}"')
    return f"{parts.scheme}://{parts.username}@/{name}?{parts.query}&port={parts.port}"


def measure(name: str, contender: Contender, jobs: int, concurrency: int) -> float:
    """Jobs in a second, of one round."""
    contender.fill(jobs)
    with psycopg.connect(contender.dsn, autocommit=True) as connection:
        connection.execute("vacuum analyze")
        command = [sys.executable, __file__, "--work", name, contender.dsn, str(concurrency)]
        worker = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            return pace(connection, contender.left, jobs)
        finally:
            worker.send_signal(signal.SIGTERM)
            try:
                worker.wait(30)
            except subprocess.TimeoutExpired:
                worker.kill()


def pace(connection: psycopg.Connection, left: str, jobs: int) -> float:
    begin: tuple[float, int] | None = None
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        row = connection.execute(left).fetchone()
        assert row is not None
        now = time.monotonic()
        if row[0] == 0 and begin is not None:
            return begin[1] / (now - begin[0])
        if row[0] < jobs and begin is None:
            begin = (now, row[0])
        time.sleep(LOOK_EVERY)
    raise SystemExit(f"not within {PATIENCE} s")


def bench(given: argparse.Namespace) -> None:
    names = given.contenders or list(CONTENDERS)
    found: dict[tuple[str, int], list[float]] = {}
    with cluster() as url:
        made = {
            name: CONTENDERS[name](database_of(name, url), f"127.0.0.1:{PORT}") for name in names
        }
        for contender in made.values():
            contender.prepare()
        for turn in range(given.rounds):
            for concurrency in given.concurrency:
                for name, contender in made.items():
                    rate = measure(name, contender, given.jobs, concurrency)
                    found.setdefault((name, concurrency), []).append(rate)
                    line = {"contender": name, "concurrency": concurrency, "round": turn + 1}
                    print(
                        json.dumps({**line, "jobs": given.jobs, "rate": round(rate, 1)}), flush=True
                    )
    table(found)


def table(found: dict[tuple[str, int], list[float]]) -> None:
    say = lambda text: print(text, file=sys.stderr)  # noqa: E731
    say("jobs per second of one worker process: median (least to most)")
    for (name, concurrency), rates in sorted(found.items(), key=lambda item: item[0][::-1]):
        middle = statistics.median(rates)
        spread = f"({min(rates):.0f} to {max(rates):.0f})"
        say(f"{concurrency:4} at a time  {name:14} {middle:8.0f}  {spread}")


def main() -> None:
    if sys.argv[1:2] == ["--work"]:
        name, dsn, concurrency = sys.argv[2:5]
        contender = CONTENDERS[name](dsn, f"127.0.0.1:{PORT}")
        asyncio.run(contender.work(int(concurrency)))
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("contenders", nargs="*", metavar="CONTENDER")
    parser.add_argument("--jobs", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--concurrency", type=int, nargs="+", default=[10, 100])
    given = parser.parse_args()
    unknown = set(given.contenders) - set(CONTENDERS)
    if unknown:
        parser.error(
            f"no contender {', '.join(sorted(unknown))}; there are: {', '.join(CONTENDERS)}"
        )
    bench(given)


if __name__ == "__main__":
    main()
