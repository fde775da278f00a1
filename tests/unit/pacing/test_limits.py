from __future__ import annotations

from pathlib import Path

import pytest

from bezant_server.cpapi.pacing.limits import DEFAULT_LIMITS, GLOBAL, Limit, PacingFileError, load


def by_name(limits: tuple[Limit, ...]) -> dict[str, Limit]:
    return {limit.name: limit for limit in limits}


def written(folder: Path, text: str) -> Path:
    path = folder / "pacing.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("method", "path", "names"),
    [
        ("GET", "/iserver/account/orders", {GLOBAL, "live orders"}),
        ("POST", "/iserver/account/DU1/orders", {GLOBAL}),
        ("GET", "/iserver/account/trades", {GLOBAL, "trades"}),
        ("GET", "/iserver/account/pnl/partitioned", {GLOBAL, "pnl"}),
        ("GET", "/iserver/marketdata/snapshot", {GLOBAL, "snapshot"}),
        ("GET", "/iserver/marketdata/history", {GLOBAL, "history"}),
        ("GET", "/iserver/scanner/params", {GLOBAL, "scanner parameters"}),
        ("POST", "/iserver/scanner/run", {GLOBAL, "scanner run"}),
        ("POST", "/pa/performance", {GLOBAL, "performance"}),
        ("POST", "/pa/transactions", {GLOBAL, "transactions"}),
        ("GET", "/portfolio/accounts", {GLOBAL, "portfolio accounts"}),
        ("GET", "/portfolio/subaccounts", {GLOBAL, "portfolio subaccounts"}),
        ("GET", "/sso/validate", {GLOBAL, "sso validate"}),
        ("GET", "/tickle", {GLOBAL, "tickle"}),
        ("POST", "/tickle", {GLOBAL, "tickle"}),
        ("GET", "/fyi/unreadnumber", {GLOBAL, "notifications"}),
        ("PUT", "/fyi/notifications/1", {GLOBAL, "notifications"}),
        ("GET", "/portfolio/DU1/ledger", {GLOBAL}),
    ],
)
def test_which_limits_cover_a_call(method: str, path: str, names: set[str]) -> None:
    assert {limit.name for limit in DEFAULT_LIMITS if limit.covers(method, path)} == names


def test_a_file_changes_adds_and_removes(tmp_path: Path) -> None:
    limits = by_name(
        load(
            written(
                tmp_path,
                """
                [global]
                count = 50

                ["live orders"]
                window_secs = 10

                [trades]
                count = 0

                [watchlists]
                path = "/iserver/watchlists?"
                methods = ["get"]
                count = 2
                window_secs = 0.5
                """,
            )
        )
    )
    assert (limits[GLOBAL].count, limits[GLOBAL].window_secs) == (50, 1)
    assert (limits["live orders"].count, limits["live orders"].window_secs) == (1, 10)
    assert "trades" not in limits
    assert limits["watchlists"].covers("GET", "/iserver/watchlist")
    assert not limits["watchlists"].covers("POST", "/iserver/watchlist")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("count = 1", r"\[count\] must be a table"),
        ("[global]\ncount = -1", r"\[global\] needs count"),
        ("[global]\ncount = 1.5", r"\[global\] count must be a whole number"),
        ("[global]\ncount = true", r"\[global\] needs count"),
        ("[global]\nburst = 1", r"\[global\] has no setting burst"),
        ("[new]\ncount = 1\nwindow_secs = 1", r"\[new\] needs path"),
        ("[new]\npath = '('\ncount = 1\nwindow_secs = 1", r"\[new\] needs path"),
        ("[new]\npath = '/x'\nmethods = 'GET'\ncount = 1\nwindow_secs = 1", r"\[new\] methods must be a list"),
        ("[new", "pacing.toml"),
    ],
)
def test_a_bad_entry_is_named(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(PacingFileError, match=complaint):
        load(written(tmp_path, text))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(PacingFileError, match=r"missing\.toml"):
        load(tmp_path / "missing.toml")
