"""GET /ib/market-data: which bars, when they begin, and what is refused by name."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import httpx
import pytest

from tests.contract.historical.face import HISTORY, SIDES, SIDES_INIT, Face, typed_bars, with_month
from tests.support.stack import start_stack

AAPL, BMW, SPX = 265598, 29612281, 416904
DAY, MINUTE = "%Y%m%d", "%Y%m%d  %H:%M:%S"
UNAVAILABLE = {"error": "Chart data unavailable"}


@pytest.fixture
def broken_sides(face: Face) -> Iterator[Face]:
    """A gateway whose historical data service gives nothing."""
    face.fault("/hmds/history", UNAVAILABLE, status=500)
    yield face
    face.paper.control("/faults", method="DELETE")


@pytest.mark.parametrize(
    ("duration", "bar_size", "count"),
    [
        ("60 S", "1 min", 1),
        ("1800 S", "1 min", 30),
        ("3600 S", "5 mins", 12),
        ("5400 S", "30 mins", 3),
        ("28800 S", "1 hour", 8),
        ("86400 S", "1 hour", 24),
        ("2 D", "30 mins", 96),
        ("10 D", "1 day", 10),
        ("2 W", "1 day", 14),
        ("2 M", "4 hours", 360),
        ("1 Y", "1 day", 365),
        ("2 Y", "1 week", 105),
        ("1D", "1 hour", 24),
        ("1 d", "1 hour", 24),
    ],
)
def test_durations(face: Face, duration: str, bar_size: str, count: int) -> None:
    bars = face.bars("AAPL", duration=duration, barSize=bar_size)
    assert count <= len(bars) <= count + 1


@pytest.mark.parametrize(
    ("bar_size", "duration", "upstream", "secs"),
    [
        ("1 min", "3600 S", "1min", 60),
        ("2 mins", "3600 S", "2min", 120),
        ("3 mins", "3600 S", "3min", 180),
        ("5 mins", "3600 S", "5min", 300),
        ("10 mins", "3600 S", "10min", 600),
        ("15 mins", "3600 S", "15min", 900),
        ("30 mins", "1 D", "30min", 1800),
        ("1 hour", "1 D", "1h", 3600),
        ("2 hours", "1 D", "2h", 7200),
        ("3 hours", "1 D", "3h", 10_800),
        ("4 hours", "1 D", "4h", 14_400),
        ("8 hours", "1 W", "8h", 28_800),
        ("1 day", "1 W", "1d", 86_400),
        ("1 week", "1 Y", "1w", 604_800),
        ("1W", "1 Y", "1w", 604_800),
    ],
)
def test_sizes_of_bars(face: Face, bar_size: str, duration: str, upstream: str, secs: int) -> None:
    bars = face.bars("AAPL", duration=duration, barSize=bar_size)
    typed = face.typed_bars("AAPL", duration=duration, bar_size=bar_size).bars
    starts = [bar.start_time.seconds for bar in typed]
    assert {after - before for before, after in itertools.pairwise(starts)} == {secs}
    # A minute may pass between the two: the first bar goes, another comes.
    assert {bar["time"] for bar in bars[1:]} <= {bar.local_time for bar in typed}
    assert {query["bar"] for query in face.asked(HISTORY)} == {upstream}
    assert {query["source"] for query in face.asked(HISTORY)} == {"Trades"}


@pytest.mark.parametrize("bar_size", ["1 month", "1M"])
def test_months(face: Face, bar_size: str) -> None:
    bars = face.bars("AAPL", duration="2 Y", barSize=bar_size)
    assert 24 <= len(bars) <= 26
    assert all(datetime.strptime(bar["time"], DAY).replace(tzinfo=UTC) for bar in bars)


@pytest.mark.parametrize(
    ("symbol", "zone"),
    [("AAPL", "US/Eastern"), ("BMW", "Europe/Berlin"), ("UST10Y", "US/Central"), ("UKGB", "Europe/London")],
)
def test_times_are_those_of_the_exchange(face: Face, symbol: str, zone: str) -> None:
    for bar_size, form in (("1 hour", MINUTE), ("1 day", DAY)):
        bars = face.bars(symbol, duration="1 W", barSize=bar_size)
        typed = face.typed_bars(symbol, duration="1 W", bar_size=bar_size)
        assert typed.time_zone == zone
        begins = [datetime.fromtimestamp(bar.start_time.seconds, ZoneInfo(zone)) for bar in typed.bars]
        assert [bar.local_time for bar in typed.bars] == [each.strftime(form) for each in begins]
        # An hour may end between the two: the first bar goes, another comes.
        assert {bar["time"] for bar in bars[1:]} <= {bar.local_time for bar in typed.bars}


def test_days_are_days_of_the_exchange(face: Face) -> None:
    for symbol, zone in (("AAPL", "US/Eastern"), ("BMW", "Europe/Berlin")):
        last = face.bars(symbol, duration="1 W", barSize="1 day")[-1]
        days = {datetime.now(UTC).date(), datetime.now(ZoneInfo(zone)).date()}
        assert datetime.strptime(last["time"], DAY).replace(tzinfo=UTC).date() in days


def test_the_volume_is_in_shares_and_contracts(face: Face) -> None:
    assert all(30e6 < bar["volume"] < 80e6 for bar in face.bars("AAPL", duration="1 W", barSize="1 day"))
    assert all(0.7e6 < bar["volume"] < 1.3e6 for bar in face.bars("BMW", duration="1 W", barSize="1 day"))
    assert all(0.3e6 < bar["volume"] < 0.7e6 for bar in face.bars("UST10Y", duration="1 W", barSize="1 day"))


def test_prices_keep_their_digits(face: Face) -> None:
    """A note trades in 64ths; a number keeps its point when there is nothing behind it."""
    bars = face.bars("UST10Y", duration="1 M", barSize="1 day")
    assert all(type(bar[name]) is float for bar in bars for name in ("open", "high", "low", "close"))
    assert all(bar["close"] * 64 == int(bar["close"] * 64) for bar in bars)
    face.fault(HISTORY.removeprefix("/v1/api"), {"barLength": 3600, "data": [{"o": 101, "c": 1e2, "t": 0}]}, status=200)
    answer = face.edge.get("/ib/market-data/AAPL")
    assert b'"open":101.0,"high":null,"low":null,"close":100.0,"volume":null' in answer.body


def test_many_bars_are_several_calls_without_a_seam(face: Face) -> None:
    bars = face.bars("MSFT", duration="3 D", barSize="1 min")
    calls = face.asked(HISTORY)
    assert 4 <= len(calls) <= 20
    assert len(bars) in {3 * 1440, 3 * 1440 + 1}
    typed = face.typed_bars("MSFT", duration="3 D", bar_size="1 min").bars
    starts = [bar.start_time.seconds for bar in typed]
    assert {after - before for before, after in itertools.pairwise(starts)} == {60}
    assert {bar["time"] for bar in bars[1:]} <= {bar.local_time for bar in typed}


def test_of_a_market_that_is_closed_the_last_trades_count(face: Face) -> None:
    """A day of minutes is several calls, and yesterday and today may both be a weekend."""
    closed = int(datetime.now(UTC).timestamp()) // 60 * 60 - 3 * 86_400
    minutes = [{"t": (closed + 60 * place) * 1000, "o": 1, "c": 1, "h": 1, "l": 1, "v": 1} for place in range(30)]
    face.fault(HISTORY.removeprefix("/v1/api"), {"barLength": 60, "data": minutes}, status=200)
    bars = face.bars("AAPL", duration="1 D", barSize="1 min")
    zone = ZoneInfo("US/Eastern")
    assert [bar["time"] for bar in bars] == [
        datetime.fromtimestamp(closed + 60 * place, zone).strftime(MINUTE) for place in range(30)
    ]
    assert len(face.asked(HISTORY)) <= 5


def test_as_many_calls_as_there_may_be_within_limits(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Out of the box, in front of a gateway that enforces IBKR's limits."""
    with start_stack(tmp_path_factory.mktemp("limits"), args=("--limits",)) as stack:
        assert stack.paper is not None
        query = {"duration": "13 D", "barSize": "1 min"}
        answer = httpx.get(f"{stack.rest_url}/ib/market-data/MSFT", params=query, timeout=60)
        assert answer.json()["count"] == len(answer.json()["data"])
        assert answer.json()["count"] in {13 * 1440, 13 * 1440 + 1}
        upstream = httpx.get(f"{stack.paper.control_url}/requests").json()
        assert 18 < upstream["counts"][f"GET {HISTORY}"] <= 20
        typed = typed_bars(stack.grpc_target, "MSFT", duration="13 D", bar_size="1 min").bars
        starts = [bar.start_time.seconds for bar in typed]
        assert {after - before for before, after in itertools.pairwise(starts)} == {60}
        assert httpx.get(f"{stack.paper.control_url}/requests").json()["too_many"] == 0


@pytest.mark.parametrize(
    ("query", "field", "possible"),
    [
        ({"duration": "1 Y", "barSize": "1 min"}, "duration", "at most 13 days, or larger bars"),
        ({"duration": "1 M", "barSize": "5 mins", "whatToShow": "MIDPOINT"}, "duration", "at most 20 days"),
        ({"barSize": "30 secs"}, "barSize", "no bars below a minute: must be one of '1 min', '2 mins'"),
        ({"barSize": "1 secs"}, "barSize", "no bars below a minute"),
        ({"barSize": "20 mins"}, "barSize", "'15 mins', '30 mins', '1 hour', '2 hours'"),
        ({"barSize": "1 fortnight"}, "barSize", "'1 week', '1 month', got '1 fortnight'"),
        ({"barSize": "1min"}, "", ""),
        ({"duration": "1 fortnight"}, "duration", "a number and one of S, D, W, M, Y, such as '1 D'"),
        ({"duration": "0 D"}, "duration", "a number and one of"),
        ({"duration": "-1 D"}, "duration", "a number and one of"),
        ({"duration": "90000 S"}, "duration", "at most '86400 S': use D beyond"),
        ({"duration": "1001 D"}, "duration", "at most '1000 D'"),
        ({"duration": "16 Y"}, "duration", "at most '15 Y'"),
        ({"whatToShow": "BID_ASK"}, "whatToShow", "must be one of TRADES, MIDPOINT, BID, ASK, got 'BID_ASK'"),
        ({"whatToShow": "ADJUSTED_LAST"}, "whatToShow", "TRADES, MIDPOINT, BID, ASK"),
        ({"whatToShow": "BID", "duration": "1 D", "barSize": "1 min"}, "barSize", "may be '2 mins' or more"),
        ({"whatToShow": "ASK", "duration": "1 M", "barSize": "30 mins"}, "barSize", "may be '1 hour' or more"),
        ({"bar_size": "1 day"}, "bar_size", "known are duration, barSize, whatToShow, code"),
        ({"symbol": "MSFT"}, "symbol", "known are"),
    ],
)
def test_what_cannot_be_done_is_named_and_not_asked_for(
    face: Face, query: dict[str, str], field: str, possible: str
) -> None:
    if not field:
        assert face.bars("AAPL", **query)
        return
    refused = face.refused("market-data/AAPL", query, status=400, code="bad_request")
    assert set(refused) == {"code", "message"}
    assert field in refused["message"].partition(": ")[0]
    assert possible in refused["message"]
    assert face.asked(HISTORY) == face.asked(SIDES) == []


def test_everything_that_is_wrong_is_named_at_once(face: Face) -> None:
    query = {"duration": "long", "barSize": "small", "whatToShow": "ALL"}
    message = face.refused("market-data/AAPL", query, status=400, code="bad_request")["message"]
    assert [part.partition(": ")[0] for part in message.split("; ")] == list(query)


def test_a_parameter_that_is_given_twice(face: Face) -> None:
    answer = face.edge.get("/ib/market-data/AAPL?duration=1%20D&duration=2%20D")
    assert (answer.status, answer.json()["code"]) == (400, "bad_request")
    assert answer.json()["message"] == "the query parameter 'duration' is given twice"


def test_spaces_may_be_pluses(face: Face) -> None:
    assert face.edge.get("/ib/market-data/AAPL?duration=1+W&barSize=1+day").json()["duration"] == "1 W"


def test_symbols_in_any_case_and_none(face: Face) -> None:
    lower = face.read("market-data/aapl", {"duration": "1 W", "barSize": "1 day"})
    assert lower["symbol"] == "aapl"
    assert lower["data"][:-1] == face.bars("AAPL", duration="1 W", barSize="1 day")[:-1]
    code = face.bars("ust10y", duration="1 W", barSize="1 day")
    assert code[:-1] == face.bars("UST10Y", duration="1 W", barSize="1 day")[:-1]
    refused = face.refused("market-data/nosuch", status=404, code="contract_not_found")
    assert "NOSUCH" in refused["message"]
    answer = face.edge.get("/ib/market-data/%FF")
    assert (answer.status, answer.json()["code"]) == (400, "bad_request")
    assert "must be text in UTF-8" in answer.json()["message"]
    assert face.refused(f"market-data/{'A' * 41}", status=400, code="bad_request")["message"].startswith("symbol: ")


def test_a_symbol_that_means_several_is_not_guessed(face: Face) -> None:
    refused = face.refused("market-data/AIR", status=409, code="ambiguous_symbol")
    assert refused["count"] == 2
    assert "29612193 SBF EUR AIRBUS SE" in refused["candidates"]
    assert "29612200 IBIS EUR AIRBUS SE" in refused["candidates"]
    assert face.asked(HISTORY) == []


def test_of_a_symbol_in_several_countries_the_american_is_meant(face: Face) -> None:
    assert face.bars("SAP", duration="1 W", barSize="1 day")
    assert {query["conid"] for query in face.asked(HISTORY)} == {"3691937"}


def test_a_code_as_a_parameter_wins_over_the_symbol(face: Face) -> None:
    answer = face.read("market-data/AAPL", {"code": "UST10Y", "duration": "1 W", "barSize": "1 day"})
    assert answer["symbol"] == "AAPL"
    assert answer["data"][:-1] == face.bars("UST10Y", duration="1 W", barSize="1 day")[:-1]
    month = face.listed("ZN")[-1]
    named = face.read("market-data/x", {"code": with_month("UST10Y", month), "duration": "1 W", "barSize": "1 day"})
    assert named["data"][:-1] != answer["data"][:-1]
    refused = face.refused("market-data/AAPL", {"code": "AAPL"}, status=404, code="contract_not_found")
    assert "no product code 'AAPL'" in refused["message"]


def test_midpoints(face: Face) -> None:
    bars = face.bars("AAPL", duration="1 D", barSize="1 hour", whatToShow="MIDPOINT")
    assert {(bar["volume"], type(bar["volume"])) for bar in bars} == {(0, int)}
    assert {query["source"] for query in face.asked(HISTORY)} == {"Midpoint"}


def test_bid_and_ask_come_from_their_own_bars(face: Face) -> None:
    query = {"duration": "1 D", "barSize": "1 hour"}
    bid, ask, trades = (face.bars("AAPL", **query, whatToShow=kind) for kind in ("bid", "ASK", "TRADES"))
    tick = 0.01
    for low, high, middle in zip(bid[:-1], ask[:-1], trades[:-1], strict=True):
        assert low["time"] == high["time"] == middle["time"]
        for name in ("open", "high", "low", "close"):
            assert low[name] == pytest.approx(middle[name] - tick)
            assert high[name] == pytest.approx(middle[name] + tick)
        assert (low["volume"], high["volume"]) == (0, 0)
    assert {each["barType"] for each in face.asked(SIDES)} == {"Bid", "Ask"}
    assert {each["source"] for each in face.asked(HISTORY)} == {"Trades"}


def test_the_service_that_has_bid_and_ask_is_opened_when_it_must_be(face: Face) -> None:
    face.paper.control("/session/expire", {"layer": "brokerage"})
    assert face.read("reconnect", method="POST")["ready"]
    face.forget()
    for _ in range(2):
        assert face.bars("AAPL", duration="1 D", barSize="1 hour", whatToShow="BID")
    assert len(face.asked(SIDES_INIT)) == 1
    assert len(face.asked(SIDES)) == 3


@pytest.mark.parametrize("kind", ["BID", "ASK"])
def test_without_bid_and_ask_they_are_refused_and_never_made_up(broken_sides: Face, kind: str) -> None:
    query = {"duration": "1 D", "barSize": "1 hour", "whatToShow": kind}
    refused = broken_sides.refused("market-data/AAPL", query, status=400, code="bad_request")
    assert refused["message"].startswith(f"whatToShow: this gateway gives no {kind} bars of the contract")
    assert refused["message"].endswith("possible are TRADES and MIDPOINT")
    assert broken_sides.asked(HISTORY) == []


def test_an_old_gateway_without_that_service(face: Face) -> None:
    face.fault("/hmds", "", status=404)
    query = {"duration": "1 D", "barSize": "1 hour", "whatToShow": "BID"}
    assert "whatToShow" in face.refused("market-data/AAPL", query, status=400, code="bad_request")["message"]
    face.paper.control("/faults", method="DELETE")
    assert face.bars("AAPL", **query)


def test_a_chart_that_ibkr_does_not_have(face: Face) -> None:
    face.fault("/iserver/marketdata/history", UNAVAILABLE, status=500)
    refused = face.refused("market-data/AAPL", status=503, code="history_unavailable")
    assert "history" in refused["message"].lower()


def test_bars_of_another_size_are_refused(face: Face) -> None:
    face.fault("/iserver/marketdata/history", {"barLength": 14_400, "data": []}, status=200)
    refused = face.refused("market-data/AAPL", status=409, code="bar_size_changed")
    assert refused["bar_secs"] == 14_400
