"""Accounts."""

from __future__ import annotations

import grpc

from bezant.v1 import portfolio_service_pb2 as pb
from bezant.v1 import portfolio_service_pb2_grpc as pb_grpc
from tests.support.typed import ACCOUNT


async def test_accounts_are_listed(channel: grpc.aio.Channel) -> None:
    response = await pb_grpc.PortfolioServiceStub(channel).ListAccounts(pb.ListAccountsRequest())
    first = response.accounts[0]
    assert (first.account_id, first.currency_code, first.type) == (ACCOUNT, "USD", "DEMO")
