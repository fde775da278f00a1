"""A client's calls to TargetOrdersService."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import grpc

from bezant.v1 import targets_service_pb2 as pb
from bezant.v1 import targets_service_pb2_grpc as pb_grpc
from tests.support.grpc_errors import error_info, failure, violated_fields
from tests.support.typed import AAPL, TypedServer

ACCOUNT = "DUP203550"
"""Holds 10 TSLA and 5 AAPL."""
MSFT, TSLA, NVDA = 272093, 76792991, 4815747
_WAIT_SECS = 30.0
_QUOTES = {AAPL: 230.0, MSFT: 420.0, TSLA: 250.0, NVDA: 140.0}


class Client:
    """A client with a key, and the gateway behind its server."""

    def __init__(self, server: TypedServer, channel: grpc.aio.Channel, key: str) -> None:
        self.server = server
        self.stub = pb_grpc.TargetOrdersServiceStub(channel)
        self.metadata = (("x-api-key", key),)

    def begin(self) -> None:
        """Nothing goes wrong, no request was counted, the market stands still."""
        self.server.paper.control("/faults", method="DELETE")
        self.server.paper.control("/requests", method="DELETE")
        for conid, bid in _QUOTES.items():
            self.server.paper.control("/quotes", {"conid": conid, "bid": bid, "ask": bid + 0.02})

    def sent(self) -> int:
        """How many orders the gateway was sent."""
        counts = self.server.upstream_counts()
        return sum(count for asked, count in counts.items() if asked.startswith("POST") and asked.endswith("/orders"))

    async def submit(self, *targets: pb.Target, **fields: Any) -> pb.TargetBatch:
        request = pb.SubmitTargetsRequest(targets=targets, **fields)
        return (await self.stub.SubmitTargets(request, metadata=self.metadata)).batch

    async def batch(self, batch_id: str) -> pb.TargetBatch:
        request = pb.GetTargetBatchRequest(batch_id=batch_id)
        return (await self.stub.GetTargetBatch(request, metadata=self.metadata)).batch

    async def cancelled(self, batch_id: str) -> pb.CancelTargetBatchResponse:
        request = pb.CancelTargetBatchRequest(batch_id=batch_id)
        response: pb.CancelTargetBatchResponse = await self.stub.CancelTargetBatch(request, metadata=self.metadata)
        return response

    async def until(self, batch_id: str, condition: Callable[[pb.TargetOrder], bool]) -> pb.TargetOrder:
        """The first order of a batch, once it meets a condition."""
        async with asyncio.timeout(_WAIT_SECS):
            while not condition(order := (await self.batch(batch_id)).orders[0]):  # noqa: ASYNC110  IBKR does not tell
                await asyncio.sleep(0.05)
        return order

    async def refused(self, call: Any, code: grpc.StatusCode, reason: str) -> list[str]:
        """The fields that an error names; `call` was begun."""
        error = await failure(call)
        assert (error.code(), error_info(error).reason) == (code, reason), error
        return violated_fields(error)
