"""MarketDataService."""

from __future__ import annotations

import re
from collections.abc import Callable

from bezant.v1 import marketdata_service_pb2 as pb
from bezant.v1 import marketdata_service_pb2_grpc as pb_grpc
from bezant_server.inputs import Checks
from bezant_server.marketdata import decode
from bezant_server.marketdata.bars import BARS, Bars, Wanted, period_secs
from bezant_server.marketdata.fields import DEFAULT_FIELDS, FIELDS
from bezant_server.marketdata.quotes import Quotes
from bezant_server.rpc.call import Context
from bezant_server.session.typed import TypedGateway

_MOST_CONIDS = 500
_MOST_FIELDS = 150
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
        clock: monotonic seconds.
        now: seconds since 1970.
    """

    def __init__(self, gateway: TypedGateway, *, clock: Callable[[], float], now: Callable[[], float]) -> None:
        self._gateway = gateway
        self._quotes = Quotes(gateway, clock=clock)
        self._bars = Bars(gateway, now=now)

    async def GetQuotes(self, request: pb.GetQuotesRequest, context: Context) -> pb.GetQuotesResponse:
        checks = Checks()
        conids = checks.conids("conids", request.conids, most=_MOST_CONIDS)
        fields = list(dict.fromkeys(request.fields)) or list(DEFAULT_FIELDS)
        checks.holds("fields", len(fields) <= _MOST_FIELDS, f"may have at most {_MOST_FIELDS} fields", len(fields))
        for index, number in enumerate(request.fields):
            checks.holds(f"fields[{index}]", number in FIELDS, "must be a field that ListMarketDataFields has", number)
        checks.done()
        quotes = {quote.conid: quote for quote in await self._quotes.read(conids, fields)}
        return pb.GetQuotesResponse(quotes=[quotes[conid] for conid in conids])

    async def ListBars(self, request: pb.ListBarsRequest, context: Context) -> pb.ListBarsResponse:
        checks = Checks()
        conid = checks.conid("conid", request.conid)
        checks.holds("bar", request.bar in BARS, f"must be one of {', '.join(BARS)}", request.bar)
        start = request.start_time.ToMilliseconds() / 1000 if request.HasField("start_time") else None
        end = request.end_time.ToMilliseconds() / 1000 if request.HasField("end_time") else None
        if start is None:
            known = period_secs(request.period) is not None
            checks.holds("period", known, "must be a period such as 1d (or give start_time)", request.period)
        else:
            checks.holds("period", not request.period, "must be empty when start_time is given", request.period)
            checks.holds("start_time", end is None or start < end, "must be before end_time")
        checks.chosen("source", request.source, _SOURCES, "one of BarSource")
        if request.exchange:
            good = bool(_EXCHANGE.fullmatch(request.exchange))
            checks.holds("exchange", good, "must be an exchange such as NASDAQ", request.exchange)
        checks.done()
        return await self._bars.read(
            Wanted(
                conid=conid,
                bar=request.bar,
                start=start,
                end=end,
                period=request.period,
                source=_SOURCES[request.source],
                outside_rth=request.outside_regular_hours,
                exchange=request.exchange,
            )
        )

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
