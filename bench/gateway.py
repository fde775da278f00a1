"""A gateway that costs next to nothing: Envoy answers the API from memory over TLS, and passes the WebSocket on to a
source of order frames."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import websockets
import yaml

from tests.support.certificates import self_signed

ACCOUNT = "DU8730189"
QUOTED = range(265598, 265608)
"""Ten conids."""
QUOTE_FIELDS = (31, 70, 71, 82, 83, 84, 85, 86, 87, 88, 6509)
PAGES = 10
"""Full pages of positions, of 100 each."""


def _quote(conid: int) -> dict[str, Any]:
    prices = {
        "31": "C193.18",
        "70": "194.40",
        "71": "191.73",
        "82": "+1.38",
        "83": "0.72",
        "84": "193.06",
        "86": "193.14",
    }
    sizes = {"85": "500", "87": "48.2M", "88": "1,300", "6509": "RpB"}
    return {"conid": conid, "conidEx": str(conid), "_updated": 1702334859712, "server_id": "q0", **prices, **sizes}


def _positions(page: int) -> list[dict[str, Any]]:
    """A page, complete with definitions; the page behind the last is empty."""
    numbers = range(page * 100, page * 100 + 100) if page < PAGES else range(0)
    return [
        {
            "acctId": ACCOUNT,
            "conid": 100_000 + number,
            "contractDesc": f"B{number}",
            "position": 100.0 + number,
            "mktPrice": 454.44000245,
            "mktValue": 45444.0,
            "currency": "USD",
            "avgCost": 437.43,
            "avgPrice": 437.43,
            "realizedPnl": 0.0,
            "unrealizedPnl": 1701.0,
            "exchs": None,
            "expiry": None,
            "putOrCall": None,
            "multiplier": 0.0,
            "strike": "0",
            "exerciseStyle": None,
            "conExchMap": [],
            "assetClass": "STK",
            "undConid": 0,
            "model": "",
            "time": 30,
            "allExchanges": "AMEX,NYSE,CBOE,PHLX,ISE",
            "listingExchange": "ARCA",
            "countryCode": "US",
            "name": f"BENCH {number}",
            "lastTradingDay": None,
            "group": None,
            "sector": None,
            "sectorGroup": None,
            "ticker": f"B{number}",
            "type": "ETF",
            "hasOptions": True,
            "fullName": f"B{number}",
            "isUS": True,
            "isEventContract": False,
            "pageSize": 100,
        }
        for number in numbers
    ]


ACCOUNTS = json.dumps(
    [
        {
            "id": account,
            "accountId": account,
            "accountTitle": "Bench",
            "accountStatus": 1769922000000,
            "currency": "USD",
            "type": "DEMO",
            "tradingType": "STKNOPT",
            "clearingStatus": "O",
            "faclient": False,
            "parent": {"mmc": [], "accountId": "", "isMParent": False, "isMChild": False, "isMultiplex": False},
        }
        for account in ("DU8730189", "DUP203550")
    ]
)
_ANSWERS = {
    "/v1/api/iserver/auth/status": '{"authenticated":true,"connected":true,"competing":false,"message":""}',
    "/v1/api/tickle": '{"session":"bench","iserver":{"authStatus":'
    '{"authenticated":true,"connected":true,"competing":false,"established":true}}}',
    "/v1/api/portfolio/accounts": ACCOUNTS,
    "/v1/api/iserver/accounts": '{"accounts":["DU8730189"],"selectedAccount":"DU8730189"}',
    "/v1/api/iserver/account/orders": '{"orders":[],"snapshot":true}',
    "/v1/api/iserver/marketdata/snapshot": json.dumps([_quote(conid) for conid in QUOTED]),
    **{f"/v1/api/portfolio/{ACCOUNT}/positions/{page}": json.dumps(_positions(page)) for page in range(PAGES + 1)},
}
ORDER_FRAME = {
    "topic": "sor",
    "args": [
        {
            "acct": "DU8730189",
            "conid": 265598,
            "orderId": 473740665,
            "sizeAndFills": "0/1",
            "orderDesc": "Buy 1 Limit 180.00, Day",
            "ticker": "AAPL",
            "secType": "STK",
            "remainingQuantity": 1.0,
            "filledQuantity": 0.0,
            "totalSize": 1.0,
            "status": "Submitted",
            "order_ccp_status": "Submitted",
            "price": "180.00",
            "side": "BUY",
        }
    ],
}


class Source:
    """A WebSocket server that greets, and answers `sor` with so many order frames."""

    def __init__(self, frames: int) -> None:
        self.port = 0
        self._frames = frames
        self._open: set[websockets.ServerConnection] = set()

    async def serve(self, connection: websockets.ServerConnection) -> None:
        """One connection."""
        await connection.send(json.dumps({"topic": "system", "success": "bench"}).encode())
        beats = asyncio.create_task(_heartbeat(connection))
        self._open.add(connection)
        try:
            async for message in connection:
                if str(message).startswith("sor"):
                    await self.push(self._frames)
        finally:
            self._open.discard(connection)
            beats.cancel()

    async def push(self, frames: int) -> None:
        """Send so many order frames to all who listen."""
        frame = json.dumps(ORDER_FRAME).encode()
        for _ in range(frames):
            for connection in list(self._open):
                await connection.send(frame)


@asynccontextmanager
async def socket_source(frames: int) -> AsyncIterator[Source]:
    """A source on a free port."""
    source = Source(frames)
    async with websockets.serve(source.serve, "127.0.0.1", 0) as server:
        source.port = next(iter(server.sockets)).getsockname()[1]
        yield source


async def _heartbeat(connection: websockets.ServerConnection) -> None:
    while True:
        await asyncio.sleep(5)
        await connection.send(b'{"topic":"system","hb":1}')


def config(directory: Path, *, port: int, socket_port: int) -> Path:
    """Write Envoy's configuration of the gateway and return its path."""
    self_signed(directory)
    routes: list[dict[str, Any]] = [
        {
            "match": {"path": path},
            "direct_response": {"status": 200, "body": {"inline_string": body}},
            "response_headers_to_add": [
                {
                    "header": {"key": "content-type", "value": "application/json;charset=utf-8"},
                    "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
                }
            ],
        }
        for path, body in _ANSWERS.items()
    ]
    routes.append({"match": {"path": "/v1/api/ws"}, "route": {"cluster": "socket", "timeout": "0s"}})
    http = "type.googleapis.com/envoy.extensions.filters"
    manager = {
        "@type": f"{http}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "gateway",
        "upgrade_configs": [{"upgrade_type": "websocket"}],
        "route_config": {
            "max_direct_response_body_size_bytes": 1024 * 1024,
            "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}],
        },
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": f"{http}.http.router.v3.Router"},
            }
        ],
    }
    tls = {
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
        "common_tls_context": {
            "tls_certificates": [
                {
                    "certificate_chain": {"filename": str(directory / "gateway-cert.pem")},
                    "private_key": {"filename": str(directory / "gateway-key.pem")},
                }
            ]
        },
    }
    document = {
        "static_resources": {
            "listeners": [
                {
                    "name": "gateway",
                    "address": _address(port),
                    "filter_chains": [
                        {
                            "filters": [
                                {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}
                            ],
                            "transport_socket": {"name": "envoy.transport_sockets.tls", "typed_config": tls},
                        }
                    ],
                }
            ],
            "clusters": [
                {
                    "name": "socket",
                    "type": "STATIC",
                    "load_assignment": {
                        "cluster_name": "socket",
                        "endpoints": [{"lb_endpoints": [{"endpoint": {"address": _address(socket_port)}}]}],
                    },
                }
            ],
        }
    }
    path = directory / "gateway.yaml"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    return path


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}
