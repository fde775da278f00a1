"""The jar: one cookie a name, nothing of an edge proxy, nothing that breaks a call."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bezant_server.cpapi.jar import EDGE_COOKIE_PREFIXES, CookieJar, set_cookie_name

PAST = format_datetime(datetime(2001, 1, 1, tzinfo=UTC), usegmt=True)
FUTURE = format_datetime(datetime(2999, 1, 1, tzinfo=UTC), usegmt=True)


def jar_of(*set_cookies: str, edge_prefixes: tuple[str, ...] = ()) -> CookieJar:
    jar = CookieJar(edge_prefixes)
    jar.learn_from_response(set_cookies)
    return jar


def test_an_empty_jar_sends_nothing() -> None:
    assert CookieJar().header() is None
    assert len(CookieJar()) == 0


@pytest.mark.parametrize(
    "second",
    ["a=2", "a=2; Path=/sso", "a=2; Domain=ibkr.example", "a=2; Path=/; Secure; HttpOnly; SameSite=None", " a = 2 "],
)
def test_a_new_value_replaces_the_old_whatever_its_path_or_domain(second: str) -> None:
    assert jar_of("a=1; Path=/v1; Domain=localhost", second).header() == "a=2"


def test_names_differ_by_case() -> None:
    assert jar_of("a=1", "A=2").header() == "a=1; A=2"


@pytest.mark.parametrize(
    "removal",
    [
        "a=; Max-Age=0",
        "a=x; max-age=-1",
        "a=x; Max-Age=00",
        f"a=x; Expires={PAST}",
        "a=x; expires=Thu, 01-Jan-1970 00:00:10 GMT",
        f"a=x; Expires={FUTURE}; Max-Age=0",
        f"a=x; Max-Age=0; Expires={FUTURE}",
    ],
)
def test_an_expired_cookie_is_removed(removal: str) -> None:
    assert jar_of("a=1", "b=2", removal).header() == "b=2"


@pytest.mark.parametrize(
    "attributes",
    [
        "Max-Age=1",
        "Max-Age=" + "9" * 5000,
        f"Expires={FUTURE}",
        f"Expires={PAST}; Max-Age=60",
        "Expires=whenever",
        "Expires=",
        "Max-Age=",
        "Max-Age=soon",
        "Max-Age=--1",
        "Max-Age=\xb2",
        "Expires=Mon, 01 Jan 2020 00:00:00 +99999999999999999999",
        "Expires=Mon, 01 Jan 99999 00:00:00 GMT",
        ";;;",
    ],
)
def test_a_cookie_without_a_readable_past_is_kept(attributes: str) -> None:
    assert jar_of(f"a=1; {attributes}").header() == "a=1"


@pytest.mark.parametrize("header", ["", ";", "a", "=1", "=", "; Path=/", "a; Path=/"])
def test_what_is_no_cookie_is_skipped(header: str) -> None:
    assert jar_of(header).header() is None


def test_a_value_may_hold_anything_but_a_semicolon() -> None:
    assert jar_of('a={"session":"x=y"}').header() == 'a={"session":"x=y"}'


@pytest.mark.parametrize("value", ["caf\xe9", "a\tb", "a\x00b", "a\r\nx: y"])
def test_a_value_that_no_header_can_carry_replaces_the_old_one_by_nothing(value: str) -> None:
    assert jar_of("a=1", "b=2", f"a={value}").header() == "b=2"


@pytest.mark.parametrize("prefix", EDGE_COOKIE_PREFIXES)
def test_edge_cookies_never_enter(prefix: str) -> None:
    jar = jar_of(f"{prefix}x=1", f"{prefix}=2")
    jar.learn_from_request(f"{prefix}y=1; a=1")
    assert jar.header() == "a=1"


def test_configured_edge_cookies_never_enter() -> None:
    jar = jar_of("my_edge_session=1", "a=1", edge_prefixes=("my_edge_", "other"))
    jar.learn_from_request("otherwise=1; b=2")
    assert jar.header() == "a=1; b=2"


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("a=1; b=2", "a=1; b=2"),
        ("a=1;b=2", "a=1; b=2"),
        ("  a = 1 ;; b=2 ; ", "a=1; b=2"),
        ("a=1; a=2", "a=2"),
        ("a=b=c", "a=b=c"),
        ('a="quoted"', 'a="quoted"'),
        ("a=", "a="),
        ("a", None),
        ("=1", None),
        ("", None),
        (";;;", None),
        ("a=\xff", None),
    ],
)
def test_a_browsers_cookie_header(header: str, expected: str | None) -> None:
    jar = CookieJar()
    jar.learn_from_request(header)
    assert jar.header() == expected


def test_a_browser_and_the_gateway_share_one_cookie_a_name() -> None:
    jar = jar_of("a=1")
    jar.learn_from_request("a=2")
    assert jar.header() == "a=2"
    jar.learn_from_response(["a=3"])
    assert jar.header() == "a=3"


def test_lengths_tell_no_value() -> None:
    assert jar_of("a=secret", "b=").lengths() == {"a": 6, "b": 0}


def test_callers_cannot_fill_it_without_end() -> None:
    jar = CookieJar()
    for number in range(200):
        jar.learn_from_request(f"c{number}={'x' * 300}")
    assert list(jar.lengths()) == [f"c{number}" for number in range(147, 200)]
    assert len(jar.header() or "") <= 16 * 1024
    for number in range(200):
        jar.learn_from_request(f"n{number}=1")
    assert list(jar.lengths()) == [f"n{number}" for number in range(136, 200)]


def test_what_callers_send_never_displaces_what_the_gateway_set() -> None:
    jar = jar_of("session=s", "other=o")
    for number in range(200):
        jar.learn_from_request(f"c{number}=1")
    assert len(jar) == 64
    assert (jar.header() or "").startswith("session=s; other=o; c138=1;")


def test_what_the_gateway_sets_displaces_the_oldest_that_callers_sent() -> None:
    jar = CookieJar()
    jar.learn_from_request("; ".join(f"c{number}=1" for number in range(64)))
    jar.learn_from_response(["session=s"])
    assert list(jar.lengths()) == [*(f"c{number}" for number in range(1, 64)), "session"]


def test_a_cookie_is_the_gateways_from_when_it_sets_it() -> None:
    jar = CookieJar()
    jar.learn_from_request("a=1")
    jar.learn_from_response(["a=1"])
    jar.learn_from_request("; ".join(f"c{number}=1" for number in range(64)))
    assert jar.lengths()["a"] == 1


def test_a_full_jar_of_the_gateways_own_takes_no_more() -> None:
    jar = jar_of(*(f"g{number}=1" for number in range(64)))
    jar.learn_from_request("c=1")
    jar.learn_from_response(["late=1", "g0=2"])
    assert (len(jar), jar.lengths().get("late"), jar.lengths().get("c")) == (64, None, None)
    assert (jar.header() or "").startswith("g0=2; ")


@pytest.mark.parametrize("by_gateway", [True, False])
def test_an_oversized_cookie_evicts_nothing(by_gateway: bool) -> None:
    jar = CookieJar()
    jar.learn_from_request("a=1; b=2")
    large = f"b={'x' * 16_384}"
    if by_gateway:
        jar.learn_from_response([large])
    else:
        jar.learn_from_request(large)
    assert jar.header() == ("a=1" if by_gateway else "a=1; b=2")


@pytest.mark.parametrize(("header", "name"), [("a=1; Path=/", "a"), (" b =", "b"), ("novalue", "novalue"), ("", "")])
def test_the_name_in_a_set_cookie(header: str, name: str) -> None:
    assert set_cookie_name(header) == name


LATIN_1 = st.text(st.characters(max_codepoint=255), max_size=60)
ATTRIBUTES = st.sampled_from(["Max-Age", "Expires", "Path", "max-age ", "EXPIRES"])
DATE_PARTS = st.from_regex(r"[A-Z][a-z]{2}, [0-9]{1,3}[ -][A-Z][a-z]{2}[ -][0-9]{1,6} [0-9:.]{0,12} [-+A-Z0-9]{0,30}")
SET_COOKIE = st.one_of(
    LATIN_1,
    st.builds(lambda cookie, name, value: f"{cookie}; {name}={value}", LATIN_1, ATTRIBUTES, LATIN_1 | DATE_PARTS),
)


@given(st.lists(SET_COOKIE | st.sampled_from(["a=1", "a=2; Path=/x", "CF_x=1", "edge1=2"]), max_size=12), LATIN_1)
def test_whatever_it_is_told_it_holds_one_sendable_cookie_a_name(set_cookies: list[str], cookie: str) -> None:
    jar = CookieJar(("edge",))
    jar.learn_from_response(set_cookies)
    jar.learn_from_request(cookie)
    jar.learn_from_response(set_cookies[::-1])

    header = jar.header()
    pairs = header.split("; ") if header else []
    names = [pair.partition("=")[0] for pair in pairs]
    assert len(names) == len(set(names)) == len(jar) <= 64
    assert not any(name.startswith((*EDGE_COOKIE_PREFIXES, "edge")) for name in names)
    assert header is None or (header.isascii() and header.isprintable())
    assert header == jar.header()
