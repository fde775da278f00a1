"""The rings by topic, and the epoch they share."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping

from bezant_server.events.clock import Clock
from bezant_server.events.numbering import Numbering
from bezant_server.events.ring import Event, Ring
from bezant_server.events.trades import NewTrades
from bezant_server.events.whole_orders import WholeOrders

ORDERS = "orders"
PNL = "pnl"
GAP = "gap"
ORDER_OUTCOMES = "order_outcomes"
"""What became of orders whose answer was lost; the server itself tells."""
ORDER_UPDATES = "order_updates"
"""The orders topic with whole orders: cursor for cursor the same events."""
TRADES = "trades"
SESSION = "session"
"""The session's state; the server itself tells."""
NOTIFICATIONS = "notifications"
BULLETINS = "bulletins"
LEDGER = "ledger"
ACCOUNT_SUMMARY = "account_summary"

_TYPED_ONLY = (TRADES, SESSION, NOTIFICATIONS, BULLETINS, LEDGER, ACCOUNT_SUMMARY, ORDER_OUTCOMES)
MARKETDATA = "marketdata"
"""The family of market-data topics; a topic of it is `marketdata:<conid>`."""


def marketdata_topic(conid: int) -> str:
    """The topic of one market-data line."""
    return f"{MARKETDATA}:{conid}"


def conid_of(topic: str) -> int:
    """The contract of a market-data topic; 0 for another topic."""
    return int(topic.partition(":")[2] or 0)


class Topics:
    """Every ring, and what is published to them.

    Args:
        capacities: events held, by topic; `marketdata` stands for each line.
        numbering: where cursors and the epoch start.
        clock: when an event was received.
        record: called with every event, in order; it must not block.
    """

    def __init__(
        self,
        *,
        capacities: Mapping[str, int],
        numbering: Numbering,
        clock: Clock,
        record: Callable[[Event], None],
    ) -> None:
        self._capacities = capacities
        self._numbering = numbering
        self._clock = clock
        self._record = record
        self.reset_epoch = numbering.base()
        self._rings = {topic: self._ring(topic, capacities[topic]) for topic in (ORDERS, PNL, GAP)}
        # What the typed service alone shows.
        self._more = {topic: self._ring(topic, capacities[ORDERS]) for topic in _TYPED_ONLY}
        self._more[ORDER_UPDATES] = Ring(
            ORDER_UPDATES, capacity=capacities[ORDERS], first_cursor=self._rings[ORDERS].next_cursor
        )
        self.orders = WholeOrders()
        self._trades = NewTrades()

    def __iter__(self) -> Iterator[Ring]:
        """The rings that REST shows."""
        return iter(self._rings.values())

    def all(self) -> Iterator[Ring]:
        """Every ring."""
        yield from self._rings.values()
        yield from self._more.values()

    def get(self, topic: str) -> Ring | None:
        """The ring of a topic, or None when it has none."""
        # Not `or`: an empty ring is false.
        ring = self._rings.get(topic)
        return self._more.get(topic) if ring is None else ring

    def fixed(self, topic: str) -> Ring:
        """The ring of a topic that always has one."""
        return self._rings[topic] if topic in self._rings else self._more[topic]

    def open(self, topic: str) -> Ring:
        """The ring of a market-data topic, made when it has none.

        A ring made anew starts above every cursor of one that was closed, so that those are recognised as expired.
        """
        ring = self._rings.get(topic)
        if ring is None:
            ring = self._rings[topic] = self._ring(topic, self._capacities[MARKETDATA])
        return ring

    def close(self, topic: str) -> None:
        """Forget the ring of a market-data topic."""
        ring = self._rings.pop(topic, None)
        if ring is not None:
            self._numbering.retire(ring.newest_cursor)

    def publish(self, topic: str, payload: bytes) -> None:
        """Push a frame to a topic; one without a ring has no reader, and the frame is dropped."""
        ring = self.get(topic)
        if ring is None:
            return
        if topic == TRADES:
            fresh = self._trades.fresh(payload)
            if fresh is None:
                return
            payload = fresh
        self._push(ring, payload)
        if topic == ORDERS:
            self._push(self._more[ORDER_UPDATES], self.orders.update(payload))

    def process_restarted(self) -> None:
        """Tell the gap topic that a process began: what happened before it is not in the rings."""
        self._push(self._rings[GAP], self._gap("process_restart"))

    def reconnected(self, *, disconnected_at: str) -> None:
        """Begin a new epoch and tell every topic: what the gateway said meanwhile is lost.

        Args:
            disconnected_at: when the previous connection ended, RFC 3339.
        """
        self.reset_epoch += 1
        payload = self._gap("reconnected_after_disconnect", disconnected_at=disconnected_at)
        for ring in self.all():
            self._push(ring, payload)

    def _gap(self, reason: str, **details: str) -> bytes:
        gap = {"topic": GAP, "reason": reason, "new_reset_epoch": self.reset_epoch, **details}
        return json.dumps(gap, separators=(",", ":")).encode()

    def _push(self, ring: Ring, payload: bytes) -> None:
        self._record(ring.push(payload, received_at_ms=self._clock.wall_ms(), reset_epoch=self.reset_epoch))

    def _ring(self, topic: str, capacity: int) -> Ring:
        return Ring(topic, capacity=capacity, first_cursor=self._numbering.base())
