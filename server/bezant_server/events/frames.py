"""What a frame of the gateway's socket is, and the topic it belongs to."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import NoReturn

from bezant_server.events.topics import (
    ACCOUNT_SUMMARY,
    BULLETINS,
    LEDGER,
    NOTIFICATIONS,
    ORDERS,
    PNL,
    TRADES,
    marketdata_topic,
)

MALFORMED = "malformed"
OVERSIZE = "oversize"
UNKNOWN = "unknown"
READY = "ready"
"""The `system` frame that names the user: from here on requests are heard."""

HEARTBEAT = "hb"
LADDER = "sbd"
MARKETDATA = "smd"
_UNSOLICITED = frozenset({"system", "act", "sts", "tic"})
_TOPICS = {"str": TRADES, "ntf": NOTIFICATIONS, "blt": BULLETINS}
_ACCOUNT_TOPICS = {"sld+": LEDGER, "ssd+": ACCOUNT_SUMMARY}
_MARKETDATA = re.compile(r"smd\+([1-9][0-9]{0,17})")


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame's kind, for counting, and the topic that gets it, if any.

    Attributes:
        kind: as IBKR calls it.
        topic: ours.
        target: of a price ladder, the account and contract that it names.
    """

    kind: str
    topic: str | None = None
    target: str = ""


def read(raw: bytes, *, max_bytes: int) -> Frame:
    """Tell what a frame is; nothing that a gateway may send makes this fail."""
    if len(raw) > max_bytes:
        return Frame(OVERSIZE)
    try:
        document = json.loads(raw.decode("utf-8"), parse_constant=_refuse)
    except (ValueError, RecursionError):
        return Frame(MALFORMED)
    if not isinstance(document, dict):
        return Frame(MALFORMED)
    match document.get("topic"):
        case "sor":
            return Frame("sor", ORDERS)
        case "spl":
            return Frame("spl", PNL)
        case "system" if "success" in document:
            return Frame(READY)
        case "system" if "hb" in document:
            return Frame(HEARTBEAT)
        case str(topic) if topic in _TOPICS:
            return Frame(topic, _TOPICS[topic])
        case str(topic) if topic in _UNSOLICITED:
            return Frame(topic)
        case str(topic) if topic[:4] in _ACCOUNT_TOPICS:
            return Frame(topic[:3], _ACCOUNT_TOPICS[topic[:4]])
        case str(topic) if topic.startswith("sbd+"):
            return Frame(LADDER, target=topic.removeprefix("sbd+"))
        case str(topic) if (line := _MARKETDATA.fullmatch(topic)) is not None:
            return Frame(MARKETDATA, marketdata_topic(int(line[1])))
    return Frame(UNKNOWN)


def _refuse(constant: str) -> NoReturn:
    """NaN and the infinities are no JSON; passed on, they would break every reader of the answer they stand in."""
    raise ValueError(constant)
