"""Market-data lines: subscribed when first read, renewed while read, released when nobody reads."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field

from bezant_server.cpapi.socket import SocketFailed
from bezant_server.errors import EventsSubscribeFailed
from bezant_server.events.clock import Clock
from bezant_server.events.ring import Ring
from bezant_server.events.topics import Topics, conid_of, marketdata_topic
from bezant_server.marketdata.latest import Latest

FIELDS = ("31", "70", "71", "83", "84", "85", "86", "87", "88", "6509", "7295", "7296", "7741", "7762")
"""Last, high, low, change in percent, bid, ask size, ask, volume, bid size, availability, open, close, prior close, and
the volume in full: of every line. Readers may want more."""

Send = Callable[[str], Awaitable[None]]

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Line:
    """One conid that is read.

    Attributes:
        conid: the contract.
        ring: its events.
        last_read: when it was last read, monotonic seconds.
        last_asked: when it was last asked for upstream, monotonic seconds.
        latest: what is known of the contract.
        fields: numbers of the fields that are asked for.
    """

    conid: int
    ring: Ring
    last_read: float
    last_asked: float
    latest: Latest = field(default_factory=Latest)
    fields: dict[str, None] = field(default_factory=lambda: dict.fromkeys(FIELDS))

    @property
    def is_followed(self) -> bool:
        """Whether a stream is open that follows it."""
        return bool(self.ring.watchers or self.latest.watchers)

    @property
    def request(self) -> str:
        """What subscribes it."""
        return f"smd+{self.conid}+{json.dumps({'fields': list(self.fields)}, separators=(',', ':'))}"


class Lines:
    """The market-data lines, bounded because IBKR bounds them.

    Args:
        topics: holds their rings.
        clock: tells how long nobody read.
        max_lines: lines held at once.
        renew_secs: how often a line is asked for again. IBKR's documentation: a line ends after 15 minutes unless
            renewed within 10.
        release_secs: how long a line without a reader is kept.
    """

    def __init__(self, topics: Topics, *, clock: Clock, max_lines: int, renew_secs: float, release_secs: float) -> None:
        self._topics = topics
        self._clock = clock
        self._max_lines = max_lines
        self._renew_secs = renew_secs
        self._release_secs = release_secs
        self._lines: dict[int, Line] = {}
        self._send: Send | None = None

    async def read(self, conid: int) -> Ring:
        """The ring of a conid, for a reader. The first read asks the gateway for the line.

        While the socket is down a line is only noted: it is asked for with all others when the socket is back.

        Raises:
            EventsSubscribeFailed: too many lines, or the live socket did not take the request.
        """
        return (await self._line(conid, ())).ring

    async def follow(self, conid: int, fields: Iterable[str]) -> Latest:
        """What is known of a conid, for a reader that wants these fields of it. As `read` otherwise."""
        return (await self._line(conid, fields)).latest

    def take(self, topic: str, frame: bytes) -> None:
        """Take in a frame of a market-data topic."""
        line = self._lines.get(conid_of(topic))
        if line is not None:
            line.latest.take(frame)

    async def attach(self, send: Send) -> None:
        """Use a socket that is ready for requests, and ask for every line there is.

        Raises:
            SocketFailed: the socket broke meanwhile.
        """
        # A line that is first read while this loop waits asks for itself: the socket is set before the loop begins.
        self._send = send
        for line in list(self._lines.values()):
            await self._ask(line, send)

    def detach(self) -> None:
        """The socket is gone; lines are kept for the next one."""
        self._send = None
        for line in self._lines.values():
            line.latest.interrupt()

    async def maintain(self) -> None:
        """Renew and release lines as they fall due, forever."""
        while True:
            await asyncio.sleep(self._until_due())
            for line in list(self._lines.values()):
                try:
                    await self._keep(line)
                except SocketFailed as error:
                    _log.info("conid %d was not renewed or released upstream: %s", line.conid, error)

    def readers(self) -> dict[int, float]:
        """Seconds since each conid was last read."""
        moment = self._clock.monotonic()
        return {line.conid: moment - line.last_read for line in self._lines.values()}

    async def _line(self, conid: int, fields: Iterable[str]) -> Line:
        line = self._lines.get(conid)
        is_new = line is None
        if line is None:
            line = self._new(conid)
        line.last_read = self._clock.monotonic()
        wanted = line.fields.keys() | dict.fromkeys(fields)
        if len(wanted) > len(line.fields) or is_new:
            line.fields = dict.fromkeys(sorted(wanted, key=int))
            await self._ask_now(line, is_new=is_new)
        return line

    def _new(self, conid: int) -> Line:
        if len(self._lines) >= self._max_lines:
            raise EventsSubscribeFailed(
                f"{self._max_lines} market-data lines are subscribed, which is BEZANT_EVENTS_MAX_CONIDS; "
                f"one is released when nobody has read it for {self._release_secs:g} s"
            )
        moment = self._clock.monotonic()
        line = self._lines[conid] = Line(conid, self._topics.open(marketdata_topic(conid)), moment, moment)
        return line

    async def _ask_now(self, line: Line, *, is_new: bool) -> None:
        if self._send is None:
            return
        try:
            await self._ask(line, self._send)
        except SocketFailed as error:
            if is_new and not line.is_followed:
                self._forget(line)
            raise EventsSubscribeFailed(f"conid {line.conid} could not be subscribed: {error}") from error
        except asyncio.CancelledError:
            # The reader left while the request was on its way: nobody knows whether it arrived.
            if is_new and not line.is_followed:
                self._forget(line)
            raise

    async def _keep(self, line: Line) -> None:
        moment = self._clock.monotonic()
        send = self._send
        if line.is_followed:
            line.last_read = moment
        if moment - line.last_read >= self._release_secs:
            self._forget(line)
            if send is not None:
                await send(f"umd+{line.conid}+{{}}")
        elif send is not None and moment - line.last_asked >= self._renew_secs:
            await self._ask(line, send)

    async def _ask(self, line: Line, send: Send) -> None:
        line.last_asked = self._clock.monotonic()
        await send(line.request)

    def _forget(self, line: Line) -> None:
        # The ring goes too: once the gateway stops sending, a cursor into it must not pass for "caught up".
        if self._lines.get(line.conid) is line:
            del self._lines[line.conid]
            self._topics.close(line.ring.topic)

    def _until_due(self) -> float:
        # No line that is made while we sleep falls due earlier than the shorter of the two durations.
        wait = min(self._renew_secs, self._release_secs)
        moment = self._clock.monotonic()
        for line in self._lines.values():
            # Of one that is followed, `last_read` is noted often enough for it to outlive its reader.
            kept_secs = self._release_secs / 4 if line.is_followed else self._release_secs
            released_in = line.last_read + kept_secs - moment
            renewed_in = line.last_asked + self._renew_secs - moment if self._send is not None else wait
            wait = min(wait, released_in, renewed_in)
        return max(wait, 0.0)
