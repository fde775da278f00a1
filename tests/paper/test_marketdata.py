"""Snapshots, history and the market itself."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest

from tests.paper.client import AAPL, SAP, SPY, PaperClient
from tests.paper.conftest import StartPaper

START = ("--start", "2026-03-02T14:30:00Z")


def snapshot(conid: int, *fields: int) -> str:
    return f"/iserver/marketdata/snapshot?conids={conid}&fields={','.join(map(str, fields))}"


async def test_the_first_snapshot_and_each_new_field_are_empty(client: PaperClient) -> None:
    await client.prime()
    assert await client.get(snapshot(AAPL, 31)) == [{"conidEx": str(AAPL), "conid": AAPL}]
    row = (await client.get(snapshot(AAPL, 31, 84)))[0]
    assert "31" in row
    assert "84" not in row
    row = (await client.get(snapshot(AAPL, 31, 84)))[0]
    assert isinstance(row["84"], str)
    assert row["server_id"] == row["6119"]
    assert row["_updated"] > 0
    assert row["6509"] == "RpB"


async def test_fields_as_the_wire_formats_them(client: PaperClient) -> None:
    await client.prime()
    await client.pin(AAPL, 201.5, 201.52, 201.51)
    fields = (31, 84, 86, 85, 87, 55, 7741, 83, 74, 6008, 9999)
    await client.get(snapshot(AAPL, *fields))
    row = (await client.get(snapshot(AAPL, *fields)))[0]
    assert (row["31"], row["84"], row["86"], row["55"]) == ("201.51", "201.50", "201.52", "AAPL")
    assert row["87"][-1] in "KM"
    assert row["6008"] == AAPL
    assert float(row["74"]) == 187.25
    assert isinstance(row["83"], str)
    assert "9999" not in row


async def test_lines_are_opened_and_closed(client: PaperClient) -> None:
    await client.prime()
    await client.get(snapshot(AAPL, 31))
    assert await client.post("/iserver/marketdata/unsubscribe", {"conid": AAPL}) == {"success": True}
    again = await client.call("POST", "/iserver/marketdata/unsubscribe", json={"conid": AAPL})
    assert (again.status, again.json) == (500, {"error": "unknown"})
    await client.get(snapshot(SPY, 31))
    assert await client.get("/iserver/marketdata/unsubscribeall") == {"unsubscribed": True}
    assert (await client.paper.acontrol("/state", method="GET"))["market_data_lines"] == []


async def test_too_much_at_once(client: PaperClient) -> None:
    await client.prime()
    conids = ",".join(["1"] * 101)
    assert (await client.call("GET", f"/iserver/marketdata/snapshot?conids={conids}&fields=31")).status == 400
    assert await client.get(snapshot(0, 31)) == []


async def day(start: StartPaper, seed: str, *, impatient: bool) -> Any:
    """Prices of two instruments over an hour, asked for often or only at the end."""
    with start("--seed", seed, *START, "--speed", "0.001", "--primed") as paper:
        async with PaperClient(paper) as client:
            jumps = [900] * 4 if impatient else [3600]
            for conid in (AAPL, SPY):
                await client.get(snapshot(conid, 31))
            for jump in jumps:
                await paper.acontrol("/clock/advance", {"seconds": jump, "keep_alive": True})
                if impatient:
                    await client.get(snapshot(SPY, 31))
            rows = [(await client.get(snapshot(conid, 31)))[0]["31"] for conid in (AAPL, SPY)]
            bars = await client.get(f"/iserver/marketdata/history?conid={AAPL}&period=1d&bar=5min")
            return rows, bars["data"]


async def test_the_same_seed_gives_the_same_day(start: StartPaper) -> None:
    first = await day(start, "7", impatient=False)
    assert await day(start, "7", impatient=True) == first
    assert await day(start, "8", impatient=False) != first


async def test_prices_move_with_the_clock(client: PaperClient) -> None:
    await client.prime()
    await client.get(snapshot(AAPL, 31))
    before = (await client.get(snapshot(AAPL, 31)))[0]["31"]
    await client.paper.acontrol("/clock/advance", {"seconds": 3600, "keep_alive": True})
    assert (await client.get(snapshot(AAPL, 31)))[0]["31"] != before


@pytest.mark.parametrize(
    ("period", "bar", "length", "count"),
    [("1d", "5min", 300, 288), ("1w", "1h", 3600, 168), ("1d", "5mins", 60, 1000), ("INVALID", "1h", 3600, 168)],
)
async def test_history(client: PaperClient, period: str, bar: str, length: int, count: int) -> None:
    body = await client.get(f"/iserver/marketdata/history?conid={AAPL}&period={period}&bar={bar}")
    bars = body["data"]
    assert (body["barLength"], len(bars), body["points"]) == (length, count, count - 1)
    assert all(bar["l"] <= min(bar["o"], bar["c"]) <= max(bar["o"], bar["c"]) <= bar["h"] for bar in bars)
    assert [bar["t"] for bar in bars] == list(range(bars[0]["t"], bars[-1]["t"] + 1, length * 1000))
    assert max(bar["h"] for bar in bars) == int(body["high"].split("/")[0]) / body["priceFactor"]


async def test_start_time_is_where_history_ends(client: PaperClient) -> None:
    query = f"/iserver/marketdata/history?conid={SAP}&period=1h&bar=5min&startTime=20260302-15:00:00"
    body = await client.get(query)
    assert body["startTime"] == "20260302-14:00:00"
    assert await client.get(query) == body | {"serverId": str(int(body["serverId"]) + 1)}


async def test_more_than_five_histories_at_once_are_too_many(start: StartPaper) -> None:
    with start("--limits") as paper:
        async with PaperClient(paper) as client:
            path = f"/iserver/marketdata/history?conid={AAPL}&period=1d&bar=1min"
            for count, statuses in ((5, {200}), (30, {200, 429})):
                answers = await asyncio.gather(*(client.call("GET", path) for _ in range(count)))
                assert {answer.status for answer in answers} == statuses


async def test_a_bar_of_a_day_begins_at_eight_in_the_morning(client: PaperClient) -> None:
    for bar, begins in (("1d", 8), ("1w", 8), ("1h", 0)):
        query = f"/iserver/marketdata/history?conid={AAPL}&period=2y&bar={bar}&startTime=20260302-00:00:00"
        if bar == "1h":
            query = query.replace("2y", "1d")
        times = [each["t"] // 1000 for each in (await client.get(query))["data"]]
        assert times[0] % 86_400 == begins * 3600
        assert {after - before for before, after in itertools.pairwise(times)} == {
            {"1d": 86_400, "1w": 604_800, "1h": 3600}[bar]
        }


async def test_volumes_count_lots_of_us_stocks_and_single_pieces_of_the_rest(client: PaperClient) -> None:
    future = (await client.get("/trsrv/futures?symbols=ZN"))["ZN"][0]["conid"]
    for conid, daily in ((AAPL, 550_000), (29612281, 1_000_000), (future, 500_000)):
        query = f"/iserver/marketdata/history?conid={conid}&period=1m&bar=1d&startTime=20260302-00:00:00"
        volumes = [each["v"] for each in (await client.get(query))["data"]]
        assert all(0.7 * daily < volume < 1.3 * daily for volume in volumes)
        # A hundredth of a lot is a share.
        assert all(round(volume * 100) == pytest.approx(volume * 100) for volume in volumes)


async def test_the_bid_and_the_ask_have_bars_of_their_own_once_they_are_opened(client: PaperClient) -> None:
    query = f"/hmds/history?conid={AAPL}&period=1d&bar=1h&outsideRth=false&startTime=20260302-15:00:00"
    closed = await client.call("GET", f"{query}&barType=Bid")
    assert closed.status == 404
    assert await client.post("/hmds/auth/init") == {"status": "submitted"}
    bid, ask = [(await client.get(f"{query}&barType={kind}"))["bars"] for kind in ("Bid", "Ask")]
    middle = await client.get(query.replace("/hmds", "/iserver/marketdata") + "&source=Midpoint")
    assert len(bid["data"]) == len(ask["data"]) == bid["points"] + 1 == 24
    for below, above, between in zip(bid["data"], ask["data"], middle["data"], strict=True):
        assert below["t"] == above["t"] == between["t"]
        for name in "ohlc":
            assert below[name] == pytest.approx(between[name] - 0.01)
            assert above[name] == pytest.approx(between[name] + 0.01)
        assert (below["v"], above["v"]) == (0, 0)
    for unknown in (f"{query}&barType=Bid_Ask", query.replace(str(AAPL), "999999999") + "&barType=Bid"):
        answer = await client.call("GET", unknown)
        assert (answer.status, answer.json) == (500, {"error": "Chart data unavailable"})
    await client.paper.acontrol("/session/expire", {"layer": "brokerage"})
    await client.post("/iserver/auth/ssodh/init", {"publish": True, "compete": False})
    assert (await client.call("GET", f"{query}&barType=Bid")).status == 404
