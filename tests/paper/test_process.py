"""The process: its flags, its files, how it ends."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.paper.client import PaperClient
from tests.paper.conftest import StartPaper
from tests.support.paper import PaperGateway


@pytest.mark.parametrize("name", [signal.SIGTERM, signal.SIGINT])
async def test_signals_stop_it_with_sockets_open(client: PaperClient, name: signal.Signals) -> None:
    async with await client.greeted() as socket:
        client.paper.process.send_signal(name)
        assert await socket.closed()
        assert client.paper.process.wait(10) == 0
    assert "Traceback" not in client.paper.log


@pytest.mark.parametrize("flag", ["--bind", "--control-bind"])
def test_a_taken_port_is_named_with_its_flag(paper: PaperGateway, flag: str) -> None:
    flags = {"--bind": "127.0.0.1:0", "--control-bind": "127.0.0.1:0"} | {flag: f"127.0.0.1:{paper.port}"}
    command = [sys.executable, "-m", "bezant_server.paper", *(part for pair in flags.items() for part in pair)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode == 2
    assert f"127.0.0.1:{paper.port} is taken: choose another with {flag}" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    "flags", [["--bind", "5000"], ["--speed", "0"], ["--start", "yesterday"], ["--init-delay", "-1"]]
)
def test_bad_flags_are_explained(flags: list[str]) -> None:
    command = [sys.executable, "-m", "bezant_server.paper", *flags]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode == 2
    assert flags[0] in ended.stderr


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    missing = tmp_path / "missing" / "ca.pem"
    flags = ["--bind", "127.0.0.1:0", "--control-bind", "127.0.0.1:0", "--ca-file", str(missing)]
    command = [sys.executable, "-m", "bezant_server.paper", *flags]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode == 2
    assert "cannot write" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_the_ready_file(start: StartPaper, tmp_path: Path) -> None:
    with start() as paper:
        ready = json.loads(next(tmp_path.glob("*.ready")).read_text())
        assert ready == {"base_url": paper.base_url, "control_url": paper.control_url, "pid": paper.pid}
        assert paper.base_url == f"https://127.0.0.1:{paper.port}/v1/api"


async def test_a_new_process_on_the_same_port(start: StartPaper) -> None:
    with start() as first:
        port = first.port
        async with PaperClient(first) as client:
            session = await client.session_id()
        first.kill()
    with start(port=port) as second:
        async with PaperClient(second) as client:
            assert await client.session_id() != session


async def test_the_log_tells_of_orders_and_keeps_secrets(client: PaperClient) -> None:
    await client.prime()
    session = await client.session_id()
    order_id = await client.placed(orderType="MKT", price=None)
    await client.until_status(order_id, "Filled")
    assert f"order {order_id} of DU8730189, BUY 1 AAPL MKT: Filled" in client.paper.log
    assert session not in client.paper.log
