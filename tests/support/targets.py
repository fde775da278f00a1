"""Target orders as their clients meet them: server and Envoy in front of a paper gateway whose market stands still."""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bezant_server.keys.file import KeyFile
from tests.contract.rest.checks import assert_clean
from tests.support.edge import Edge, HttpAnswer, edge_before
from tests.support.paper import PaperGateway, start_paper
from tests.support.stack import wait_until

MAIN = "DU8730189"
"""The paper gateway's first account: besides four stocks it holds 10 of each stock that is only there for tests."""
SECOND = "DUP203550"
HELD = 10
ORDERS = "/iserver/account/[^/]+/orders$"
"""Where the server sends orders, as the pattern of a fault."""
LIVE = "/iserver/account/orders"
UNKNOWN_FIRST = "outcome unknown"

_CLIENT = "client1"
_STOCKS = 150
_ACCOUNTS = 80
_FIRST_STOCK = 700_000_000
_BID, _ASK = 100.0, 100.02
_MARKET = {265598: (230.0, 230.02), 272093: (420.0, 420.02), 3691937: (240.0, 240.02), 29612281: (84.0, 84.02)}
_FLAGS = ("--primed", "--extra-positions", str(_STOCKS), "--extra-accounts", str(_ACCOUNTS))
_SETTINGS = {
    "BEZANT_SESSION_UPKEEP": "on",
    "BEZANT_SESSION_SPACING_SECS": "0.1",
    "BEZANT_SESSION_LOGIN_SECS": "0.2",
    "BEZANT_SESSION_CHECK_SECS": "1",
    "BEZANT_SESSION_BACKOFF_MIN_SECS": "0.2",
    "BEZANT_SESSION_BACKOFF_MAX_SECS": "0.5",
    "BEZANT_MAINTENANCE_WINDOWS": "",
    "BEZANT_DEFAULT_ACCOUNT": MAIN,
    "BEZANT_TARGET_BOOKING_SECS": "1",
}

Order = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Stock:
    """A stock of a test's own: 10 of it are held in the first account, and it is traded at 100.00 to 100.02."""

    symbol: str
    conid: int


@dataclass(slots=True)
class Trading:
    """Server, Envoy and the paper gateway behind them, and a client that has a key.

    Attributes:
        edge: server and Envoy.
        paper: the gateway.
        keys: the file of API keys.
        key: of the client `client1`.
        state_db: the database.
    """

    edge: Edge
    paper: PaperGateway
    keys: KeyFile
    key: str
    state_db: Path
    _numbers: Iterator[int] = field(default_factory=lambda: iter(range(_STOCKS)))
    _accounts: Iterator[int] = field(default_factory=lambda: iter(range(_ACCOUNTS)))

    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        key: str | None = "",
        headers: Sequence[tuple[str, str]] = (),
    ) -> HttpAnswer:
        """An answer of /api/v1, whatever it is.

        Args:
            method: upper case.
            path: below /api/v1.
            body: to send as JSON, or as it is if it is bytes.
            key: of the client; empty for the usual one, None for none.
            headers: further ones.
        """
        sent = [*headers]
        if key is not None:
            sent.append(("X-API-Key", key or self.key))
        content = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        if content is not None:
            sent.append(("Content-Type", "application/json"))
        answer = self.edge.send(method, f"/api/v1/{path}", headers=sent, body=content)
        assert_clean(answer)
        assert answer.header("content-type") == "application/json", answer
        return answer

    def read(self, path: str) -> Any:
        answer = self.call("GET", path)
        assert answer.status == 200, answer
        return answer.json()

    def submit(
        self, *orders: Order, account: str | None = MAIN, headers: Sequence[tuple[str, str]] = (), key: str = ""
    ) -> Any:
        """The batch that is made of targets."""
        answer = self.call("POST", "orders", request(*orders, account=account), headers=headers, key=key)
        assert answer.status == 201, answer
        return answer.json()

    def submitted(self, symbol: str, quantity: Any, *, account: str = MAIN, **prices: Any) -> Any:
        """The result of a single target, with the id of its batch."""
        batch = self.submit({"symbol": symbol, "quantity": quantity, **prices}, account=account)
        (result,) = batch["results"]
        return {"batch_id": batch["batch_id"], **result}

    def batch(self, batch_id: str) -> Any:
        return self.read(f"orders/{batch_id}")

    def until(self, batch_id: str, condition: Callable[[list[dict[str, Any]]], bool]) -> list[dict[str, Any]]:
        """The orders of a batch, once they meet a condition."""
        seen: list[dict[str, Any]] = []

        def met() -> bool:
            seen[:] = self.batch(batch_id)["orders"]
            return condition(seen)

        wait_until(met, "the orders of the batch", lambda: str(seen))
        return seen

    def until_status(self, batch_id: str, status: str) -> dict[str, Any]:
        """The only order of a batch, once it has a status."""
        (order,) = self.until(batch_id, lambda orders: [each["status"] for each in orders] == [status])
        return order

    def cancelled(self, batch_id: str) -> Any:
        answer = self.call("DELETE", f"orders/{batch_id}")
        assert answer.status == 200, answer
        return answer.json()

    def stock(self) -> Stock:
        """A stock that no other test uses."""
        number = next(self._numbers)
        stock = Stock(f"X{number:05}", _FIRST_STOCK + number)
        self.quote(stock.conid, _BID, _ASK)
        return stock

    def account(self) -> str:
        """An account that no other test uses: 10,000 USD and nothing else."""
        return f"DU9{next(self._accounts):06}"

    def quote(self, conid: int, bid: float, ask: float) -> None:
        """Let an instrument be traded at these prices from now on."""
        self.paper.control("/quotes", {"conid": conid, "bid": bid, "ask": ask})

    def enter(self, conid: int, side: str, quantity: float, *, account: str = MAIN, **order: Any) -> int:
        """Enter an order in another program of the login; a limit order of these that is not filled, by default."""
        usual = {"orderType": "LMT", "tif": "DAY", "price": 99.5 if side == "BUY" else 100.5}
        body = {"acctId": account, "conid": conid, "side": side, "quantity": quantity, **usual, **order}
        return int(
            self.paper.control("/orders", {name: value for name, value in body.items() if value is not None})[
                "order_id"
            ]
        )

    def fault(self, path: str, **effect: Any) -> None:
        """Let requests at a path go wrong."""
        self.paper.control("/faults", {"path": path, **effect})

    def mend(self) -> None:
        """Let nothing go wrong any more."""
        self.paper.control("/faults", method="DELETE")

    def orders(self, conid: int | None = None) -> list[dict[str, Any]]:
        """The orders that the gateway has, of one contract or all, as it lists them, in the order they came."""
        rows = self.paper.state()["orders"]
        return [row for row in rows if conid in (None, row["conid"])]

    def sent(self) -> list[dict[str, Any]]:
        """The orders that were sent to the gateway since the test began."""
        recent = self.paper.requests()["recent"]
        bodies = [json.loads(each["body"]) for each in recent if _is_order(each)]
        return list(itertools.chain.from_iterable(body["orders"] for body in bodies))

    def asked(self, path: str) -> int:
        """How often the gateway was asked at the end of a path since the test began."""
        counts: dict[str, int] = self.paper.requests()["counts"]
        return sum(count for asked, count in counts.items() if asked.endswith(path))

    def begin(self) -> None:
        """Begin a test: no request was counted, and the market stands still."""
        self.paper.control("/requests", method="DELETE")
        for conid, (bid, ask) in _MARKET.items():
            self.quote(conid, bid, ask)


def request(*orders: Order, account: str | None = MAIN) -> dict[str, Any]:
    """The body of POST /orders."""
    return {**({} if account is None else {"account_id": account}), "orders": list(orders)}


@contextlib.contextmanager
def start_trading(
    folder: Path,
    *flags: str,
    ready: bool = True,
    prepare: Callable[[PaperGateway], None] = lambda _: None,
    **variables: str,
) -> Iterator[Trading]:
    """Run a paper gateway with flags, and a server and Envoy with variables, until targets can be placed.

    Args:
        folder: keeps their files.
        flags: further flags of the paper gateway.
        ready: whether to wait until an account can trade.
        prepare: what to do with the gateway before the server starts.
        variables: of the configuration.
    """
    keys = KeyFile(folder / "api-keys.json")
    if _CLIENT in keys.scopes():
        keys.remove(_CLIENT)
    key = keys.add(_CLIENT)
    with start_paper(folder, *_FLAGS, *flags) as paper:
        prepare(paper)
        settings = {
            **_SETTINGS,
            "BEZANT_API_KEYS_PATH": str(folder / "api-keys.json"),
            "BEZANT_STATE_DB_PATH": str(folder / "state" / "state.db"),
            **variables,
        }
        with edge_before(paper.base_url, settings) as edge:
            trading = Trading(edge, paper, keys, key, Path(settings["BEZANT_STATE_DB_PATH"]))
            if ready:
                wait_until(lambda: trading.read("health")["status"] == "ok", "trading", edge.server_log.read_text)
            trading.begin()
            yield trading


def _is_order(seen: Mapping[str, Any]) -> bool:
    return seen["method"] == "POST" and str(seen["path"]).endswith("/orders")
