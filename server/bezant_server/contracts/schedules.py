"""When venues trade, in UTC.

IBKR tells it in two ways: of a contract in seconds since 1970, and of a venue in local times, by weekday (the days
20000101 to 20000107, a Saturday to a Friday, stand for them) with real dates that override.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from google.protobuf.timestamp_pb2 import Timestamp

from bezant.v1 import contracts_service_pb2 as pb
from bezant_server.cpapi import document
from bezant_server.cpapi.document import Row
from bezant_server.errors import UpstreamDecodeError

_DAYS_AHEAD = 7
_FIRST_WEEKDAY = date(2000, 1, 1)
_CLOCK = re.compile(r"([01][0-9]|2[0-4])([0-5][0-9])")


def of_contract(answer: Any) -> list[pb.VenueSchedule]:
    """The answer of /contract/trading-schedule."""
    row = Row(answer, "")
    days = []
    for day, hours in sorted(row.entries("schedules")):
        extended = hours.rows("extended_hours")
        days.append(
            pb.TradingDay(
                date=day,
                liquid_sessions=[_session(each) for each in hours.rows("liquid_hours")],
                sessions=[_session(each) for each in extended],
            )
        )
    zone = row.text("exchange_time_zone")
    return [pb.VenueSchedule(time_zone=zone, days=days)] if days else []


def of_venues(answer: Any, now: Callable[[], float]) -> list[pb.VenueSchedule]:
    """The answer of /trsrv/secdef/schedule, for the next days."""
    today = datetime.fromtimestamp(now(), UTC).date()
    return [_venue(row, today) for row in document.rows(answer, "")]


def _venue(row: Row, today: date) -> pb.VenueSchedule:
    zone = _zone(row)
    by_day = {each.text("tradingScheduleDate"): each for each in row.rows("schedules")}
    days = []
    for ahead in range(_DAYS_AHEAD):
        day = today + timedelta(days=ahead)
        weekday = _FIRST_WEEKDAY + timedelta(days=(day.weekday() - _FIRST_WEEKDAY.weekday()) % 7)
        schedule = by_day.get(f"{day:%Y%m%d}") or by_day.get(f"{weekday:%Y%m%d}")
        if schedule is None:
            continue
        liquid = [_local_session(each, day, zone) for each in schedule.rows("sessions")]
        trading = [_local_session(each, day, zone) for each in schedule.rows("tradingtimes")]
        if liquid or trading:
            days.append(
                pb.TradingDay(
                    date=f"{day:%Y%m%d}",
                    liquid_sessions=[each for each in liquid if each is not None],
                    sessions=[each for each in trading if each is not None],
                )
            )
    return pb.VenueSchedule(
        exchange=row.text("exchange"), description=row.text("description"), time_zone=zone.key, days=days
    )


def _zone(row: Row) -> ZoneInfo:
    name = row.text("timezone")
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise UpstreamDecodeError(f"the gateway's answer has no time zone at '{row.place}.timezone'") from None


def _session(row: Row) -> pb.TradingSession:
    return pb.TradingSession(
        open_time=row.moment("opening"),
        close_time=row.moment("closing"),
        cancels_day_orders=row.boolean("cancel_daily_orders") is True,
    )


def _local_session(row: Row, day: date, zone: ZoneInfo) -> pb.TradingSession | None:
    opening, closing = (_minutes(row.text(name)) for name in ("openingTime", "closingTime"))
    if opening is None or closing is None:
        return None
    # A session that closes before it opens began the evening before.
    start = day - timedelta(days=1) if closing <= opening else day
    return pb.TradingSession(
        open_time=_moment(start, opening, zone),
        close_time=_moment(day, closing, zone),
        cancels_day_orders=row.boolean("cancelDayOrders") is True,
    )


def _minutes(clock: str) -> int | None:
    match = _CLOCK.fullmatch(clock)
    return int(match[1]) * 60 + int(match[2]) if match else None


def _moment(day: date, minutes: int, zone: ZoneInfo) -> Timestamp:
    local = datetime.combine(day, time(), zone) + timedelta(minutes=minutes)
    moment = Timestamp()
    moment.FromDatetime(local.astimezone(UTC))
    return moment
