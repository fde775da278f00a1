"""A caller who leaves takes its read of the gateway along."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

from bezant.v1 import contracts_service_pb2 as pb
from bezant.v1 import contracts_service_pb2_grpc as pb_grpc
from tests.support.typed import typed_server

_WAIT_SECS = 20.0
STOCKS = "GET /v1/api/trsrv/stocks"


async def test_cancelling_an_rpc_cancels_its_upstream_read(tmp_path: Path) -> None:
    variables = {"BEZANT_MAX_CONNECTIONS": "1", "BEZANT_KEEPALIVE_SECS": "3600", "BEZANT_EVENTS_ENABLED": "false"}
    with typed_server(tmp_path, **variables) as server:
        server.paper.control("/faults", {"path": "/trsrv/stocks", "delay_seconds": 300, "times": 1})
        async with server.channel() as channel:
            stub: Any = pb_grpc.ContractsServiceStub(channel)
            slow = stub.ListStocks(pb.ListStocksRequest(symbols=["MSFT"]), timeout=300)
            deadline = time.monotonic() + _WAIT_SECS
            # The gateway has it, and holds the server's only connection.
            while (await asyncio.to_thread(server.paper.state))["faults"]:
                assert time.monotonic() < deadline
                await asyncio.sleep(0.05)
            slow.cancel()
            response = await stub.ListStocks(pb.ListStocksRequest(symbols=["AAPL"]), timeout=_WAIT_SECS)
            assert response.stocks
