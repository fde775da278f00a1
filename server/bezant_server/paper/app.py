"""The servers: HTTPS with the API, the socket and the login pages; and plain HTTP with the control endpoint."""

from __future__ import annotations

import asyncio
import contextlib
import ssl

from aiohttp import web

from bezant_server.paper.address import Address
from bezant_server.paper.api.accounts import AccountsApi
from bezant_server.paper.api.analyst import AnalystApi
from bezant_server.paper.api.contracts import ContractsApi
from bezant_server.paper.api.marketdata import MarketDataApi
from bezant_server.paper.api.orders import OrdersApi
from bezant_server.paper.api.portfolio import PortfolioApi
from bezant_server.paper.api.reference import ReferenceApi
from bezant_server.paper.api.scanner import ScannerApi
from bezant_server.paper.api.session import SessionApi
from bezant_server.paper.control import Control
from bezant_server.paper.fields import FieldTable
from bezant_server.paper.gateway import Gateway
from bezant_server.paper.http import PREFIXES, FrontDoor
from bezant_server.paper.login import LoginPages
from bezant_server.paper.socket import Sockets

_MAX_BODY = 16 * 1024 * 1024
_SHUTDOWN_SECONDS = 1.0


class Listener:
    """One listening socket, which can be shut for a while and opened again on the same port."""

    def __init__(self, app: web.Application, address: Address, tls: ssl.SSLContext | None = None) -> None:
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=_SHUTDOWN_SECONDS)
        self._tls = tls
        self._site: web.TCPSite | None = None
        self.address = address

    async def start(self) -> None:
        """Listen.

        Raises:
            OSError: the address is taken, or not of this machine.
        """
        await self._runner.setup()
        await self.open()

    async def open(self) -> None:
        """Accept connections again."""
        site = web.TCPSite(
            self._runner, self.address.host, self.address.port, ssl_context=self._tls, reuse_address=True
        )
        await site.start()
        self._site = site
        if not self.address.port:
            host, port = self._runner.addresses[0][:2]
            self.address = Address(host, port)

    async def shut(self) -> None:
        """Refuse connections, and break those that are open."""
        if self._site is not None:
            await self._site.stop()
            self._site = None
        server = self._runner.server
        for connection in list(server.connections) if server is not None else []:
            if connection.transport is not None:
                connection.transport.abort()

    async def close(self) -> None:
        await self._runner.cleanup()

    @property
    def authority(self) -> str:
        host = f"[{self.address.host}]" if ":" in self.address.host else self.address.host
        return f"{host}:{self.address.port}"


class PaperServer:
    """The whole process but its command line."""

    def __init__(self, gateway: Gateway, *, tls: ssl.SSLContext, bind: Address, control_bind: Address) -> None:
        self._gateway = gateway
        fields = FieldTable(gateway.market, gateway.clock)
        self._sockets = Sockets(gateway, fields)
        self.listener = Listener(api_app(gateway, fields, self._sockets), bind, tls)
        control = Control(gateway, self._sockets, self.listener.shut, self.listener.open)
        self.control_listener = Listener(control.app(), control_bind)
        self._control = control
        self._clock_task: asyncio.Task[None] | None = None

    @property
    def base_url(self) -> str:
        """Where the API is."""
        return f"https://{self.listener.authority}{PREFIXES[0]}"

    @property
    def control_url(self) -> str:
        return f"http://{self.control_listener.authority}"

    def start_clock(self) -> None:
        """Let virtual time run; the listeners are started one by one, to tell which of them cannot."""
        self._clock_task = asyncio.create_task(self._gateway.clock.run())

    async def stop(self) -> None:
        """Close sockets and listeners; quick, because every wait in it is bounded."""
        await self._sockets.close()
        await self._control.close()
        await self.control_listener.close()
        await self.listener.close()
        if self._clock_task is not None:
            self._clock_task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._clock_task


def api_app(gateway: Gateway, fields: FieldTable, sockets: Sockets) -> web.Application:
    """The application behind the HTTPS port."""
    app = web.Application(client_max_size=_MAX_BODY)
    FrontDoor(gateway).install(app)
    session_api = SessionApi(gateway)
    areas = (
        session_api,
        AccountsApi(gateway),
        PortfolioApi(gateway),
        AnalystApi(gateway),
        OrdersApi(gateway),
        MarketDataApi(gateway, fields),
        ContractsApi(gateway),
        ReferenceApi(gateway),
        ScannerApi(gateway),
    )
    for prefix in PREFIXES:
        for area in areas:
            for route in area.routes():
                for path in (route.path, f"{route.path}/"):
                    if route.method == "GET":
                        app.router.add_get(prefix + path, route.handler)  # HEAD too
                    else:
                        app.router.add_route(route.method, prefix + path, route.handler)
        app.router.add_get(f"{prefix}/ws", sockets.endpoint, allow_head=False)
    LoginPages(gateway, session_api).install(app)
    return app
