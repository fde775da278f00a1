"""The product codes: what each is on, when its contract changes, and a user's own."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from tests.contract.historical.conftest import RunFace
from tests.contract.historical.face import Face, with_month
from tests.support.stack import environment

UNDERLYINGS = {
    "UKGB": ("R", "ICEEU", "Long Gilt"),
    "UST10Y": ("ZN", "CBOT", "10 Year US Treasury Note"),
    "UST05Y": ("ZF", "CBOT", "5 Year US Treasury Note"),
    "UST30Y": ("ZB", "CBOT", "30 Year US Treasury Bond"),
    "EURBBL": ("GBL", "EUREX", "Euro Bund (10 Year Bond)"),
    "EURSCA": ("GBS", "EUREX", "Euro Schatz (2 Year Bond)"),
    "ITB10Y": ("BTP", "EUREX", "Euro BTP Italian Government Bond"),
    "EURBND": ("GBM", "EUREX", "Euro Bobl (5 Year Bond)"),
}


def contract(face: Face, code: str) -> tuple[str, int]:
    """The local symbol and the conid that a code means now."""
    (only,) = face.read(f"contract-details/{code}")["contracts"]
    return only["localSymbol"], only["conId"]


def test_each_code_is_on_another_underlying(face: Face) -> None:
    underlyings = {}
    for code, (symbol, exchange, name) in UNDERLYINGS.items():
        (only,) = face.read(f"contract-details/{code}")["contracts"]
        assert (only["symbol"], only["exchange"], only["longName"]) == (symbol, exchange, name)
        listed = face.edge.get(f"/v1/api/trsrv/futures?symbols={symbol}").json()[symbol]
        (underlyings[code],) = {future["underlyingConid"] for future in listed if future["conid"] == only["conId"]}
    assert len(set(underlyings.values())) == 8
    assert list(underlyings) == list(face.read("products")["products"])


def test_a_contract_of_each_listed_month(face: Face) -> None:
    months = face.listed("ZN")
    assert len(months) == 4
    found = {contract(face, with_month("UST10Y", month)) for month in months}
    assert len({conid for _, conid in found}) == 4


@pytest.mark.parametrize("symbol", ["UST10YF35", "UST10YZ20", "UST10YH99"])
def test_months_that_are_not_listed(face: Face, symbol: str) -> None:
    for path in ("market-data", "contract-details"):
        refused = face.refused(f"{path}/{symbol}", status=404, code="contract_not_found")
        assert f"no UST10Y of 20{symbol[-2:]}" in refused["message"]
        assert refused["message"].endswith(f"listed are {', '.join(face.listed('ZN'))}")


def test_a_file_of_ones_own(run_face: RunFace, tmp_path: Path) -> None:
    """It adds, it overrides; and a contract changes so many days before it expires, by the product's own number."""
    # Days to the expiry of each contract that is listed now; a gateway with no file tells.
    with run_face() as face:
        listed = face.edge.get("/v1/api/trsrv/futures?symbols=ZN").json()["ZN"]
    today = datetime.now(UTC).date()
    whole = sorted((date.fromisoformat(str(each["expirationDate"])), each["conid"]) for each in listed)
    # Of one that expires about now, tests on either side of midnight would tell different things.
    chain = [each for each in whole if (each[0] - today).days > 2]
    expected = {}
    rows = ['[ES]\nsymbol = "ES"\nexchange = "CME"\ncurrency = "USD"\nroll_days = 0\n']
    for place, (expiry, conid) in enumerate(chain[:2]):
        for code, days, number in (
            (f"KEEPS{place}", (expiry - today).days - 2, conid),
            (f"ROLLS{place}", (expiry - today).days + 1, chain[place + 1][1]),
        ):
            rows.append(_row(code, days))
            expected[code] = number
    rows.append(_row("UST10Y", 20).replace("ZN", "TN") + 'ibkr_symbol = "NOSUCH"\n')
    own = tmp_path / "products.toml"
    own.write_text("\n".join(rows))
    with run_face(BEZANT_PRODUCTS_PATH=str(own)) as face:
        products = face.read("products")
        assert products["count"] == 8 + 1 + len(expected)
        assert list(products["products"])[:8] == list(UNDERLYINGS)
        assert products["products"]["ES"] == {
            "symbol": "ES",
            "secType": "CONTFUT",
            "exchange": "CME",
            "currency": "USD",
        }
        assert products["products"]["UST10Y"]["symbol"] == "TN"
        for code, conid in expected.items():
            assert contract(face, code)[1] == conid, code
        refused = face.refused("market-data/UST10Y", status=404, code="contract_not_found")
        assert refused["message"] == "IBKR lists no UST10Y that expires more than 20 days from now"
        refused = face.refused("market-data/UST10YZ30", status=404, code="contract_not_found")
        assert refused["message"].endswith("listed are none")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "No such file"),
        ("[X", "cannot use"),
        ("[gilt]\n", "'gilt' is no code: 2 to 20 capital letters and digits"),
        ("AB = 1", "AB: "),
        ('[AB]\nsymbol = "A"\nexchange = "B"\ncurrency = "EUR"', "AB.roll_days: Field required"),
        ('[AB]\nsymbol = "A"\nexchange = "B"\ncurrency = "euro"\nroll_days = 1', "AB.currency: "),
        ('[AB]\nsymbol = "A"\nexchange = "B"\ncurrency = "EUR"\nroll_days = -1', "AB.roll_days: "),
        ('[AB]\nsymbol = "A"\nexchange = "B"\ncurrency = "EUR"\nroll_days = 1\nroll = 2', "AB.roll: "),
        ('[AB]\nsymbol = "A B"\nexchange = "B"\ncurrency = "EUR"\nroll_days = 1', "AB.symbol: "),
        ('[AB]\nsymbol = "A"\nsecType = "STK"\nexchange = "B"\ncurrency = "EUR"\nroll_days = 1', "AB.secType: "),
    ],
)
def test_a_wrong_file_stops_the_start(tmp_path: Path, content: str | None, said: str) -> None:
    own = tmp_path / "products.toml"
    if content is not None:
        own.write_text(content)
    done = subprocess.run(
        [sys.executable, "-m", "bezant_server.cli", "serve"],
        cwd=tmp_path,
        env=environment({"BEZANT_PRODUCTS_PATH": str(own), "BEZANT_GRPC_BIND": "127.0.0.1:0"}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert "BEZANT_PRODUCTS_PATH: " in done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def _row(code: str, roll_days: int) -> str:
    return f'[{code}]\nsymbol = "ZN"\nexchange = "CBOT"\ncurrency = "USD"\nroll_days = {roll_days}\n'
