"""The stream to a coordinator: says hello, carries messages both ways, connects again for ever.

It knows nothing of handlers. Invariant: one stream is current; what was not said on it when it
broke is dropped, and said anew behind the next hello where it still matters.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Any

import grpc
import grpc.aio

from .. import _rpc
from ..v1 import dispatch_service_pb2 as wire

WELCOME_WITHIN = 10.0
ALONE_FOR = 5.0
"""Seconds, after which what must not overlap another execution of itself is stopped."""
MOST_AT_ONCE = 128
MOST_BYTES = 1024 * 1024
"""Of what is said in one message."""
_REFUSALS = (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED)
_log = logging.getLogger("postq.worker")


class Session:
    """Keeps a stream open. `hello` tells who we are, `reports` what is still to be recorded."""

    def __init__(
        self,
        connect: Callable[[], Any],
        hello: Callable[[], wire.Hello],
        reports: Callable[[], list[wire.Report]],
        hear: Callable[[str, Any], None],
        alone: Callable[[], None],
    ) -> None:
        """`hear` gets the name and the content of each message; `alone` is called when no
        coordinator was heard for `ALONE_FOR`."""
        self._connect = connect
        self._hello = hello
        self._reports = reports
        self._hear = hear
        self._alone = alone
        self._silence: asyncio.TimerHandle | None = None
        self._words: deque[wire.ConnectRequest | None] = deque()
        self._has_words = asyncio.Event()
        self._is_open = False
        self._reads_more = False
        self.welcomed = asyncio.Event()
        """Set while a coordinator knows us."""

    def say(self, **message: Any) -> None:
        """Sends it on the current stream, if there is one."""
        if self._is_open:
            self._put(wire.ConnectRequest(**message))

    def greet_again(self) -> None:
        """Ends the stream behind what was said, because only a new hello can tell what is new."""
        if self._is_open:
            self._put(None)

    def _put(self, word: wire.ConnectRequest | None) -> None:
        self._words.append(word)
        self._has_words.set()

    async def run(self) -> None:
        """Until cancelled, or until a coordinator says that the token will never do."""
        pauses = _rpc.pauses()
        while True:
            try:
                await self._stream()
            except grpc.aio.AioRpcError as error:
                if error.code() in _REFUSALS:
                    raise _rpc.translate(error) from None
                _log.info("no coordinator: %s; trying again", error.details())
            except asyncio.TimeoutError:
                _log.info("the coordinator does not answer; trying again")
            if self.welcomed.is_set():
                pauses = _rpc.pauses()
            self.welcomed.clear()
            await asyncio.sleep(next(pauses))

    async def _stream(self) -> None:
        self._words.clear()
        self._is_open = True
        self._reads_more = False
        self.say(hello=self._hello())
        for report in self._reports():
            self.say(report=report)
        call = self._connect()
        sending = asyncio.ensure_future(self._send(call))
        try:
            message = await asyncio.wait_for(call.read(), WELCOME_WITHIN)
            while message is not grpc.aio.EOF:
                for said in (message, *message.more):
                    self._heard(said)
                message = await call.read()
        finally:
            self._is_open = False
            self._note_silence(True)
            sending.cancel()
            call.cancel()

    def _heard(self, said: wire.ConnectResponse) -> None:
        kind = said.WhichOneof("message")
        if kind == "welcome":
            self._reads_more = said.welcome.reads_more
            self.welcomed.set()
            self._note_silence(False)
            _log.info("connected to coordinator %s", said.welcome.coordinator)
        elif kind is not None:
            self._hear(kind, getattr(said, kind))

    def _note_silence(self, is_silent: bool) -> None:
        """From the first moment without a stream to the next welcome."""
        if is_silent and self._silence is None:
            self._silence = asyncio.get_running_loop().call_later(ALONE_FOR, self._alone)
        elif not is_silent and self._silence is not None:
            self._silence.cancel()
            self._silence = None

    async def _send(self, call: Any) -> None:
        while True:
            while not self._words:
                self._has_words.clear()
                await self._has_words.wait()
            message = self._words.popleft()
            try:
                if message is None:
                    await call.done_writing()
                    return
                if self._reads_more:
                    self._pack(message)
                await call.write(message)
            except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
                return  # The reader is told why.

    def _pack(self, message: wire.ConnectRequest) -> None:
        """Puts what waits behind it into the same message, up to the end of the stream."""
        room = MOST_BYTES - message.ByteSize()
        while self._words and 1 + len(message.more) < MOST_AT_ONCE:
            following = self._words[0]
            if following is None or (size := following.ByteSize()) > room:
                return
            message.more.append(following)
            room -= size
            self._words.popleft()
