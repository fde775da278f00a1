"""Single sign-on: the login page, its cookies, and what an outsider gets."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import pytest

from tests.paper.client import PaperClient
from tests.paper.conftest import StartPaper

LOGIN = "/sso/Login?forwardTo=22&RL=1&ip2loc=on"


@pytest.fixture
async def outsider(start: StartPaper) -> AsyncIterator[PaperClient]:
    """A client of a gateway that nobody has logged in to."""
    with start("--logged-out") as paper:
        async with PaperClient(paper) as client:
            yield client


async def test_calls_are_401_and_still_set_the_affinity_cookie(outsider: PaperClient) -> None:
    for method, path in (("POST", "/tickle"), ("GET", "/portfolio/accounts"), ("POST", "/iserver/auth/status")):
        answer = await outsider.call(method, path)
        assert answer.status == 401
        assert answer.headers["Set-Cookie"].startswith("x-sess-uuid=")


async def test_browsers_are_sent_to_the_login_page(outsider: PaperClient) -> None:
    for path in ("//", "/portfolio/accounts"):
        answer = await outsider.call("GET", path, headers={"Accept": "text/html,*/*"})
        assert (answer.status, answer.headers["Location"]) == (302, LOGIN)


async def test_the_answer_to_outsiders_can_be_switched(outsider: PaperClient) -> None:
    await outsider.paper.acontrol("/session/unauthorized", {"answer": "302"})
    assert (await outsider.call("GET", "/portfolio/accounts")).status == 302
    await outsider.paper.acontrol("/session/unauthorized", {"answer": "body"})
    status = await outsider.post("/iserver/auth/status")
    assert status == {"authenticated": False, "competing": False, "connected": False, "MAC": status["MAC"]}
    assert (await outsider.call("GET", "/portfolio/accounts")).status == 401


async def test_the_page_and_everything_it_names_are_there(outsider: PaperClient) -> None:
    page = await outsider.call("GET", f"/{LOGIN}")
    assert page.headers["Content-Type"].startswith("text/html")
    kinds = {}
    for path in re.findall(r'(?:href|src)="([^"]+)"', page.body.decode()):
        asset = await outsider.call("GET", f"/{path}")
        assert asset.status == 200
        kinds[asset.headers["Content-Type"].split(";")[0]] = asset.body
    assert set(kinds) == {"text/css", "text/javascript", "image/png"}
    assert kinds["image/png"].startswith(b"\x89PNG")
    assert re.search(r'<form[^>]+method="post"[^>]+action="/sso/Dispatcher"', page.body.decode())


async def test_the_form_logs_in_and_sets_the_cookies(outsider: PaperClient) -> None:
    answer = await outsider.call("POST", "//sso/Dispatcher", data={"forwardTo": "22"})
    assert b"Client login succeeds" in answer.body
    cookies = {line.split("=")[0]: line for line in answer.headers.getall("Set-Cookie")}
    assert {"JSESSIONID", "x-sess-uuid", "USERID", "XYZAB"} <= set(cookies)
    assert "Path=/sso" in cookies["JSESSIONID"]
    assert sum("Domain=" in line for line in cookies.values()) == 1
    status = await outsider.post("/iserver/auth/status")
    assert status["authenticated"] is True
    assert status["connected"] is True


@pytest.mark.parametrize(
    ("origin", "status"),
    [("http://evil.example", 401), ("null", 401), ("http://127.0.0.1:8080", 200), ("https://localhost:5000", 200)],
)
async def test_a_foreign_page_cannot_log_in(outsider: PaperClient, origin: str, status: int) -> None:
    answer = await outsider.call("POST", "//sso/Dispatcher", data={}, headers={"Origin": origin})
    assert answer.status == status
    assert (await outsider.paper.acontrol("/state", method="GET"))["sso"] is (status == 200)


async def test_logout_ends_it(client: PaperClient) -> None:
    assert (await client.get("/sso/validate"))["LOGIN_TYPE"] == 2
    assert await client.post("/logout") == {"status": True}
    assert (await client.call("GET", "/sso/validate")).status == 401
    assert (await client.call("GET", "//sso/validate")).status == 401
