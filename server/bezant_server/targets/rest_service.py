"""TargetOrdersRestService: the JSON of /api/v1, in the spelling of the trading API."""

from __future__ import annotations

from datetime import UTC
from typing import Any

from google.api.httpbody_pb2 import HttpBody
from google.protobuf.timestamp_pb2 import Timestamp

from bezant.v1 import targets_rest_service_pb2 as rest_pb
from bezant.v1 import targets_rest_service_pb2_grpc as pb_grpc
from bezant.v1 import targets_service_pb2 as pb
from bezant_server.errors import BadRequest
from bezant_server.rpc import call as calls
from bezant_server.rpc import rest
from bezant_server.rpc.call import Context
from bezant_server.rpc.rows import Rows
from bezant_server.targets import broker, requests, statuses
from bezant_server.targets.accounts import Accounts
from bezant_server.targets.batches import Batches
from bezant_server.targets.holdings import HoldingsReader

_CREATED = 201
_IDEMPOTENCY_KEY = "idempotency-key"
_DROPPED = "x-bezant-dropped"
"""Envoy's word for a header that it cannot pass on."""


class TargetOrdersRestService(pb_grpc.TargetOrdersRestServiceServicer):
    """See the proto file.

    Args:
        accounts: which may be traded.
        batches: places and shows them.
        holdings: reads what is held.
        rows: what the segments of a path mean.
    """

    def __init__(self, *, accounts: Accounts, batches: Batches, holdings: HoldingsReader, rows: Rows) -> None:
        self._accounts = accounts
        self._batches = batches
        self._holdings = holdings
        self._rows = rows

    async def GetHealth(self, request: rest_pb.TargetOrdersRestServiceGetHealthRequest, context: Context) -> HttpBody:
        rest.parameters(request, ())
        accounts = {each.account_id: each.tradable for each in await self._accounts.health()}
        status = "ok" if any(accounts.values()) else "degraded"
        return await rest.answer(context, {"status": status, "accounts": accounts})

    async def PlaceOrders(
        self, request: rest_pb.TargetOrdersRestServicePlaceOrdersRequest, context: Context
    ) -> HttpBody:
        rest.parameters(request, ())
        submission = requests.from_json(request.body.data, idempotency_key=_idempotency_key())
        with broker.told():
            batch = await self._batches.submit(submission, calls.current().client)
        return await rest.answer(
            context, {**_head(batch), "results": [_result(order) for order in batch.orders]}, status=_CREATED
        )

    async def ListOrders(self, request: rest_pb.TargetOrdersRestServiceListOrdersRequest, context: Context) -> HttpBody:
        rest.parameters(request, ())
        batches = [_head(batch, client=True) for batch in await self._batches.recent()]
        return await rest.answer(context, {"batches": batches})

    async def GetOrders(self, request: rest_pb.TargetOrdersRestServiceGetOrdersRequest, context: Context) -> HttpBody:
        rest.parameters(request, ())
        with broker.told():
            batch = await self._batches.get(rest.path_field(self._rows, request, "batch_id"))
        return await rest.answer(context, {**_head(batch), "orders": [_progress(order) for order in batch.orders]})

    async def CancelOrders(
        self, request: rest_pb.TargetOrdersRestServiceCancelOrdersRequest, context: Context
    ) -> HttpBody:
        rest.parameters(request, ())
        batch_id = rest.path_field(self._rows, request, "batch_id")
        with broker.told():
            cancellations = await self._batches.cancel(batch_id)
        return await rest.answer(
            context, {"batch_id": batch_id, "results": [_cancellation(each) for each in cancellations]}
        )

    async def ListPositions(
        self, request: rest_pb.TargetOrdersRestServiceListPositionsRequest, context: Context
    ) -> HttpBody:
        account = rest.parameters(request, ("account_id",))["account_id"]
        with broker.told():
            found = await self._holdings.stocks(await self._accounts.chosen(account))
        return await rest.answer(
            context,
            {
                "account_id": found.account_id,
                "positions": [_position(each) for each in found.positions],
                "net_liquidation": rest.fraction(rest.optional(found, "net_liquidation")),
                "updated_at": _moment(found.updated_at),
            },
        )


def _idempotency_key() -> str:
    """The header; empty without one. What cannot be used is refused: unnoticed, it would not protect.

    Raises:
        BadRequest: it is empty, given twice, or no ASCII.
    """
    headers = calls.current().metadata
    keys = [value for name, value in headers if name == _IDEMPOTENCY_KEY]
    if (_DROPPED, _IDEMPOTENCY_KEY) in headers or any(not isinstance(key, str) or not key.strip() for key in keys):
        raise BadRequest("Idempotency-Key must be printable ASCII", field=_IDEMPOTENCY_KEY)
    if len(keys) > 1:
        raise BadRequest("Idempotency-Key is given twice", field=_IDEMPOTENCY_KEY)
    return str(keys[0]) if keys else ""


def _head(batch: pb.TargetBatch, *, client: bool = False) -> dict[str, Any]:
    return {
        "batch_id": batch.batch_id,
        "account_id": batch.account_id,
        **({"client": batch.client} if client else {}),
        "submitted_at": _moment(batch.submitted_at),
    }


def _result(order: pb.TargetOrder) -> dict[str, Any]:
    return {
        "symbol": order.symbol,
        "current_pos": _optional_quantity(order, "current_position"),
        "working_qty": _optional_quantity(order, "working_quantity"),
        "desired_pos": rest.whole_or_fraction(order.desired_position),
        "delta": _optional_quantity(order, "delta"),
        "action": order.action or None,
        "qty": rest.whole_or_fraction(order.quantity),
        "order_type": order.order_type if order.action else None,
        "ibkr_order_id": _order_id(order.order_id),
        "status": statuses.SPELLED[order.status],
        **_error(order.error),
    }


def _progress(order: pb.TargetOrder) -> dict[str, Any]:
    return {
        "symbol": order.symbol,
        "ibkr_order_id": _order_id(order.order_id),
        "status": statuses.SPELLED[order.status],
        "filled_qty": rest.whole_or_fraction(order.filled_quantity),
        "avg_fill_price": rest.fraction(rest.optional(order, "average_fill_price")),
        "commission": rest.fraction(rest.optional(order, "commission")),
        "delta": _optional_quantity(order, "delta"),
        "action": order.action or None,
        **_error(order.error),
    }


def _cancellation(cancellation: pb.TargetCancellation) -> dict[str, Any]:
    return {
        "ibkr_order_id": _order_id(cancellation.order_id),
        "cancelled": cancellation.accepted,
        **_error(cancellation.reason),
    }


def _position(position: pb.StockPosition) -> dict[str, Any]:
    return {
        "symbol": position.symbol,
        "quantity": rest.whole_or_fraction(position.quantity),
        "avg_cost": rest.fraction(rest.optional(position, "average_cost")),
        "conid": position.conid,
    }


def _error(text: str) -> dict[str, str]:
    """A member where there is something to say, none where there is not."""
    return {"error": text} if text else {}


def _optional_quantity(order: pb.TargetOrder, name: str) -> Any:
    text = rest.optional(order, name)
    return None if text is None else rest.whole_or_fraction(text)


def _order_id(text: str) -> int | str | None:
    """A number, as clients of the trading API expect it."""
    return int(text) if text.isascii() and text.isdigit() else text or None


def _moment(moment: Timestamp) -> str:
    return moment.ToDatetime(UTC).replace(microsecond=0).isoformat()
