"""As a user starts it, with IBKR's limits on both sides: slower, and to the same end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from tests.support.stack import Stack, start_stack, wait_until

ACCOUNT = "DU8730189"
_ANSWER_SECS = 60


def call(stack: Stack, method: str, path: str, body: object = None) -> Any:
    request = Request(
        f"{stack.rest_url}/api/v1/{path}",
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"X-API-Key": stack.api_key or "", "Content-Type": "application/json"},
    )
    with urlopen(request, timeout=_ANSWER_SECS) as answer:
        return json.load(answer)


def control(stack: Stack, method: str, path: str, body: object = None) -> Any:
    assert stack.paper is not None
    data = None if body is None else json.dumps(body).encode()
    with urlopen(Request(stack.paper.control_url + path, method=method, data=data), timeout=_ANSWER_SECS) as answer:
        return json.load(answer)


def test_a_batch_is_placed_and_asked_for(tmp_path: Path) -> None:
    with start_stack(tmp_path, env={"BEZANT_STATE_DB_PATH": str(tmp_path / "state.db")}) as stack:
        control(stack, "POST", "/limits", {"on": True})
        control(stack, "POST", "/quotes", {"conid": 272093, "bid": 420.0, "ask": 420.02})
        wait_until(lambda: call(stack, "GET", "health")["accounts"].get(ACCOUNT) is True, "the session")
        body = {
            "orders": [{"symbol": "MSFT", "quantity": 25, "limit_price": 419.0}, {"symbol": "AAPL", "quantity": 100}]
        }
        batch = call(stack, "POST", "orders", body)
        assert batch["account_id"] == ACCOUNT
        assert [result["status"] for result in batch["results"]] == ["PreSubmitted", "no_change"]
        shown = call(stack, "GET", f"orders/{batch['batch_id']}")
        assert [order["status"] for order in shown["orders"]] == ["Submitted", "no_change"]
        assert control(stack, "GET", "/requests")["too_many"] == 0
