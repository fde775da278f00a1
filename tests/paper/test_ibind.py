"""The public client `ibind`, unmodified, over REST and WebSocket."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ibind.var
import pytest
from ibind import IbkrClient, IbkrWsClient, QueueSink, events
from ibind.ibkr_ws.ibkr_subscriptions import (
    AccountLedgerSubscription,
    AccountSummarySubscription,
    IbkrSubscription,
    MarketDataSubscription,
    MarketHistorySubscription,
    OrdersSubscription,
    PnlSubscription,
    TradesSubscription,
)

from tests.paper import ibind_story
from tests.paper.ibind_story import AAPL, ACCOUNT, ANSWERS, order_request, until
from tests.support.paper import PaperGateway


@pytest.fixture(autouse=True)
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keeps ibind's log files out of the system's temporary folder, and its closing of a socket short."""
    monkeypatch.setattr(ibind.var, "LOGS_DIR", str(tmp_path))
    monkeypatch.setattr(ibind.var, "IBIND_WS_TIMEOUT", 1.0)


@pytest.fixture
def rest_base_url(paper: PaperGateway) -> str:
    """Where ibind's REST goes: the gateway itself here."""
    return paper.base_url


@pytest.fixture
def rest(rest_base_url: str, paper: PaperGateway) -> Iterator[IbkrClient]:
    client = ibind_story.ibind_client(rest_base_url, paper.ca_file)
    yield client
    client.close()


@pytest.fixture
def sink() -> QueueSink:
    return QueueSink()


@pytest.fixture
def socket(rest: IbkrClient, paper: PaperGateway, sink: QueueSink) -> Iterator[IbkrWsClient]:
    """ibind's WebSocket client, connected and authenticated."""
    client = IbkrWsClient(
        account_id=ACCOUNT,
        url=paper.socket_url,
        ibkr_client=rest,
        cacert=str(paper.ca_file),
        sink=sink,
        synchronous_output_events=True,
    )
    assert client.start()
    until(client.is_authenticated)
    yield client
    client.shutdown()


def awaited(queue: Any, fits: Callable[[Any], bool] = lambda _event: True) -> Any:
    """The first event of a queue that fits."""
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        event = queue.get(block=True, timeout=0.2)
        if event is not None and fits(event):
            return event
    raise AssertionError("the event did not come")


def test_the_whole_rest_story(rest: IbkrClient) -> None:
    for check in ibind_story.REST_CHECKS:
        check(rest)


CHANNELS: tuple[tuple[type[Any], IbkrSubscription], ...] = (
    (events.MarketData, MarketDataSubscription(conid=AAPL, fields=["31", "84", "86"])),
    (events.Pnl, PnlSubscription()),
    (events.Trades, TradesSubscription()),
    (events.AccountSummary, AccountSummarySubscription(account_id=ACCOUNT)),
    (events.AccountLedger, AccountLedgerSubscription(account_id=ACCOUNT)),
)


def test_channels_are_confirmed_and_deliver(socket: IbkrWsClient, sink: QueueSink) -> None:
    queues = {kind: sink.new_queue_accessor(kind) for kind, _ in CHANNELS}
    for kind, subscription in CHANNELS:
        assert socket.subscribe(subscription).wait(10), kind
        assert awaited(queues[kind]).data, kind
    for kind, subscription in CHANNELS:
        assert socket.unsubscribe(subscription).wait(10), kind


def test_quotes_carry_prices(socket: IbkrWsClient, sink: QueueSink) -> None:
    queue = sink.new_queue_accessor(events.MarketData)
    assert socket.subscribe(MarketDataSubscription(conid=AAPL, fields=["84", "86"])).wait(10)
    quote = awaited(queue, lambda event: "bid_price" in event.data and "ask_price" in event.data)
    assert quote.conid == AAPL
    assert float(quote.data["bid_price"]) <= float(quote.data["ask_price"])


def test_history_over_the_socket(socket: IbkrWsClient, sink: QueueSink) -> None:
    queue = sink.new_queue_accessor(events.MarketHistory)
    subscription = MarketHistorySubscription(conid=AAPL, period="1h", bar="5min")
    assert socket.subscribe(subscription).wait(10)
    assert len(awaited(queue).data["data"]) == 12
    assert socket.unsubscribe(subscription).wait(10)


def test_the_order_channel_follows_an_order(socket: IbkrWsClient, rest: IbkrClient, sink: QueueSink) -> None:
    queue = sink.new_queue_accessor(events.Orders)
    rest.receive_brokerage_accounts()
    rest.live_orders()
    socket.subscribe(OrdersSubscription())
    until(lambda: socket.is_subscription_active("or"))
    order_id = int(rest.place_order(order_request(order_type="MKT"), ANSWERS).data["order_id"])

    def is_fill(event: Any) -> bool:
        return any(row["orderId"] == order_id and row.get("status") == "Filled" for row in event.data["args"])

    assert awaited(queue, is_fill)


def test_tic_is_answered(socket: IbkrWsClient) -> None:
    assert socket.tic()["alive"] is True
