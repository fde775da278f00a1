"""What an error says to a gRPC program: its ErrorInfo and the field it names."""

from __future__ import annotations

from typing import Any

import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc.aio import AioRpcError


async def failure(call: Any) -> AioRpcError:
    """The error that a call ends with."""
    with pytest.raises(AioRpcError) as caught:
        await call
    return caught.value


def error_info(error: AioRpcError) -> Any:
    """The `google.rpc.ErrorInfo`, after a check that the details repeat the status."""
    status = _status(error)
    assert (status.code, status.message) == (error.code().value[0], error.details())
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert info.domain == "bezant-grpc"
    return info


def reason(error: AioRpcError) -> str:
    return str(error_info(error).reason)


def violated_fields(error: AioRpcError) -> list[str]:
    """The fields of the `google.rpc.BadRequest`; empty when there is none."""
    violations = error_details_pb2.BadRequest()
    for detail in _status(error).details[1:]:
        assert detail.Unpack(violations)
    return [violation.field for violation in violations.field_violations]


def retry_delay_secs(error: AioRpcError) -> float:
    """When to try again, by the `google.rpc.RetryInfo`."""
    retry = error_details_pb2.RetryInfo()
    (packed,) = (detail for detail in _status(error).details if detail.Is(retry.DESCRIPTOR))
    assert packed.Unpack(retry)
    return float(retry.retry_delay.ToTimedelta().total_seconds())


def _status(error: AioRpcError) -> Any:
    (encoded,) = (value for name, value in error.trailing_metadata() if name == "grpc-status-details-bin")
    assert isinstance(encoded, bytes)
    return status_pb2.Status.FromString(encoded)
