"""The interactive login, as a human does it: a real browser, through Envoy."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from playwright.async_api import Browser, expect

from tests.support.browser import chromium
from tests.support.stack import start_stack

pytestmark = pytest.mark.chromium


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as browser:
        yield browser


@pytest.fixture
async def another_site() -> AsyncIterator[str]:
    """A web page of its own origin."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 3\r\n\r\n<p>")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"


async def test_a_human_logs_in_and_every_program_is_served(browser: Browser, tmp_path: Path) -> None:
    with start_stack(tmp_path, args=("--logged-out",), env={"BEZANT_DEBUG_TOKEN": "open"}) as stack:
        async with httpx.AsyncClient(base_url=stack.rest_url) as program:
            before = await program.get("/accounts")
            assert before.status_code == 401

            page = await browser.new_page()
            failed: list[str] = []
            page.on("requestfailed", lambda request: failed.append(request.url))
            page.on("response", lambda response: failed.append(response.url) if response.status >= 400 else None)
            await page.goto(f"{stack.rest_url}/sso/Login?forwardTo=22&RL=1")
            # The page's own script enables the button, so its assets came through with types a browser accepts.
            await expect(page.locator("#submit")).to_be_enabled()
            assert await page.locator("img").evaluate("image => image.naturalWidth") > 0
            await page.locator("#submit").click()
            await expect(page.locator("body")).to_contain_text("Client login succeeds")
            assert failed == []
            assert page.url.startswith(stack.rest_url)

            cookies = {cookie["name"]: cookie["domain"] for cookie in await page.context.cookies()}
            assert cookies
            assert set(cookies.values()) == {"127.0.0.1"}

            health = (await program.get("/health")).json()
            assert health["authenticated"] is True
            assert (await program.get("/accounts")).json()[0]["accountId"] == "DU8730189"
            jar = (await program.get("/debug/jar", headers={"X-Bezant-Debug-Token": "open"})).json()
            assert set(cookies) <= {entry["name"] for entry in jar["entries"]}


async def test_a_page_of_another_site_cannot_trade(browser: Browser, another_site: str, tmp_path: Path) -> None:
    with start_stack(tmp_path) as stack:
        page = await browser.new_page()
        await page.goto(another_site)
        orders = f"{stack.rest_url}/accounts/DU8730189/orders"
        async with page.expect_response(orders) as answered:
            await page.evaluate("url => fetch(url, {method: 'POST', mode: 'no-cors', body: '{}'})", orders)
        assert (await answered.value).status == 403
        assert stack.paper is not None
        async with httpx.AsyncClient() as control:
            counts = (await control.get(f"{stack.paper.control_url}/requests")).json()["counts"]
        assert counts
        assert not [call for call in counts if call.startswith("POST") and "orders" in call]
