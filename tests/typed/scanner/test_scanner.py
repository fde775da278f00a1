"""Scans."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import grpc
import pytest

from bezant.v1 import scanner_service_pb2 as pb
from bezant.v1 import scanner_service_pb2_grpc as pb_grpc
from tests.support.grpc_errors import reason, violated_fields


@pytest.fixture
def stub(channel: grpc.aio.Channel) -> Any:
    return pb_grpc.ScannerServiceStub(channel)


def scan(**changes: Any) -> pb.RunScanRequest:
    fields = {"instrument": "STK", "location": "STK.US.MAJOR", "scan_type": "TOP_PERC_GAIN"} | changes
    return pb.RunScanRequest(**fields)


async def test_what_can_be_scanned(stub: Any) -> None:
    parameters = await stub.GetScannerParameters(pb.GetScannerParametersRequest())
    assert {"TOP_PERC_GAIN", "MOST_ACTIVE"} <= {each.code for each in parameters.scan_types}
    assert [each.code for each in parameters.instruments] == ["STK"]
    assert [each.code for each in parameters.locations[0].locations] == ["STK.US.MAJOR", "STK.EU"]
    combo = next(each for each in parameters.filters if each.type == "combo")
    assert [(each.value, each.is_default) for each in combo.values] == [("", True), ("inc:ETF", False)]


async def test_a_scan_is_ranked_and_filtered(stub: Any) -> None:
    response = await stub.RunScan(scan(filters=[pb.ScanFilterChoice(code="priceAbove", value="200.5")]))
    assert response.scan_data_name == "Chg%"
    assert [each.rank for each in response.contracts] == list(range(1, len(response.contracts) + 1))
    changes = [Decimal(each.scan_value) for each in response.contracts]
    assert changes == sorted(changes, reverse=True)
    assert all(each.conid and each.symbol and each.company_name for each in response.contracts)
    assert "NVDA" not in {each.symbol for each in response.contracts}
    active = await stub.RunScan(scan(scan_type="MOST_ACTIVE"))
    assert (active.contracts[0].symbol, active.contracts[0].scan_data) == ("NVDA", "220.000M")
    assert active.contracts[0].scan_value == "220000000"


@pytest.mark.parametrize(
    "request_", [scan(scan_type="NONSENSE"), scan(filters=[pb.ScanFilterChoice(code="nonsense", value="1")])]
)
async def test_a_scan_that_ibkr_does_not_know(stub: Any, request_: Any) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.RunScan(request_)
    assert (caught.value.code(), reason(caught.value)) == (grpc.StatusCode.INVALID_ARGUMENT, "SCAN_REFUSED")


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (scan(instrument=""), "instrument"),
        (scan(location="a b"), "location"),
        (scan(filters=[pb.ScanFilterChoice(code="priceAbove")]), "filters[0].value"),
        (scan(filters=[pb.ScanFilterChoice(value="1")]), "filters[0].code"),
    ],
)
async def test_bad_input(stub: Any, request_: Any, field: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.RunScan(request_)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert field in violated_fields(caught.value)
