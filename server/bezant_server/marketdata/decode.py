"""The gateway's JSON about prices as messages."""

from __future__ import annotations

import html
import re
from decimal import Decimal
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from bezant.v1 import marketdata_service_pb2 as pb
from bezant.v1 import quote_pb2
from bezant_server import decimals
from bezant_server.cpapi.document import Row
from bezant_server.cpapi.magnitudes import scaled
from bezant_server.marketdata.fields import FIELDS, LAST_PRICE, Kind

US_LOT = 100
"""Shares that IBKR counts as one in the volume of bars of US stocks (recorded bars)."""

_NUMBER = re.compile(r"(?P<mark>[A-Za-z@]?)\s*(?P<number>[-+]?[0-9.][0-9.,]*)\s*(?P<suffix>[KMBT]?)\s*%?")
_MEANINGS = {
    "": quote_pb2.LAST_PRICE_MEANING_TRADE,
    "C": quote_pb2.LAST_PRICE_MEANING_PRIOR_CLOSE,
    "H": quote_pb2.LAST_PRICE_MEANING_HALTED,
}
_TIMELINES = {
    "R": quote_pb2.MARKET_DATA_AVAILABILITY_REAL_TIME,
    "D": quote_pb2.MARKET_DATA_AVAILABILITY_DELAYED,
    "Z": quote_pb2.MARKET_DATA_AVAILABILITY_FROZEN,
    "Y": quote_pb2.MARKET_DATA_AVAILABILITY_FROZEN_DELAYED,
    "N": quote_pb2.MARKET_DATA_AVAILABILITY_NOT_SUBSCRIBED,
    "O": quote_pb2.MARKET_DATA_AVAILABILITY_NOT_ACKNOWLEDGED,
    "i": quote_pb2.MARKET_DATA_AVAILABILITY_NOT_ACKNOWLEDGED,
}
_INTEGER = re.compile(r"[0-9]{1,18}")
_TRUTHS = {"1": True, "true": True, "0": False, "false": False}


def quote(row: Row) -> quote_pb2.Quote:
    """A row of a snapshot, or a frame of the market-data channel: whatever fields it has.

    A text that cannot be read as its field should be stands in `raw` alone.
    """
    made = quote_pb2.Quote(
        conid=row.integer("conid") or 0, conidex=row.text("conidEx"), updated_at=row.moment("_updated")
    )
    for name in row:
        if name.isascii() and name.isdigit() and len(name) <= 9 and name in row:
            number, text = int(name), row.text(name)
            made.raw[number] = text
            _set(made, number, text)
    return made


def bars(row: Row, *, lot: int) -> list[pb.Bar]:
    """The bars of a history. `lot` is what the gateway counts as one in their volume."""
    factor = Decimal(row.decimal("volumeFactor") or 1) * lot
    return [_bar(each, factor) for each in row.rows("data")]


def regulatory_snapshot(answer: Any) -> pb.GetRegulatorySnapshotResponse:
    """The answer of /md/regsnapshot."""
    row = Row(answer, "")
    return pb.GetRegulatorySnapshotResponse(
        quote=quote(row),
        bid_exchange=row.text("BestBidExch"),
        ask_exchange=row.text("BestAskExch"),
        last_exchange=row.text("LastExch"),
        bbo_exchange=row.text("BboExchange"),
        has_delayed=row.boolean("HasDelayed"),
    )


def us_stocks(answer: Any) -> set[int]:
    """The conids of /trsrv/secdef that are stocks in the US."""
    return {
        row.integer("conid") or 0
        for row in Row(answer, "").rows("secdef")
        if row.text("assetClass") == "STK" and row.boolean("isUS")
    }


def _set(made: quote_pb2.Quote, number: int, text: str) -> None:
    field = FIELDS.get(number)
    if field is None:
        return
    match field.kind:
        case Kind.AVAILABILITY:
            _set_availability(made, text)
        case Kind.TEXT:
            setattr(made, field.name, html.unescape(text))
        case Kind.INTEGER:
            if _INTEGER.fullmatch(text):
                setattr(made, field.name, int(text))
        case Kind.BOOLEAN:
            if text.lower() in _TRUTHS:
                setattr(made, field.name, _TRUTHS[text.lower()])
        case _:
            _set_number(made, field.name, field.kind, number, text)


def _set_number(made: quote_pb2.Quote, name: str, kind: Kind, number: int, text: str) -> None:
    match = _NUMBER.fullmatch(text.strip())
    digits = decimals.read(match["number"]) if match else None
    if match is None or digits is None or (match["mark"] and kind is not Kind.PRICE):
        return
    value = scaled(digits, match["suffix"]) if match["suffix"] else digits
    if value is None:
        return
    setattr(made, name, float(value) if kind is Kind.DOUBLE else value)
    if number == LAST_PRICE:
        made.last_price_meaning = _MEANINGS.get(match["mark"], quote_pb2.LAST_PRICE_MEANING_UNSPECIFIED)


def _set_availability(made: quote_pb2.Quote, code: str) -> None:
    made.raw_availability = code
    made.availability = _TIMELINES.get(code[:1], quote_pb2.MARKET_DATA_AVAILABILITY_UNSPECIFIED)
    made.has_snapshot = "P" in code[1:]
    made.is_consolidated = "p" in code[1:]
    made.has_book_top = "B" in code[1:]


def _bar(row: Row, factor: Decimal) -> pb.Bar:
    volume = row.decimal("v")
    return pb.Bar(
        start_time=row.moment("t") or Timestamp(),
        open=row.decimal("o"),
        high=row.decimal("h"),
        low=row.decimal("l"),
        close=row.decimal("c"),
        volume=None if volume is None else decimals.plain((Decimal(volume) * factor).normalize()),
    )
