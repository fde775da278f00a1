"""Session endpoints: status, init, tickle, logout, validate."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from bezant_server.paper.gateway import Gateway
from bezant_server.paper.http import Route, json_response, read_object
from bezant_server.paper.session import SSO_SECONDS, USER_NAME

USER_ID = 123456789


class SessionApi:
    """Works without a brokerage session; most of it is how one comes to be."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._session = gateway.session

    def routes(self) -> list[Route]:
        return [
            Route("GET", "/iserver/auth/status", self.status),
            Route("POST", "/iserver/auth/status", self.status),
            Route("POST", "/iserver/auth/ssodh/init", self.init),
            Route("POST", "/iserver/reauthenticate", self.reauthenticate),
            Route("GET", "/tickle", self.tickle),
            Route("POST", "/tickle", self.tickle),
            Route("POST", "/logout", self.logout),
            Route("GET", "/sso/validate", self.validate),
        ]

    async def status(self, _request: web.Request) -> web.Response:
        return json_response(self._session.status())

    async def init(self, request: web.Request) -> web.Response:
        """Lenient where IBKR's documentation is strict: both booleans may be left out, and count as true."""
        body = await read_object(request)
        self._session.init_brokerage(compete=bool(body.get("compete", True)))
        return json_response(self._session.status())

    async def reauthenticate(self, _request: web.Request) -> web.Response:
        self._session.init_brokerage(compete=True)
        return json_response({"message": "triggered"})

    async def tickle(self, _request: web.Request) -> web.Response:
        body: dict[str, Any] = {"iserver": {"authStatus": self._session.status()}}
        if self._session.sso is not None:
            body = {
                "session": self._session.sso.session_id,
                "ssoExpires": self._session.sso_expires_ms(),
                "collission": False,
                "userId": USER_ID,
                "hmds": {"error": "no bridge"},
            } | body
        return json_response(body)

    async def logout(self, _request: web.Request) -> web.Response:
        self._session.logout()
        return json_response({"status": True})

    async def validate(self, request: web.Request) -> web.Response:
        sso = self._session.sso
        now = self._gateway.clock.now()
        opened = sso.opened_at if sso else now
        return json_response(
            {
                "USER_ID": USER_ID,
                "USER_NAME": USER_NAME,
                "RESULT": True,
                "AUTH_TIME": int(opened * 1000),
                "SF_ENABLED": False,
                "IS_FREE_TRIAL": False,
                "CREDENTIAL": USER_NAME,
                "IP": request.remote or "",
                "EXPIRES": int((opened + SSO_SECONDS - now) * 1000),
                "QUALIFIED_FOR_MOBILE_AUTH": None,
                "LANDING_APP": "UNIVERSAL",
                "IS_MASTER": False,
                "lastAccessed": int(self._session.last_request * 1000),
                "LOGIN_TYPE": 2,
                "PAPER_USER_NAME": USER_NAME,
                "features": {
                    "env": "PROD",
                    "wlms": True,
                    "realtime": True,
                    "bond": True,
                    "optionChains": True,
                    "calendar": True,
                    "newMf": True,
                },
                "region": "NJ",
            }
        )
