"""What the REST rows and the typed events service call."""

from __future__ import annotations

import re
from datetime import datetime
from typing import NoReturn, Protocol

from bezant_server.errors import BadRequest, EventsDisabled, EventsHistoryDisabled, NotFound
from bezant_server.events.history import History
from bezant_server.events.lines import Lines
from bezant_server.events.poll import PollAnswer, poll
from bezant_server.events.ring import Ring
from bezant_server.events.status import StatusReport
from bezant_server.events.topics import GAP, MARKETDATA, ORDERS, PNL, Topics, marketdata_topic
from bezant_server.params import required, whole_number

POLL_LIMIT_DEFAULT = 100
POLL_LIMIT_MAX = 1000
HISTORY_LIMIT_DEFAULT = 500
HISTORY_LIMIT_MAX = 5000

_MARKETDATA_TOPIC = re.compile(rf"{MARKETDATA}:([1-9][0-9]{{0,17}})")
_RFC3339 = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]([0-9]{2}:[0-9]{2}:[0-9]{2})(\.[0-9]{1,18})?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)


class Events(Protocol):
    """The events, by the texts of query parameters. An empty text means that the parameter is absent."""

    async def poll(self, topic: str, *, since: str, limit: str, conid: str = "") -> PollAnswer:
        """Events newer than the cursor `since`.

        Args:
            topic: orders, pnl, gap or marketdata.
            since: a cursor; absent or 0 for the oldest held.
            limit: 100 by default, more than 1000 counts as 1000.
            conid: required for marketdata; its first poll subscribes the line upstream.

        Raises:
            NotFound: no such topic.
            BadRequest, MissingQueryParam: a parameter cannot be used.
            CursorExpired: the cursor cannot be served.
            EventsSubscribeFailed: the market-data line could not be subscribed.
            EventsDisabled: capture is off.
        """

    async def history(self, topic: str, *, since_ts: str, limit: str, after_cursor: str, conid: str) -> bytes:
        """Stored events received after `since_ts`, as `{"topic", "events", "count"}`.

        Args:
            topic: orders, pnl, gap, marketdata:<conid>, or marketdata with `conid`.
            since_ts: RFC 3339, required, exclusive.
            limit: 500 by default, more than 5000 counts as 5000.
            after_cursor: the cursor of the last event of the page before: go on behind it, within its millisecond too.
            conid: of the topic marketdata.

        Raises:
            NotFound: no such topic.
            BadRequest, MissingQueryParam: a parameter cannot be used.
            ServerUnavailable: the database cannot be read at present.
            EventsHistoryDisabled: there is no database.
            EventsDisabled: capture is off.
        """

    def status(self) -> bytes:
        """How the capture does, as JSON.

        Raises:
            EventsDisabled: capture is off.
        """


class CapturedEvents:
    """The events while capture is on."""

    def __init__(self, *, topics: Topics, lines: Lines, history: History | None, report: StatusReport) -> None:
        self._topics = topics
        self._lines = lines
        self._history = history
        self._report = report

    async def poll(self, topic: str, *, since: str, limit: str, conid: str = "") -> PollAnswer:
        """See `Events.poll`."""
        cursor = whole_number("since", since, default=0)
        count = min(whole_number("limit", limit, default=POLL_LIMIT_DEFAULT, minimum=1), POLL_LIMIT_MAX)
        ring = await self._ring(topic, conid)
        return poll(ring, since=cursor, limit=count, reset_epoch=self._topics.reset_epoch)

    async def history(self, topic: str, *, since_ts: str, limit: str, after_cursor: str, conid: str) -> bytes:
        """See `Events.history`."""
        name = _history_topic(topic, conid)
        if self._history is None:
            raise EventsHistoryDisabled
        events = await self._history.page(
            name,
            since_ms=_milliseconds("since_ts", required("since_ts", since_ts)),
            after_cursor=whole_number("after_cursor", after_cursor, default=0),
            limit=min(whole_number("limit", limit, default=HISTORY_LIMIT_DEFAULT, minimum=1), HISTORY_LIMIT_MAX),
        )
        return b'{"topic":"%b","events":[%b],"count":%d}' % (
            name.encode(),
            b",".join([event.encoded for event in events]),
            len(events),
        )

    def status(self) -> bytes:
        """See `Events.status`."""
        return self._report.render()

    async def _ring(self, topic: str, conid: str) -> Ring:
        if topic == MARKETDATA:
            return await self._lines.read(_conid(conid))
        ring = self._topics.get(topic) if topic in (ORDERS, PNL, GAP) else None
        if ring is None:
            raise _no_topic(topic)
        return ring


class DisabledEvents:
    """The events while capture is off: every call says so."""

    async def poll(self, topic: str, *, since: str, limit: str, conid: str = "") -> NoReturn:  # noqa: ARG002
        """See `Events.poll`."""
        raise EventsDisabled

    async def history(
        self,
        topic: str,  # noqa: ARG002
        *,
        since_ts: str,  # noqa: ARG002
        limit: str,  # noqa: ARG002
        after_cursor: str,  # noqa: ARG002
        conid: str,  # noqa: ARG002
    ) -> NoReturn:
        """See `Events.history`."""
        raise EventsDisabled

    def status(self) -> NoReturn:
        """See `Events.status`."""
        raise EventsDisabled


def _conid(text: str) -> int:
    return whole_number("conid", required("conid", text), default=0, minimum=1)


def _history_topic(topic: str, conid: str) -> str:
    if topic == MARKETDATA:
        return marketdata_topic(_conid(conid))
    if topic in (ORDERS, PNL, GAP) or _MARKETDATA_TOPIC.fullmatch(topic):
        return topic
    raise _no_topic(topic)


def _no_topic(topic: str) -> NotFound:
    return NotFound(f"no events topic '{topic[:40]}': there are {ORDERS}, {PNL}, {MARKETDATA} and {GAP}")


def _milliseconds(name: str, text: str) -> int:
    try:
        return _parse_rfc3339(text)
    except (ValueError, OverflowError):
        raise BadRequest(
            f"{name} must be an RFC 3339 time such as 2026-03-09T14:30:00Z (a + in a query is written %2B), "
            f"got '{text[:40]}'",
            field=name,
        ) from None


def _parse_rfc3339(text: str) -> int:
    """Milliseconds since 1970, rounded down: nothing is received between two milliseconds."""
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise ValueError(text)
    date, time, fraction, zone = match.groups()
    moment = datetime.fromisoformat(f"{date}T{time}{zone.upper().replace('Z', '+00:00')}")
    return int(moment.timestamp()) * 1000 + int((fraction or ".")[1:4].ljust(3, "0"))
