"""The errors, against their readable table in docs/errors.md."""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path

import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc import StatusCode

from bezant_server import errors
from bezant_server.errors import BezantError
from bezant_server.rpc.status import grpc_trailers, rest_trailers

TABLE = Path(__file__).parents[2] / "docs" / "errors.md"
ROW = re.compile(r"\| `([a-z_]+)` \| ([0-9]{3}) \| ([A-Z_]+) \| (.+?) \| (.+?) \|")
GRPC_CODES = {code.name for code in StatusCode}

CLASSES = {
    value.code: value
    for _, value in inspect.getmembers(errors, inspect.isclass)
    if issubclass(value, BezantError) and "code" in vars(value)
}
EXAMPLES: list[BezantError] = [
    errors.BadRequest("page must be a whole number", field="page"),
    errors.BadRequest("about nothing in particular"),
    errors.MissingQueryParam("symbol"),
    errors.InvalidBaseUrl("x"),
    errors.Unauthorized("x"),
    errors.Forbidden("x"),
    errors.ScopeTooNarrow(client="alice", scope="read", needed="trade"),
    errors.NotFound("x"),
    errors.MethodNotAllowed("x", allow=("GET", "HEAD")),
    errors.DebugUnauthorized("x"),
    errors.RateLimited("x", retry_after_secs=1.5),
    errors.UpgradeRequired("x"),
    errors.BodyTooLarge("x"),
    errors.HeadersTooLarge("x"),
    errors.RequestTimeout("x"),
    errors.ServerUnavailable("x"),
    errors.NotAuthenticated(),
    errors.NoSession(),
    errors.SessionNotReady(state="LOGGED_OUT", cause="x", next_action="LOG_IN", advice="y"),
    errors.UpstreamUnreachable("x"),
    errors.UpstreamTimeout("x"),
    errors.UpstreamHttpError("x"),
    errors.UpstreamStatus("x", status=503),
    errors.UpstreamStatus("x", status=429),
    errors.UpstreamClientError("x", status=404),
    errors.UpstreamClientError("x", status=418),
    errors.UpstreamDecodeError("x"),
    errors.UpstreamApiError("x"),
    errors.UpstreamNotPrimed("x"),
    errors.AccountNotFound("x"),
    errors.ContractNotFound("x"),
    errors.AmbiguousSymbol("x", candidates=["1 NASDAQ", "2 NYSE"], count=2),
    errors.NoDerivatives("x"),
    errors.ScanRefused("x"),
    errors.BarSizeChanged("x", bar_secs=60),
    errors.HistoryUnavailable("x"),
    errors.SnapshotRefused("x"),
    errors.OrderNotFound("x"),
    errors.OrderNotOpen("x"),
    errors.OrderNotEditable("x"),
    errors.OrderRefused("x"),
    errors.ReplyExpired("x"),
    errors.EventsDisabled(),
    errors.EventsHistoryDisabled(),
    errors.EventsSubscribeFailed("x"),
    errors.CursorExpired("x", head_cursor=7, reset_epoch=9),
    errors.SlowReader("ORDERS=7"),
    errors.DepthInUse(265598),
    errors.TooManyFeeds("x"),
    errors.BrokerConnectionError(errors.UpstreamUnreachable("x")),
    errors.BatchNotFound("x"),
    errors.IdempotencyConflict("x"),
    errors.StateUnavailable("x"),
    errors.Internal(),
]
each = pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: f"{error.code}-{error.http_status}")


def documented() -> dict[str, tuple[int, str, str]]:
    rows = [match.groups() for match in map(ROW.fullmatch, TABLE.read_text(encoding="utf-8").splitlines()) if match]
    assert len(rows) == len({code for code, *_ in rows}), "a code stands in the table twice"
    return {code: (int(http), grpc, when) for code, http, grpc, when, _ in rows}


def test_every_row_of_the_table_can_be_read() -> None:
    lines = [line for line in TABLE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    assert len(lines) == len(documented()) > 20


def test_the_table_names_every_class_and_no_other() -> None:
    assert documented().keys() == CLASSES.keys()


@pytest.mark.parametrize("code", CLASSES)
def test_the_table_states_what_the_class_states(code: str) -> None:
    declared = CLASSES[code]
    http, grpc, _ = documented()[code]
    assert (http, grpc) == (declared.http_status, declared.grpc_status.name)


def test_every_class_has_an_example() -> None:
    assert {error.code for error in EXAMPLES} == CLASSES.keys()


@each
def test_a_status_that_an_instance_chooses_is_documented(error: BezantError) -> None:
    http, grpc, when = documented()[error.code]
    assert error.http_status == http or "the HTTP status is that one" in when
    # FAILED_PRECONDITION is what the table's column says for every 4xx that it does not list.
    assert error.grpc_status.name in {grpc, *GRPC_CODES.intersection(re.findall(r"[A-Z_]+", when))}


@each
def test_the_envelope(error: BezantError) -> None:
    envelope = error.envelope()
    assert envelope["code"] == error.code
    assert envelope["message"] == error.message == str(error)
    assert envelope.keys() == {"code", "message", *error.fields}


@each
def test_the_trailers_for_rest(error: BezantError) -> None:
    trailers = dict(rest_trailers(error))
    envelope = trailers.pop("x-error-envelope")
    assert isinstance(envelope, str)
    assert envelope.isascii()
    assert json.loads(envelope) == error.envelope()
    assert trailers.pop("x-http-status") == str(error.http_status)
    assert trailers == dict(error.headers)


@each
def test_the_details_for_grpc(error: BezantError) -> None:
    trailers = dict(grpc_trailers(error))
    encoded = trailers.pop("grpc-status-details-bin")
    assert isinstance(encoded, bytes)
    status = status_pb2.Status.FromString(encoded)
    assert (status.code, status.message) == (error.grpc_status.value[0], error.message)

    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert (info.reason, info.domain) == (error.code.upper(), "bezant-grpc")
    assert dict(info.metadata) == {name: str(value) for name, value in error.fields.items()}

    field = getattr(error, "field", "")
    retry_after_secs = getattr(error, "retry_after_secs", None)
    assert len(status.details) == (2 if field or retry_after_secs else 1)
    if retry_after_secs:
        retry = error_details_pb2.RetryInfo()
        assert status.details[1].Unpack(retry)
        assert retry.retry_delay.ToMilliseconds() == retry_after_secs * 1000
    if field:
        violations = error_details_pb2.BadRequest()
        assert status.details[1].Unpack(violations)
        assert [violation.field for violation in violations.field_violations] == [field]


def test_a_message_beyond_ascii_stays_whole() -> None:
    error = errors.BadRequest("größer als “1”\n\x00", field="x")
    envelope = dict(rest_trailers(error))["x-error-envelope"]
    assert isinstance(envelope, str)
    assert envelope.isascii()
    assert envelope.isprintable()
    assert json.loads(envelope)["message"] == error.message


def test_a_message_is_short_enough_for_a_header() -> None:
    error = errors.NotFound("\u4e2d" * 100_000)
    assert sum(len(value) for _, value in rest_trailers(error)) < 8 * 1024
    assert sum(len(value) for _, value in grpc_trailers(error)) < 8 * 1024
