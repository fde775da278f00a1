"""The documentation page in a real browser, through Envoy: what a reader sees, and what the page's own calls get."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.async_api import ConsoleMessage, Locator, Page, Request, expect

from bezant_server.docs import files
from tests.support.browser import chromium
from tests.support.stack import Stack, start_stack

pytestmark = pytest.mark.chromium

DOCUMENT: dict[str, Any] = json.loads(files.read().document.data)
UNAUTHORIZED = "401 (Unauthorized)"
# The page has thousands of parts.
_DRAWN_MS = 30_000


@dataclass
class Visit:
    """The page, open, and what has come of it so far.

    Attributes:
        page: the browser's.
        requests: the address of each that was made.
        complaints: what stood in the console as an error or a warning, and what a script died of.
    """

    page: Page
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def watch(self) -> None:
        """Take note of all that happens from now on."""
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", self._hear)

    def operation(self, name: str) -> Locator:
        """The part of the page that is about an operation, by its operationId."""
        return self.page.locator(f"[id^=operations-][id$=-{name}]")

    async def execute(self, name: str, url: str) -> tuple[Request, Locator]:
        """Press `Try it out`, once, and `Execute`: what was sent to this address, and the row of the answer."""
        operation = self.operation(name)
        execute = operation.get_by_role("button", name="Execute")
        if await execute.count() == 0:
            await operation.locator(".opblock-summary-control").click()
            await operation.get_by_role("button", name="Try it out").click()
        async with self.page.expect_request(url) as sent:
            await execute.click()
        return await sent.value, operation.locator(".live-responses-table .response")

    async def authorize(self, scheme: str, key: str) -> None:
        """Enter a key below `Authorize`, for a scheme of the document."""
        await self.page.get_by_role("button", name="Authorize").click()
        dialog = self.page.locator(".modal-ux")
        way = dialog.locator(".auth-container").filter(has=self.page.locator(f"h4 code:text-is('{scheme}')"))
        await way.get_by_role("textbox").fill(key)
        await way.get_by_role("button", name="Apply credentials").click()
        await expect(way.get_by_role("button", name="Remove authorization")).to_be_visible()
        await dialog.locator(".close-modal").click()

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with start_stack(tmp_path_factory.mktemp("stack")) as running:
        yield running


@pytest.fixture
async def visit(stack: Stack) -> AsyncIterator[Visit]:
    """The page, open; whatever a test does there, no request may leave the server that the page is of."""
    async with chromium() as browser:
        visit = Visit(await browser.new_page())
        visit.watch()
        await visit.page.goto(f"{stack.rest_url}/docs")
        await expect(visit.page.locator(".opblock").first).to_be_visible(timeout=_DRAWN_MS)
        yield visit
    called = {urlsplit(url).netloc for url in visit.requests if not url.startswith("data:")}
    assert called == {urlsplit(stack.rest_url).netloc}


async def test_a_reader_sees_every_operation(visit: Visit) -> None:
    await expect(visit.page).to_have_title("bezant-grpc: the REST paths")
    await expect(visit.page.locator(".info .title")).to_contain_text(DOCUMENT["info"]["title"])
    for operations in DOCUMENT["paths"].values():
        for operation in operations.values():
            shown = visit.operation(operation["operationId"])
            await expect(shown.locator(".opblock-summary-description")).to_have_text(operation["summary"])
    await expect(visit.page.locator(".opblock")).to_have_count(sum(map(len, DOCUMENT["paths"].values())))
    # A picture of the style sheet that the policy of the page did not let in would be told here as well.
    await visit.operation("Sidecar_PlaceOrders").locator(".opblock-summary-control").click()
    await expect(visit.operation("Sidecar_PlaceOrders")).to_contain_text("Needs an API key of the scope trade")
    assert visit.complaints == []


async def test_a_reader_tries_a_call(visit: Visit, stack: Stack) -> None:
    _, row = await visit.execute("Sidecar_ListAccounts", f"{stack.rest_url}/accounts")
    await expect(row.locator(".response-col_status")).to_have_text("200", timeout=_DRAWN_MS)
    await expect(row.locator(".response-col_description")).to_contain_text("DU8730189")
    assert visit.complaints == []


@pytest.mark.parametrize(
    ("scheme", "is_right"), [("apiKey", True), ("bearer", True), ("apiKey", False)], ids=["header", "bearer", "wrong"]
)
async def test_a_key_goes_along_once_it_is_entered(scheme: str, is_right: bool, visit: Visit, stack: Stack) -> None:
    url = f"{stack.rest_url}/api/v1/orders"
    key = str(stack.api_key) if is_right else "bz_wrong"
    asked, row = await visit.execute("TargetOrdersRest_ListOrders", url)
    await expect(row.locator(".response-col_status")).to_contain_text("401", timeout=_DRAWN_MS)
    await expect(row.locator(".response-col_description")).to_contain_text("this needs an API key")
    assert not {"x-api-key", "authorization"} & asked.headers.keys()

    await visit.authorize(scheme, key)
    asked, row = await visit.execute("TargetOrdersRest_ListOrders", url)
    told = '"batches"' if is_right else "this API key is nobody's"
    await expect(row.locator(".response-col_description")).to_contain_text(told, timeout=_DRAWN_MS)
    await expect(row.locator(".response-col_status")).to_contain_text("200" if is_right else "401")
    assert {"apiKey": asked.headers.get("x-api-key"), "bearer": asked.headers.get("authorization")}[scheme] == (
        f"Bearer {key}" if scheme == "bearer" else key
    )
    # The browser itself tells of each such status, and there is nothing else to tell.
    assert [UNAUTHORIZED in complaint for complaint in visit.complaints] == [True] * (1 if is_right else 2)
