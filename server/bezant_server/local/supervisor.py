"""Runs several programs as one: started in order, watched together, stopped in order."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from bezant_server.local import leash
from bezant_server.local.console import Console, relay

_Result = TypeVar("_Result")

_FAILED = 1
_KILLED_BY_SIGNAL = 128
_POLL_SECS = 0.05
_LAST_WORDS_SECS = 2.0


@dataclass(frozen=True, slots=True)
class Service:
    """A program to run.

    Attributes:
        name: stands before each line of its log.
        command: an absolute path and arguments.
        environment: all of it.
        healthy: asks whether it is ready for work; asked anew until it says so.
        start_secs: longest wait for that.
        stop_secs: longest wait for its end after SIGTERM; then it is killed.
        stop_rank: services of a lower rank have ended before one of a higher rank is told to stop.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    healthy: Callable[[], Awaitable[bool]]
    start_secs: float
    stop_secs: float
    stop_rank: int


@dataclass(frozen=True, slots=True)
class _Child:
    service: Service
    process: Process
    ended: asyncio.Task[int]
    output: asyncio.Task[None]


@dataclass(slots=True)
class _Interrupts:
    """SIGINT and SIGTERM: the first asks for an orderly stop, the second for an immediate one."""

    first: asyncio.Event = field(default_factory=asyncio.Event)
    second: asyncio.Event = field(default_factory=asyncio.Event)
    number: int = 0

    def install(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            # nohup(1) and its like have a program ignore SIGHUP; that wish stands.
            if signal.getsignal(number) is not signal.SIG_IGN:
                loop.add_signal_handler(number, self._arrived, number)

    def _arrived(self, number: int) -> None:
        self.number = number
        (self.second if self.first.is_set() else self.first).set()


class _ServiceFailedError(Exception):
    """A service ended by itself or did not become healthy."""


class Supervisor:
    """Runs services until a signal asks for the end, or one of them ends by itself.

    Every child has a process group of its own, so that a terminal's Ctrl-C reaches this process alone, which knows the
    order in which to stop; and a leash, so that none outlives it.

    Args:
        services: in the order of their start.
        console: takes their logs.
        beside: what this process itself does while they run, until it is cancelled.
    """

    def __init__(
        self,
        services: Sequence[Service],
        *,
        console: Console,
        beside: Sequence[Callable[[], Coroutine[Any, Any, None]]] = (),
    ) -> None:
        self._services = services
        self._console = console
        self._beside = beside
        self._children: list[_Child] = []

    async def run(self, on_ready: Callable[[Mapping[str, int]], None]) -> int:
        """Start all, call `on_ready` with their process ids by name once all are healthy, and wait for the end.

        Returns:
            The exit status: 0 after a signal, 1 when a service failed, 128 + the signal's number when a second signal
            cut the stop short.

        Raises:
            Exception: what `on_ready` raised, once all have stopped.
        """
        interrupts = _Interrupts()
        interrupts.install()
        status = 0
        beside = [asyncio.create_task(work()) for work in self._beside]
        for task in beside:
            task.add_done_callback(self._tell_failure)
        try:
            try:
                if failure := await _unless(interrupts.first, self._work(on_ready)):
                    self._say(failure)
                    status = _FAILED
                else:
                    self._say(f"{signal.Signals(interrupts.number).name}: stopping; once more kills at once")
            finally:
                # In order also when `on_ready` fails: the server has events to store.
                await _unless(interrupts.second if interrupts.first.is_set() else interrupts.first, self._stop())
            if any(not child.ended.done() for child in self._children):
                status = _KILLED_BY_SIGNAL + interrupts.number
        finally:
            for task in beside:
                task.cancel()
            await self._kill()
        return status

    async def _work(self, on_ready: Callable[[Mapping[str, int]], None]) -> str:
        """Run until a service fails; how it did."""
        try:
            for service in self._services:
                child = await self._start(service)
                self._children.append(child)
                await self._until_healthy(child)
        except _ServiceFailedError as failure:
            return str(failure)
        on_ready({child.service.name: child.process.pid for child in self._children})
        await asyncio.wait([child.ended for child in self._children], return_when=asyncio.FIRST_COMPLETED)
        return await self._who_ended()

    async def _start(self, service: Service) -> _Child:
        # -I and -S: the leash needs nothing of the environment or of site-packages, and starts in milliseconds.
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", str(Path(leash.__file__)), str(os.getpid())),
            *service.command,
            env=dict(service.environment),
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=STDOUT,
            process_group=0,
        )
        assert process.stdout is not None  # noqa: S101  it was asked for
        return _Child(
            service,
            process,
            asyncio.create_task(process.wait()),
            asyncio.create_task(relay(process.stdout, service.name, self._console)),
        )

    async def _until_healthy(self, child: _Child) -> None:
        healthy = asyncio.create_task(_becomes_true(child.service.healthy))
        try:
            await asyncio.wait(
                [healthy, *(each.ended for each in self._children)],
                timeout=child.service.start_secs,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if any(each.ended.done() for each in self._children):
                raise _ServiceFailedError(await self._who_ended())
            if not healthy.done():
                raise _ServiceFailedError(f"{child.service.name} was not ready within {child.service.start_secs:g} s")
            await healthy
        finally:
            healthy.cancel()

    async def _who_ended(self) -> str:
        child = next(child for child in self._children if child.ended.done())
        await self._drain([child])
        return f"{child.service.name} {_manner(child.ended.result())}"

    async def _stop(self) -> None:
        for rank in sorted({child.service.stop_rank for child in self._children}):
            await asyncio.gather(*(self._end(child) for child in self._children if child.service.stop_rank == rank))

    async def _end(self, child: _Child) -> None:
        _send(child, signal.SIGTERM)
        done, _ = await asyncio.wait([child.ended], timeout=child.service.stop_secs)
        if not done:
            self._say(f"{child.service.name} did not stop within {child.service.stop_secs:g} s: killing it")
            _send(child, signal.SIGKILL)
            await child.ended

    async def _kill(self) -> None:
        for child in self._children:
            _send(child, signal.SIGKILL)
        await asyncio.gather(*(child.ended for child in self._children))
        await self._drain(self._children)

    async def _drain(self, children: Iterable[_Child]) -> None:
        outputs = [child.output for child in children]
        if outputs:
            await asyncio.wait(outputs, timeout=_LAST_WORDS_SECS)

    def _tell_failure(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._say(f"what runs beside the services has failed: {error!r}")

    def _say(self, text: str) -> None:
        self._console.line("bezant", text)


async def _unless(event: asyncio.Event, work: Coroutine[Any, Any, _Result]) -> _Result | None:
    """The result of `work`, or None if `event` came first, which cancels it."""
    working = asyncio.create_task(work)
    waiting = asyncio.create_task(event.wait())
    try:
        await asyncio.wait([working, waiting], return_when=asyncio.FIRST_COMPLETED)
        if not waiting.done():
            return await working
        return None
    finally:
        waiting.cancel()
        working.cancel()
        await asyncio.wait([working])


async def _becomes_true(condition: Callable[[], Awaitable[bool]]) -> None:
    while not await condition():  # noqa: ASYNC110  another process cannot set an event of ours
        await asyncio.sleep(_POLL_SECS)


def _send(child: _Child, number: signal.Signals) -> None:
    # Process.send_signal polls first, and may so take the exit status away from whoever waits for it.
    if not child.ended.done():
        with contextlib.suppress(ProcessLookupError):
            os.kill(child.process.pid, number)


def _manner(status: int) -> str:
    if status < 0:
        return f"was killed by {signal.Signals(-status).name}"
    return f"ended by itself with status {status}"
