"""What a user of the public client `ibind` does in a session over REST; each check takes a client and nothing else.

The checks say nothing of where the client's base URL leads: the gateway itself, or a proxy in front of it.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ibind import IbkrClient, QuestionType
from ibind.client.ibkr_utils import OrderRequest

ACCOUNT = "DU8730189"
AAPL = "265598"
_DEADLINE_SECONDS = 15.0

ANSWERS = dict.fromkeys(QuestionType, True)


def ibind_client(base_url: str, ca_file: Path | None = None) -> IbkrClient:
    """An unmodified client of that REST base URL, which trusts `ca_file` where the URL is https."""
    return IbkrClient(
        url=base_url,
        account_id=ACCOUNT,
        cacert=str(ca_file) if ca_file else False,
        use_oauth=False,
        auto_register_shutdown=False,
        max_retries=0,
    )


def check_health(client: IbkrClient) -> None:
    assert client.check_health() is True
    assert client.check_auth_status() is True
    assert client.tickle().data["iserver"]["authStatus"]["connected"] is True


def check_accounts(client: IbkrClient) -> None:
    accounts = client.receive_brokerage_accounts().data
    assert accounts["accounts"][0] == ACCOUNT
    assert accounts["selectedAccount"] == ACCOUNT
    assert accounts["isPaper"] is True
    portfolio = client.portfolio_accounts().data
    assert [account["accountId"] for account in portfolio] == accounts["accounts"]


def check_portfolio(client: IbkrClient) -> None:
    client.portfolio_accounts()
    positions = {row["ticker"]: row for row in _second(client.positions)}
    assert positions["AAPL"]["position"] >= 100
    assert positions["SPY"]["mktValue"] > 0
    assert {row["conid"] for row in client.positions2().data} >= {AAPL, "756733"}
    assert client.positions_by_conid(ACCOUNT, AAPL).data[0]["acctId"] == ACCOUNT
    assert client.portfolio_summary().data["netliquidation"]["amount"] > 0
    assert {"USD", "EUR", "BASE"} <= set(client.get_ledger().data)
    assert client.account_summary().data["netLiquidationValue"] > 0


def check_contracts(client: IbkrClient) -> None:
    assert client.stock_conid_by_symbol("AAPL").data == {"AAPL": int(AAPL)}
    found = client.search_contract_by_symbol("AAPL").data
    assert found[0]["conid"] == AAPL
    assert client.contract_information_by_conid(AAPL).data["company_name"] == "APPLE INC"
    assert client.security_definition_by_conid([AAPL]).data["secdef"][0]["ticker"] == "AAPL"
    assert len(client.security_future_by_symbol("ES").data["ES"]) == 4
    assert "limit" in client.info_and_rules_by_conid(AAPL, is_buy=True).data["rules"]["orderTypes"]


def check_option_chain(client: IbkrClient) -> None:
    section = next(
        part for part in client.search_contract_by_symbol("AAPL").data[0]["sections"] if part["secType"] == "OPT"
    )
    month = section["months"].split(";")[1]
    strikes = client.search_strikes_by_conid(AAPL, "OPT", month).data
    strike = strikes["call"][len(strikes["call"]) // 2]
    option = client.search_secdef_info_by_conid(AAPL, "OPT", month, strike=str(strike), right="C").data[0]
    assert option["symbol"] == "AAPL"
    assert option["strike"] == strike


def check_history(client: IbkrClient) -> None:
    bars = client.marketdata_history_by_conid(AAPL, period="1d", bar="1h").data
    assert bars["barLength"] == 3600
    assert len(bars["data"]) == 24 == bars["points"] + 1
    by_symbol = client.marketdata_history_by_symbols(["AAPL", "MSFT"], period="1h", bar="5min")
    assert all(len(records) == 12 for records in by_symbol.values())


def check_snapshot(client: IbkrClient) -> None:
    client.receive_brokerage_accounts()
    quote = _second(lambda: client.live_marketdata_snapshot(AAPL, ["31", "84", "86"]))[0]
    assert float(quote["84"]) <= float(quote["86"])


def check_order_with_questions(client: IbkrClient) -> None:
    """A limit far below the market: asked about, placed, seen, modified, cancelled."""
    client.receive_brokerage_accounts()
    quote = _second(lambda: client.live_marketdata_snapshot(AAPL, ["31", "86"]))[0]
    far = round(float(quote["86"]) * 0.85, 2)
    request = order_request(price=far)
    placed = client.place_order(request, ANSWERS).data
    order_id = placed["order_id"]
    assert placed["order_status"] in {"PreSubmitted", "Submitted"}
    row = until(lambda: _live_order(client, order_id))
    assert row["order_ref"] == request.coid
    assert client.order_status(order_id).data["limit_price"] == f"{far:.2f}"
    request.price = far - 1
    request.coid = None
    assert client.modify_order(order_id, request, ANSWERS).data["order_id"] == order_id
    assert client.cancel_order(order_id).data["order_id"] == int(order_id)
    assert until(lambda: _live_order(client, order_id, status="Cancelled"))


def check_fill(client: IbkrClient) -> None:
    """A market order: asked about, filled, among the trades and in the positions."""
    client.receive_brokerage_accounts()
    before = client.positions_by_conid(ACCOUNT, AAPL).data[0]["position"]
    order_id = client.place_order(order_request(order_type="MKT", quantity=3), ANSWERS).data["order_id"]
    assert until(lambda: _live_order(client, order_id, status="Filled"))
    executions = until(
        lambda: [row for row in client.trades().data if str(row["order_id"]) == order_id and "commission" in row]
    )
    assert sum(row["size"] for row in executions) == 3
    assert client.positions_by_conid(ACCOUNT, AAPL).data[0]["position"] == before + 3


def check_preview(client: IbkrClient) -> None:
    preview = client.whatif_order(order_request(price=200.0)).data
    assert preview["error"] is None
    assert preview["position"]["change"] == "1"


REST_CHECKS: tuple[Callable[[IbkrClient], None], ...] = (
    check_health,
    check_accounts,
    check_portfolio,
    check_contracts,
    check_option_chain,
    check_history,
    check_snapshot,
    check_order_with_questions,
    check_fill,
    check_preview,
)


def order_request(
    *, order_type: str = "LMT", price: float | None = None, quantity: float = 1, side: str = "BUY"
) -> OrderRequest:
    return OrderRequest(
        conid=int(AAPL),
        side=side,
        quantity=quantity,
        order_type=order_type,
        price=price,
        acct_id=ACCOUNT,
        tif="DAY",
        coid=str(uuid.uuid4()),
    )


def until(look: Callable[[], Any]) -> Any:
    """Look until there is something to see."""
    deadline = time.monotonic() + _DEADLINE_SECONDS
    while not (found := look()):
        assert time.monotonic() < deadline, "what was waited for did not come"
        time.sleep(0.05)
    return found


def _live_order(client: IbkrClient, order_id: str, status: str | None = None) -> Any:
    for row in client.live_orders().data["orders"]:
        if str(row["orderId"]) == order_id and status in {None, row["status"]}:
            return row
    return None


def _second(call: Callable[[], Any]) -> Any:
    """What a call answers the second time: IBKR fills many answers only then."""
    call()
    return call().data
