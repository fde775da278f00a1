from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

from bezant_server.local.console import Console
from bezant_server.local.supervisor import Service, Supervisor

_STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready'); time.sleep(60)"
_IDLE = "import time; time.sleep(60)"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


def _service(name: str, program: str, *, healthy: object = None, stop_rank: int = 0, **secs: float) -> Service:
    async def at_once() -> bool:
        return True

    return Service(
        name=name,
        command=(sys.executable, "-u", "-c", program),
        environment=dict(os.environ),
        healthy=healthy or at_once,  # type: ignore[arg-type]
        start_secs=secs.get("start_secs", 20.0),
        stop_secs=secs.get("stop_secs", 20.0),
        stop_rank=stop_rank,
    )


async def _run(log: Path, *services: Service) -> tuple[int, str, Mapping[str, int]]:
    started: dict[str, int] = {}
    with log.open("wb") as stream:
        console = Console(stream)
        status = await Supervisor(services, console=console).run(started.update)
        console.close(within=10)
    return status, _text(log), started


def _says(log: Path, text: str) -> object:
    async def condition() -> bool:
        return text in _text(log)

    return condition


def _text(log: Path) -> str:
    return log.read_text() if log.exists() else ""


def _gone(pids: Iterable[int]) -> bool:
    return not any(Path(f"/proc/{pid}").exists() for pid in pids)


async def test_a_program_that_ends_ends_all(log: Path) -> None:
    status, text, started = await _run(
        log, _service("idle", _IDLE), _service("brief", "print('last words'); raise SystemExit(7)")
    )

    assert status == 1
    assert text.splitlines() == ["[brief] last words", "[bezant] brief ended by itself with status 7"]
    assert _gone(started.values())


async def test_one_that_never_becomes_ready_is_named(log: Path) -> None:
    async def never() -> bool:
        return False

    status, text, started = await _run(
        log, _service("idle", _IDLE), _service("slow", _IDLE, healthy=never, start_secs=0.2)
    )

    assert (status, text) == (1, "[bezant] slow was not ready within 0.2 s\n")
    assert not started


async def test_one_that_does_not_stop_is_killed(log: Path) -> None:
    status, text, started = await _run(
        log,
        _service("stubborn", _STUBBORN, healthy=_says(log, "[stubborn] ready"), stop_secs=0.2),
        _service("brief", "pass"),
    )

    assert status == 1
    assert "[bezant] stubborn did not stop within 0.2 s: killing it\n" in text
    assert _gone(started.values())


async def test_they_stop_in_order_when_the_news_that_they_run_cannot_be_told(log: Path) -> None:
    program = (
        "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(print('bye'))); "
        "print('ready'); time.sleep(60)"
    )
    started: dict[str, int] = {}

    def untellable(pids: Mapping[str, int]) -> None:
        started.update(pids)
        raise OSError("nobody listens")

    with log.open("wb") as stream:
        console = Console(stream)
        supervisor = Supervisor([_service("only", program, healthy=_says(log, "[only] ready"))], console=console)
        with pytest.raises(OSError, match="nobody listens"):
            await supervisor.run(untellable)
        console.close(within=10)

    assert _text(log).splitlines() == ["[only] ready", "[only] bye"]
    assert _gone(started.values())


async def test_they_stop_in_the_order_of_their_ranks(log: Path) -> None:
    program = (
        "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(print('bye'))); "
        "print('ready'); time.sleep(60)"
    )
    services = [
        _service(name, program, healthy=_says(log, f"[{name}] ready"), stop_rank=rank)
        for name, rank in (("last", 2), ("first", 0), ("second", 1))
    ]
    _, text, _ = await _run(log, *services, _service("brief", "pass", stop_rank=9))

    assert [line for line in text.splitlines() if "bye" in line] == ["[first] bye", "[second] bye", "[last] bye"]


async def test_a_line_without_end_comes_through_in_pieces(log: Path) -> None:
    program = "import sys; sys.stdout.write('x' * 1_000_000 + '\\nshort\\nunended')"
    _, text, _ = await _run(log, _service("chatty", program))

    lines = text.splitlines()
    *pieces, short, unended, _ = lines
    assert (short, unended) == ("[chatty] short", "[chatty] unended")
    assert all(piece.startswith("[chatty] x") and len(piece) < 17_000 for piece in pieces)
    assert sum(piece.count("x") for piece in pieces) == 1_000_000


async def test_a_reader_that_stalls_costs_lines_and_nothing_else() -> None:
    reading, writing = os.pipe()
    with open(reading, "rb") as reader:  # noqa: ASYNC230, PTH123  a pipe is no file of the disk
        with open(writing, "wb") as stream:  # noqa: ASYNC230, PTH123
            console = Console(stream, capacity=10)
            for _ in range(5000):
                console.line("chatty", "x" * 100)
            received = asyncio.create_task(asyncio.to_thread(reader.read))
            await asyncio.to_thread(console.close, within=10)
        lines = (await received).decode().splitlines()

    dropped = [int(line.split()[1]) for line in lines if "dropped" in line]
    assert sum(dropped) > 0
    assert lines.count("[chatty] " + "x" * 100) + sum(dropped) == 5000


async def test_a_stream_that_broke_is_survived() -> None:
    threads = threading.active_count()
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "wb", buffering=0) as stream:  # noqa: ASYNC230, PTH123  a pipe is no file
        console = Console(stream)
        console.line("any", "one")
        console.line("any", "two")
        console.close(within=10)

    assert threading.active_count() == threads


async def test_work_beside_goes_on_until_the_services_end_and_no_longer(log: Path) -> None:
    seen: list[str] = []
    at_work = asyncio.Event()

    async def beside() -> None:
        seen.append("began")
        at_work.set()
        try:
            await asyncio.Event().wait()
        finally:
            seen.append("ended")

    async def while_it_works() -> bool:
        return at_work.is_set()

    service = _service("one", "pass", healthy=while_it_works)
    with log.open("wb") as stream:
        console = Console(stream)
        status = await Supervisor([service], console=console, beside=[beside]).run(lambda _: None)
        console.close(within=10)
    assert (status, seen) == (1, ["began", "ended"])


async def test_work_beside_that_fails_takes_nothing_with_it(log: Path) -> None:
    async def beside() -> None:
        raise OSError("no room")

    async def later() -> bool:
        return "beside" in _text(log)

    service = _service("one", "pass", healthy=later)
    with log.open("wb") as stream:
        console = Console(stream)
        await Supervisor([service], console=console, beside=[beside]).run(lambda _: None)
        console.close(within=10)
    assert "no room" in _text(log)
