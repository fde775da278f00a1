"""/debug/jar and /debug/probe: closed without a token, and never showing a secret."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.contract.conftest import RunEdge
from tests.contract.rest.checks import assert_clean, assert_envelope
from tests.support.edge import Edge
from tests.support.scripted_gateway import CLOSE, Answer, ScriptedGateway, answer, json_answer

TOKEN = "correct horse"
PAGES = ("/debug/jar", "/debug/probe")
API = "/v1/api"
STEPS = {
    "auth_status": ("POST", "/iserver/auth/status"),
    "ssodh_init": ("POST", "/iserver/auth/ssodh/init"),
    "tickle": ("POST", "/tickle"),
    "accounts": ("GET", "/iserver/accounts"),
}
GOOD: dict[str, Answer] = {
    "auth_status": json_answer({"authenticated": True, "connected": True}),
    "ssodh_init": json_answer({"authenticated": True, "connected": True}),
    "tickle": json_answer({"session": "0123456789abcdef0123456789abcdef"}),
    "accounts": json_answer({"accounts": ["DU1"]}),
}
LOGIN = answer(302, headers=(("Location", "/sso/Login?forwardTo=22"),))


@pytest.fixture(scope="module")
def open_edge(run_edge: RunEdge) -> Iterator[Edge]:
    with run_edge({"BEZANT_DEBUG_TOKEN": TOKEN}) as running:
        yield running


@pytest.fixture
def debug(open_edge: Edge) -> Edge:
    """An edge whose debug pages are open, in front of a gateway with a session."""
    open_edge.gateway.reset()
    script(open_edge.gateway, GOOD)
    return open_edge


def script(gateway: ScriptedGateway, replies: dict[str, Answer]) -> None:
    for name, reply in replies.items():
        method, path = STEPS[name]
        gateway.on(method, API + path, reply)


def probe(edge: Edge) -> Any:
    reply = edge.get("/debug/probe", headers=(("X-Bezant-Debug-Token", TOKEN),))
    assert reply.status == 200
    assert_clean(reply)
    return reply.json()


@pytest.mark.parametrize("page", [*PAGES, "/debug", "/debug/", "/debug/x", "/debug/jar/x"])
def test_without_a_token_configured_there_is_no_page(page: str, edge: Edge, gateway: ScriptedGateway) -> None:
    for headers in ((), (("X-Bezant-Debug-Token", ""),), (("X-Bezant-Debug-Token", "None"),)):
        assert_envelope(edge.get(page, headers=headers), 404, "not_found")
    assert_envelope(edge.get(f"{page}?token="), 404, "not_found")
    assert gateway.arrivals == []


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("given", ["", "wrong", TOKEN.upper(), f"{TOKEN}x", TOKEN[:-1]])
def test_a_wrong_token(page: str, given: str, debug: Edge) -> None:
    query = given.replace(" ", "%20")
    assert_envelope(debug.get(page), 401, "debug_unauthorized")
    assert_envelope(debug.get(f"{page}?token={query}"), 401, "debug_unauthorized")
    assert_envelope(debug.get(page, headers=(("X-Bezant-Debug-Token", given),)), 401, "debug_unauthorized")
    assert debug.gateway.arrivals == []


@pytest.mark.parametrize("page", PAGES)
def test_the_token_in_a_header_or_the_query(page: str, debug: Edge) -> None:
    assert debug.get(page, headers=(("X-Bezant-Debug-Token", TOKEN),)).status == 200
    assert debug.get(f"{page}?token={TOKEN.replace(' ', '%20')}").status == 200
    assert debug.send("HEAD", page, headers=(("X-Bezant-Debug-Token", TOKEN),)).status == 200


def test_there_is_no_other_page(debug: Edge) -> None:
    assert_envelope(debug.get("/debug/x", headers=(("X-Bezant-Debug-Token", TOKEN),)), 404, "not_found")
    assert debug.gateway.arrivals == []


def test_the_jar_shows_names_and_lengths(debug: Edge) -> None:
    debug.gateway.on("GET", "/sso/Login", answer(200, headers=(("Set-Cookie", "session=planted-value; Path=/"),)))
    debug.get("/sso/Login", headers=(("Cookie", "browser=another-value"),))
    reply = debug.get("/debug/jar", headers=(("X-Bezant-Debug-Token", TOKEN),))
    assert reply.json() == {
        "gateway_root": debug.gateway.origin,
        "size": 2,
        "entries": [{"name": "browser", "value_length": 13}, {"name": "session", "value_length": 13}],
    }
    assert b"-value" not in reply.body
    debug.gateway.on(
        "GET",
        "/out",
        answer(200, headers=(("Set-Cookie", "session=; Max-Age=0"), ("Set-Cookie", "browser=; Max-Age=0"))),
    )
    debug.get("/out")
    assert debug.get("/debug/jar", headers=(("X-Bezant-Debug-Token", TOKEN),)).json()["size"] == 0


def test_the_probe_of_a_good_session_leaves_it_alone(debug: Edge) -> None:
    report = probe(debug)
    assert report["verdict"] == "ok"
    assert [step["name"] for step in report["steps"]] == list(STEPS)
    assert [(step["method"], step["path"]) for step in report["steps"]] == list(STEPS.values())
    skipped = report["steps"][1]
    assert skipped["skipped"]
    assert skipped["status"] is None
    assert all("skipped" not in step for step in report["steps"] if step is not skipped)
    # An init of an authenticated session would tear it down.
    assert [call.path.removeprefix(API) for call in debug.gateway.arrivals] == [
        "/iserver/auth/status",
        "/tickle",
        "/iserver/accounts",
    ]


def test_a_step_says_what_happened(debug: Edge) -> None:
    body = b'{"accounts":["DU1"]}'
    debug.gateway.on(
        "GET",
        f"{API}/iserver/accounts",
        answer(200, body, headers=(("Set-Cookie", "b=planted-value"), ("Set-Cookie", "a=planted-value; Path=/"))),
    )
    step = probe(debug)["steps"][3]
    assert isinstance(step.pop("latency_ms"), float)
    assert step == {
        "name": "accounts",
        "method": "GET",
        "path": "/iserver/accounts",
        "status": 200,
        "body_bytes": len(body),
        "body_preview": body.decode(),
        "set_cookie_names": ["a", "b"],
        "error": None,
    }


def test_the_probe_initialises_a_session_that_is_not_there(debug: Edge) -> None:
    script(debug.gateway, {"auth_status": json_answer({"authenticated": False, "connected": True})})
    report = probe(debug)
    assert report["verdict"] == "ok"
    assert [call.path.removeprefix(API) for call in debug.gateway.arrivals] == [path for _, path in STEPS.values()]
    assert json.loads(debug.gateway.arrivals[1].body) == {"publish": True, "compete": False}


DOWN = json_answer({"authenticated": False, "connected": True})


@pytest.mark.parametrize(
    ("replies", "verdict"),
    [
        ({"auth_status": CLOSE}, "auth_status_failed"),
        ({"auth_status": json_answer({"error": "x"}, 500)}, "auth_status_failed"),
        ({"auth_status": answer(401)}, "needs_login"),
        ({"auth_status": LOGIN}, "needs_login"),
        ({"auth_status": DOWN, "ssodh_init": json_answer({"error": "x"}, 500)}, "ssodh_failed"),
        ({"auth_status": DOWN, "ssodh_init": DOWN}, "ssodh_failed"),
        ({"auth_status": DOWN, "ssodh_init": CLOSE}, "ssodh_failed"),
        ({"auth_status": DOWN, "ssodh_init": answer(401)}, "needs_login"),
        ({"auth_status": DOWN, "ssodh_init": LOGIN}, "needs_login"),
        ({"tickle": CLOSE}, "tickle_failed"),
        ({"tickle": json_answer({"error": "x"}, 503)}, "tickle_failed"),
        ({"tickle": answer(401)}, "needs_login"),
        ({"accounts": CLOSE}, "accounts_failed"),
        ({"accounts": json_answer({"error": "no bridge"}, 400)}, "accounts_failed"),
        ({"accounts": LOGIN}, "needs_login"),
        ({"accounts": json_answer({"error": "x"}, 429)}, "accounts_failed"),
        ({"auth_status": CLOSE, "tickle": CLOSE, "accounts": CLOSE, "ssodh_init": CLOSE}, "auth_status_failed"),
        ({"accounts": answer(200, b"<html>", content_type="text/html")}, "accounts_failed"),
        ({"tickle": json_answer({"error": "no session"})}, "tickle_failed"),
        ({"auth_status": answer(200, b"<html>", content_type="text/html")}, "auth_status_failed"),
        ({"auth_status": json_answer([])}, "auth_status_failed"),
    ],
)
def test_the_verdict(replies: dict[str, Answer], verdict: str, debug: Edge) -> None:
    script(debug.gateway, replies)
    assert probe(debug)["verdict"] == verdict


@pytest.mark.parametrize(
    "reply",
    [
        CLOSE,
        json_answer({"error": "x"}, 500),
        json_answer({"error": "x"}, 429),
        json_answer({"error": "x"}),
        json_answer([]),
        answer(200, b"<html>", content_type="text/html"),
        answer(401),
        LOGIN,
    ],
)
def test_a_session_whose_state_is_unknown_is_left_alone(reply: Answer, debug: Edge) -> None:
    script(debug.gateway, {"auth_status": reply})
    report = probe(debug)
    assert [step["name"] for step in report["steps"]] == list(STEPS)
    assert report["steps"][1]["skipped"] == "auth status unknown"
    assert f"{API}/iserver/auth/ssodh/init" not in {call.path for call in debug.gateway.arrivals}
    assert [call.path.removeprefix(API) for call in debug.gateway.arrivals][-2:] == ["/tickle", "/iserver/accounts"]


def test_a_login_without_a_session_is_given_one(debug: Edge) -> None:
    script(debug.gateway, {"auth_status": json_answer({"error": "no bridge"}, 400)})
    report = probe(debug)
    assert report["steps"][1]["status"] == 200
    assert [call.path.removeprefix(API) for call in debug.gateway.arrivals] == [path for _, path in STEPS.values()]


def test_a_step_without_an_answer_names_the_error(debug: Edge) -> None:
    script(debug.gateway, {"tickle": CLOSE})
    step = probe(debug)["steps"][2]
    assert step["status"] is None
    assert step["error"].startswith("upstream_http_error: ")


def test_previews_are_short_and_show_no_secret(debug: Edge) -> None:
    secrets = {
        "session": "planted-1",
        "ssoExpires": 574312,
        "userId": 123456789,
        "MAC": "98:F2:B3:23:AE:D0",
        "hmds": {"token": "planted-2", "accessToken": "planted-3"},
        "iserver": {"authStatus": {"password": 'planted-4"quoted', "credential": "planted-5"}},
        "x": "0123456789abcdef0123456789abcdef",
    }
    script(debug.gateway, {"tickle": json_answer(secrets), "accounts": answer(200, "ü" * 5000)})
    report = probe(debug)
    tickle, accounts = report["steps"][2], report["steps"][3]
    for planted in ("planted", "123456789", "98:F2", "0123456789abcdef"):
        assert planted not in json.dumps(report)
    assert "574312" in tickle["body_preview"]
    assert len(accounts["body_preview"].encode()) == 512
    assert accounts["body_bytes"] == 10_000


@pytest.mark.parametrize("offset", range(470, 520, 7))
def test_a_secret_on_the_edge_of_the_preview_does_not_show(offset: int, debug: Edge) -> None:
    text = json.dumps({"pad": "p" * offset, "session": "planted" * 200})
    script(debug.gateway, {"tickle": answer(200, text)})
    assert "planted" not in json.dumps(probe(debug))
