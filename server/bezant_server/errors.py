"""Everything that can go wrong, once.

Each class states its code, its HTTP status and its gRPC status. The REST envelope is `{"code", "message"}`; over gRPC
the same code, in upper case, is the `reason` of a `google.rpc.ErrorInfo`. docs/errors.md is the readable table, and a
test holds it against this module.

    BezantError
    ├── BadRequest                  bad_request
    │   └── MissingQueryParam       missing_query_param
    ├── InvalidBaseUrl              invalid_base_url
    ├── Unauthorized, NotFound, MethodNotAllowed, DebugUnauthorized
    ├── Forbidden                   forbidden
    │   └── ScopeTooNarrow
    ├── RateLimited                 rate_limited
    ├── UpgradeRequired, BodyTooLarge, HeadersTooLarge, RequestTimeout, ServerUnavailable   (Envoy answers these)
    ├── UpstreamError               what went wrong between us and the gateway
    │   ├── NotAuthenticated, NoSession, SessionNotReady
    │   ├── UpstreamUnreachable, UpstreamTimeout, UpstreamHttpError
    │   ├── UpstreamStatus, UpstreamClientError
    │   ├── UpstreamDecodeError, UpstreamApiError, UpstreamNotPrimed
    │   ├── AccountNotFound, ContractNotFound, AmbiguousSymbol, NoDerivatives, ScanRefused
    │   ├── BarSizeChanged, HistoryUnavailable, SnapshotRefused
    │   └── OrderNotFound, OrderNotOpen, OrderNotEditable, OrderRefused, ReplyExpired
    ├── BrokerConnectionError, BatchNotFound, IdempotencyConflict, StateUnavailable     (target orders)
    ├── EventsDisabled, EventsHistoryDisabled, EventsSubscribeFailed, CursorExpired, SlowReader
    └── Internal                    internal
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from grpc import StatusCode

ERROR_DOMAIN = "bezant-grpc"
"""The `domain` of every `google.rpc.ErrorInfo` this server sends."""

_MESSAGE_CHARS = 1000
"""A message may quote a caller or the gateway, and travels in headers, which have their limits."""


class BezantError(Exception):
    """An error with a stable code, an HTTP status and a gRPC status.

    Args:
        message: what happened and what to do, for a human; it never holds a secret.
        fields: further members of the REST envelope (and metadata of the ErrorInfo).
        headers: response headers that belong to the error, such as `allow`.
    """

    code: ClassVar[str]
    http_status: int
    grpc_status: StatusCode

    def __init__(
        self,
        message: str,
        *,
        fields: Mapping[str, str | int] | None = None,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        message = sendable(message)
        if len(message) > _MESSAGE_CHARS:
            message = f"{message[:_MESSAGE_CHARS]}…"
        super().__init__(message)
        self.message = message
        self.fields: Mapping[str, str | int] = fields or {}
        self.headers = headers

    @property
    def reason(self) -> str:
        """The code as `google.rpc.ErrorInfo.reason` spells it."""
        return self.code.upper()

    def envelope(self) -> dict[str, str | int]:
        """The body of the REST answer."""
        return {"code": self.code, "message": self.message, **self.fields}


def sendable(text: str) -> str:
    """Text as it can be sent: JSON can write halves of characters that no encoding has."""
    return text.encode("utf-8", "replace").decode()


@dataclass(frozen=True, slots=True)
class Violation:
    """One field at fault.

    Attributes:
        field: its path in the request, `orders[1].limit_price`.
        description: the rule, and what was given.
    """

    field: str
    description: str


class BadRequest(BezantError):
    """The request cannot be understood; `violations` name the fields at fault. Nothing was sent upstream."""

    code = "bad_request"
    http_status = 400
    grpc_status = StatusCode.INVALID_ARGUMENT

    def __init__(self, message: str, *, field: str = "") -> None:
        super().__init__(message)
        self.violations: tuple[Violation, ...] = (Violation(field, self.message),) if field else ()

    @classmethod
    def of(cls, violations: tuple[Violation, ...]) -> BadRequest:
        """One error for all that is wrong with a request; there is at least one violation."""
        error = cls("; ".join(f"{each.field}: {each.description}" for each in violations))
        error.violations = violations
        return error

    @classmethod
    def at(cls, field: str, rule: str) -> BadRequest:
        """One error for a field that breaks a rule; its message begins with the field."""
        return cls.of((Violation(field, rule),))

    def renamed(self, names: Mapping[str, str]) -> BadRequest:
        """The same, where fields have other names."""
        if not self.violations:
            return self
        return BadRequest.of(
            tuple(Violation(names.get(each.field, each.field), each.description) for each in self.violations)
        )

    @property
    def field(self) -> str:
        """The first field at fault; empty when none is named."""
        return self.violations[0].field if self.violations else ""


class MissingQueryParam(BadRequest):
    """A required parameter is absent or empty. Nothing was sent upstream."""

    code = "missing_query_param"

    def __init__(self, name: str) -> None:
        super().__init__(f"the query parameter '{name}' is required", field=name)


class InvalidBaseUrl(BezantError):
    """IBKR_GATEWAY_URL is not an address that can be called."""

    code = "invalid_base_url"
    http_status = 400
    grpc_status = StatusCode.INVALID_ARGUMENT


class Unauthorized(BezantError):
    """The call needs an API key, and has none or a wrong one."""

    code = "unauthorized"
    http_status = 401
    grpc_status = StatusCode.UNAUTHENTICATED


class Forbidden(BezantError):
    """A cross-site request that would change state, a Host that is not ours, or a key of too narrow a scope."""

    code = "forbidden"
    http_status = 403
    grpc_status = StatusCode.PERMISSION_DENIED


class ScopeTooNarrow(Forbidden):
    """The call's API key is not good for it.

    Args:
        client: whose the key is.
        scope: what it is good for.
        needed: what the call asks.
    """

    def __init__(self, *, client: str, scope: str, needed: str) -> None:
        super().__init__(
            f"this needs an API key of the scope {needed}, and that of {client} has {scope}: `bezant keys remove` and "
            f"`bezant keys add NAME --scope {needed}` make another",
            fields={"scope": scope, "needed_scope": needed},
        )
        self.client = client
        self.scope = scope


class NotFound(BezantError):
    """No such path of ours, or no such topic."""

    code = "not_found"
    http_status = 404
    grpc_status = StatusCode.NOT_FOUND


class MethodNotAllowed(BezantError):
    """The path exists, the method does not; the `allow` header lists those that do."""

    code = "method_not_allowed"
    http_status = 405
    grpc_status = StatusCode.UNIMPLEMENTED

    def __init__(self, message: str, *, allow: tuple[str, ...]) -> None:
        super().__init__(message, headers=(("allow", ", ".join(allow)),))


class DebugUnauthorized(BezantError):
    """The debug pages want their token."""

    code = "debug_unauthorized"
    http_status = 401
    grpc_status = StatusCode.UNAUTHENTICATED


class RateLimited(BezantError):
    """IBKR's limits leave no room for the call before its deadline, or the gateway wants a pause. Nothing was sent."""

    code = "rate_limited"
    http_status = 429
    grpc_status = StatusCode.RESOURCE_EXHAUSTED

    def __init__(self, message: str, *, retry_after_secs: float) -> None:
        super().__init__(message, headers=(("retry-after", str(max(math.ceil(retry_after_secs), 1))),))
        self.retry_after_secs = retry_after_secs


class UpgradeRequired(BezantError):
    """A WebSocket upgrade: the events API is the way. Envoy answers it."""

    code = "upgrade_required"
    http_status = 426
    grpc_status = StatusCode.UNIMPLEMENTED


class BodyTooLarge(BezantError):
    """The request body is over the limit."""

    code = "body_too_large"
    http_status = 413
    grpc_status = StatusCode.RESOURCE_EXHAUSTED


class HeadersTooLarge(BezantError):
    """The request headers are over the limit. Envoy answers it."""

    code = "headers_too_large"
    http_status = 431
    grpc_status = StatusCode.RESOURCE_EXHAUSTED


class RequestTimeout(BezantError):
    """The request did not arrive whole in time. Envoy answers it."""

    code = "request_timeout"
    http_status = 408
    grpc_status = StatusCode.DEADLINE_EXCEEDED


class ServerUnavailable(BezantError):
    """The server behind Envoy is down or shutting down."""

    code = "server_unavailable"
    http_status = 503
    grpc_status = StatusCode.UNAVAILABLE


class UpstreamError(BezantError):
    """Something between this server and the gateway."""


class NotAuthenticated(UpstreamError):
    """The gateway is not logged in: a human must log in at /sso/Login."""

    code = "not_authenticated"
    http_status = 401
    grpc_status = StatusCode.UNAUTHENTICATED

    def __init__(self, message: str = "gateway is not authenticated: log in at /sso/Login") -> None:
        super().__init__(message)


class NoSession(UpstreamError):
    """Logged in, but no brokerage session ("no bridge")."""

    code = "no_session"
    http_status = 503
    grpc_status = StatusCode.FAILED_PRECONDITION

    def __init__(self, message: str = "gateway is logged in but has no brokerage session (no bridge)") -> None:
        super().__init__(message)


class SessionNotReady(UpstreamError):
    """The brokerage session is not READY; `state` and `next_action` are members. Nothing was sent for the call."""

    code = "session_not_ready"
    http_status = 503
    grpc_status = StatusCode.FAILED_PRECONDITION

    def __init__(self, *, state: str, cause: str, next_action: str, advice: str) -> None:
        super().__init__(
            f"the session is {state}: {cause}; {advice}", fields={"state": state, "next_action": next_action}
        )


class UpstreamUnreachable(UpstreamError):
    """No connection to the gateway could be made. Nothing was sent."""

    code = "upstream_unreachable"
    http_status = 503
    grpc_status = StatusCode.UNAVAILABLE


class UpstreamTimeout(UpstreamError):
    """The gateway took too long."""

    code = "upstream_timeout"
    http_status = 504
    grpc_status = StatusCode.DEADLINE_EXCEEDED


class UpstreamHttpError(UpstreamError):
    """Broken HTTP, a connection lost in mid-answer, or an answer over the size limit."""

    code = "upstream_http_error"
    http_status = 502
    grpc_status = StatusCode.UNAVAILABLE


class UpstreamStatus(UpstreamError):
    """The gateway's own 5xx or 429, on a call whose body is not simply forwarded."""

    code = "upstream_status"
    http_status = 502
    grpc_status = StatusCode.UNAVAILABLE

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message, fields={"upstream_status": status})
        self.http_status = status
        if status == 429:
            self.grpc_status = StatusCode.RESOURCE_EXHAUSTED


class UpstreamClientError(UpstreamError):
    """The gateway's other 4xx, on a call whose body is not simply forwarded."""

    code = "upstream_client_error"
    http_status = 400
    grpc_status = StatusCode.FAILED_PRECONDITION

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message, fields={"upstream_status": status})
        self.http_status = status
        self.grpc_status = {
            400: StatusCode.INVALID_ARGUMENT,
            403: StatusCode.PERMISSION_DENIED,
            404: StatusCode.NOT_FOUND,
        }.get(status, StatusCode.FAILED_PRECONDITION)


class UpstreamDecodeError(UpstreamError):
    """HTML or broken JSON where JSON was due."""

    code = "upstream_decode_error"
    http_status = 502
    grpc_status = StatusCode.INTERNAL


class UpstreamApiError(UpstreamError):
    """A 200 whose body says `{"error": …}`."""

    code = "upstream_api_error"
    http_status = 502
    grpc_status = StatusCode.FAILED_PRECONDITION


class UpstreamNotPrimed(UpstreamError):
    """The gateway wants a preparatory call again that it had, as after a restart of its backend."""

    code = "upstream_not_primed"
    http_status = 503
    grpc_status = StatusCode.UNAVAILABLE


class AccountNotFound(UpstreamError):
    """The login has no such account."""

    code = "account_not_found"
    http_status = 404
    grpc_status = StatusCode.NOT_FOUND


class ContractNotFound(UpstreamError):
    """IBKR knows no such contract."""

    code = "contract_not_found"
    http_status = 404
    grpc_status = StatusCode.NOT_FOUND


class AmbiguousSymbol(UpstreamError):
    """A symbol may mean several contracts; `candidates` lists up to ten of them, `count` says how many there are."""

    code = "ambiguous_symbol"
    http_status = 409
    grpc_status = StatusCode.FAILED_PRECONDITION

    def __init__(self, message: str, *, candidates: Sequence[str], count: int) -> None:
        listed = "; ".join(candidates)
        super().__init__(f"{message}: {listed}", fields={"candidates": listed, "count": count})


class NoDerivatives(UpstreamError):
    """There are no derivatives of that kind on the underlying."""

    code = "no_derivatives"
    http_status = 404
    grpc_status = StatusCode.NOT_FOUND


class ScanRefused(UpstreamError):
    """IBKR knows no such scan."""

    code = "scan_refused"
    http_status = 400
    grpc_status = StatusCode.INVALID_ARGUMENT


class BarSizeChanged(UpstreamError):
    """IBKR answered with bars of another size; `bar_secs` says of which."""

    code = "bar_size_changed"
    http_status = 409
    grpc_status = StatusCode.FAILED_PRECONDITION

    def __init__(self, message: str, *, bar_secs: int) -> None:
        super().__init__(message, fields={"bar_secs": bar_secs})


class HistoryUnavailable(UpstreamError):
    """IBKR has no chart of the contract, or not yet."""

    code = "history_unavailable"
    http_status = 503
    grpc_status = StatusCode.UNAVAILABLE


class SnapshotRefused(UpstreamError):
    """IBKR does not give the regulatory snapshot."""

    code = "snapshot_refused"
    http_status = 409
    grpc_status = StatusCode.FAILED_PRECONDITION


class OrderNotFound(UpstreamError):
    """This session knows no such order."""

    code = "order_not_found"
    http_status = 404
    grpc_status = StatusCode.NOT_FOUND


class OrderNotOpen(UpstreamError):
    """The order is filled or cancelled already."""

    code = "order_not_open"
    http_status = 409
    grpc_status = StatusCode.FAILED_PRECONDITION


class OrderNotEditable(UpstreamError):
    """IBKR does not let this session change the order."""

    code = "order_not_editable"
    http_status = 409
    grpc_status = StatusCode.FAILED_PRECONDITION


class OrderRefused(UpstreamError):
    """IBKR would not take the order. Nothing was placed."""

    code = "order_refused"
    http_status = 409
    grpc_status = StatusCode.FAILED_PRECONDITION


class ReplyExpired(UpstreamError):
    """The question about an order is not open any more. Nothing was placed."""

    code = "reply_expired"
    http_status = 409
    grpc_status = StatusCode.FAILED_PRECONDITION


class EventsDisabled(BezantError):
    """Events are not captured: BEZANT_EVENTS_ENABLED is off."""

    code = "events_disabled"
    http_status = 503
    grpc_status = StatusCode.FAILED_PRECONDITION

    def __init__(self) -> None:
        super().__init__("events capture is disabled: start the server with BEZANT_EVENTS_ENABLED=true")


class EventsHistoryDisabled(BezantError):
    """Events are captured but not stored: BEZANT_EVENTS_DB_PATH is unset."""

    code = "events_history_disabled"
    http_status = 503
    grpc_status = StatusCode.FAILED_PRECONDITION

    def __init__(self) -> None:
        super().__init__("events history is disabled: start the server with BEZANT_EVENTS_DB_PATH set")


class EventsSubscribeFailed(BezantError):
    """A market-data line could not be subscribed upstream."""

    code = "events_subscribe_failed"
    http_status = 502
    grpc_status = StatusCode.UNAVAILABLE


class DepthInUse(BezantError):
    """The account shows the book of another contract; `conid` says which. IBKR shows one for each account."""

    code = "depth_in_use"
    http_status = 409
    grpc_status = StatusCode.FAILED_PRECONDITION

    def __init__(self, conid: int) -> None:
        super().__init__(
            f"the account shows the book of conid {conid}, and IBKR shows one for each account: "
            "follow that one, or use another account",
            fields={"conid": conid},
        )


class TooManyFeeds(BezantError):
    """Bars of too many kinds are followed at once: each costs calls to the gateway."""

    code = "too_many_feeds"
    http_status = 429
    grpc_status = StatusCode.RESOURCE_EXHAUSTED


class CursorExpired(BezantError):
    """The cursor cannot be served: older than the ring, ahead of the newest, or from before a restart.

    Args:
        message: why.
        head_cursor: of the oldest event that is held.
        reset_epoch: the epoch now.
        topic: further fields, which name the topic where several are followed.
    """

    code = "cursor_expired"
    http_status = 412
    grpc_status = StatusCode.OUT_OF_RANGE

    def __init__(
        self, message: str, *, head_cursor: int, reset_epoch: int, topic: Mapping[str, str | int] | None = None
    ) -> None:
        super().__init__(message, fields={"head_cursor": head_cursor, "reset_epoch": reset_epoch, **(topic or {})})


class SlowReader(BezantError):
    """A stream's reader was too slow to be given everything; `cursors` says where to resume, topic by topic."""

    code = "slow_reader"
    http_status = 429
    grpc_status = StatusCode.RESOURCE_EXHAUSTED

    def __init__(self, cursors: str) -> None:
        super().__init__(
            f"the stream was read too slowly, and what comes next is not held any more: resume behind {cursors}, "
            "or reconcile where that has expired",
            fields={"cursors": cursors},
        )


class BrokerConnectionError(BezantError):
    """Target orders: the broker cannot be reached or does not answer; `cause` is the code of what happened."""

    code = "broker_connection_error"
    http_status = 500
    grpc_status = StatusCode.UNAVAILABLE

    def __init__(self, cause: BezantError) -> None:
        super().__init__(cause.message, fields={"cause": cause.code})


class BatchNotFound(BezantError):
    """There is no batch of target orders with that id."""

    code = "batch_not_found"
    http_status = 404
    grpc_status = StatusCode.NOT_FOUND


class IdempotencyConflict(BezantError):
    """The idempotency key was used for another request. Nothing was placed."""

    code = "idempotency_conflict"
    http_status = 409
    grpc_status = StatusCode.ALREADY_EXISTS


class StateUnavailable(BezantError):
    """The database of target orders cannot be used. Nothing was sent for the call."""

    code = "state_unavailable"
    http_status = 503
    grpc_status = StatusCode.UNAVAILABLE


class Internal(BezantError):
    """A defect of ours. The details are in the log, under the request id, and nowhere else."""

    code = "internal"
    http_status = 500
    grpc_status = StatusCode.INTERNAL

    def __init__(self) -> None:
        super().__init__("internal error: the server's log has the details under this request's x-request-id")
