"""TargetOrdersService."""

from __future__ import annotations

from bezant.v1 import targets_service_pb2 as pb
from bezant.v1 import targets_service_pb2_grpc as pb_grpc
from bezant_server.rpc import call as calls
from bezant_server.rpc.call import Context
from bezant_server.targets import broker, requests
from bezant_server.targets.accounts import Accounts
from bezant_server.targets.batches import Batches
from bezant_server.targets.holdings import HoldingsReader


class TargetOrdersService(pb_grpc.TargetOrdersServiceServicer):
    """See the proto file.

    Args:
        accounts: which may be traded.
        batches: places and shows them.
        holdings: reads what is held.
    """

    def __init__(self, *, accounts: Accounts, batches: Batches, holdings: HoldingsReader) -> None:
        self._accounts = accounts
        self._batches = batches
        self._holdings = holdings

    async def GetTargetHealth(self, request: pb.GetTargetHealthRequest, context: Context) -> pb.GetTargetHealthResponse:
        accounts = await self._accounts.health()
        return pb.GetTargetHealthResponse(healthy=any(each.tradable for each in accounts), accounts=accounts)

    async def SubmitTargets(self, request: pb.SubmitTargetsRequest, context: Context) -> pb.SubmitTargetsResponse:
        submission = requests.from_message(request)
        with broker.told():
            return pb.SubmitTargetsResponse(batch=await self._batches.submit(submission, calls.current().client))

    async def GetTargetBatch(self, request: pb.GetTargetBatchRequest, context: Context) -> pb.GetTargetBatchResponse:
        with broker.told():
            return pb.GetTargetBatchResponse(batch=await self._batches.get(request.batch_id))

    async def ListTargetBatches(
        self, request: pb.ListTargetBatchesRequest, context: Context
    ) -> pb.ListTargetBatchesResponse:
        return pb.ListTargetBatchesResponse(batches=await self._batches.recent())

    async def CancelTargetBatch(
        self, request: pb.CancelTargetBatchRequest, context: Context
    ) -> pb.CancelTargetBatchResponse:
        with broker.told():
            cancellations = await self._batches.cancel(request.batch_id)
        return pb.CancelTargetBatchResponse(batch_id=request.batch_id, cancellations=cancellations)

    async def ListStockPositions(
        self, request: pb.ListStockPositionsRequest, context: Context
    ) -> pb.ListStockPositionsResponse:
        with broker.told():
            return await self._holdings.stocks(await self._accounts.chosen(request.account_id))
