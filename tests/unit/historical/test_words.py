"""Trader Workstation's words as the gateway's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bezant_server.errors import BadRequest
from bezant_server.historical import words
from bezant_server.historical.words import Duration
from bezant_server.inputs import Checks
from bezant_server.marketdata.bars import BARS, period_secs


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 S", Duration("1min", 1)),
        ("60 S", Duration("1min", None)),
        ("61 S", Duration("2min", 61)),
        ("1800 S", Duration("30min", None)),
        ("1801 S", Duration("1h", 1801)),
        ("3600 S", Duration("1h", None)),
        ("28800 S", Duration("8h", None)),
        ("28801 S", Duration("1d", 28_801)),
        ("86400 S", Duration("1d", None)),
        ("1 D", Duration("1d", None)),
        ("1000 D", Duration("1000d", None)),
        ("2 W", Duration("2w", None)),
        ("3 M", Duration("3m", None)),
        ("15 Y", Duration("15y", None)),
        (" 1 d ", Duration("1d", None)),
        ("1D", Duration("1d", None)),
    ],
)
def test_durations(text: str, expected: Duration) -> None:
    checks = Checks()
    assert words.duration(checks, text) == expected
    checks.done()
    assert period_secs(expected.period) is not None


@pytest.mark.parametrize(
    "text",
    ["", "D", "1", "0 D", "-1 D", "1.5 D", "1 H", "1  D", "86401 S", "1001 D", "793 W", "183 M", "16 Y", "1 D 1 D"],
)
def test_durations_that_are_none(text: str) -> None:
    checks = Checks()
    words.duration(checks, text)
    with pytest.raises(BadRequest) as caught:
        checks.done()
    assert [each.field for each in caught.value.violations] == ["duration"]


@given(st.integers(1, 86_400))
def test_the_period_of_seconds_is_never_too_short(seconds: int) -> None:
    checks = Checks()
    found = words.duration(checks, f"{seconds} S")
    checks.done()
    covered = period_secs(found.period)
    assert covered is not None
    assert covered >= seconds
    assert found.seconds == (None if covered == seconds else seconds)


def test_each_size_of_bars_has_its_spelling() -> None:
    spelled = [words.spelled(bar) for bar in BARS]
    assert spelled == [
        *("1 min", "2 mins", "3 mins", "5 mins", "10 mins", "15 mins", "30 mins"),
        *("1 hour", "2 hours", "3 hours", "4 hours", "8 hours", "1 day", "1 week", "1 month"),
    ]
    checks = Checks()
    assert [words.bar_size(checks, text) for text in spelled] == list(BARS)
    assert [words.bar_size(checks, text) for text in ("1W", "1M", "1 mins", "5 min")] == ["1w", "1m", "1min", "5min"]
    checks.done()


@pytest.mark.parametrize("text", ["", "1", "1 sec", "30 secs", "20 mins", "5 hours", "2 days", "1 m", "1 H", "1 Day"])
def test_sizes_of_bars_that_are_none(text: str) -> None:
    checks = Checks()
    words.bar_size(checks, text)
    with pytest.raises(BadRequest) as caught:
        checks.done()
    (violation,) = caught.value.violations
    assert violation.field == "barSize"
    assert "'1 min'" in violation.description
    assert ("below a minute" in violation.description) is ("sec" in text)


def test_kinds() -> None:
    checks = Checks()
    given_kinds = ("TRADES", "midpoint", " Bid ", "ASK")
    assert [words.kind(checks, text) for text in given_kinds] == ["TRADES", "MIDPOINT", "BID", "ASK"]
    checks.done()
    words.kind(checks, "BID_ASK")
    with pytest.raises(BadRequest, match="whatToShow: must be one of TRADES, MIDPOINT, BID, ASK"):
        checks.done()
