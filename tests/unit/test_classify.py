"""What an answer of the gateway means."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bezant_server import errors
from bezant_server.cpapi.classify import decode, is_login_redirect
from bezant_server.cpapi.messages import UpstreamResponse


def response(status: int, body: bytes = b"{}", **headers: str) -> UpstreamResponse:
    return UpstreamResponse(status, tuple(headers.items()), body)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (response(401), errors.NotAuthenticated),
        (response(302, location="/sso/Login?x=1"), errors.NotAuthenticated),
        (response(307, location="https://localhost:5000/sso/Dispatcher"), errors.NotAuthenticated),
        (response(302, location="/elsewhere"), None),
        (response(400, b'{"error":"Bad Request: no bridge","statusCode":400}'), errors.NoSession),
        (response(400, b'{"error":"no contract"}'), errors.UpstreamClientError),
        (response(403), errors.UpstreamClientError),
        (response(404, b"<html>"), errors.UpstreamClientError),
        (response(429), errors.UpstreamStatus),
        (response(500, b"<html>"), errors.UpstreamStatus),
        (response(503, b'{"error":"Service Unavailable"}'), errors.UpstreamStatus),
        (response(200, b"<html>"), errors.UpstreamDecodeError),
        (response(200, b""), errors.UpstreamDecodeError),
        (response(200, b"\xff\xfe\x00"), errors.UpstreamDecodeError),
        (response(200, b'{"a":'), errors.UpstreamDecodeError),
        (response(200, b"[" * 100_000), errors.UpstreamDecodeError),
        (response(200, b'{"error":"Order rejected"}'), errors.UpstreamApiError),
        (response(200, b'{"error":{"code":1}}'), errors.UpstreamApiError),
        (response(200, b'{"error":null}'), None),
        (response(200, b'{"error":""}'), None),
        (response(200, b'[{"error":"in a list"}]'), None),
        (response(200, b"null"), None),
    ],
)
def test_the_table(answer: UpstreamResponse, expected: type[errors.BezantError] | None) -> None:
    if expected is None:
        decode(answer)
    else:
        with pytest.raises(expected):
            decode(answer)


@pytest.mark.parametrize(
    ("status", "location", "login"),
    [
        (302, "/sso/Login", True),
        (301, "/sso/Dispatcher?x", True),
        (302, "https://api.ibkr.example/sso/Login?RL=1", True),
        (200, "/sso/Login", False),
        (302, "/x?to=/sso/Login", False),
        (302, "http://[::1/sso/Login", False),
        (302, "", False),
    ],
)
def test_a_login_redirect(status: int, location: str, login: bool) -> None:
    assert is_login_redirect(response(status, location=location)) is login


@pytest.mark.parametrize("status", [400, 404, 418, 429, 500, 599])
def test_the_gateways_status_and_words_are_told(status: int) -> None:
    with pytest.raises(errors.BezantError, match="because of me") as caught:
        decode(response(status, b'{"error":"because of me"}'))
    assert caught.value.http_status == status
    assert caught.value.fields == {"upstream_status": status}


def test_html_is_not_quoted() -> None:
    with pytest.raises(errors.UpstreamStatus) as caught:
        decode(response(500, b"<html>session=SECRET</html>"))
    assert "SECRET" not in caught.value.message


@pytest.mark.parametrize("body", [b'{"error":"%s"}' % (b"x" * 100_000), b"<" * 100_000])
@pytest.mark.parametrize("status", [200, 400, 500])
def test_messages_stay_short(status: int, body: bytes) -> None:
    with pytest.raises(errors.BezantError) as caught:
        decode(UpstreamResponse(status, (("content-type", "y" * 60_000),), body))
    assert len(caught.value.message) < 400


@given(
    st.integers(200, 999),
    st.binary(max_size=80) | st.sampled_from([b'{"error":1}', b'{"error":"x"}', b"[]", b"{"]),
    st.dictionaries(st.sampled_from(["location", "content-type"]), st.text(max_size=40)),
)
def test_any_answer_is_decoded_or_one_of_our_errors(status: int, body: bytes, headers: dict[str, str]) -> None:
    try:
        decode(response(status, body, **headers))
    except errors.UpstreamError:
        return
    assert status < 400
