"""What a debug page shows of a body: its beginning, without its secrets."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bezant_server.sidecar.debug import preview

SECRET = "5ecretV4lue"
NAMES = [
    "session",
    "sessionId",
    "session_id",
    "SESSION",
    "token",
    "access_token",
    "liveSessionToken",
    "live_session_token_secret",
    "clientSecret",
    "password",
    "credential",
    "MAC",
    "hardware_info",
    "userId",
    "USER_ID",
    "username",
    "user_name",
    "apiKey",
    "cookie",
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("layout", ['{"%s":"%s"}', '{"a":1,"%s" :\n "%s","b":2}', '{"a":{"%s":"%s'])
def test_a_secret_is_taken_out_and_its_name_kept(name: str, layout: str) -> None:
    shown = preview((layout % (name, SECRET)).encode())
    assert SECRET not in shown
    assert f'"{name}"' in shown
    assert "[redacted]" in shown


def test_a_secret_with_quotes_in_it() -> None:
    assert SECRET not in preview(json.dumps({"session": f'a"{SECRET}\\'}).encode())


def test_a_secret_number() -> None:
    assert preview(b'{"USER_ID":123456,"x":1}') == '{"USER_ID":"[redacted]","x":1}'


def test_a_long_hexadecimal_number_is_taken_out_wherever_it_stands() -> None:
    assert "0123456789abcdef" not in preview(b"<html>x=0123456789abcdef0123456789abcdef</html>")


def test_what_is_no_secret_stays() -> None:
    body = '{"authenticated":true,"competing":false,"message":"grüß dich","ssoExpires":5}'
    assert preview(body.encode()) == body


@given(
    name=st.sampled_from(NAMES),
    before=st.text(max_size=700),
    after=st.text(max_size=50),
    secret=st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=4, max_size=600),
)
def test_a_planted_secret_is_never_shown(name: str, before: str, after: str, secret: str) -> None:
    marked = f"{SECRET}{secret}"
    shown = preview(json.dumps({"before": before, name: marked, "after": after}).encode())
    assert SECRET not in shown


@given(st.binary(max_size=2000))
def test_any_body_has_a_short_preview(body: bytes) -> None:
    assert len(preview(body).encode()) <= 512
