"""MarketDataService."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Sequence

from bezant.v1 import marketdata_service_pb2 as pb
from bezant.v1 import marketdata_service_pb2_grpc as pb_grpc
from bezant_server.errors import AccountNotFound
from bezant_server.inputs import Checks
from bezant_server.marketdata import decode, streams
from bezant_server.marketdata.bars import BARS, Bars, Wanted, period_secs
from bezant_server.marketdata.feeds import Feeds
from bezant_server.marketdata.fields import DEFAULT_FIELDS, FIELDS
from bezant_server.marketdata.latest import Latest
from bezant_server.marketdata.live_bars import BarFeeds
from bezant_server.marketdata.quotes import Quotes
from bezant_server.rpc.call import Context
from bezant_server.rpc.streams import OpenStreams, check_heartbeat
from bezant_server.session.typed import TypedGateway

_MOST_CONIDS = 500
_MOST_FIELDS = 150
_MOST_FOLLOWED = 100
_MOST_STREAMED_FIELDS = 50
_EXCHANGE = re.compile(r"[A-Za-z0-9.]{1,20}")
_SOURCES = {
    pb.BAR_SOURCE_UNSPECIFIED: "Trades",
    pb.BAR_SOURCE_TRADES: "Trades",
    pb.BAR_SOURCE_MIDPOINT: "Midpoint",
    pb.BAR_SOURCE_BID_ASK: "Bid_Ask",
}


class MarketDataService(pb_grpc.MarketDataServiceServicer):
    """See the proto file.

    Args:
        gateway: where it asks.
        feeds: what it streams.
        open_streams: those of the server.
        clock: monotonic seconds.
        now: seconds since 1970.
    """

    def __init__(
        self,
        gateway: TypedGateway,
        *,
        feeds: Feeds,
        open_streams: OpenStreams,
        clock: Callable[[], float],
        now: Callable[[], float],
    ) -> None:
        self._gateway = gateway
        self._feeds = feeds
        self._streams = open_streams
        self._quotes = Quotes(gateway, clock=clock)
        self._bars = Bars(gateway, now=now)
        self._bar_feeds = BarFeeds(self._bars, now=now)

    async def GetQuotes(self, request: pb.GetQuotesRequest, context: Context) -> pb.GetQuotesResponse:
        checks = Checks()
        conids = checks.conids("conids", request.conids, most=_MOST_CONIDS)
        fields = _fields(checks, request.fields, most=_MOST_FIELDS)
        checks.done()
        quotes = {quote.conid: quote for quote in await self._quotes.read(conids, fields)}
        return pb.GetQuotesResponse(quotes=[quotes[conid] for conid in conids])

    async def ListBars(self, request: pb.ListBarsRequest, context: Context) -> pb.ListBarsResponse:
        checks = Checks()
        conid = checks.conid("conid", request.conid)
        start = request.start_time.ToMilliseconds() / 1000 if request.HasField("start_time") else None
        end = request.end_time.ToMilliseconds() / 1000 if request.HasField("end_time") else None
        if start is None:
            _check_period(checks, request.period, "must be a period such as 1d (or give start_time)")
        else:
            checks.holds("period", not request.period, "must be empty when start_time is given", request.period)
            checks.holds("start_time", end is None or start < end, "must be before end_time")
        wanted = _wanted(checks, request, conid=conid, start=start, end=end)
        checks.done()
        return await self._bars.read(wanted)

    async def SubscribeQuotes(
        self, request: pb.SubscribeQuotesRequest, context: Context
    ) -> AsyncIterator[pb.SubscribeQuotesResponse]:
        checks = Checks()
        conids = checks.conids("conids", request.conids, most=_MOST_FOLLOWED)
        fields = _fields(checks, request.fields, most=_MOST_STREAMED_FIELDS)
        check_heartbeat(checks, request.heartbeat_secs)
        checks.done()
        await self._gateway.ready()
        followed: list[tuple[int, Latest]] = []
        with self._streams.open() as news:
            try:
                for conid in conids:
                    latest = await self._feeds.quote(conid, map(str, fields))
                    latest.watchers.add(news)
                    followed.append((conid, latest))
                source = streams.Quotes(followed, fields)
                async for message in streams.follow(source, news, self._streams, heartbeat_secs=request.heartbeat_secs):
                    yield message
            finally:
                for _, latest in followed:
                    latest.watchers.discard(news)

    async def SubscribeBars(
        self, request: pb.SubscribeBarsRequest, context: Context
    ) -> AsyncIterator[pb.SubscribeBarsResponse]:
        checks = Checks()
        conid = checks.conid("conid", request.conid)
        _check_period(checks, request.period, "must be a period such as 1d")
        wanted = _wanted(checks, request, conid=conid, start=None, end=None)
        check_heartbeat(checks, request.heartbeat_secs)
        checks.done()
        with self._streams.open() as news:
            async with self._bar_feeds.follow(wanted, news) as (snapshot, live, version):
                source = streams.Bars(snapshot, live, version)
                async for message in streams.follow(source, news, self._streams, heartbeat_secs=request.heartbeat_secs):
                    yield message

    async def SubscribeDepth(
        self, request: pb.SubscribeDepthRequest, context: Context
    ) -> AsyncIterator[pb.SubscribeDepthResponse]:
        checks = Checks()
        conid = checks.conid("conid", request.conid)
        if request.account_id:
            checks.account("account_id", request.account_id)
        _check_exchange(checks, request.exchange)
        check_heartbeat(checks, request.heartbeat_secs)
        checks.done()
        await self._gateway.ready()
        account = request.account_id or self._gateway.selected_account
        if self._gateway.is_stranger(account):
            raise AccountNotFound(f"the login has no account {account}")
        with self._streams.open() as news:
            async with self._feeds.ladder(account, conid, request.exchange) as ladder:
                ladder.watchers.add(news)
                try:
                    async for message in streams.follow(
                        streams.Depth(conid, ladder), news, self._streams, heartbeat_secs=request.heartbeat_secs
                    ):
                        yield message
                finally:
                    ladder.watchers.discard(news)

    async def GetRegulatorySnapshot(
        self, request: pb.GetRegulatorySnapshotRequest, context: Context
    ) -> pb.GetRegulatorySnapshotResponse:
        checks = Checks()
        conid = checks.conid("conid", request.conid)
        checks.done()
        # Each costs money: it is sent as what changes something, once.
        answer = await self._gateway.change("GET", "/md/regsnapshot", query=[("conid", str(conid))])
        return decode.regulatory_snapshot(answer)

    async def ListMarketDataFields(
        self, request: pb.ListMarketDataFieldsRequest, context: Context
    ) -> pb.ListMarketDataFieldsResponse:
        return pb.ListMarketDataFieldsResponse(
            fields=[
                pb.MarketDataField(
                    number=field.number,
                    name=field.name,
                    meaning=field.meaning,
                    kind=field.kind,
                    is_default=field.number in DEFAULT_FIELDS,
                )
                for field in FIELDS.values()
            ]
        )


def _fields(checks: Checks, numbers: Sequence[int], *, most: int) -> list[int]:
    """The fields that are asked for, or the default ones."""
    checks.holds("fields", len(numbers) <= most, f"may have at most {most} fields", len(numbers))
    for index, number in enumerate(numbers):
        checks.holds(f"fields[{index}]", number in FIELDS, "must be a field that ListMarketDataFields has", number)
    return list(dict.fromkeys(numbers)) or list(DEFAULT_FIELDS)


def _wanted(
    checks: Checks,
    request: pb.ListBarsRequest | pb.SubscribeBarsRequest,
    *,
    conid: int,
    start: float | None,
    end: float | None,
) -> Wanted:
    checks.holds("bar", request.bar in BARS, f"must be one of {', '.join(BARS)}", request.bar)
    checks.chosen("source", request.source, _SOURCES, "one of BarSource")
    _check_exchange(checks, request.exchange)
    return Wanted(
        conid=conid,
        bar=request.bar,
        start=start,
        end=end,
        period=request.period,
        source=_SOURCES.get(request.source, ""),
        outside_rth=request.outside_regular_hours,
        exchange=request.exchange,
    )


def _check_period(checks: Checks, period: str, rule: str) -> None:
    checks.holds("period", period_secs(period) is not None, rule, period)


def _check_exchange(checks: Checks, exchange: str) -> None:
    if exchange:
        checks.holds("exchange", bool(_EXCHANGE.fullmatch(exchange)), "must be an exchange such as NASDAQ", exchange)
