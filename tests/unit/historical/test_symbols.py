"""What a symbol means: codes, months, and the day on which a contract changes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from bezant.v1 import contracts_service_pb2 as pb
from bezant_server.contracts.resolving import Resolver
from bezant_server.errors import ContractNotFound
from bezant_server.historical import products
from bezant_server.historical.products import split_month
from bezant_server.historical.symbols import Coded, Symbols

TABLE = products.table(None)


class Listed(Resolver):
    """A market that lists these expiries, with places in the list for conids."""

    def __init__(self, expiries: Sequence[str]) -> None:
        self._expiries = expiries
        self.asked: list[tuple[str, str]] = []

    async def futures(self, symbol: str, exchange: str) -> list[pb.Future]:
        self.asked.append((symbol, exchange))
        return [pb.Future(conid=place, expiry=expiry) for place, expiry in enumerate(self._expiries)]


def symbols(expiries: Sequence[str] = (), today: str = "20261125", clock: str = "12:00:00") -> tuple[Symbols, Listed]:
    listed = Listed(expiries)
    now = datetime.strptime(f"{today} {clock}", "%Y%m%d %H:%M:%S").replace(tzinfo=UTC).timestamp()
    return Symbols(listed, TABLE, now=lambda: now), listed


@pytest.mark.parametrize(
    ("code", "today", "clock", "expiry"),
    [
        # The Bund changes when three days are left.
        ("EURBBL", "20261204", "23:59:59", "20261208"),
        ("EURBBL", "20261205", "00:00:00", "20270308"),
        ("EURBBL", "20261208", "12:00:00", "20270308"),
        ("EURBBL", "20270304", "12:00:00", "20270308"),
        ("EURBBL", "20270305", "12:00:00", "20270608"),
        # Notes change before the month in which they are delivered, and so does the gilt.
        ("UST10Y", "20261117", "12:00:00", "20261208"),
        ("UST10Y", "20261118", "12:00:00", "20270308"),
        ("UST05Y", "20261107", "12:00:00", "20261208"),
        ("UST05Y", "20261108", "12:00:00", "20270308"),
        ("UKGB", "20261108", "12:00:00", "20270308"),
    ],
)
async def test_the_contract_that_is_nearest_by_its_roll_days(code: str, today: str, clock: str, expiry: str) -> None:
    chain = ["20261208", "20270308", "20270608"]
    found, listed = symbols(chain, today, clock)
    assert await found.conid(code, "") == chain.index(expiry)
    assert listed.asked == [(TABLE[code].traded_as, TABLE[code].traded_at)]


async def test_when_none_is_far_enough_away() -> None:
    found, _ = symbols(["20261127"])
    with pytest.raises(ContractNotFound, match="no EURBBL that expires more than 3 days from now"):
        await found.conid("EURBBL", "")


async def test_a_month_that_is_named_does_not_roll() -> None:
    found, _ = symbols(["20261125", "20270308"])
    assert await found.conid("EURBBLX26", "") == 0
    assert await found.conid("anything", "EURBBLH27") == 1
    with pytest.raises(ContractNotFound) as caught:
        await found.conid("EURBBLM25", "")
    assert caught.value.message == (
        "IBKR lists no EURBBL of 202506: it is expired or not listed yet; listed are 202611, 202703"
    )


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("EURBBLM25", ("EURBBL", "202506")),
        ("UST10YZ26", ("UST10Y", "202612")),
        ("UST10YF30", ("UST10Y", "203001")),
        ("UKGBU27", ("UKGB", "202709")),
        ("EURBBL", None),
        ("EURBBLA25", None),
        ("EURBBLM5", None),
        ("EURBBLM2025", None),
        ("eurbblm25", None),
        ("AM25", None),
    ],
)
def test_codes_with_a_month(text: str, parts: tuple[str, str] | None) -> None:
    assert split_month(text) == parts


def test_what_is_a_code() -> None:
    found, _ = symbols()
    bund = TABLE["EURBBL"]
    assert found.coded("EURBBL", "") == Coded("EURBBL", bund, "")
    assert found.coded(" eurbblm25 ", "") == Coded("EURBBL", bund, "202506")
    assert found.coded("AAPL", "EURBBL") == Coded("EURBBL", bund, "")
    assert found.coded("AAPL", "") is None
    assert found.coded("AAPLM25", "") is None
    with pytest.raises(ContractNotFound, match="no product code 'AAPL'"):
        found.coded("EURBBL", "AAPL")


def test_the_table_that_comes_with_the_server() -> None:
    assert {code: (row.traded_as, row.traded_at, row.roll_days) for code, row in TABLE.items()} == {
        "UKGB": ("R", "ICEEU", 30),
        "UST10Y": ("ZN", "CBOT", 20),
        "UST05Y": ("ZF", "CBOT", 30),
        "UST30Y": ("ZB", "CBOT", 20),
        "EURBBL": ("GBL", "EUREX", 3),
        "EURSCA": ("GBS", "EUREX", 3),
        "ITB10Y": ("BTP", "EUREX", 3),
        "EURBND": ("GBM", "EUREX", 3),
    }
    assert len({row.traded_as for row in TABLE.values()}) == 8
