"""Real programs for tests: a set-up that `postq up` keeps, and coordinators of a test's own."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar
from urllib.request import urlopen

T = TypeVar("T")

ROOT = Path(__file__).resolve().parents[3]
PROGRAMS = Path(os.environ.get("POSTQ_PROGRAMS", ROOT / "target" / "debug"))
POSTQ = PROGRAMS / "postq"
COORDINATOR = PROGRAMS / "postq-coordinator"
START_WITHIN = 60.0


def eventually(look: Callable[[], T], within: float = 30.0, every: float = 0.02) -> T:
    """What `look` returns once it is true; it may fail by assertion until then."""
    until = time.monotonic() + within
    while True:
        problem: AssertionError | None = None
        try:
            if found := look():
                return found
        except AssertionError as error:
            problem = error
        if time.monotonic() > until:
            raise problem or AssertionError(f"not within {within} s")
        time.sleep(every)


def is_alive(pid: int) -> bool:
    """Whether there is such a process that has not ended."""
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def clean_environment() -> dict[str, str]:
    """This process' environment without settings of PostQ."""
    return {key: value for key, value in os.environ.items() if not key.startswith("POSTQ_")}


class Cluster:
    """A private Postgres, a coordinator and an agent, as `postq up` starts them."""

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="postq-python-"))
        self.directory.chmod(0o755)
        self.target = f"127.0.0.1:{free_port()}"
        self.output = self.directory / "up.log"
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [str(POSTQ), "up", "--listen", self.target, "--agents", "1", "--slots", "4"],
                env={**clean_environment(), "POSTQ_STATE_DIR": str(self.directory / "state")},
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            self.database_url = eventually(self._database_url, START_WITHIN, 0.1)
            eventually(lambda: is_ready(self.target), START_WITHIN, 0.1)
        except BaseException:
            self.stop()
            raise

    def _database_url(self) -> str:
        text = self.output.read_text()
        assert self.process.poll() is None, f"`postq up` ended: {text}"
        for line in text.splitlines():
            if line.startswith("database "):
                return line.split(maxsplit=1)[1]
        return ""

    def stop(self) -> None:
        """Ends it all."""
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)


class Coordinator:
    """A coordinator on a database, which a test may kill and start again on its port."""

    def __init__(self, database_url: str, directory: Path, *arguments: str) -> None:
        self.target = f"127.0.0.1:{free_port()}"
        self._command = [
            *(str(COORDINATOR), "--listen", self.target, "--store", str(directory / "store")),
            *arguments,
        ]
        self._environment = {**clean_environment(), "POSTQ_DATABASE_URL": database_url}
        self._log = directory / "coordinator.log"
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Starts it, and waits until it is ready."""
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                self._command, env=self._environment, stdout=log, stderr=log
            )
        eventually(lambda: is_ready(self.target), START_WITHIN, 0.05)

    def kill(self) -> None:
        """As the kernel would for want of memory."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()


def is_ready(target: str) -> bool:
    """Whether a coordinator there has its database."""
    try:
        with urlopen(f"http://{target}/readyz", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
