"""Which account targets are for, and which may be traded."""

from __future__ import annotations

import json
from typing import Any

from tests.contract.targets.conftest import RunTrading
from tests.support.paper import PaperGateway
from tests.support.targets import MAIN, ORDERS, SECOND, Trading, request

LIVE_ACCOUNT = "U1234567"


def refused(trading: Trading, account: str | None) -> str:
    """What is said against an account."""
    answer = trading.call("POST", "orders", request({"symbol": "AAPL", "quantity": 7}, account=account))
    envelope = answer.json()
    assert (answer.status, envelope["code"]) == (400, "bad_request"), envelope
    assert list(envelope) == ["code", "message"]
    assert envelope["message"].startswith("account_id")
    assert trading.sent() == []
    return str(envelope["message"])


def chosen(trading: Trading, account: str | None = None) -> Any:
    """The account of a batch that changes nothing."""
    return trading.submit({"symbol": "NVDA", "quantity": 0}, account=account)["account_id"]


def test_the_default_and_the_request(trading: Trading) -> None:
    assert chosen(trading) == MAIN
    assert chosen(trading, SECOND) == SECOND
    assert trading.read("positions")["account_id"] == MAIN
    assert trading.read(f"positions?account_id={SECOND}")["account_id"] == SECOND


def test_an_account_that_is_null_or_empty_is_none(trading: Trading) -> None:
    for account in (None, ""):
        body = {"account_id": account, "orders": [{"symbol": "NVDA", "quantity": 0}]}
        answer = trading.call("POST", "orders", body)
        assert (answer.status, answer.json()["account_id"]) == (201, MAIN)


def test_an_account_that_the_login_has_not(trading: Trading) -> None:
    assert "'DU0000000'" in refused(trading, "DU0000000")
    answer = trading.call("GET", "positions?account_id=DU0000000")
    assert (answer.status, answer.json()["code"]) == (400, "bad_request")
    assert answer.json()["message"].startswith("account_id")


def test_the_selected_account_without_a_default(run_trading: RunTrading) -> None:
    with run_trading(BEZANT_DEFAULT_ACCOUNT="") as trading:
        assert chosen(trading) == MAIN
        answer = trading.edge.post("/v1/api/iserver/account", json.dumps({"acctId": SECOND}).encode())
        assert answer.status == 200
        assert chosen(trading) == SECOND


def test_some_accounts_of_the_login(run_trading: RunTrading) -> None:
    with run_trading(BEZANT_DEFAULT_ACCOUNT="", BEZANT_ACCOUNTS=f"{SECOND},DU9000000,DU7777777") as trading:
        assert trading.read("health") == {
            "status": "ok",
            "accounts": {SECOND: True, "DU9000000": True, "DU7777777": False},
        }
        message = refused(trading, None)
        assert SECOND in message
        assert "DU9000000" in message
        refused(trading, MAIN)
        refused(trading, "DU7777777")
        assert chosen(trading, "DU9000000") == "DU9000000"
        assert trading.call("GET", f"positions?account_id={MAIN}").status == 400


def login_of(*accounts: str, is_paper: bool) -> Any:
    """Let the gateway say that the login has these accounts."""

    def prepare(paper: PaperGateway) -> None:
        body = {
            "accounts": list(accounts),
            "acctProps": {},
            "aliases": {account: account for account in accounts},
            "selectedAccount": accounts[0],
            "isPaper": is_paper,
        }
        paper.control("/faults", {"path": "/iserver/accounts$", "body": json.dumps(body)})

    return prepare


def test_a_live_account_is_refused(run_trading: RunTrading) -> None:
    with run_trading(prepare=login_of(LIVE_ACCOUNT, MAIN, is_paper=True)) as trading:
        assert trading.read("health")["accounts"] == {LIVE_ACCOUNT: False, MAIN: True}
        assert "BEZANT_TARGET_LIVE" in refused(trading, LIVE_ACCOUNT)
        assert chosen(trading, MAIN) == MAIN


def test_a_live_account_is_traded_if_that_was_asked_for(run_trading: RunTrading) -> None:
    with run_trading(prepare=login_of(LIVE_ACCOUNT, is_paper=False), ready=False, BEZANT_TARGET_LIVE="true") as trading:
        trading.fault(f"/portfolio2/{LIVE_ACCOUNT}/positions", body="[]")
        trading.fault(
            ORDERS, body=json.dumps([{"order_id": "17", "order_status": "Submitted", "encrypt_message": "1"}])
        )
        result = trading.submitted("AAPL", 7, account=LIVE_ACCOUNT)
        assert (result["status"], result["ibkr_order_id"], result["delta"]) == ("Submitted", 17, 7)
        (sent,) = trading.sent()
        assert (sent["acctId"], sent["quantity"]) == (LIVE_ACCOUNT, 7)
