"""A way to a server on which connections die without a word, as behind a router that was switched off."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

_CHUNK_BYTES = 64 * 1024


class SilentWay:
    """Carries bytes both ways; `die` makes every connection so far swallow them instead.

    Attributes:
        target: host and port where clients connect.
    """

    def __init__(self, listener: socket.socket, upstream: str) -> None:
        host, port = listener.getsockname()
        self.target = f"{host}:{port}"
        self._listener = listener
        self._upstream = upstream
        self._dead: list[threading.Event] = []
        self._sockets: list[socket.socket] = []

    def die(self) -> None:
        for dead in self._dead:
            dead.set()

    def close(self) -> None:
        for each in [self._listener, *self._sockets]:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def run(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                host, _, port = self._upstream.rpartition(":")
                far = socket.create_connection((host, int(port)))
                dead = threading.Event()
                self._dead.append(dead)
                self._sockets += [near, far]
                for source, sink in ((near, far), (far, near)):
                    threading.Thread(target=_carry, args=(source, sink, dead), daemon=True).start()


def _carry(source: socket.socket, sink: socket.socket, dead: threading.Event) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(_CHUNK_BYTES):
            if not dead.is_set():
                sink.sendall(data)


@contextlib.contextmanager
def silent_way(target: str) -> Iterator[SilentWay]:
    """Be between a client and `target`, host and port, until the block ends."""
    way = SilentWay(socket.create_server(("127.0.0.1", 0)), target)
    thread = threading.Thread(target=way.run)
    thread.start()
    try:
        yield way
    finally:
        way.close()
        thread.join()
