"""The public client `ibind`, unmodified, with its REST through Envoy instead of at the gateway."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import ibind.var
import pytest
from ibind import IbkrClient

from tests.paper import ibind_story
from tests.support.stack import Stack, start_stack


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with start_stack(tmp_path_factory.mktemp("stack")) as stack:
        yield stack


@pytest.mark.parametrize("check", ibind_story.REST_CHECKS, ids=lambda check: check.__name__.removeprefix("check_"))
def test_rest(
    stack: Stack, check: Callable[[IbkrClient], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ibind.var, "LOGS_DIR", str(tmp_path))
    client = ibind_story.ibind_client(f"{stack.rest_url}/v1/api")
    try:
        check(client)
    finally:
        client.close()
