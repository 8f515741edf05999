"""The `postq` command, which does what has to do with files: the same code as agents use.

It must be in PATH, or POSTQ_COMMAND names it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os

from ._rpc import Metadata
from .errors import MissingProgram, NotFound, PostqError

_NOT_THERE = 4
"""Its exit code where there is no such job, task or file."""


async def workspace(target: str, metadata: Metadata, *arguments: str) -> str:
    """What `postq workspace ARGUMENTS` prints."""
    command = os.environ.get("POSTQ_COMMAND", "postq")
    # The token goes by the environment, where `ps` does not show it.
    environment = dict(os.environ)
    for _, header in metadata:
        environment["POSTQ_TOKEN"] = header.removeprefix("Bearer ")
    try:
        process = await asyncio.create_subprocess_exec(
            *(command, "workspace", *arguments, "--coordinator", f"http://{target}"),
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
    except FileNotFoundError:
        message = f"{command} is not here; put it in PATH or name it by POSTQ_COMMAND"
        raise MissingProgram(message) from None
    try:
        said, problem = await process.communicate()
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        raise
    if process.returncode:
        text = problem.decode("utf-8", "replace").strip()
        raise (NotFound if process.returncode == _NOT_THERE else PostqError)(text)
    return said.decode()
