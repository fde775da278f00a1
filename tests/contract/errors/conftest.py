from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.conftest import RunEdge
from tests.support.edge import Edge
from tests.support.scripted_gateway import json_answer


@pytest.fixture(scope="module")
def impatient_edge(run_edge: RunEdge) -> Iterator[Edge]:
    """Short deadlines, small limits, and debug pages."""
    variables = {
        "BEZANT_REQUEST_TIMEOUT_SECS": "0.3",
        "BEZANT_RECEIVE_TIMEOUT_SECS": "0.3",
        "BEZANT_MAX_REQUEST_BODY_BYTES": "1000",
        "BEZANT_DEBUG_TOKEN": "the-token",
    }
    with run_edge(variables) as running:
        yield running


@pytest.fixture(scope="module")
def capturing_edge(run_edge: RunEdge) -> Iterator[Edge]:
    """Capture on, without a database, at a gateway whose socket cannot be opened."""
    with run_edge({"BEZANT_EVENTS_ENABLED": "true", "BEZANT_EVENTS_MAX_CONIDS": "1"}) as running:
        running.gateway.on("POST", "/v1/api/tickle", json_answer({"session": "x"}))
        yield running
