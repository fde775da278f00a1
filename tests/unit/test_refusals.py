"""What IBKR's refusals mean: recorded statuses, one by one."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bezant_server import errors
from bezant_server.cpapi import refusals
from bezant_server.cpapi.messages import UpstreamResponse
from bezant_server.errors import BezantError

PATHS = st.sampled_from(["/portfolio/DU1/ledger", "/iserver/account", "/pa/performance", "/iserver/contract/1/info"])


def refused(path: str, status: int, text: str = "", *, stranger: bool = False) -> BezantError:
    body = json.dumps({"error": text, "statusCode": status}).encode()
    with pytest.raises(BezantError) as caught:
        refusals.read(UpstreamResponse(status, (), body), path, stranger=stranger)
    return caught.value


@pytest.mark.parametrize(
    ("path", "status", "text", "expected"),
    [
        ("/iserver/account", 500, "unknown account", errors.AccountNotFound),
        ("/iserver/account", 400, "Bad Request: acctId is required", errors.UpstreamClientError),
        ("/iserver/account/INVALID/summary", 400, "Bad Request", errors.AccountNotFound),
        ("/iserver/account/DU1/summary/balances", 400, "", errors.AccountNotFound),
        ("/iserver/account/orders", 400, "Please query /accounts first", errors.UpstreamNotPrimed),
        ("/iserver/account/orders", 400, "Bad Request: no bridge", errors.NoSession),
        ("/portfolio/DU1/ledger", 401, "Unauthorized", errors.NotAuthenticated),
        ("/portfolio/DU1/ledger", 503, "Service Unavailable", errors.UpstreamNotPrimed),
        ("/pa/performance", 500, "unknown account", errors.AccountNotFound),
        ("/pa/performance", 500, "", errors.UpstreamStatus),
        ("/iserver/contract/999999999/info", 400, "no contract", errors.ContractNotFound),
        ("/iserver/contract/999999999/algos", 503, "", errors.ContractNotFound),
        ("/iserver/contract/1/info", 400, "Bad Request: no bridge", errors.NoSession),
        ("/iserver/contract/1/info", 401, "Unauthorized", errors.NotAuthenticated),
        ("/iserver/contract/1/info", 429, "", errors.UpstreamStatus),
        ("/somewhere", 200, "something", errors.UpstreamApiError),
    ],
)
def test_recorded_refusals(path: str, status: int, text: str, expected: type[BezantError]) -> None:
    assert type(refused(path, status, text)) is expected


@pytest.mark.parametrize("status", [400, 401, 403, 500, 503])
def test_an_account_that_is_not_the_logins(status: int) -> None:
    assert type(refused("/portfolio/DU9/ledger", status, "Unauthorized", stranger=True)) is errors.AccountNotFound


@given(path=PATHS, status=st.integers(400, 599), body=st.binary() | st.text().map(str.encode), stranger=st.booleans())
def test_any_refusal_has_a_meaning(path: str, status: int, body: bytes, *, stranger: bool) -> None:
    with pytest.raises(BezantError):
        refusals.read(UpstreamResponse(status, (), body), path, stranger=stranger)


def test_what_is_no_json_is_not_quoted() -> None:
    with pytest.raises(BezantError) as caught:
        refusals.read(UpstreamResponse(500, (), b"<html>secret</html>"), "/pa/performance")
    assert "secret" not in caught.value.message
