"""The same stories as under /api/v1, in messages: decimals as text, statuses as an enumeration, presence."""

from __future__ import annotations

import asyncio
import time
from decimal import Decimal

from bezant.v1 import targets_service_pb2 as pb
from tests.support.typed import AAPL
from tests.typed.targets.client import ACCOUNT, MSFT, TSLA, Client


async def test_health_needs_no_key(client: Client) -> None:
    health = await client.stub.GetTargetHealth(pb.GetTargetHealthRequest())
    assert health.healthy is True
    assert [(each.account_id, each.tradable) for each in health.accounts] == [(ACCOUNT, True)]


async def test_a_batch_from_its_placing_to_its_cancellation(client: Client) -> None:
    """For the only account that targets may be for, as none is named."""
    targets = [
        pb.Target(symbol="msft", quantity="3", limit_price="419.50"),
        pb.Target(symbol="TSLA", quantity="10.0"),
        pb.Target(symbol="AIR", quantity="1"),
    ]
    batch = await client.submit(*targets)
    assert len(batch.batch_id) == 16
    assert (batch.account_id, batch.client) == (ACCOUNT, "client1")
    assert abs(batch.submitted_at.ToSeconds() - time.time()) < 60
    placed, unchanged, ambiguous = batch.orders
    assert placed == pb.TargetOrder(
        symbol="MSFT",
        conid=MSFT,
        current_position="0",
        working_quantity="0",
        desired_position="3",
        delta="3",
        action="BUY",
        quantity="3",
        order_type="LMT",
        limit_price="419.50",
        client_order_id=f"bz-{batch.batch_id}-0",
        order_id=placed.order_id,
        status=pb.TARGET_STATUS_PRE_SUBMITTED,
        filled_quantity="0",
    )
    assert placed.order_id.isdigit()
    assert unchanged == pb.TargetOrder(
        symbol="TSLA",
        conid=unchanged.conid,
        current_position="10",
        working_quantity="0",
        desired_position="10",
        delta="0",
        quantity="0",
        order_type="MKT",
        status=pb.TARGET_STATUS_NO_CHANGE,
        filled_quantity="0",
    )
    assert ambiguous == pb.TargetOrder(
        symbol="AIR",
        desired_position="1",
        quantity="0",
        order_type="MKT",
        status=pb.TARGET_STATUS_ERROR,
        error=ambiguous.error,
        filled_quantity="0",
    )
    assert "29612193" in ambiguous.error
    await client.until(batch.batch_id, lambda order: order.status == pb.TARGET_STATUS_SUBMITTED)
    response = await client.cancelled(batch.batch_id)
    assert response == pb.CancelTargetBatchResponse(
        batch_id=batch.batch_id, cancellations=[pb.TargetCancellation(order_id=placed.order_id, accepted=True)]
    )
    order = await client.until(batch.batch_id, lambda order: order.status == pb.TARGET_STATUS_CANCELLED)
    assert not order.HasField("average_fill_price")
    assert not order.HasField("commission")
    assert list((await client.cancelled(batch.batch_id)).cancellations) == []


async def test_a_market_order_is_filled(client: Client) -> None:
    batch = await client.submit(pb.Target(symbol="AAPL", quantity="5.5", expected_price="230"))
    (placed,) = batch.orders
    assert (placed.order_type, placed.delta, placed.quantity) == ("MKT", "0.5", "0.5")
    assert not placed.HasField("limit_price")
    order = await client.until(batch.batch_id, lambda order: order.HasField("commission"))
    assert (order.status, order.filled_quantity) == (pb.TARGET_STATUS_FILLED, "0.5")
    assert (Decimal(order.average_fill_price), Decimal(order.commission)) == (Decimal("230.02"), Decimal(1))
    again = await client.submit(pb.Target(symbol="AAPL", quantity="5.5"))
    assert (again.orders[0].current_position, again.orders[0].status) == ("5.5", pb.TARGET_STATUS_NO_CHANGE)
    assert client.sent() == 1


async def test_a_tolerance(client: Client) -> None:
    target = pb.Target(symbol="MSFT", quantity="-2", expected_price="421", tolerance_percent="0.03")
    batch = await client.submit(target)
    (order,) = batch.orders
    assert (order.action, order.order_type, Decimal(order.limit_price)) == ("SELL", "LMT", Decimal("420.88"))
    await client.cancelled(batch.batch_id)
    await client.until(batch.batch_id, lambda order: order.status == pb.TARGET_STATUS_CANCELLED)


async def test_a_declined_warning(client: Client) -> None:
    batch = await client.submit(pb.Target(symbol="NVDA", quantity="1", limit_price="120"))
    (order,) = batch.orders
    assert (order.status, order.order_id) == (pb.TARGET_STATUS_ERROR, "")
    assert "o163" in order.error
    assert client.sent() == 1


async def test_the_list_of_batches(client: Client) -> None:
    batches = [await client.submit(pb.Target(symbol="NVDA", quantity="0")) for _ in range(2)]
    response = await client.stub.ListTargetBatches(pb.ListTargetBatchesRequest(), metadata=client.metadata)
    assert len(response.batches) <= 100
    for listed, batch in zip(response.batches[:2], reversed(batches), strict=True):
        batch.ClearField("orders")
        assert listed == batch


async def test_positions(client: Client) -> None:
    request = pb.ListStockPositionsRequest()
    response = await client.stub.ListStockPositions(request, metadata=client.metadata)
    assert response.account_id == ACCOUNT
    found = {position.symbol: position for position in response.positions}
    assert set(found) >= {"AAPL", "TSLA"}
    tesla = found["TSLA"]
    assert (tesla.symbol, tesla.conid) == ("TSLA", TSLA)
    assert (Decimal(tesla.quantity), Decimal(tesla.average_cost)) == (Decimal(10), Decimal(241))
    assert found["AAPL"].conid == AAPL
    assert Decimal(response.net_liquidation) > 50_000
    assert abs(response.updated_at.ToSeconds() - time.time()) < 60


async def test_an_idempotency_key(client: Client) -> None:
    target = pb.Target(symbol="MSFT", quantity="1", limit_price="419")
    batches = await asyncio.gather(*(client.submit(target, idempotency_key="typed") for _ in range(3)))
    assert batches[0] == batches[1] == batches[2]
    assert client.sent() == 1
    again = await client.submit(pb.Target(symbol="msft", quantity="1.0", limit_price="419.00"), idempotency_key="typed")
    assert again == batches[0]
    await client.cancelled(again.batch_id)
    await client.until(again.batch_id, lambda order: order.status == pb.TARGET_STATUS_CANCELLED)
    assert await client.submit(target, idempotency_key="typed") == batches[0]
