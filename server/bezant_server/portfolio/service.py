"""PortfolioService."""

from __future__ import annotations

from bezant.v1 import portfolio_service_pb2 as pb
from bezant.v1 import portfolio_service_pb2_grpc as pb_grpc
from bezant_server.portfolio import decode
from bezant_server.rpc.call import Context
from bezant_server.session.typed import Need, TypedGateway


class PortfolioService(pb_grpc.PortfolioServiceServicer):
    """See the proto file.

    Args:
        gateway: where it asks.
    """

    def __init__(self, gateway: TypedGateway) -> None:
        self._gateway = gateway

    async def ListAccounts(self, request: pb.ListAccountsRequest, context: Context) -> pb.ListAccountsResponse:
        answer = await self._gateway.read("/portfolio/accounts", need=Need.LOGIN)
        return pb.ListAccountsResponse(accounts=decode.accounts(answer))
