"""What streams of market data say, and when.

A reader has no queue: whenever it is ready for more, it is told what is so now.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Protocol, TypeVar

from bezant.v1 import marketdata_service_pb2 as pb
from bezant_server.cpapi.document import Row
from bezant_server.marketdata import decode
from bezant_server.marketdata.fields import AVAILABILITY
from bezant_server.marketdata.ladder import Ladder
from bezant_server.marketdata.latest import Latest
from bezant_server.marketdata.live import Live
from bezant_server.marketdata.live_bars import LiveBars
from bezant_server.rpc.streams import OpenStreams, Pulse, now

_SETTLE_SECS = 1.0
"""How long a snapshot waits for fields that did not come with the first frame: those that a contract does not have
never come."""

_WITH_EVERY_UPDATE = ("conidEx", "_updated")

M_co = TypeVar("M_co", covariant=True)


class Source(Protocol[M_co]):
    """One stream's side of what it follows."""

    def due(self) -> float | None:
        """When there may be something to say without any news, by the loop's clock."""

    def news(self) -> Iterator[M_co]:
        """What is to be said now."""

    def heartbeat(self) -> M_co:
        """That the stream lives."""

    def end(self) -> M_co:
        """That it ends."""


async def follow(
    source: Source[M_co], news: asyncio.Event, streams: OpenStreams, *, heartbeat_secs: int
) -> AsyncIterator[M_co]:
    """A stream's messages, until the server stops."""
    pulse = Pulse(news, heartbeat_secs)
    while True:
        pulse.listen()
        for message in source.news():
            pulse.spoke()
            yield message
        if streams.closing:
            yield source.end()
            return
        if pulse.beats():
            yield source.heartbeat()
        await pulse.wait(until=source.due())


class _Generations:
    """Notices that something followed was interrupted."""

    def __init__(self, followed: Sequence[Live]) -> None:
        self._followed = followed
        self._seen = [each.generation for each in followed]

    def has_changed(self) -> bool:
        """Whether there was an interruption since the last call."""
        before, self._seen = self._seen, [each.generation for each in self._followed]
        return before != self._seen


class Quotes:
    """The quotes of a SubscribeQuotes stream.

    Args:
        followed: what is known of each contract.
        fields: numbers of the fields that are wanted.
    """

    def __init__(self, followed: Sequence[tuple[int, Latest]], fields: Sequence[int]) -> None:
        names = tuple(map(str, dict.fromkeys((*fields, AVAILABILITY))))
        self._quotes = [_Quote(conid, latest, names) for conid, latest in followed]
        self._generations = _Generations([latest for _, latest in followed])

    def due(self) -> float | None:
        return min((quote.due for quote in self._quotes if quote.due is not None), default=None)

    def news(self) -> Iterator[pb.SubscribeQuotesResponse]:
        if self._generations.has_changed():
            for quote in self._quotes:
                quote.restart()
            yield pb.SubscribeQuotesResponse(resync=pb.Resync(at=now()))
        for quote in self._quotes:
            message = quote.news()
            if message is not None:
                yield message

    def heartbeat(self) -> pb.SubscribeQuotesResponse:
        waiting = [quote.conid for quote in self._quotes if quote.is_waiting]
        return pb.SubscribeQuotesResponse(heartbeat=pb.SubscriptionHeartbeat(sent_at=now(), waiting_conids=waiting))

    def end(self) -> pb.SubscribeQuotesResponse:
        return pb.SubscribeQuotesResponse(end=_end())


class _Quote:
    """How far a stream has been told of one contract."""

    def __init__(self, conid: int, latest: Latest, names: Sequence[str]) -> None:
        self.conid = conid
        self.due: float | None = None
        self.is_waiting = True
        self._latest = latest
        self._names = names
        self._version = 0
        self._refused = False

    def restart(self) -> None:
        """Begin with a snapshot again."""
        self.is_waiting, self.due, self._refused = True, None, False

    def news(self) -> pb.SubscribeQuotesResponse | None:
        """What is to be said now, if anything."""
        latest = self._latest
        if latest.refusal:
            return self._refusal(latest.refusal)
        self._refused = False
        if self.is_waiting:
            return self._snapshot() if latest.has_begun and self._is_settled() else None
        if latest.version == self._version:
            return None
        merged = latest.version - self._version - 1
        values = latest.since(self._version, self._names)
        self._version = latest.version
        return self._update(values, merged=merged) if values else None

    def _refusal(self, reason: str) -> pb.SubscribeQuotesResponse | None:
        if self._refused:
            return None
        self.restart()
        self._refused = True
        return pb.SubscribeQuotesResponse(refused=pb.LineRefused(conid=self.conid, reason=reason))

    def _is_settled(self) -> bool:
        moment = asyncio.get_running_loop().time()
        if self.due is None:
            self.due = moment + _SETTLE_SECS
        return moment >= self.due or not self._latest.missing(self._names)

    def _snapshot(self) -> pb.SubscribeQuotesResponse:
        self.is_waiting, self.due, self._version = False, None, self._latest.version
        message = self._update(self._latest.since(-1, self._names))
        message.update.is_snapshot = True
        message.update.quote.missing_fields.extend(sorted(map(int, self._latest.missing(self._names))))
        return message

    def _update(self, values: dict[str, object], *, merged: int = 0) -> pb.SubscribeQuotesResponse:
        row = {"conid": self.conid, **self._latest.since(-1, _WITH_EVERY_UPDATE), **values}
        quote = decode.quote(Row(row, f"conid {self.conid}"))
        return pb.SubscribeQuotesResponse(update=pb.QuoteUpdate(quote=quote, merged=merged))


class Depth:
    """The book of a SubscribeDepth stream.

    Args:
        conid: the contract.
        ladder: its rows.
    """

    def __init__(self, conid: int, ladder: Ladder) -> None:
        self._conid = conid
        self._ladder = ladder
        self._generations = _Generations([ladder])
        self._version = 0
        self._is_waiting = True
        self._refused = False

    def due(self) -> float | None:
        return None

    def news(self) -> Iterator[pb.SubscribeDepthResponse]:
        ladder = self._ladder
        if self._generations.has_changed():
            self._is_waiting = True
            yield pb.SubscribeDepthResponse(resync=pb.Resync(at=now()))
        if ladder.refusal:
            if not self._refused:
                self._refused = True
                yield pb.SubscribeDepthResponse(refused=pb.LineRefused(conid=self._conid, reason=ladder.refusal))
            return
        self._refused = False
        if ladder.has_begun and (self._is_waiting or ladder.version != self._version):
            merged = 0 if self._is_waiting else ladder.version - self._version - 1
            self._is_waiting, self._version = False, ladder.version
            yield pb.SubscribeDepthResponse(update=pb.DepthUpdate(depth=ladder.depth(self._conid), merged=merged))

    def heartbeat(self) -> pb.SubscribeDepthResponse:
        waiting = [self._conid] if self._is_waiting else []
        return pb.SubscribeDepthResponse(heartbeat=pb.SubscriptionHeartbeat(sent_at=now(), waiting_conids=waiting))

    def end(self) -> pb.SubscribeDepthResponse:
        return pb.SubscribeDepthResponse(end=_end())


class Bars:
    """The bars of a SubscribeBars stream.

    Args:
        snapshot: the bars of the period.
        live: what comes after them.
        version: of the live bars that the snapshot has.
    """

    def __init__(self, snapshot: pb.ListBarsResponse, live: LiveBars, version: int) -> None:
        self._snapshot: pb.ListBarsResponse | None = snapshot
        self._live = live
        self._version = version

    def due(self) -> float | None:
        return None

    def news(self) -> Iterator[pb.SubscribeBarsResponse]:
        if self._snapshot is not None:
            snapshot, self._snapshot = self._snapshot, None
            yield pb.SubscribeBarsResponse(snapshot=snapshot)
        updates, self._version = self._live.since(self._version)
        for update in updates:
            yield pb.SubscribeBarsResponse(update=update)

    def heartbeat(self) -> pb.SubscribeBarsResponse:
        heartbeat = pb.SubscriptionHeartbeat(sent_at=now(), refreshed_at=self._live.refreshed_at)
        return pb.SubscribeBarsResponse(heartbeat=heartbeat)

    def end(self) -> pb.SubscribeBarsResponse:
        return pb.SubscribeBarsResponse(end=_end())


def _end() -> pb.SubscriptionEnd:
    return pb.SubscriptionEnd(reason="shutdown")
