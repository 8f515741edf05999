"""Output of attempts on its way to the coordinator: gathered, numbered, sent until acknowledged.

Invariants: chunks of an attempt are numbered from 1 without gaps; what waits here is bounded, and
what was left out for that is said in the output.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Any

import grpc.aio

from .. import _rpc
from ..status import Stream
from ..v1 import dispatch_service_pb2 as wire
from ..v1 import job_service_pb2

CHUNK_BYTES = 256 * 1024
GATHER_SECONDS = 0.2
MOST_BYTES = 64 * 1024 * 1024
"""Waiting in all."""

_STREAMS = {
    Stream.STDOUT: job_service_pb2.ReadLogsResponse.STDOUT,
    Stream.STDERR: job_service_pb2.ReadLogsResponse.STDERR,
    Stream.SYSTEM: job_service_pb2.ReadLogsResponse.SYSTEM,
}
_log = logging.getLogger("postq.worker")


class AttemptLog:
    """The output of one attempt; used on the loop only."""

    def __init__(self, of: wire.Held, pusher: LogPusher) -> None:
        """Nothing is sent until something is written."""
        self.chunks = 0
        self._of = of
        self._pusher = pusher
        self._stream = Stream.STDOUT
        self._gathered = bytearray()
        self._timer: asyncio.TimerHandle | None = None
        self._left_out = 0

    def write(self, stream: Stream, data: bytes) -> None:
        """Gathers; another stream, a full chunk or a moment later sends it."""
        if stream is not self._stream:
            self.flush()
            self._stream = stream
        self._gathered += data
        if len(self._gathered) >= CHUNK_BYTES:
            self.flush()
        elif self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(GATHER_SECONDS, self.flush)

    def flush(self) -> None:
        """Hands over what was gathered."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        data, self._gathered = bytes(self._gathered), bytearray()
        for start in range(0, len(data), CHUNK_BYTES):
            self._chunk(self._stream, data[start : start + CHUNK_BYTES])

    def finish(self) -> int:
        """The last of it; how many chunks there are."""
        self.flush()
        if self._left_out:
            text = f"{self._left_out} bytes of output were left out: no coordinator took them\n"
            self._push(Stream.SYSTEM, text.encode())
        return self.chunks

    def _chunk(self, stream: Stream, data: bytes) -> None:
        if self._pusher.has_room(len(data)):
            self._push(stream, data)
        else:
            self._left_out += len(data)

    def _push(self, stream: Stream, data: bytes) -> None:
        self.chunks += 1
        self._pusher.push(
            wire.PushLogsRequest(
                of=self._of, number=self.chunks, stream=_STREAMS[stream], data=data
            )
        )


class LogPusher:
    """Sends chunks on a stream of its own, again after it broke, until they are acknowledged."""

    def __init__(self, connect: Callable[[], Any]) -> None:
        """`connect` opens the stream, on a connection of its own."""
        self._connect = connect
        self._waiting: dict[int, deque[wire.PushLogsRequest]] = {}
        self._bytes = 0
        self._unsent: asyncio.Queue[wire.PushLogsRequest] = asyncio.Queue()
        self._is_needed = asyncio.Event()
        self._is_empty = asyncio.Event()
        self._is_empty.set()

    def has_room(self, size: int) -> bool:
        """Whether so much more may wait."""
        return self._bytes + size <= MOST_BYTES

    def push(self, chunk: wire.PushLogsRequest) -> None:
        """Takes a chunk."""
        self._waiting.setdefault(chunk.of.attempt, deque()).append(chunk)
        self._bytes += len(chunk.data)
        self._is_empty.clear()
        self._is_needed.set()
        self._unsent.put_nowait(chunk)

    async def flushed(self) -> None:
        """Returns once all is acknowledged."""
        await self._is_empty.wait()

    async def run(self) -> None:
        """Until cancelled. A stream is opened when there is something to send."""
        pauses = _rpc.pauses()
        while True:
            await self._is_needed.wait()
            before = self._bytes
            try:
                await self._stream()
            except grpc.aio.AioRpcError as error:
                _log.debug("the stream of logs broke: %s", error.details())
            if self._bytes < before:
                pauses = _rpc.pauses()
            await asyncio.sleep(next(pauses))

    async def _stream(self) -> None:
        self._unsent = asyncio.Queue()
        for chunks in self._waiting.values():
            for chunk in chunks:
                self._unsent.put_nowait(chunk)
        call = self._connect()
        sending = asyncio.ensure_future(self._send(call))
        try:
            async for answer in call:
                self._acknowledge(answer.attempt, answer.number)
        finally:
            sending.cancel()
            call.cancel()

    async def _send(self, call: Any) -> None:
        while True:
            chunk = await self._unsent.get()
            try:
                await call.write(chunk)
            except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
                return  # The reader is told why.

    def _acknowledge(self, attempt: int, number: int) -> None:
        chunks = self._waiting.get(attempt, deque())
        while chunks and chunks[0].number <= number:
            self._bytes -= len(chunks.popleft().data)
        if not chunks:
            self._waiting.pop(attempt, None)
        if not self._waiting:
            self._is_empty.set()
            self._is_needed.clear()
