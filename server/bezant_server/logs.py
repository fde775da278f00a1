"""Logging: JSON lines for machines, readable text on a terminal, request id and client on every line of a request."""

from __future__ import annotations

import json
import logging
import re
import sys
import time
from contextvars import ContextVar
from datetime import datetime
from typing import TextIO

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""The id of the request that the current task serves."""
client: ContextVar[str] = ContextVar("client", default="")
"""The name of the client that made it, if it needed an API key."""

_ACCOUNT = re.compile(r"\b([DFIU]{1,2})[0-9]{2,7}([0-9]{3})\b")
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, request id, and what the caller put in `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(record.created))}.{int(record.msecs):03}Z",
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= _extras(record)
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


class TextFormatter(logging.Formatter):
    """The same for human eyes."""

    def format(self, record: logging.LogRecord) -> str:
        clock = datetime.fromtimestamp(record.created).astimezone().strftime("%H:%M:%S")
        extras = " ".join(f"{key}={value}" for key, value in _extras(record).items())
        line = f"{clock} {record.levelname:<7} {record.name}: {record.getMessage()}{'  ' if extras else ''}{extras}"
        if not line.isprintable():
            line = "".join(letter if letter.isprintable() else _escaped(letter) for letter in line)
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def _escaped(letter: str) -> str:
    """What a caller or the gateway wrote must not steer the terminal, nor look like a line of its own."""
    return letter.encode("unicode_escape").decode("ascii")


def configure(level: str, stream: TextIO | None = None, *, form: str = "auto") -> None:
    """Send this program's log to `stream` (standard error by default); libraries are heard from WARNING on.

    Args:
        level: from which on it is heard.
        stream: where it goes.
        form: json, text, or auto, which is text on a terminal.
    """
    stream = stream or sys.stderr
    handler = logging.StreamHandler(stream)
    handler.setFormatter(TextFormatter() if is_text(form, stream) else JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("bezant_server").setLevel(level)


def shorten_accounts(text: str) -> str:
    """The text with its account numbers cut down to what tells a user's own accounts apart: `DU…189`."""
    return _ACCOUNT.sub(r"\1…\2", text)


def is_text(form: str, stream: TextIO) -> bool:
    """Whether a log of this form is text on that stream."""
    return form == "text" or (form == "auto" and stream.isatty())


def _extras(record: logging.LogRecord) -> dict[str, object]:
    extras: dict[str, object] = {}
    if identity := request_id.get():
        extras["request_id"] = identity
    if name := client.get():
        extras["client"] = name
    extras |= {key: value for key, value in vars(record).items() if key not in _STANDARD}
    return extras
