"""Clients that ask whether a quiet connection lives."""

from __future__ import annotations

import socket
import struct
import time

from tests.support.edge import Edge

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_HEADER = struct.Struct(">BHBBL")
_SETTINGS, _PING, _GOAWAY = 4, 6, 7
_ACK = 1
_INTERVAL_SECS = 1.05
"""A little more than the server wants between two pings."""


class Connection:
    """An HTTP/2 connection that carries no call."""

    def __init__(self, opened: socket.socket) -> None:
        self._socket = opened
        self._stream = opened.makefile("rb")
        opened.sendall(_PREFACE)
        self.send(_SETTINGS)

    def send(self, kind: int, payload: bytes = b"", flags: int = 0) -> None:
        self._socket.sendall(_HEADER.pack(0, len(payload), kind, flags, 0) + payload)

    def next_frame(self) -> tuple[int, int, bytes]:
        """The kind, the flags and the payload of the frame that comes next."""
        header = self._stream.read(_HEADER.size)
        assert len(header) == _HEADER.size, "the server has closed the connection"
        high, low, kind, flags, _ = _HEADER.unpack(header)
        return kind, flags, self._stream.read(high << 16 | low)

    def is_answered(self, ping: bytes) -> bool:
        """Whether a ping is answered, rather than taken for abuse."""
        self.send(_PING, ping)
        while True:
            kind, flags, payload = self.next_frame()
            assert kind != _GOAWAY, payload
            if kind == _PING and flags & _ACK:
                return payload == ping


def test_a_quiet_client_may_ask_whether_the_connection_lives(edge: Edge) -> None:
    with socket.create_connection(("127.0.0.1", edge.grpc_port), timeout=10) as opened:
        connection = Connection(opened)
        begin = time.monotonic()
        for number in range(6):
            # The pace is what is tested, not something to wait for.
            time.sleep(max(0.0, begin + number * _INTERVAL_SECS - time.monotonic()))
            assert connection.is_answered(struct.pack(">Q", number))
