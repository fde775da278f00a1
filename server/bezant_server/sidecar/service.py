"""SidecarService: one method a row."""

from __future__ import annotations

import json
from typing import NoReturn

from google.api.httpbody_pb2 import HttpBody
from google.protobuf.message import Message

from bezant.v1 import sidecar_service_pb2 as pb
from bezant.v1 import sidecar_service_pb2_grpc as pb_grpc
from bezant_server import params
from bezant_server.cpapi import caller as callers
from bezant_server.cpapi.classify import decode_object, is_login_redirect
from bezant_server.cpapi.client import CpapiClient, segment
from bezant_server.cpapi.messages import UpstreamResponse
from bezant_server.errors import BadRequest, NotAuthenticated
from bezant_server.events.api import Events
from bezant_server.rpc import call as calls
from bezant_server.rpc.call import Context
from bezant_server.rpc.rows import Rows
from bezant_server.sidecar import answers, headers
from bezant_server.sidecar.debug import DebugPages

_DEFAULT_FIELDS = "31,84,86,87"


class SidecarService(pb_grpc.SidecarServiceServicer):
    """The rows of bezant-server's tables.

    Args:
        gateway: the gateway, over the one session.
        events: the captured events, or what says that there are none.
        debug: the debug pages.
        rows: what the segments of a path mean.
    """

    def __init__(self, *, gateway: CpapiClient, events: Events, debug: DebugPages, rows: Rows) -> None:
        self._gateway = gateway
        self._events = events
        self._debug = debug
        self._rows = rows

    async def GetHealth(self, request: pb.SidecarServiceGetHealthRequest, context: Context) -> HttpBody:
        response = await self._gateway.call("POST", "/iserver/auth/status", changes_state=False)
        status = decode_object(response)
        message = status.get("message")
        health = {name: status.get(name) is True for name in ("authenticated", "connected", "competing")}
        if waited := callers.current().headers():
            await context.send_initial_metadata(tuple(waited))
        return _json(json.dumps({**health, "message": message if isinstance(message, str) else None}).encode())

    async def ListAccounts(self, request: pb.SidecarServiceListAccountsRequest, context: Context) -> HttpBody:
        return await self._read(context, "/portfolio/accounts")

    async def GetAccountSummary(self, request: pb.SidecarServiceGetAccountSummaryRequest, context: Context) -> HttpBody:
        return await self._read(context, f"/portfolio/{self._id(request, 'account_id')}/summary")

    async def ListPositions(self, request: pb.SidecarServiceListPositionsRequest, context: Context) -> HttpBody:
        account = self._id(request, "account_id")
        page = params.whole_number("page", request.page, default=0)
        return await self._read(context, f"/portfolio/{account}/positions/{page}")

    async def GetLedger(self, request: pb.SidecarServiceGetLedgerRequest, context: Context) -> HttpBody:
        return await self._read(context, f"/portfolio/{self._id(request, 'account_id')}/ledger")

    async def ListOrders(self, request: pb.SidecarServiceListOrdersRequest, context: Context) -> HttpBody:
        account = self._path_field(request, "account_id")
        return await self._read(context, "/iserver/account/orders", ("accountId", account))

    async def PlaceOrders(self, request: pb.SidecarServicePlaceOrdersRequest, context: Context) -> HttpBody:
        account = self._id(request, "account_id")
        _check_json(request.body.data)
        response = await self._gateway.call("POST", f"/iserver/account/{account}/orders", body=request.body.data)
        return await self._verbatim(context, response)

    async def CancelOrder(self, request: pb.SidecarServiceCancelOrderRequest, context: Context) -> HttpBody:
        account = self._id(request, "account_id")
        order = self._id(request, "order_id")
        response = await self._gateway.call("DELETE", f"/iserver/account/{account}/order/{order}")
        return await self._verbatim(context, response)

    async def SearchContracts(self, request: pb.SidecarServiceSearchContractsRequest, context: Context) -> HttpBody:
        search = {
            "symbol": params.required("symbol", request.symbol),
            "name": params.boolean("name", request.name, default=False),
            "secType": request.sec_type.strip() or "STK",
        }
        response = await self._gateway.call(
            "POST", "/iserver/secdef/search", body=json.dumps(search).encode(), changes_state=False
        )
        return await self._verbatim(context, response)

    async def GetMarketSnapshot(self, request: pb.SidecarServiceGetMarketSnapshotRequest, context: Context) -> HttpBody:
        conids = params.conids("conids", params.required("conids", request.conids))
        fields = params.field_ids("fields", request.fields.strip() or _DEFAULT_FIELDS)
        return await self._read(context, "/iserver/marketdata/snapshot", ("conids", conids), ("fields", fields))

    async def PollEvents(self, request: pb.SidecarServicePollEventsRequest, context: Context) -> HttpBody:
        answer = await self._events.poll(
            self._path_field(request, "topic"), since=request.since, limit=request.limit, conid=request.conid
        )
        if answer.body is None:
            await context.send_initial_metadata(
                (("x-http-status", "204"), ("x-bezant-cursor", str(answer.next_cursor)))
            )
            return HttpBody()
        return _json(answer.body)

    async def GetEventsStatus(self, request: pb.SidecarServiceGetEventsStatusRequest, context: Context) -> HttpBody:
        return _json(self._events.status())

    async def ListEventHistory(self, request: pb.SidecarServiceListEventHistoryRequest, context: Context) -> HttpBody:
        return _json(
            await self._events.history(
                self._path_field(request, "topic"),
                since_ts=request.since_ts,
                limit=request.limit,
                after_cursor=request.after_cursor,
                conid=request.conid,
            )
        )

    async def GetCookieJar(self, request: pb.SidecarServiceGetCookieJarRequest, context: Context) -> HttpBody:
        self._authorize_debug(request.token)
        return _json(self._debug.jar())

    async def Probe(self, request: pb.SidecarServiceProbeRequest, context: Context) -> HttpBody:
        self._authorize_debug(request.token)
        return _json(await self._debug.probe())

    async def _read(self, context: Context, path: str, *query: tuple[str, str]) -> HttpBody:
        response = await self._gateway.call("GET", path, query=query, changes_state=False)
        return await self._verbatim(context, response)

    async def _verbatim(self, context: Context, response: UpstreamResponse) -> HttpBody:
        if is_login_redirect(response):
            raise NotAuthenticated
        kind = headers.content_type(response, self._gateway.gateway.base_path, self._gateway.gateway)
        await answers.send_headers(context, response, self._gateway.gateway, content_type=kind)
        return answers.body_of(response, kind)

    def _id(self, request: Message, name: str) -> str:
        """An id as one segment of a path of the gateway's."""
        return segment(self._path_field(request, name))

    def _path_field(self, request: Message, name: str) -> str:
        """A field that stands in the path. A dot segment would be resolved away on its way, and the path with it."""
        http = calls.current().http
        value = str(getattr(request, name)) if http is None else self._rows.field(name, http.path)
        if not value.strip() or value in (".", ".."):
            raise BadRequest(f"{name} must not be empty or a dot segment", field=name)
        return value

    def _authorize_debug(self, query_token: str) -> None:
        self._debug.authorize(calls.current().headers.get("x-bezant-debug-token") or query_token)


def _json(body: bytes) -> HttpBody:
    return HttpBody(content_type=answers.JSON, data=body)


def _check_json(body: bytes) -> None:
    try:
        json.loads(body.decode(), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"the body must be JSON: {error}", field="body") from None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON's")
