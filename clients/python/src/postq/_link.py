"""`Link`: one connection to a coordinator, which a client and all its parts share.

It knows no message. It may be made anywhere; the loop of its first call is the one it belongs to.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import grpc.aio

from . import _rpc, telemetry
from .errors import Unavailable

GIVE_UP_AFTER = 60.0
"""Seconds for which streams look for a coordinator that has gone."""
SURELY_THERE = 10.0
"""Seconds: a stream that held so long had its coordinator, for silence of one is found sooner."""


class Link:
    """Calls with a deadline, streams that go on, errors as exceptions."""

    def __init__(
        self,
        target: str | None,
        token: str | None,
        token_file: str | os.PathLike[str] | None,
        timeout: float,
        hooks: Sequence[telemetry.Hook],
    ) -> None:
        """Nothing is connected yet."""
        self.target = _rpc.address(target)
        self.metadata = _rpc.credentials(token, token_file)
        self._timeout = timeout
        self._hooks = tuple(hooks)
        self._channel: grpc.aio.Channel | None = None
        self._stubs: dict[Callable[..., Any], Any] = {}

    async def close(self) -> None:
        """Ends the connection; a later call opens another."""
        channel, self._channel = self._channel, None
        self._stubs.clear()
        if channel is not None:
            await channel.close()

    def stub(self, kind: Callable[..., Any]) -> Any:
        """The generated client of a service, by its class."""
        if self._channel is None:
            self._channel = _rpc.channel(self.target)
        if kind not in self._stubs:
            self._stubs[kind] = kind(self._channel)
        return self._stubs[kind]

    def headers(self) -> _rpc.Metadata:
        """What goes with every call."""
        return (*self.metadata, *telemetry.carrier().items())

    def observed(self, name: str, **attributes: str) -> Any:
        """What is inside is one operation for hooks and traces."""
        return telemetry.observed(self._hooks, name, **attributes)

    async def call(
        self, kind: Callable[..., Any], method: str, request: object, timeout: float | None = None
    ) -> Any:
        """The answer to one call."""
        try:
            return await getattr(self.stub(kind), method)(
                request, timeout=timeout or self._timeout, metadata=self.headers()
            )
        except grpc.aio.AioRpcError as error:
            raise _rpc.translate(error) from None

    async def pages(
        self,
        kind: Callable[..., Any],
        method: str,
        request: Any,
        items: str,
        limit: int | None = None,
    ) -> AsyncIterator[Any]:
        """All items of a listing, or the first `limit`, however many pages they take."""
        left = limit
        while left is None or left > 0:
            request.page_size = 1000 if left is None else min(left, 1000)
            page = await self.call(kind, method, request)
            for item in getattr(page, items):
                yield item
            left = None if left is None else left - len(getattr(page, items))
            request.page_token = page.next_page_token
            if not page.next_page_token:
                return

    async def resumed(self, start: Callable[[], Any]) -> AsyncIterator[Any]:
        """The messages of a stream, opened anew whenever it breaks."""
        loop = asyncio.get_running_loop()
        pauses = _rpc.pauses()
        # A job may say nothing for long: what counts is since when the connection is lost.
        lost_at: float | None = None
        while True:
            call, began = start(), loop.time()
            try:
                async for message in call:
                    lost_at, pauses = None, _rpc.pauses()
                    yield message
                return
            except grpc.aio.AioRpcError as error:
                broken = _rpc.translate(error)
                now = loop.time()
                if lost_at is None or now - began > SURELY_THERE:
                    lost_at = now
                is_lasting = now - lost_at > GIVE_UP_AFTER
                if not isinstance(broken, Unavailable) or is_lasting:
                    raise broken from None
            finally:
                call.cancel()
            await asyncio.sleep(next(pauses))
