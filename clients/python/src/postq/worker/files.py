"""The files of an attempt: a private directory with what its ancestors left, and what it leaves."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from google.protobuf import json_format

from .. import _command
from .._rpc import Metadata
from ..v1 import dispatch_service_pb2 as wire


class Files:
    """Checks out and keeps, by the `postq` command."""

    def __init__(self, target: str, metadata: Metadata) -> None:
        """The coordinator that has them."""
        self._target = target
        self._metadata = metadata

    @asynccontextmanager
    async def directory(self, attempt: int) -> AsyncIterator[Path]:
        """A directory with the files the attempt starts from, gone at the end of the block."""
        root = Path(tempfile.mkdtemp(prefix="postq-attempt-"))
        try:
            where = root / "workspace"
            await _command.workspace(
                self._target, self._metadata, "checkout", str(attempt), str(where)
            )
            # An empty snapshot may leave no directory.
            where.mkdir(exist_ok=True)
            yield where
        finally:
            await asyncio.to_thread(shutil.rmtree, root, ignore_errors=True)

    async def keep(self, attempt: int, directory: Path) -> wire.Snapshot:
        """Uploads what the attempt has made of it."""
        said = await _command.workspace(
            self._target,
            self._metadata,
            *("snapshot", str(attempt), str(directory), "--output", "json"),
        )
        return json_format.Parse(said, wire.Snapshot())
