"""Errors of TargetOrdersService: their codes, reasons and fields."""

from __future__ import annotations

import asyncio
from pathlib import Path

import grpc
import pytest

from bezant.v1 import targets_service_pb2 as pb
from bezant_server.keys.file import KeyFile
from tests.support.grpc_errors import error_info, failure
from tests.support.typed import start_server
from tests.typed.targets.client import ACCOUNT, Client

Code = grpc.StatusCode
UNKNOWN = "a1b2c3d4e5f67890"


@pytest.mark.parametrize("metadata", [(), (("x-api-key", "bz_wrong"),)])
async def test_no_key(client: Client, metadata: tuple[tuple[str, str], ...]) -> None:
    target = pb.Target(symbol="MSFT", quantity="1")
    for call in (
        client.stub.SubmitTargets(pb.SubmitTargetsRequest(targets=[target]), metadata=metadata),
        client.stub.GetTargetBatch(pb.GetTargetBatchRequest(batch_id=UNKNOWN), metadata=metadata),
        client.stub.ListTargetBatches(pb.ListTargetBatchesRequest(), metadata=metadata),
        client.stub.CancelTargetBatch(pb.CancelTargetBatchRequest(batch_id=UNKNOWN), metadata=metadata),
        client.stub.ListStockPositions(pb.ListStockPositionsRequest(), metadata=metadata),
    ):
        assert await client.refused(call, Code.UNAUTHENTICATED, "UNAUTHORIZED") == []
    assert client.sent() == 0


async def test_a_key_that_was_taken_away(client: Client, keys: Path) -> None:
    key = KeyFile(keys).add("short-lived")
    metadata = (("x-api-key", key),)
    await client.stub.ListTargetBatches(pb.ListTargetBatchesRequest(), metadata=metadata)
    KeyFile(keys).remove("short-lived")
    call = client.stub.ListTargetBatches(pb.ListTargetBatchesRequest(), metadata=metadata)
    assert await client.refused(call, Code.UNAUTHENTICATED, "UNAUTHORIZED") == []


async def test_every_field_at_fault_is_named(client: Client) -> None:
    targets = [
        pb.Target(symbol="MSFT", quantity="1", limit_price="-1"),
        pb.Target(symbol="msft", quantity="many", tolerance_percent="1"),
    ]
    fields = await client.refused(client.submit(*targets), Code.INVALID_ARGUMENT, "BAD_REQUEST")
    assert sorted(fields) == [
        "targets[0].limit_price",
        "targets[1].quantity",
        "targets[1].symbol",
        "targets[1].tolerance_percent",
    ]
    assert client.sent() == 0


@pytest.mark.parametrize("account", ["DU0000000", "DU8730189"])
async def test_an_account_that_targets_are_not_for(client: Client, account: str) -> None:
    target = pb.Target(symbol="MSFT", quantity="1")
    for call in (
        client.submit(target, account_id=account),
        client.stub.ListStockPositions(pb.ListStockPositionsRequest(account_id=account), metadata=client.metadata),
    ):
        assert await client.refused(call, Code.INVALID_ARGUMENT, "BAD_REQUEST") == ["account_id"]
    assert client.sent() == 0


async def test_a_batch_that_there_is_not(client: Client) -> None:
    for call in (client.batch(UNKNOWN), client.cancelled(UNKNOWN), client.batch("")):
        assert await client.refused(call, Code.NOT_FOUND, "BATCH_NOT_FOUND") == []


async def test_an_idempotency_key_that_was_used(client: Client) -> None:
    await client.submit(pb.Target(symbol="NVDA", quantity="0"), idempotency_key="used")
    call = client.submit(pb.Target(symbol="NVDA", quantity="1"), idempotency_key="used")
    assert await client.refused(call, Code.ALREADY_EXISTS, "IDEMPOTENCY_CONFLICT") == []
    assert client.sent() == 0


async def test_a_broker_that_does_not_answer(client: Client) -> None:
    client.server.paper.control("/faults", {"path": "/portfolio2/", "status": 500, "body": "{}"})
    error = await failure(client.submit(pb.Target(symbol="MSFT", quantity="1")))
    info = error_info(error)
    assert (error.code(), info.reason) == (Code.UNAVAILABLE, "BROKER_CONNECTION_ERROR")
    assert dict(info.metadata) == {"cause": "upstream_status"}
    assert client.sent() == 0


async def test_a_database_that_another_server_has(
    client: Client, keys: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The second one serves everything else, and takes over when the first has ended."""
    state_db = str(tmp_path / "state.db")
    folder = tmp_path_factory.mktemp("servers")
    variables = {
        "BEZANT_API_KEYS_PATH": str(keys),
        "BEZANT_STATE_DB_PATH": state_db,
        "BEZANT_DEFAULT_ACCOUNT": ACCOUNT,
        "BEZANT_PACING": "off",
    }
    paper = client.server.paper
    target = pb.Target(symbol="NVDA", quantity="0")
    with start_server(paper, folder, **variables) as first:
        async with first.channel() as channel:
            batch = await Client(first, channel, client.metadata[0][1]).submit(target)
        with start_server(paper, folder, **variables) as second:
            async with second.channel() as channel:
                other = Client(second, channel, client.metadata[0][1])
                buying = pb.Target(symbol="MSFT", quantity="1", limit_price="419")
                for call in (other.submit(buying), other.batch(batch.batch_id), other.cancelled(batch.batch_id)):
                    assert await other.refused(call, Code.UNAVAILABLE, "STATE_UNAVAILABLE") == []
                assert client.sent() == 0
                health = await other.stub.GetTargetHealth(pb.GetTargetHealthRequest())
                assert health.healthy is True
                first.process.terminate()
                await asyncio.to_thread(first.process.wait)
                assert await other.batch(batch.batch_id) == batch
