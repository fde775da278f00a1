"""Addresses as an operator writes them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bezant_server.addresses import BindAddress, GatewayUrl
from bezant_server.errors import InvalidBaseUrl

ODD_TEXT = st.text(max_size=40) | st.from_regex(r"https?://[\[\]:@/?#%a-z0-9.é\s-]{0,30}")


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("127.0.0.1:8080", "127.0.0.1", 8080),
        ("localhost:0", "localhost", 0),
        ("[::1]:65535", "::1", 65535),
        (" 0.0.0.0:1 ", "0.0.0.0", 1),
    ],
)
def test_bind_addresses(text: str, host: str, port: int) -> None:
    address = BindAddress.parse(text)
    assert (address.host, address.port) == (host, port)
    assert BindAddress.parse(str(address)) == address


@pytest.mark.parametrize(
    ("text", "origin", "base_path", "socket_url"),
    [
        (
            "https://localhost:5000/v1/api",
            "https://localhost:5000",
            "/v1/api",
            "wss://localhost:5000/v1/api/ws",
        ),
        ("https://localhost:5000", "https://localhost:5000", "/v1/api", "wss://localhost:5000/v1/api/ws"),
        ("https://LOCALHOST:443/", "https://localhost", "/v1/api", "wss://localhost/v1/api/ws"),
        ("http://[::1]:80/gw/v1/api/", "http://[::1]", "/gw/v1/api", "ws://[::1]/gw/v1/api/ws"),
        ("https://[fe80::1]:5000", "https://[fe80::1]:5000", "/v1/api", "wss://[fe80::1]:5000/v1/api/ws"),
        ("https://my_gw-1.example.", "https://my_gw-1.example.", "/v1/api", "wss://my_gw-1.example./v1/api/ws"),
        ("https://xn--mnchen-3ya.example", "https://xn--mnchen-3ya.example", "/v1/api", None),
    ],
)
def test_gateway_urls(text: str, origin: str, base_path: str, socket_url: str | None) -> None:
    url = GatewayUrl.parse(text)
    assert (url.origin, url.base_path) == (origin, base_path)
    assert socket_url is None or url.socket_url == socket_url
    assert GatewayUrl.parse(str(url)) == url


@pytest.mark.parametrize(
    "text",
    [
        "",
        "localhost",
        "localhost:5000",
        "//localhost",
        "ftp://localhost",
        "https://",
        "https:///v1/api",
        "https://:5000",
        "https://a b",
        "https://a\x00b",
        "https://a..b",
        "https://-a.example",
        "https://münchen.example",
        "https://[::1",
        "https://[nonsense]",
        "https://[fe80::1%25eth0]",
        "https://h:0",
        "https://h:65536",
        "https://h:port",
        "https://h/v1/äpi",
        "https://h/a b",
        "https://user:password@h",
        "https://h?x=1",
        "https://h#x",
        "https://" + "a" * 64,
        "https://" + "a." * 127 + "aa",
    ],
)
def test_what_is_no_gateway_url(text: str) -> None:
    with pytest.raises(InvalidBaseUrl, match="IBKR_GATEWAY_URL"):
        GatewayUrl.parse(text)


@given(ODD_TEXT)
def test_any_text_is_a_gateway_url_or_refused(text: str) -> None:
    try:
        url = GatewayUrl.parse(text)
    except InvalidBaseUrl:
        return
    assert str(url).isascii()
    assert str(url).isprintable()
    assert " " not in str(url)
    assert GatewayUrl.parse(str(url)) == url


@given(ODD_TEXT | st.from_regex(r"[\[\]:a-z0-9.]{0,12}:[0-9²]{0,8}", fullmatch=True))
def test_any_text_is_a_bind_address_or_refused(text: str) -> None:
    try:
        address = BindAddress.parse(text)
    except ValueError:
        return
    assert 0 <= address.port <= 65535
    assert address.host
