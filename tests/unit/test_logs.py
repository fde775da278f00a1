"""The log: JSON lines for machines, text on a terminal, the request id on both."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest

from bezant_server import logs


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    root, ours = logging.getLogger(), logging.getLogger("bezant_server")
    before = (root.handlers[:], root.level, ours.level)
    yield
    root.handlers[:], root.level, ours.level = before


@pytest.fixture
def _in_a_request() -> Iterator[None]:
    token = logs.request_id.set("the-id")
    yield
    logs.request_id.reset(token)


def test_a_line_is_one_json_object() -> None:
    stream = io.StringIO()
    logs.configure("INFO", stream)
    logging.getLogger("bezant_server.x").info("two\nlines, %s", "ünïcode", extra={"code": "c", "odd": object})
    (line,) = stream.getvalue().splitlines()
    document = json.loads(line)
    assert document["message"] == "two\nlines, ünïcode"
    assert (document["level"], document["logger"], document["code"]) == ("INFO", "bezant_server.x", "c")
    assert document["time"].endswith("Z")
    assert len(document["time"]) == len("2026-03-09T14:30:00.000Z")
    assert "request_id" not in document


@pytest.mark.usefixtures("_in_a_request")
@pytest.mark.parametrize("kind", [io.StringIO, Terminal])
def test_a_line_of_a_request_has_its_id(kind: type[io.StringIO]) -> None:
    stream = kind()
    logs.configure("INFO", stream)
    logging.getLogger("bezant_server.x").info("hello")
    assert "the-id" in stream.getvalue()


def test_an_exception_stays_within_its_line() -> None:
    stream = io.StringIO()
    logs.configure("INFO", stream)
    try:
        int("gone")
    except ValueError:
        logging.getLogger("bezant_server").exception("failed")
    (line,) = stream.getvalue().splitlines()
    assert "ValueError: invalid literal" in json.loads(line)["exception"]


def test_a_terminal_gets_text() -> None:
    stream = Terminal()
    logs.configure("INFO", stream)
    logging.getLogger("bezant_server.x").warning("careful", extra={"code": "c"})
    text = stream.getvalue()
    assert "WARNING bezant_server.x: careful  code=c\n" in text
    assert not text.startswith("{")


@pytest.mark.parametrize("hostile", ["a\nERROR forged", "a\r\x1b[2J", "a\x9b31m", "a\u2028b"])
def test_nobody_writes_to_the_terminal_through_the_log(hostile: str) -> None:
    stream = Terminal()
    logs.configure("INFO", stream)
    logging.getLogger("bezant_server.x").info("x", extra={"reason": hostile})
    (line,) = stream.getvalue().removesuffix("\n").split("\n")
    assert line.isprintable()


@pytest.mark.parametrize(
    ("level", "logger", "severity", "heard"),
    [
        ("INFO", "bezant_server.x", logging.INFO, True),
        ("INFO", "bezant_server.x", logging.DEBUG, False),
        ("DEBUG", "bezant_server.x", logging.DEBUG, True),
        ("ERROR", "bezant_server.x", logging.WARNING, False),
        ("DEBUG", "httpcore.http11", logging.DEBUG, False),
        ("DEBUG", "websockets.client", logging.INFO, False),
        ("INFO", "aiohttp.client", logging.WARNING, True),
    ],
)
def test_levels(level: str, logger: str, severity: int, heard: bool) -> None:
    """A library's DEBUG holds headers, and the cookies among them."""
    stream = io.StringIO()
    logs.configure(level, stream)
    logging.getLogger(logger).log(severity, "something")
    assert bool(stream.getvalue()) is heard


def test_configuring_twice_writes_once() -> None:
    stream = io.StringIO()
    logs.configure("INFO", stream)
    logs.configure("INFO", stream)
    logging.getLogger("bezant_server").info("once")
    assert len(stream.getvalue().splitlines()) == 1


@pytest.mark.parametrize("kind", [io.StringIO, Terminal])
@pytest.mark.parametrize("form", ["json", "text"])
def test_the_form_can_be_chosen(kind: type[io.StringIO], form: str) -> None:
    stream = kind()
    logs.configure("INFO", stream, form=form)
    logging.getLogger("bezant_server").info("hello")
    assert stream.getvalue().startswith("{") is (form == "json")
