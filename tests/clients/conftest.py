"""One running stack for the clients of every language, each tested by its language's own tools."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator, Mapping

import pytest

from tests.support.severable import severable
from tests.support.stack import environment, start_stack

AAPL = 265598
_SETTINGS = {
    "BEZANT_PACING": "off",
    # Without pacing a tickle would void an open question.
    "BEZANT_KEEPALIVE_SECS": "3600",
}


@pytest.fixture(scope="session")
def client_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, str]]:
    """What the tests of a client find in their environment.

    BEZANT_TEST_GRPC: host:port of a connection that BEZANT_TEST_CUT_URL cuts (POST).
    BEZANT_TEST_REST: the URL of Envoy.
    BEZANT_TEST_CONTROL: the URL of the paper gateway's control endpoint.
    BEZANT_TEST_API_KEY: a key of target orders.
    Without pacing, so that a story takes seconds; Apple stands still at 230.
    """
    with (
        start_stack(tmp_path_factory.mktemp("clients"), env=_SETTINGS) as stack,
        severable(stack.grpc_target) as proxy,
    ):
        assert stack.paper is not None
        assert stack.api_key is not None
        _post(f"{stack.paper.control_url}/quotes", {"conid": AAPL, "bid": 230.0, "ask": 230.02})
        yield environment(
            {
                "BEZANT_TEST_GRPC": proxy.target,
                "BEZANT_TEST_CUT_URL": proxy.cut_url,
                "BEZANT_TEST_REST": stack.rest_url,
                "BEZANT_TEST_CONTROL": stack.paper.control_url,
                "BEZANT_TEST_API_KEY": stack.api_key,
            }
        )


def _post(url: str, body: object) -> None:
    urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode(), method="POST"), timeout=30).close()
