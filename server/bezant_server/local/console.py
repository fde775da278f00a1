"""What several programs write, on one stream: each line after the name of its program."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from typing import BinaryIO

_CHUNK_BYTES = 64 * 1024
_LONGEST_LINE_BYTES = 16 * 1024


class Console:
    """Writes lines to a stream without ever making their program wait.

    A stream that stalls (a paused pager, say) costs lines, which are counted, not a trading server that hangs in its
    logging. At most `capacity` lines wait.
    """

    def __init__(self, stream: BinaryIO, *, capacity: int = 1000) -> None:
        self._stream = stream
        self._waiting: queue.Queue[bytes | None] = queue.Queue(capacity)
        self._dropped = 0
        self._writer = threading.Thread(target=self._write, name="console", daemon=True)
        self._writer.start()

    def line(self, name: str, text: bytes | str) -> None:
        """Add a line, without its end, of the program `name`."""
        content = text.encode() if isinstance(text, str) else text
        try:
            self._waiting.put_nowait(self._notice() + f"[{name}] ".encode() + content + b"\n")
        except queue.Full:
            self._dropped += 1
        else:
            self._dropped = 0

    def close(self, *, within: float) -> None:
        """Write what waits, for `within` seconds at most."""
        with contextlib.suppress(queue.Full):
            self._waiting.put(self._notice(), timeout=within)
            self._waiting.put(None, timeout=within)
            self._writer.join(within)

    def _notice(self) -> bytes:
        if not self._dropped:
            return b""
        return f"[bezant] {self._dropped} lines dropped: the reader of this log is too slow\n".encode()

    def _write(self) -> None:
        while (line := self._waiting.get()) is not None:
            # Nobody may be reading any more; the programs go on all the same.
            with contextlib.suppress(OSError, ValueError):
                self._stream.write(line)
                self._stream.flush()


async def relay(output: asyncio.StreamReader, name: str, console: Console) -> None:
    """Pass a program's output on until it ends; a line longer than 16 KiB is passed on in pieces."""
    rest = b""
    while chunk := await output.read(_CHUNK_BYTES):
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            for piece in _pieces(line):
                console.line(name, piece)
        *full, rest = _pieces(rest)
        for piece in full:
            console.line(name, piece)
    if rest:
        console.line(name, rest)


def _pieces(line: bytes) -> list[bytes]:
    starts = range(0, max(len(line), 1), _LONGEST_LINE_BYTES)
    return [line[start : start + _LONGEST_LINE_BYTES] for start in starts]
