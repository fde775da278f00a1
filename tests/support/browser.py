"""Debian's Chromium; without it the test ends here."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from playwright.async_api import Browser, async_playwright

from tests.support.missing import tool


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """A browser of the test's own."""
    path = tool("chromium", "chromium-browser")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        await browser.close()
