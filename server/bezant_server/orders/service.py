"""OrdersService."""

from __future__ import annotations

import re
from collections.abc import Sequence

from bezant.v1 import orders_service_pb2 as pb
from bezant.v1 import orders_service_pb2_grpc as pb_grpc
from bezant_server.cpapi import refusals
from bezant_server.cpapi.client import segment
from bezant_server.cpapi.document import plain_text
from bezant_server.errors import BezantError
from bezant_server.inputs import Checks
from bezant_server.orders import amendments, audit, decode, tickets, vocabulary
from bezant_server.orders.book import Book
from bezant_server.orders.desk import Desk
from bezant_server.paging import paging
from bezant_server.rpc.call import Context
from bezant_server.session.typed import TypedGateway

_MOST_SUPPRESSED = 51
_MOST_DAYS = 7
_REPLY_ID = re.compile(r"[A-Za-z0-9-]{1,64}")


class OrdersService(pb_grpc.OrdersServiceServicer):
    """See the proto file.

    Args:
        gateway: where it asks.
        desk: sends orders.
        book: reads them.
    """

    def __init__(self, *, gateway: TypedGateway, desk: Desk, book: Book) -> None:
        self._gateway = gateway
        self._desk = desk
        self._book = book

    async def PlaceOrders(self, request: pb.PlaceOrdersRequest, context: Context) -> pb.PlaceOrdersResponse:
        checks = Checks()
        ready = tickets.tickets(
            checks, account=request.account_id, orders=request.orders, one_cancels_all=request.one_cancels_all
        )
        agreed = tickets.message_ids(checks, "agreed_message_ids", request.agreed_message_ids)
        checks.done()
        return pb.PlaceOrdersResponse(outcomes=await self._desk.place(ready, agreed))

    async def PreviewOrders(self, request: pb.PreviewOrdersRequest, context: Context) -> pb.PreviewOrdersResponse:
        checks = Checks()
        ready = tickets.tickets(
            checks, account=request.account_id, orders=request.orders, one_cancels_all=request.one_cancels_all
        )
        checks.done()
        conid = ready[0].body.get("conid")
        if conid:
            # Without a line of market data IBKR warns of trading blindly (its documentation).
            query = [("conids", str(conid)), ("fields", "31")]
            await self._gateway.read("/iserver/marketdata/snapshot", query=query)
        answer = await self._gateway.read(
            f"/iserver/account/{segment(request.account_id)}/orders/whatif",
            method="POST",
            body={"orders": [ticket.body for ticket in ready]},
            account=request.account_id,
        )
        return decode.preview(answer)

    async def ModifyOrder(self, request: pb.ModifyOrderRequest, context: Context) -> pb.ModifyOrderResponse:
        checks = Checks()
        amendments.check(checks, request)
        agreed = tickets.message_ids(checks, "agreed_message_ids", request.agreed_message_ids)
        checks.done()
        order = await self._book.status(request.order_id, request.account_id)
        ticket = amendments.ticket(request, order)
        return pb.ModifyOrderResponse(outcome=await self._desk.modify(request.order_id, ticket, agreed))

    async def CancelOrder(self, request: pb.CancelOrderRequest, context: Context) -> pb.CancelOrderResponse:
        checks = Checks()
        checks.account("account_id", request.account_id)
        tickets.order_id(checks, "order_id", request.order_id)
        options = _operator(checks, request)
        checks.done()
        return await self._desk.cancel(request.account_id, request.order_id, options)

    async def CancelAllOrders(self, request: pb.CancelAllOrdersRequest, context: Context) -> pb.CancelAllOrdersResponse:
        checks = Checks()
        account = checks.account("account_id", request.account_id)
        if request.conid:
            checks.conid("conid", request.conid)
        options = _operator(checks, request)
        checks.done()
        listing = await self._book.live(account)
        response = pb.CancelAllOrdersResponse(incomplete=not listing.complete)
        for row in listing.rows:
            order = decode.order(row)
            if order.is_terminal or (request.conid and order.conid != request.conid):
                continue
            cancellation = pb.Cancellation(order_id=order.order_id, client_order_id=order.client_order_id)
            try:
                answer = await self._desk.cancel(account, order.order_id, options)
            except BezantError as error:
                cancellation.reason, cancellation.message = error.reason, error.message
            else:
                cancellation.requested, cancellation.message = not answer.outcome_unknown, answer.message
            response.cancellations.append(cancellation)
        return response

    async def ConfirmOrder(self, request: pb.ConfirmOrderRequest, context: Context) -> pb.ConfirmOrderResponse:
        checks = Checks()
        known = bool(_REPLY_ID.fullmatch(request.reply_id))
        checks.holds("reply_id", known, "must be the reply_id of a question", request.reply_id)
        agreed = tickets.message_ids(checks, "agreed_message_ids", request.agreed_message_ids)
        checks.done()
        outcomes = await self._desk.confirm(request.reply_id, confirmed=request.confirmed, agreed=agreed)
        return pb.ConfirmOrderResponse(outcomes=outcomes, declined=not request.confirmed)

    async def ListOrders(self, request: pb.ListOrdersRequest, context: Context) -> pb.ListOrdersResponse:
        checks = Checks()
        account = checks.account("account_id", request.account_id)
        statuses = set(request.statuses)
        for index, status in enumerate(request.statuses):
            checks.chosen(f"statuses[{index}]", status, vocabulary.STATUSES, "one of OrderStatus")
        if request.conid:
            checks.conid("conid", request.conid)
        if request.side:
            checks.chosen("side", request.side, vocabulary.SIDES, "BUY or SELL")
        page = paging(
            checks,
            page_size=request.page_size,
            page_token=request.page_token,
            request=f"ListOrders {account} {sorted(statuses)} {request.conid} {request.side}",
        )
        checks.done()
        listing = await self._book.live(account)
        orders = [
            order
            for order in map(decode.order, listing.rows)
            if (not statuses or order.status in statuses)
            and request.conid in (0, order.conid)
            and request.side in (0, order.side)
        ]
        cut = page.cut(orders)
        return pb.ListOrdersResponse(
            orders=cut.elements, next_page_token=cut.next_token, incomplete=not listing.complete
        )

    async def GetOrder(self, request: pb.GetOrderRequest, context: Context) -> pb.GetOrderResponse:
        checks = Checks()
        kind = request.WhichOneof("id")
        if kind is None:
            checks.refuse("order_id", "or client_order_id is required")
        elif kind == "order_id":
            tickets.order_id(checks, "order_id", request.order_id)
        else:
            tickets.client_order_id(checks, "client_order_id", request.client_order_id)
        if request.account_id or kind == "client_order_id":
            checks.account("account_id", request.account_id)
        checks.done()
        if kind == "order_id":
            order = await self._book.status(request.order_id, request.account_id)
        else:
            order = await self._book.by_client_order_id(request.account_id, request.client_order_id)
        return pb.GetOrderResponse(order=order)

    async def ListExecutions(self, request: pb.ListExecutionsRequest, context: Context) -> pb.ListExecutionsResponse:
        checks = Checks()
        if request.account_id:
            checks.account("account_id", request.account_id)
        days = request.days or 1
        checks.holds("days", 1 <= days <= _MOST_DAYS, f"must be 1 to {_MOST_DAYS}", days)
        page = paging(
            checks,
            page_size=request.page_size,
            page_token=request.page_token,
            request=f"ListExecutions {request.account_id} {days}",
        )
        checks.done()
        executions = [decode.execution(row) for row in await self._book.executions(request.account_id, days)]
        executions.sort(key=lambda each: (each.executed_at.seconds, each.executed_at.nanos), reverse=True)
        cut = page.cut(executions)
        return pb.ListExecutionsResponse(executions=cut.elements, next_page_token=cut.next_token)

    async def SuppressWarnings(
        self, request: pb.SuppressWarningsRequest, context: Context
    ) -> pb.SuppressWarningsResponse:
        checks = Checks()
        checks.holds("message_ids", bool(request.message_ids), "needs at least one id")
        ids = tickets.message_ids(checks, "message_ids", request.message_ids, most=_MOST_SUPPRESSED)
        checks.done()
        await self._gateway.change("POST", "/iserver/questions/suppress", body={"messageIds": sorted(ids)})
        audit.acted("suppress", outcome="done", message_ids=",".join(sorted(ids)))
        return pb.SuppressWarningsResponse()

    async def ResetSuppressedWarnings(
        self, request: pb.ResetSuppressedWarningsRequest, context: Context
    ) -> pb.ResetSuppressedWarningsResponse:
        await self._gateway.change("POST", "/iserver/questions/suppress/reset", body={})
        audit.acted("reset suppression", outcome="done")
        return pb.ResetSuppressedWarningsResponse()

    async def AnswerPrompt(self, request: pb.AnswerPromptRequest, context: Context) -> pb.AnswerPromptResponse:
        checks = Checks()
        tickets.order_id(checks, "order_id", request.order_id)
        checks.text("request_id", request.request_id, longest=64)
        checks.text("option", request.option)
        checks.done()
        path = "/iserver/notification"
        body = {"orderId": int(request.order_id), "reqId": request.request_id, "text": request.option}
        response = await self._gateway.send("POST", path, body=body)
        text = response.body.decode("utf-8", "replace").strip()
        if response.status >= 300 or text.startswith("{"):
            refusals.read(response, path)
        audit.acted("answer prompt", outcome="done", order_id=request.order_id)
        return pb.AnswerPromptResponse(message=plain_text(text.strip('"'))[:200])


def _operator(checks: Checks, request: pb.CancelOrderRequest | pb.CancelAllOrdersRequest) -> Sequence[tuple[str, str]]:
    options = []
    if request.HasField("manual_indicator"):
        options.append(("manualIndicator", str(request.manual_indicator).lower()))
    if request.external_operator:
        checks.text("external_operator", request.external_operator, longest=64)
        options.append(("extOperator", request.external_operator))
    return options
