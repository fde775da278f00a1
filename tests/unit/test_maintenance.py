"""Maintenance windows at the edges of days and zones."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from bezant_server.maintenance import Maintenance, Window, zone

NEW_YORK = zone("America/New_York")


def named(windows: str, moment: str) -> bool:
    """Whether a window covers a time, which is given in New York's."""
    maintenance = Maintenance([Window.parse(window) for window in windows.split(",")], NEW_YORK)
    when = datetime.fromisoformat(moment).replace(tzinfo=NEW_YORK)
    return maintenance.at(when.timestamp()) is not None


@pytest.mark.parametrize(
    ("windows", "moment", "covered"),
    [
        ("00:45-01:45", "2026-03-03T00:44:59", False),
        ("00:45-01:45", "2026-03-03T00:45", True),
        ("00:45-01:45", "2026-03-03T01:44:59", True),
        ("00:45-01:45", "2026-03-03T01:45", False),
        ("Sat 18:00-23:00", "2026-03-07T20:00", True),
        ("sat 18:00 - 23:00", "2026-03-07T20:00", True),
        ("Sat 18:00-23:00", "2026-03-08T20:00", False),
        ("Fri 23:00-03:00", "2026-03-06T23:30", True),
        ("Fri 23:00-03:00", "2026-03-07T02:59", True),
        ("Fri 23:00-03:00", "2026-03-06T02:59", False),
        ("Fri 23:00-03:00", "2026-03-07T23:30", False),
        ("23:00-01:00", "2026-03-04T00:30", True),
        ("01:00-02:00,03:00-04:00", "2026-03-04T03:30", True),
    ],
)
def test_when_a_window_is(windows: str, moment: str, covered: bool) -> None:
    assert named(windows, moment) is covered


def test_it_follows_the_zone_through_summer_time() -> None:
    maintenance = Maintenance([Window.parse("01:00-02:00")], NEW_YORK)
    winter, summer = datetime(2026, 1, 15, 6, 30, tzinfo=UTC), datetime(2026, 7, 15, 5, 30, tzinfo=UTC)
    assert maintenance.at(winter.timestamp()) == "IBKR's maintenance window 01:00-02:00 (America/New_York)"
    assert maintenance.at(summer.timestamp()) is not None
    assert maintenance.at(summer.timestamp() + 3600) is None


@pytest.mark.parametrize("text", ["Sat 18:00-23:00", "00:45-01:45"])
def test_it_is_written_as_it_is_read(text: str) -> None:
    assert str(Window.parse(text)) == text
