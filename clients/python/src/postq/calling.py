"""Runs handlers: async ones on the loop, the others in threads, those that ask for it in processes,
each of them stoppable.

It knows neither gRPC nor SQL. Invariant: a thread is interrupted only while it is inside the
handler it was started for.
"""

from __future__ import annotations

import asyncio
import contextvars
import ctypes
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from . import telemetry
from .context import Context, enter
from .handlers import Handler
from .outcome import Cancelled, Outcome, Verdict, failure, success
from .processes import Child, Died, Pool, Work
from .status import Stream
from .values import Json, dumps


def check_counts(concurrency: int, prefetch: int) -> None:
    """Refuses what no worker can hold."""
    if concurrency < 1 or prefetch < 0:
        raise ValueError(
            f"concurrency is {concurrency} and prefetch {prefetch};"
            " at least one runs at a time, and none or more are held ready"
        )


class Runners:
    """What handlers run in beside the loop: threads, and processes where they are asked for."""

    def __init__(self, count: int) -> None:
        """For so many calls at a time."""
        self.threads = ThreadPoolExecutor(count, "postq-handler")
        self.processes = Pool()

    def close(self) -> None:
        """Waits for no call; what is idle is ended."""
        self.threads.shutdown(wait=False, cancel_futures=True)
        self.processes.close()


class Call:
    """One run of a handler. `run` it once; `stop` it any time, from the loop."""

    def __init__(self, handler: Handler[..., Any], arguments: Json, context: Context) -> None:
        """Nothing happens yet."""
        self.handler = handler
        self._arguments = arguments
        self.context = context
        self._task: asyncio.Task[Any] | None = None
        self._stopped: tuple[Outcome, str] | None = None
        self._verdict: asyncio.Future[Verdict] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._guard = threading.Lock()
        self._thread: int | None = None
        self._child: Child | None = None

    async def run(
        self, runners: Runners, timeout: float | None = None, grace: float = 10.0
    ) -> Verdict:
        """The verdict; no exception of the handler leaves this."""
        return await self.start(runners, timeout, grace)

    def start(
        self, runners: Runners, timeout: float | None = None, grace: float = 10.0
    ) -> asyncio.Future[Verdict]:
        """The same, without a task of the caller's that waits for it."""
        loop = asyncio.get_running_loop()
        self._verdict = loop.create_future()
        if timeout:
            reason = f"longer than {timeout:g} s"
            self._timer = loop.call_later(timeout, self.stop, Outcome.TIMED_OUT, reason, grace)
        self._task = loop.create_task(self._invoke(runners))
        self._task.add_done_callback(self._judge)
        if self._stopped is not None:
            self._interrupt()
        return self._verdict

    def stop(self, outcome: Outcome, reason: str, grace: float = 10.0) -> None:
        """Asks the handler to end. Once `grace` is over its process is killed; nobody waits for a
        thread or an await any more."""
        if self._stopped is not None:
            return
        self._stopped = (outcome, reason)
        self.context.stopping.set()
        self._interrupt()
        if self._verdict is not None:
            loop = asyncio.get_running_loop()
            loop.call_later(grace, self._give_up)

    @property
    def has_ended(self) -> bool:
        """Whether the handler runs no more; its verdict may have come before."""
        return self._task is None or self._task.done()

    async def ended(self) -> None:
        """Returns once the handler has ended, also if that took longer than its grace."""
        if self._task is not None and not self._task.done():
            await asyncio.wait({self._task})

    def _judge(self, task: asyncio.Task[Verdict]) -> None:
        try:
            self._resolve(self._judged(task))
        except Exception as error:  # Of the handler's own exception, when it is looked at.
            self._resolve(failure(error))

    def _judged(self, task: asyncio.Task[Verdict]) -> Verdict:
        error = Cancelled() if task.cancelled() else task.exception()
        if error is None and task.result().outcome is Outcome.SUCCEEDED:
            return task.result()
        if self._stopped is not None:
            return Verdict(*self._stopped)
        return failure(error, self.handler.options.retry_on) if error else task.result()

    def _resolve(self, verdict: Verdict) -> None:
        """What comes first counts."""
        if self._timer is not None:
            self._timer.cancel()
        if self._verdict is not None and not self._verdict.done():
            self._verdict.set_result(verdict)

    async def _invoke(self, runners: Runners) -> Verdict:
        context, handler = self.context, self.handler
        enter(context)
        loop = asyncio.get_running_loop()
        if handler.has_process:
            work = loop.run_in_executor(runners.threads, self._in_process, runners.processes)
            return await asyncio.shield(work)
        with telemetry.attempt(context, handler.name):
            args, kwargs = handler.bind(self._arguments)
            try:
                if handler.is_async:
                    return success(dumps(await handler.function(*args, **kwargs)))
                here = contextvars.copy_context()
                work = loop.run_in_executor(
                    runners.threads, here.run, self._in_thread, args, kwargs
                )
                # Cancelling the future would only leave the thread running unheard.
                return success(dumps(await asyncio.shield(work)))
            except (SystemExit, KeyboardInterrupt) as error:
                # Of the handler alone: it must not end the worker.
                raise RuntimeError(f"it raised {error!r}") from error

    def _in_process(self, pool: Pool) -> Verdict:
        """Waits, in a thread, for a child's verdict."""
        try:
            child = pool.take()
        except Died as end:
            return Verdict(Outcome.FAILED, f"no process could be started for it: {end}")
        is_alive = True
        try:
            with self._guard:
                if self._stopped is not None:
                    raise Cancelled
                self._child = child
            work = Work.of(self.handler, self._arguments, self.context)
            return child.run(work, self._write)
        except Died as end:
            is_alive = False
            return Verdict(Outcome.FAILED, str(end))
        finally:
            with self._guard:
                self._child = None
            pool.give_back(child, is_alive)

    def _write(self, stream: Stream, data: bytes) -> None:
        self.context.backend.write(stream, data)

    def _in_thread(self, args: list[Any], kwargs: dict[str, Any]) -> Any:
        with self._guard:
            if self._stopped is not None:
                raise Cancelled
            self._thread = threading.get_ident()
        try:
            with self.handler.queue.around():
                return self.handler.function(*args, **kwargs)
        finally:
            with self._guard:
                if self._thread is not None:
                    _raise_in(self._thread, None)
                self._thread = None

    def _interrupt(self) -> None:
        """Ends an await of an async handler; raises Cancelled in the thread or the process of
        another."""
        if self.handler.is_async and not self.handler.has_process:
            if self._task is not None:
                self._task.cancel()
            return
        # The thread holds the guard for moments only; should it be interrupted in one of them,
        # nobody waits for it here.
        if self._guard.acquire(timeout=0.1):
            try:
                if self._thread is not None:
                    _raise_in(self._thread, Cancelled)
                if self._child is not None:
                    self._child.interrupt()
            finally:
                self._guard.release()

    def _give_up(self) -> None:
        if self._child is None:
            # It goes on until it ends by itself; what it returns then counts no more.
            outcome, reason = self._stopped or (Outcome.FAILED, "")
            self._resolve(Verdict(outcome, f"{reason}; it did not stop within its grace"))
            return
        # Under the guard it is this call's: what was given back may run another one. Only calls
        # with a child come here: a thread may have been interrupted while it held the guard.
        with self._guard:
            if self._child is not None:
                self._child.kill()  # Whoever waits for it is told.


def _raise_in(thread: int, error: type[BaseException] | None) -> None:
    """Raises it there at the next step of Python code; None takes back what has not been raised."""
    what = ctypes.py_object(error) if error is not None else None
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), what)
