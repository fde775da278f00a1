"""The control endpoint: plain HTTP and JSON on its own port, to make the simulated world do things.

======  =====================  ============================================================================
method  path                   body and effect
======  =====================  ============================================================================
POST    /clock/advance         {"seconds", "keep_alive"?}: jump ahead; keep_alive counts as a request first
                               and last, so that the idle timeout does not strike
POST    /socket/drop           break every WebSocket without a closing handshake
POST    /socket/silence        {"on"}: open sockets stay open and send nothing, heartbeats included
POST    /socket/frame          {"frame": any JSON or a raw string, "binary"?: true}: send it to all sockets
POST    /session/expire        {"layer": "sso" | "brokerage"}
POST    /session/login         log in, as the login page does
POST    /session/compete       {"on"}: another client takes the brokerage session, or leaves
POST    /session/unauthorized  {"answer": "401" | "302" | "body"}: what calls without single sign-on get
POST    /session/init-delay    {"seconds"}: how long ssodh/init takes from now on
POST    /replies/invalidate    forget the open order question
POST    /faults                path (a prefix from "/" on, or a regular expression, matched with and without
                               the API prefix), and any of method, status, body (string), content_type,
                               headers, html, delay_seconds, close (hang up on receipt), truncate, times
DELETE  /faults                no more faults
POST    /gateway/away          {"seconds"}: refuse connections for that (real) time
POST    /gateway/restart       new session id and cookies, sockets dropped
POST    /limits                {"on"}: enforce pacing or not; empties the penalty box
POST    /quotes                {"conid", "bid", "ask", "last"?}: pin a quote; {"conid", "clear": true} frees it
POST    /orders                an order object as IBKR takes it, with acctId: entered in another program
GET     /requests              counts by method and path, statuses, and the 500 most recent requests
DELETE  /requests              start counting anew
GET     /state                 clock, sessions, sockets, orders, penalty box
======  =====================  ============================================================================
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from bezant_server.paper.faults import BadFault, Fault
from bezant_server.paper.gateway import Gateway
from bezant_server.paper.order_state import live_row
from bezant_server.paper.prices import Pin
from bezant_server.paper.socket import Sockets
from bezant_server.paper.validation import BadOrder, OrderRejected

logger = logging.getLogger(__name__)

_LONGEST_JUMP = 400 * 86_400
_PRICES = (0.0001, 1e9)
_MAX_BODY = 64 * 1024 * 1024

Action = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]
Switch = Callable[[], Awaitable[None]]


class _Bad(Exception):
    """A control request that makes no sense: 400 with the reason."""


class Control:
    """Works on the gateway's parts, and on the listener through `shut` and `reopen`."""

    def __init__(self, gateway: Gateway, sockets: Sockets, shut: Switch, reopen: Switch) -> None:
        self._gateway = gateway
        self._sockets = sockets
        self._shut = shut
        self._reopen = reopen
        self._returning: asyncio.Task[None] | None = None

    def app(self) -> web.Application:
        app = web.Application(client_max_size=_MAX_BODY)
        posts: dict[str, Action] = {
            "/clock/advance": self.advance,
            "/socket/drop": self.drop,
            "/socket/silence": self.silence,
            "/socket/frame": self.frame,
            "/session/expire": self.expire,
            "/session/login": self.login,
            "/session/compete": self.compete,
            "/session/unauthorized": self.unauthorized,
            "/session/init-delay": self.init_delay,
            "/replies/invalidate": self.invalidate_reply,
            "/faults": self.add_fault,
            "/gateway/away": self.away,
            "/gateway/restart": self.restart,
            "/limits": self.limits,
            "/quotes": self.pin,
            "/orders": self.enter_order,
        }
        for path, action in posts.items():
            app.router.add_post(path, self._endpoint(action))
        app.router.add_delete("/faults", self._endpoint(self.clear_faults))
        app.router.add_delete("/requests", self._endpoint(self.clear_requests))
        app.router.add_get("/requests", self._endpoint(self.requests))
        app.router.add_get("/state", self._endpoint(self.state))
        return app

    async def close(self) -> None:
        """Give up coming back."""
        if self._returning is not None:
            self._returning.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._returning

    async def advance(self, body: dict[str, Any]) -> dict[str, Any]:
        seconds = _number(body, "seconds", 0, _LONGEST_JUMP)
        clock, session = self._gateway.clock, self._gateway.session
        if body.get("keep_alive"):
            session.last_request = clock.now() + seconds
        clock.advance(seconds)
        session.expire()
        return {"now": clock.now()}

    async def drop(self, _body: dict[str, Any]) -> dict[str, Any]:
        return {"sockets": self._sockets.drop()}

    async def silence(self, body: dict[str, Any]) -> dict[str, Any]:
        self._sockets.silent = _switch(body)
        return {"silent": self._sockets.silent}

    async def frame(self, body: dict[str, Any]) -> dict[str, Any]:
        if "frame" not in body:
            raise _Bad("frame is required")
        frame = body["frame"]
        text = frame if isinstance(frame, str) else json.dumps(frame, separators=(",", ":"))
        return {"sockets": self._sockets.inject(text, binary=body.get("binary", True) is True)}

    async def expire(self, body: dict[str, Any]) -> dict[str, Any]:
        match body.get("layer"):
            case "sso":
                self._gateway.session.logout()
            case "brokerage":
                self._gateway.session.drop_brokerage()
            case _:
                raise _Bad('layer must be "sso" or "brokerage"')
        return {}

    async def login(self, _body: dict[str, Any]) -> dict[str, Any]:
        self._gateway.session.login()
        return {}

    async def compete(self, body: dict[str, Any]) -> dict[str, Any]:
        self._gateway.session.compete(on=_switch(body))
        return {}

    async def unauthorized(self, body: dict[str, Any]) -> dict[str, Any]:
        answer = str(body.get("answer"))
        if answer not in {"401", "302", "body"}:
            raise _Bad('answer must be "401", "302" or "body"')
        self._gateway.unauthorized = answer
        return {"answer": answer}

    async def init_delay(self, body: dict[str, Any]) -> dict[str, Any]:
        self._gateway.session.init_delay = _number(body, "seconds", 0, 3600)
        return {}

    async def invalidate_reply(self, _body: dict[str, Any]) -> dict[str, Any]:
        self._gateway.desk.forget_question()
        return {}

    async def add_fault(self, body: dict[str, Any]) -> dict[str, Any]:
        try:
            self._gateway.faults.add(Fault.parse(body))
        except BadFault as error:
            raise _Bad(str(error)) from None
        return {"faults": len(self._gateway.faults)}

    async def clear_faults(self, _body: dict[str, Any]) -> dict[str, Any]:
        self._gateway.faults.clear()
        return {"faults": 0}

    async def away(self, body: dict[str, Any]) -> dict[str, Any]:
        seconds = _number(body, "seconds", 0, 3600)
        if self._returning is not None and not self._returning.done():
            raise _Bad("the gateway is away already")
        await self._shut()
        self._returning = asyncio.create_task(self._return_after(seconds))
        logger.info("away for %g s", seconds)
        return {}

    async def restart(self, _body: dict[str, Any]) -> dict[str, Any]:
        self._sockets.drop()
        self._gateway.session.restart()
        self._gateway.desk.forget_question()
        return {}

    async def limits(self, body: dict[str, Any]) -> dict[str, Any]:
        self._gateway.pacing.enabled = _switch(body)
        self._gateway.pacing.forgive()
        return {}

    async def pin(self, body: dict[str, Any]) -> dict[str, Any]:
        conid = body.get("conid")
        if not isinstance(conid, int) or self._gateway.universe.get(conid) is None:
            raise _Bad("conid must be that of a known instrument")
        if body.get("clear") is True:
            self._gateway.market.unpin(conid)
            return {}
        bid, ask = _number(body, "bid", *_PRICES), _number(body, "ask", *_PRICES)
        last = _number(body, "last", *_PRICES) if "last" in body else bid
        if bid > ask:
            raise _Bad("bid must not be above ask")
        self._gateway.market.pin(conid, Pin(bid, ask, last))
        return {}

    async def enter_order(self, body: dict[str, Any]) -> dict[str, Any]:
        try:
            return {"order_id": self._gateway.desk.enter(str(body.get("acctId")), body).order_id}
        except (BadOrder, OrderRejected) as error:
            raise _Bad(str(error)) from None

    async def requests(self, _body: dict[str, Any]) -> dict[str, Any]:
        return self._gateway.requests.report()

    async def clear_requests(self, _body: dict[str, Any]) -> dict[str, Any]:
        self._gateway.requests.clear()
        return {}

    async def state(self, _body: dict[str, Any]) -> dict[str, Any]:
        gateway = self._gateway
        brokerage = gateway.session.brokerage
        return {
            "now": gateway.clock.now(),
            "step": gateway.step(),
            "sso": gateway.session.sso is not None,
            "brokerage": brokerage is not None,
            "established": gateway.session.established,
            "competing": gateway.session.competing,
            "selected_account": brokerage.selected_account if brokerage else None,
            "market_data_lines": sorted(brokerage.lines) if brokerage else [],
            "suppressed": sorted(brokerage.suppressed) if brokerage else [],
            "sockets": len(self._sockets),
            "socket_market_data": self._sockets.market_data(),
            "orders": [live_row(order) for order in gateway.desk.orders.values()],
            "open_question": gateway.desk.open_reply_id is not None,
            "faults": len(gateway.faults),
            "penalty_box": gateway.pacing.boxed(),
        }

    async def _return_after(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        try:
            await self._reopen()
        except OSError as error:
            logger.error("cannot come back: %s", error)  # noqa: TRY400  # a stack trace tells a user nothing
        else:
            logger.info("back")

    @staticmethod
    def _endpoint(action: Action) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def handle(request: web.Request) -> web.StreamResponse:
            try:
                body = json.loads(await request.read() or b"{}")
            except ValueError:
                body = None
            if not isinstance(body, dict):
                return web.json_response({"error": "the body must be a JSON object"}, status=400)
            try:
                return web.json_response(await action(body))
            except _Bad as error:
                return web.json_response({"error": str(error)}, status=400)

        return handle


def _number(body: dict[str, Any], name: str, least: float, most: float) -> float:
    value = body.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise _Bad(f"{name} must be a number from {least:g} to {most:g}")
    return float(value)


def _switch(body: dict[str, Any]) -> bool:
    if not isinstance(body.get("on"), bool):
        raise _Bad("on must be true or false")
    return bool(body["on"])
