"""The Python client against the running stack: the story, the twenty lines of its README, its example, its wheel."""

from __future__ import annotations

import asyncio
import contextlib
import email
import importlib.metadata
import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import textwrap
import threading
import time
import urllib.request
import venv
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path

import grpc
import pytest
from packaging.requirements import Requirement

import bezant
from bezant.v1 import order_pb2 as o
from bezant.v1.contracts_service_pb2 import GetContractRequest, ResolveContractRequest
from bezant.v1.events_service_pb2 import (
    EVENT_TOPIC_MARKETDATA,
    EVENT_TOPIC_ORDERS,
    EVENT_TOPIC_TRADES,
    Event,
    StreamEventsRequest,
    TopicSubscription,
)
from bezant.v1.marketdata_service_pb2 import GetQuotesRequest
from bezant.v1.orders_service_pb2 import (
    CancelOrderRequest,
    ConfirmOrderRequest,
    ListExecutionsRequest,
    OrderOutcome,
    OrderTicket,
    PlaceOrdersRequest,
    PreviewOrdersRequest,
    PreviewOrdersResponse,
)
from bezant.v1.portfolio_service_pb2 import ListBrokerageAccountsRequest, ListPositionsRequest, Position
from bezant.v1.quote_pb2 import Quote
from bezant.v1.session_service_pb2 import SESSION_STATE_READY, GetSessionRequest
from bezant.v1.targets_service_pb2 import ListTargetBatchesRequest
from tests.support.certificates import Authority
from tests.support.stack import environment

_ROOT = Path(__file__).resolve().parents[2]
_PACKAGE = _ROOT / "clients" / "python"
_AAPL = 265598
_ACCOUNT = "DU8730189"
_QUOTES = GetQuotesRequest(conids=[_AAPL])
_SECS = 60.0
_BUILD_SECS = 180.0


@pytest.fixture
def client(client_environment: Mapping[str, str]) -> Iterator[bezant.Client]:
    with bezant.connect(
        client_environment["BEZANT_TEST_GRPC"], api_key=client_environment["BEZANT_TEST_API_KEY"]
    ) as client:
        yield client


def _limit(price: str, quantity: str = "1", client_order_id: str = "") -> OrderTicket:
    return OrderTicket(
        conid=_AAPL,
        side=o.ORDER_SIDE_BUY,
        order_type=o.ORDER_TYPE_LIMIT,
        time_in_force=o.TIME_IN_FORCE_DAY,
        quantity=quantity,
        limit_price=price,
        client_order_id=client_order_id,
    )


def _accepted(client: bezant.Client, ticket: OrderTicket) -> str:
    return _order_id(client.orders.PlaceOrders(PlaceOrdersRequest(account_id=_ACCOUNT, orders=[ticket])).outcomes)


def _cancel(client: bezant.Client, order_id: str) -> None:
    request = CancelOrderRequest(account_id=_ACCOUNT, order_id=order_id)
    assert not client.orders.CancelOrder(request).outcome_unknown


def _position(client: bezant.Client) -> Decimal:
    request = ListPositionsRequest(account_id=_ACCOUNT, uncached=True)
    return _quantity_of(client.portfolio.ListPositions(request).positions)


def _quantity_of(positions: Iterable[Position]) -> Decimal:
    held = [bezant.get_decimal(position, "quantity") for position in positions if position.conid == _AAPL]
    return sum((quantity for quantity in held if quantity is not None), Decimal(0))


def _prices(quotes: Sequence[Quote]) -> tuple[Decimal, Decimal] | None:
    """Bid and ask, once both are there."""
    (quote,) = quotes
    bid, ask = bezant.get_decimal(quote, "bid_price"), bezant.get_decimal(quote, "ask_price")
    return None if bid is None or ask is None else (bid, ask)


def _check_preview(preview: PreviewOrdersResponse) -> None:
    assert bezant.get_decimal(preview.amount, "amount") == Decimal("720.00")
    commission = bezant.get_decimal(preview.commission, "amount")
    assert commission is not None
    assert commission > 0


def _question(outcomes: Sequence[OrderOutcome]) -> str:
    """The id of the one about the price."""
    (outcome,) = outcomes
    assert outcome.WhichOneof("outcome") == "needs_confirmation", outcome
    assert [warning.message_id for warning in outcome.needs_confirmation.warnings] == ["o163"]
    return outcome.needs_confirmation.reply_id


def _order_id(outcomes: Sequence[OrderOutcome], client_order_id: str = "") -> str:
    """The id of the one order that was accepted."""
    (outcome,) = outcomes
    assert outcome.WhichOneof("outcome") == "accepted", outcome
    assert outcome.client_order_id == client_order_id or not client_order_id
    assert outcome.accepted.order_id
    return outcome.accepted.order_id


def _check_executions(executions: Iterable[o.Execution], client_order_id: str) -> None:
    own = [execution for execution in executions if execution.client_order_id == client_order_id]
    assert sum(bezant.parse_decimal(execution.quantity) for execution in own) == 3
    assert {bezant.get_decimal(execution, "price") for execution in own} == {Decimal("230.02")}


def _post(url: str, body: object = None) -> None:
    urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode(), method="POST"), timeout=30).close()


class _Orders:
    """What is told of orders, each change one cursor behind the one before."""

    def __init__(self) -> None:
        self._cursor: int | None = None

    def take(self, event: Event | bezant.EventsMissed) -> list[o.Order]:
        assert isinstance(event, Event)
        if event.topic == EVENT_TOPIC_ORDERS:
            assert self._cursor is None or event.cursor == self._cursor + 1
            self._cursor = event.cursor
        return [state.order for state in event.order_update.orders]

    def until(self, events: bezant.FollowedEvents, order_id: str, status: o.OrderStatus.ValueType) -> o.Order:
        for event in events:
            for order in self.take(event):
                if (order.order_id, order.status) == (order_id, status):
                    return order
        raise AssertionError("the stream ended")

    async def until_aio(
        self, events: bezant.aio.FollowedEvents, order_id: str, status: o.OrderStatus.ValueType
    ) -> o.Order:
        async for event in events:
            for order in self.take(event):
                if (order.order_id, order.status) == (order_id, status):
                    return order
        raise AssertionError("the stream ended")


def test_the_story(client: bezant.Client, client_environment: Mapping[str, str]) -> None:
    session = client.session.GetSession(GetSessionRequest()).session
    assert (session.state, session.can_trade) == (SESSION_STATE_READY, True)

    accounts = client.portfolio.ListBrokerageAccounts(ListBrokerageAccountsRequest()).accounts
    assert _ACCOUNT in [account.account_id for account in accounts]

    contract = client.contracts.ResolveContract(ResolveContractRequest(symbol="AAPL")).contract
    assert contract.conid == _AAPL

    deadline = time.monotonic() + _SECS
    while (prices := _prices(client.market_data.GetQuotes(_QUOTES).quotes)) is None:
        assert time.monotonic() < deadline
    assert prices == (Decimal("230.00"), Decimal("230.02"))

    preview = PreviewOrdersRequest(account_id=_ACCOUNT, orders=[_limit("240.00", "3")])
    _check_preview(client.orders.PreviewOrders(preview))

    before = _position(client)
    orders = _Orders()
    with bezant.follow_events(client, [EVENT_TOPIC_ORDERS, EVENT_TOPIC_TRADES]) as events:
        client_order_id = f"python-{secrets.token_hex(8)}"
        request = PlaceOrdersRequest(account_id=_ACCOUNT, orders=[_limit("240.00", "3", client_order_id)])
        reply_id = _question(client.orders.PlaceOrders(request).outcomes)
        answer = ConfirmOrderRequest(reply_id=reply_id, confirmed=True)
        order_id = _order_id(client.orders.ConfirmOrder(answer).outcomes, client_order_id)

        filled = orders.until(events, order_id, o.ORDER_STATUS_FILLED)
        assert bezant.get_decimal(filled, "filled_quantity") == 3

        executions = client.orders.ListExecutions(ListExecutionsRequest(account_id=_ACCOUNT)).executions
        _check_executions(executions, client_order_id)
        assert _position(client) == before + 3

        working = _accepted(client, _limit("228.00"))
        _cancel(client, working)
        orders.until(events, working, o.ORDER_STATUS_CANCELLED)

        with pytest.raises(bezant.BezantError) as caught:
            client.contracts.GetContract(GetContractRequest(conid=1))
        assert (caught.value.code, caught.value.reason) == (grpc.StatusCode.NOT_FOUND, "CONTRACT_NOT_FOUND")

        _post(client_environment["BEZANT_TEST_CUT_URL"])
        # A read is tried again over a new connection; an order that met the dead one would not be.
        client.session.GetSession(GetSessionRequest())
        another = _accepted(client, _limit("227.90"))
        orders.until(events, another, o.ORDER_STATUS_SUBMITTED)
        _cancel(client, another)
        orders.until(events, another, o.ORDER_STATUS_CANCELLED)


async def test_the_story_with_an_event_loop(client_environment: Mapping[str, str]) -> None:
    async with bezant.aio.connect(
        client_environment["BEZANT_TEST_GRPC"], api_key=client_environment["BEZANT_TEST_API_KEY"]
    ) as client:

        async def position() -> Decimal:
            request = ListPositionsRequest(account_id=_ACCOUNT, uncached=True)
            return _quantity_of((await client.portfolio.ListPositions(request)).positions)

        async def accepted(ticket: OrderTicket) -> str:
            request = PlaceOrdersRequest(account_id=_ACCOUNT, orders=[ticket])
            return _order_id((await client.orders.PlaceOrders(request)).outcomes)

        async def cancel(order_id: str) -> None:
            request = CancelOrderRequest(account_id=_ACCOUNT, order_id=order_id)
            assert not (await client.orders.CancelOrder(request)).outcome_unknown

        session = (await client.session.GetSession(GetSessionRequest())).session
        assert (session.state, session.can_trade) == (SESSION_STATE_READY, True)

        accounts = (await client.portfolio.ListBrokerageAccounts(ListBrokerageAccountsRequest())).accounts
        assert _ACCOUNT in [account.account_id for account in accounts]

        contract = (await client.contracts.ResolveContract(ResolveContractRequest(symbol="AAPL"))).contract
        assert contract.conid == _AAPL

        deadline = time.monotonic() + _SECS
        while (prices := _prices((await client.market_data.GetQuotes(_QUOTES)).quotes)) is None:
            assert time.monotonic() < deadline
        assert prices == (Decimal("230.00"), Decimal("230.02"))

        preview = PreviewOrdersRequest(account_id=_ACCOUNT, orders=[_limit("240.00", "3")])
        _check_preview(await client.orders.PreviewOrders(preview))

        before = await position()
        orders = _Orders()
        async with bezant.aio.follow_events(client, [EVENT_TOPIC_ORDERS, EVENT_TOPIC_TRADES]) as events:
            client_order_id = f"python-{secrets.token_hex(8)}"
            request = PlaceOrdersRequest(account_id=_ACCOUNT, orders=[_limit("240.00", "3", client_order_id)])
            reply_id = _question((await client.orders.PlaceOrders(request)).outcomes)
            answer = ConfirmOrderRequest(reply_id=reply_id, confirmed=True)
            order_id = _order_id((await client.orders.ConfirmOrder(answer)).outcomes, client_order_id)

            filled = await orders.until_aio(events, order_id, o.ORDER_STATUS_FILLED)
            assert bezant.get_decimal(filled, "filled_quantity") == 3

            executions = await client.orders.ListExecutions(ListExecutionsRequest(account_id=_ACCOUNT))
            _check_executions(executions.executions, client_order_id)
            assert await position() == before + 3

            working = await accepted(_limit("228.00"))
            await cancel(working)
            await orders.until_aio(events, working, o.ORDER_STATUS_CANCELLED)

            with pytest.raises(bezant.BezantError) as caught:
                await client.contracts.GetContract(GetContractRequest(conid=1))
            assert (caught.value.code, caught.value.reason) == (grpc.StatusCode.NOT_FOUND, "CONTRACT_NOT_FOUND")

            await asyncio.to_thread(_post, client_environment["BEZANT_TEST_CUT_URL"])
            await client.session.GetSession(GetSessionRequest())
            another = await accepted(_limit("227.90"))
            await orders.until_aio(events, another, o.ORDER_STATUS_SUBMITTED)
            await cancel(another)
            await orders.until_aio(events, another, o.ORDER_STATUS_CANCELLED)


def test_the_key_opens_what_needs_one(client: bezant.Client, client_environment: Mapping[str, str]) -> None:
    client.targets.ListTargetBatches(ListTargetBatchesRequest())
    with bezant.connect(client_environment["BEZANT_TEST_GRPC"]) as nobody, pytest.raises(bezant.BezantError) as caught:
        nobody.targets.ListTargetBatches(ListTargetBatchesRequest())
    assert caught.value.code is grpc.StatusCode.UNAUTHENTICATED


def test_the_server_names_the_topic_whose_cursor_has_expired(client: bezant.Client) -> None:
    ahead = 2**62
    wanted = [
        TopicSubscription(topic=EVENT_TOPIC_ORDERS),
        TopicSubscription(topic=EVENT_TOPIC_MARKETDATA, conid=_AAPL, after_cursor=ahead),
    ]
    with pytest.raises(bezant.BezantError) as caught:
        next(client.events.StreamEvents(StreamEventsRequest(topics=wanted)))
    assert caught.value.reason == "CURSOR_EXPIRED"
    assert caught.value.metadata.keys() == {"head_cursor", "reset_epoch", "topic", "conid"}
    assert (caught.value.metadata["topic"], caught.value.metadata["conid"]) == ("EVENT_TOPIC_MARKETDATA", str(_AAPL))

    with bezant.follow_events(client, wanted) as events:
        missed = next(events)
        assert isinstance(missed, bezant.EventsMissed)
        assert (missed.topic, missed.conid, missed.after_cursor) == (EVENT_TOPIC_MARKETDATA, _AAPL, ahead)
        # Orders were followed from the beginning of the block on.
        _cancel(client, order_id := _accepted(client, _limit("226.00")))
        _Orders().until(events, order_id, o.ORDER_STATUS_CANCELLED)


def _readme() -> list[str]:
    """Its programs: the twenty lines, then the pieces about calls, an event loop, errors and events."""
    return re.findall(r"```python\n(.*?)```", (_PACKAGE / "README.md").read_text(), re.DOTALL)


def _pieces_of_the_readme() -> str:
    """A program out of the pieces."""
    _, calls, loop, errors, events = (textwrap.indent(piece, "    ") for piece in _readme())
    return f"""
import asyncio
from collections.abc import Callable

import bezant
from bezant.v1.contracts_service_pb2 import GetContractRequest
from bezant.v1.events_service_pb2 import EVENT_TOPIC_ORDERS, EVENT_TOPIC_TRADES, Event, EventTopic
from bezant.v1.session_service_pb2 import GetSessionRequest, Session


def calls(key: str) -> None:
{calls}

async def loop() -> Session:
{loop}
    return session


def errors(client: bezant.Client) -> None:
{errors}

def events(
    client: bezant.Client, reconcile: Callable[[EventTopic.ValueType], None], work_off: Callable[[Event], None]
) -> None:
{events}
"""


def test_the_twenty_lines_of_the_readme(client_environment: Mapping[str, str], tmp_path: Path) -> None:
    program = _readme()[0]
    assert len(program.splitlines()) <= 20

    result = _run(program, client_environment, tmp_path)

    assert (result.returncode, result.stderr) == (0, "")
    assert re.fullmatch(r"Bought 1 AAPL Market, Day for 230\.02\n", result.stdout)


def test_the_pieces_of_the_readme(client: bezant.Client, client_environment: Mapping[str, str], tmp_path: Path) -> None:
    assert Authority(tmp_path).ca_file.name == "ca.pem"
    use = """
def work_off(event: Event) -> None:
    print(EventTopic.Name(event.topic))
    raise SystemExit

calls("k3y")
print(asyncio.run(loop()).can_trade)
with bezant.connect("127.0.0.1:50051") as client:
    errors(client)
    events(client, print, work_off)
"""
    with _trading(client):
        result = _run(_pieces_of_the_readme() + use, client_environment, tmp_path)

    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == "True\nEVENT_TOPIC_ORDERS\n"


@contextlib.contextmanager
def _trading(client: bezant.Client) -> Iterator[None]:
    """Place and cancel orders, one after the other, until the block ends."""
    done = threading.Event()

    def trade() -> None:
        while not done.wait(0.1):
            _cancel(client, _accepted(client, _limit("225.00")))

    thread = threading.Thread(target=trade)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _run(program: str, client_environment: Mapping[str, str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a program of the README, whose server is the one that runs."""
    assert "127.0.0.1:50051" in program
    program = program.replace("127.0.0.1:50051", client_environment["BEZANT_TEST_GRPC"])
    return subprocess.run(
        [sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, timeout=_SECS, check=False
    )


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment that has the client and what it needs, and nothing else."""
    folder = tmp_path_factory.mktemp("installed")
    return _install(_build_client(folder / "dist"), folder / "venv")


@pytest.mark.timeout(_BUILD_SECS)
def test_the_wheel_needs_nothing_of_the_server(installed: Path, tmp_path: Path) -> None:
    search = "import importlib.util as u, bezant; print(bezant.__file__, u.find_spec('bezant_server'))"
    found = subprocess.run([installed, "-c", search], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert Path(found.split()[0]).is_relative_to(installed.parents[1])
    assert found.split()[1] == "None"


@pytest.mark.timeout(_BUILD_SECS)
def test_the_programs_of_its_users_are_typed(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "twenty.py").write_text(_readme()[0])
    (tmp_path / "pieces.py").write_text(_pieces_of_the_readme())
    (tmp_path / "bracket.py").write_bytes((_PACKAGE / "examples" / "bracket.py").read_bytes())
    (tmp_path / "wrong.py").write_text(_WRONG)
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", f"--python-executable={installed}", "."]

    result = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=_BUILD_SECS, check=False, env=environment({})
    )

    lines = re.findall(r"^(\w+\.py:\d+): error: .*\[([a-z-]+)\]$", result.stdout, re.MULTILINE)
    assert lines == [(f"wrong.py:{line}", kind) for line, kind in _WRONG_LINES], result.stdout + result.stderr


_WRONG = """import bezant
from bezant.v1.session_service_pb2 import GetSessionRequest

client = bezant.connect("127.0.0.1:50051", timeout="5")
client.session.GetSession(GetSessionRequest(conid=1))
client.session.GetSession(GetSessionRequest()).session.states
with bezant.follow_events(client, ["orders"]) as events:
    next(events).order_update


async def session(client: bezant.aio.Client) -> None:
    client.session.GetSession(GetSessionRequest()).session
"""
_WRONG_LINES = [
    (4, "call-arg"),
    (5, "call-arg"),
    (6, "attr-defined"),
    (7, "list-item"),
    (8, "union-attr"),
    (12, "attr-defined"),
]


@pytest.mark.timeout(_BUILD_SECS)
def test_the_example(installed: Path, client_environment: Mapping[str, str], tmp_path: Path) -> None:
    (tmp_path / "bracket.py").write_bytes((_PACKAGE / "examples" / "bracket.py").read_bytes())
    quotes = f"{client_environment['BEZANT_TEST_CONTROL']}/quotes"
    command = [str(installed), "bracket.py", "--address", client_environment["BEZANT_TEST_GRPC"]]
    variables = {**os.environ, "BEZANT_API_KEY": client_environment["BEZANT_TEST_API_KEY"]}
    asked = subprocess.run(
        command, cwd=tmp_path, env=variables, capture_output=True, text=True, timeout=_SECS, check=False
    )
    assert asked.returncode == 1
    assert asked.stderr.startswith("nothing is placed: IBKR asks first, see --agree\no10331: ")
    process = subprocess.Popen(
        [*command, "--agree", "o10331"],
        cwd=tmp_path,
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    lines = []
    try:
        for line in process.stdout:
            lines.append(line.rstrip())
            if line.startswith("Bought") and line.endswith(": ORDER_STATUS_FILLED\n"):
                # The parent is filled: let the price come to the target.
                _post(quotes, {"conid": _AAPL, "bid": 240.0, "ask": 240.02})
        _, errors = process.communicate(timeout=_SECS)
    finally:
        process.kill()
        process.communicate()
        _post(quotes, {"conid": _AAPL, "bid": 230.0, "ask": 230.02})

    assert (process.returncode, errors) == (0, "")
    assert lines[0] == "AAPL is offered at 230.02"
    assert lines[-1] == "done"
    ends = [line.rpartition(": ")[2] for line in lines if line.startswith(("Sell", "Sold"))]
    assert ends.count("ORDER_STATUS_FILLED") == 1
    assert ends.count("ORDER_STATUS_CANCELLED") == 1
    fills = dict(re.findall(r"^fill (\S+): (\w+ 1 @ [0-9.]+)", "\n".join(lines), re.MULTILINE))
    assert sorted(fills.values()) == ["Bought 1 @ 230.02", "Sold 1 @ 240.00"]


@pytest.mark.timeout(_BUILD_SECS)
def test_the_server_depends_on_the_client_and_does_not_contain_it(tmp_path: Path) -> None:
    wheel, names = _build(_ROOT, tmp_path)

    assert not [name for name in names if name.startswith("bezant/")]
    with zipfile.ZipFile(wheel) as archive:
        metadata = archive.read("bezant_grpc-0.1.0.dist-info/METADATA").decode()
    assert "Requires-Dist: bezant-client==0.1.0\n" in metadata
    for requirements in (_ROOT / "requirements").iterdir():
        assert "bezant-client==" not in requirements.read_text()


def _build(source: Path, folder: Path) -> tuple[Path, list[str]]:
    """A wheel, and the names of what is in it."""
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=source, stdout=subprocess.PIPE, check=True, timeout=_BUILD_SECS)
    (wheel,) = folder.iterdir()
    with zipfile.ZipFile(wheel) as archive:
        return wheel, archive.namelist()


def _build_client(folder: Path) -> Path:
    wheel, names = _build(_PACKAGE, folder)
    assert wheel.name == "bezant_client-0.1.0-py3-none-any.whl"
    assert {name.split("/")[0] for name in names} == {"bezant", "bezant_client-0.1.0.dist-info"}
    information = "bezant_client-0.1.0.dist-info"
    assert {"bezant/py.typed", "bezant/v1/order_pb2.pyi", f"{information}/licenses/LICENSE"} <= set(names)
    with zipfile.ZipFile(wheel) as archive:
        metadata = email.message_from_bytes(archive.read(f"{information}/METADATA"))
    assert (metadata["License-Expression"], metadata["Requires-Python"]) == ("MIT", ">=3.11")
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert metadata.get_payload() == (_PACKAGE / "README.md").read_text()
    assert "Typing :: Typed" in metadata.get_all("Classifier", [])
    return wheel


def _install(wheel: Path, folder: Path) -> Path:
    """The wheel in an environment of its own, with what it says that it and mypy need, copied from this one."""
    venv.create(folder, with_pip=False)
    (site,) = folder.glob("lib/python*/site-packages")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    (metadata,) = site.glob("*.dist-info")
    needed = list(importlib.metadata.Distribution.at(metadata).requires or ())
    there: set[str] = set()
    while needed:
        requirement = Requirement(needed.pop())
        if requirement.name in there or not (
            requirement.marker is None or requirement.marker.evaluate({"extra": "types"})
        ):
            continue
        there.add(requirement.name)
        distribution = importlib.metadata.distribution(requirement.name)
        needed += distribution.requires or ()
        for file in distribution.files or ():
            if ".." not in file.parts:
                (site / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(str(file.locate()), site / file)
    return folder / "bin" / "python"
