"""The database: without it nothing is sent, and one of a newer server is not touched."""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
import sys
from pathlib import Path

from tests.contract.targets.conftest import RunTrading
from tests.support.stack import environment
from tests.support.targets import Trading, request

_EXIT_SECS = 30


def assert_unavailable(trading: Trading, method: str, path: str) -> None:
    body = (
        request({"symbol": trading.stock().symbol, "quantity": 12, "limit_price": 99.5}) if method == "POST" else None
    )
    answer = trading.call(method, path, body)
    assert (answer.status, answer.json()["code"]) == (503, "state_unavailable"), answer
    assert list(answer.json()) == ["code", "message"]


def test_a_database_that_cannot_be_used(run_trading: RunTrading, tmp_path: Path) -> None:
    """Everything that needs none goes on, and so does the rest once it is mended."""
    state_db = tmp_path / "state.db"
    state_db.mkdir()
    with run_trading(BEZANT_STATE_DB_PATH=str(state_db)) as trading:
        assert_unavailable(trading, "POST", "orders")
        assert_unavailable(trading, "GET", "orders")
        assert_unavailable(trading, "GET", "orders/a1b2c3d4e5f67890")
        assert_unavailable(trading, "DELETE", "orders/a1b2c3d4e5f67890")
        assert trading.sent() == []
        assert trading.read("health")["status"] == "ok"
        assert trading.read("positions")["positions"]
        state_db.rmdir()
        assert trading.submitted(trading.stock().symbol, 12, limit_price=99.5)["status"] == "PreSubmitted"
        assert state_db.stat().st_mode & 0o777 == 0o600


def test_batches_outlive_the_server(run_trading: RunTrading, tmp_path: Path) -> None:
    variables = {"BEZANT_STATE_DB_PATH": str(tmp_path / "deep" / "state.db")}
    with run_trading(**variables) as trading:
        assert not (tmp_path / "deep").exists()
        batch = trading.submit({"symbol": "AAPL", "quantity": 100}, {"symbol": "NOSUCH", "quantity": 1})
        shown = trading.batch(batch["batch_id"])
        listed = trading.read("orders")
        assert (tmp_path / "deep").stat().st_mode & 0o777 == 0o700
    with run_trading(**variables) as trading:
        assert trading.batch(batch["batch_id"]) == shown
        assert trading.read("orders") == listed


def test_a_database_of_a_newer_server_stops_the_start(tmp_path: Path) -> None:
    state_db = tmp_path / "state.db"
    with contextlib.closing(sqlite3.connect(state_db)) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA user_version = 99")
    content = state_db.read_bytes()
    ended = subprocess.run(
        (sys.executable, "-m", "bezant_server.cli", "serve"),
        cwd=tmp_path,
        env=environment(
            {
                "BEZANT_STATE_DB_PATH": str(state_db),
                "BEZANT_API_KEYS_PATH": str(tmp_path / "api-keys.json"),
                "BEZANT_GRPC_BIND": "127.0.0.1:0",
                "IBKR_GATEWAY_URL": "https://127.0.0.1:1/v1/api",
            }
        ),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=_EXIT_SECS,
        text=True,
        check=False,
    )
    assert ended.returncode == 2
    said = ended.stdout + ended.stderr
    for part in ("BEZANT_STATE_DB_PATH", str(state_db), "newer", "99"):
        assert part in said
    assert "Traceback" not in said
    assert state_db.read_bytes() == content
