from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bezant_server.backoff import Backoff
from bezant_server.events import frames
from bezant_server.events.frames import Frame


@pytest.mark.parametrize(
    ("raw", "frame"),
    [
        (b'{"topic":"sor","args":[]}', Frame("sor", "orders")),
        (b'{"topic":"spl","args":{}}', Frame("spl", "pnl")),
        (b'{"31":"1.0","topic":"smd+265598"}', Frame("smd", "marketdata:265598")),
        (b'{"topic":"system","success":"someone","isFT":false}', Frame("ready")),
        (b'{"topic":"system","hb":1777415611502}', Frame("hb")),
        (b'{"topic":"system"}', Frame("system")),
        (b'{"topic":"tic","alive":true}', Frame("tic")),
        (b'{"topic":"sts","args":{"authenticated":false}}', Frame("sts")),
        (b'{"topic":"act","args":{}}', Frame("act")),
        (b'{"topic":"smd+265598@NYSE"}', Frame("unknown")),
        (b'{"topic":"smd+0"}', Frame("unknown")),
        (b'{"topic":"sbd+DU1+1"}', Frame("sbd", target="DU1+1")),
        (b'{"topic":7}', Frame("unknown")),
        (b'{"message":"waiting for session"}', Frame("unknown")),
        (b"{}", Frame("unknown")),
        (b'{"topic":"sor"', Frame("malformed")),
        (b'{"topic":"spl","nl":NaN}', Frame("malformed")),
        (b'{"topic":"spl","nl":-Infinity}', Frame("malformed")),
        (b'{"topic":"sor","x":"\xff"}', Frame("malformed")),
        ('{"topic":"sor"}'.encode("utf-16"), Frame("malformed")),
        (b'[{"topic":"sor"}]', Frame("malformed")),
        (b'"sor"', Frame("malformed")),
        (b"ech+hb", Frame("malformed")),
        (b"", Frame("malformed")),
        (b'{"topic":"sor","n":' + b"9" * 5000 + b"}", Frame("malformed")),
        (b"[" * 9000, Frame("malformed")),
        (b'{"topic":"sor","args":"' + b"x" * 10_000 + b'"}', Frame("oversize")),
    ],
)
def test_a_frame_is_told_by_its_topic(raw: bytes, frame: Frame) -> None:
    assert frames.read(raw, max_bytes=10_000) == frame


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reader(raw: bytes) -> None:
    assert frames.read(raw, max_bytes=100).kind


def test_waits_double_between_their_bounds_and_start_over() -> None:
    backoff = Backoff(minimum=1, maximum=60, random=Random(1))
    waits = [backoff.next() for _ in range(12)]
    assert all(1 <= wait <= 60 for wait in waits)
    assert waits[0] <= 2
    assert all(wait >= 30 for wait in waits[6:])
    assert len(set(waits)) == len(waits)
    backoff.reset()
    assert backoff.next() <= 2
