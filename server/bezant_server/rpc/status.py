"""A BezantError as gRPC and as REST see it."""

from __future__ import annotations

import json
import math
from typing import Any

from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc import error_details_pb2, status_pb2

from bezant_server.errors import ERROR_DOMAIN, BadRequest, BezantError, RateLimited

_MOST_VIOLATIONS = 20
"""Trailers have their limits."""

MetadataPairs = list[tuple[str, str | bytes]]


def rest_trailers(error: BezantError) -> MetadataPairs:
    """What Envoy's filter renders: the HTTP status, the JSON envelope, and the headers that belong to the error."""
    trailers: MetadataPairs = [
        ("x-http-status", str(error.http_status)),
        ("x-error-envelope", json.dumps(error.envelope())),
    ]
    trailers.extend(error.headers)
    return trailers


def grpc_trailers(error: BezantError) -> MetadataPairs:
    """The `google.rpc.Status` with its details."""
    status = status_pb2.Status(code=error.grpc_status.value[0], message=error.message)
    status.details.append(_packed(_error_info(error)))
    if isinstance(error, BadRequest) and error.violations:
        violations = [
            error_details_pb2.BadRequest.FieldViolation(field=each.field, description=each.description)
            for each in error.violations[:_MOST_VIOLATIONS]
        ]
        status.details.append(_packed(error_details_pb2.BadRequest(field_violations=violations)))
    if isinstance(error, RateLimited):
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromMilliseconds(math.ceil(error.retry_after_secs * 1000))
        status.details.append(_packed(retry))
    return [("grpc-status-details-bin", status.SerializeToString()), *error.headers]


def _error_info(error: BezantError) -> Any:
    metadata = {key: str(value) for key, value in error.fields.items()}
    return error_details_pb2.ErrorInfo(reason=error.reason, domain=ERROR_DOMAIN, metadata=metadata)


def _packed(message: Any) -> AnyMessage:
    packed = AnyMessage()
    packed.Pack(message)
    return packed
