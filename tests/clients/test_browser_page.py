"""The page of the TypeScript client's examples, in a real browser, over gRPC-Web through Envoy."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from playwright.async_api import Browser, Page, expect

from tests.clients.typescript import PACKAGE, build
from tests.support.browser import chromium
from tests.support.stack import Stack, start_stack

pytestmark = [pytest.mark.chromium, pytest.mark.node, pytest.mark.timeout(900)]

AAPL = 265598
_PATIENCE_MS = 30_000


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def sites() -> Iterator[Sequence[str]]:
    """The page's files, at two origins."""
    build()
    pages = partial(_Pages, directory=PACKAGE / "examples" / "browser")
    with ExitStack() as running:
        servers = [running.enter_context(ThreadingHTTPServer(("127.0.0.1", 0), pages)) for _ in range(2)]
        for server in servers:
            Thread(target=server.serve_forever, daemon=True).start()
            running.callback(server.shutdown)
        yield [f"http://127.0.0.1:{server.server_port}" for server in servers]


class _Pages(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the name is the base's
        """Say nothing."""


@pytest.fixture(scope="module")
def stack(sites: Sequence[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack for pages of the first origin."""
    settings = {"BEZANT_PACING": "off", "BEZANT_CORS_ORIGINS": sites[0]}
    with start_stack(tmp_path_factory.mktemp("page"), env=settings) as stack:
        yield stack


def _post(url: str, body: object) -> None:
    urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode(), method="POST"), timeout=30).close()


def _pin(stack: Stack, bid: float) -> None:
    assert stack.paper is not None
    _post(f"{stack.paper.control_url}/quotes", {"conid": AAPL, "bid": bid, "ask": bid + 0.5})


async def _open(browser: Browser, site: str, stack: Stack, said: list[str] | None = None) -> Page:
    page = await browser.new_page()
    page.on("console", lambda message: None if said is None else said.append(message.text))
    page.set_default_timeout(_PATIENCE_MS)
    await page.goto(f"{site}/index.html?server={stack.rest_url}")
    return page


async def _shows(page: Page, place: str, text: str) -> None:
    await expect(page.locator(place)).to_have_text(text, timeout=_PATIENCE_MS)


async def test_it_shows_the_session_the_market_and_the_orders_as_they_change(
    browser: Browser, sites: Sequence[str], stack: Stack
) -> None:
    assert stack.paper is not None
    _pin(stack, 230.0)
    page = await _open(browser, sites[0], stack)
    await _shows(page, "#session", "READY")
    await _shows(page, "#account", "DU8730189")
    await _shows(page, "#bid", "230.00")
    await _shows(page, "#ask", "230.50")
    row = page.locator("#orders tr")
    await expect(row).to_have_count(0)

    _pin(stack, 231.25)
    await _shows(page, "#bid", "231.25")
    await _shows(page, "#ask", "231.75")

    order = {
        "acctId": "DU8730189",
        "conid": AAPL,
        "side": "BUY",
        "orderType": "LMT",
        "price": 229.0,
        "quantity": 2,
        "tif": "DAY",
    }
    _post(f"{stack.paper.control_url}/orders", order)
    await expect(row).to_have_count(1, timeout=_PATIENCE_MS)
    await expect(row.locator("td").nth(0)).to_contain_text("229.00")
    await expect(row.locator("td").nth(1)).to_have_text("SUBMITTED")

    _pin(stack, 228.0)
    await expect(row).to_have_count(0, timeout=_PATIENCE_MS)
    await _shows(page, "#problem", "")


async def test_a_page_of_an_origin_that_is_not_listed_gets_nothing(
    browser: Browser, sites: Sequence[str], stack: Stack
) -> None:
    said: list[str] = []
    page = await _open(browser, sites[1], stack, said)
    await expect(page.locator("#problem")).to_contain_text("BEZANT_CORS_ORIGINS", timeout=_PATIENCE_MS)
    for place in ("#session", "#account", "#bid", "#ask", "#orders"):
        assert await page.locator(place).inner_text() == ""
    assert [text for text in said if "blocked by CORS policy" in text]
