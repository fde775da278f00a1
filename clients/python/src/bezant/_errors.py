"""What a call fails with."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

_DETAILS = "grpc-status-details-bin"


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """A field that the server did not accept.

    Attributes:
        field: its path in the request, such as `orders[1].limit_price`.
        description: what is wrong with it.
    """

    field: str
    description: str


class BezantError(Exception):
    """A call that failed: its status, and what the server says about it.

    Attributes:
        code: gRPC's status.
        message: in words.
        reason: the server's name for it, such as `CONTRACT_NOT_FOUND`, which does not change (docs/errors.md lists
            them); empty when no server said anything, as when none could be reached.
        metadata: facts that belong to the reason, such as `head_cursor`.
        violations: the fields at fault; empty unless the reason is `BAD_REQUEST`.
        retry_after: when the server wants to be asked again; None when it does not say.
    """

    def __init__(
        self,
        code: grpc.StatusCode,
        message: str,
        *,
        reason: str = "",
        metadata: Mapping[str, str] | None = None,
        violations: Iterable[FieldViolation] = (),
        retry_after: dt.timedelta | None = None,
    ) -> None:
        super().__init__(f"{reason or code.name}: {message}")
        self.code = code
        self.message = message
        self.reason = reason
        self.metadata: Mapping[str, str] = MappingProxyType(dict(metadata or {}))
        self.violations = tuple(violations)
        self.retry_after = retry_after

    @classmethod
    def of(cls, error: grpc.RpcError) -> BezantError:
        """What gRPC's own error says. A client's calls raise it in this form already."""
        # Every error of a call is a call, too; the type does not say so.
        call: Any = error
        info = error_details_pb2.ErrorInfo()
        request = error_details_pb2.BadRequest()
        retry = error_details_pb2.RetryInfo()
        retry_after = None
        for detail in _details(call.trailing_metadata()):
            if detail.Unpack(retry):
                retry_after = retry.retry_delay.ToTimedelta()
            elif not detail.Unpack(info):
                detail.Unpack(request)
        return cls(
            call.code(),
            call.details() or "",
            reason=info.reason,
            metadata=info.metadata,
            violations=[FieldViolation(each.field, each.description) for each in request.field_violations],
            retry_after=retry_after,
        )


def _details(trailers: Iterable[tuple[str, str | bytes]] | None) -> Iterable[Any]:
    """The details of a status; none when it has none, or what something between made unreadable."""
    for name, value in trailers or ():
        if name == _DETAILS and isinstance(value, bytes):
            try:
                return list(status_pb2.Status.FromString(value).details)
            except DecodeError:
                return ()
    return ()
