from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from bezant_server.keys.file import KeyFile
from bezant_server.keys.scopes import Scope
from tests.contract.conftest import RunEdge
from tests.support.edge import Edge
from tests.support.scripted_gateway import answer, json_answer

ORIGIN = "https://app.example"
DEBUG_TOKEN = "the-debug-token"


@dataclass(frozen=True, slots=True)
class Door:
    """Server and Envoy, and the keys that there are.

    Attributes:
        edge: the two.
        keys: by scope; the client of each is called as the scope is.
    """

    edge: Edge
    keys: Mapping[str, str]


@pytest.fixture(scope="module")
def keys_and_path(tmp_path_factory: pytest.TempPathFactory) -> tuple[Mapping[str, str], Path]:
    path = tmp_path_factory.mktemp("keys") / "api-keys.json"
    return {scope.word: KeyFile(path).add(scope.word, scope) for scope in Scope}, path


@pytest.fixture(scope="module")
def locked_door(run_edge: RunEdge, keys_and_path: tuple[Mapping[str, str], Path]) -> Iterator[Door]:
    keys, path = keys_and_path
    variables = {
        "BEZANT_REQUIRE_KEYS": "true",
        "BEZANT_API_KEYS_PATH": str(path),
        "BEZANT_DEBUG_TOKEN": DEBUG_TOKEN,
        "BEZANT_CORS_ORIGINS": ORIGIN,
    }
    with run_edge(variables) as edge:
        yield Door(edge, keys)


@pytest.fixture(scope="module")
def unlocked_door(run_edge: RunEdge, keys_and_path: tuple[Mapping[str, str], Path]) -> Iterator[Door]:
    keys, path = keys_and_path
    with run_edge({"BEZANT_API_KEYS_PATH": str(path), "BEZANT_DEBUG_TOKEN": DEBUG_TOKEN}) as edge:
        yield Door(edge, keys)


def _scripted(door: Door) -> Door:
    door.edge.gateway.reset()
    door.edge.gateway.on("*", "*", answer(200, b"done"))
    door.edge.gateway.on("POST", "/v1/api/iserver/auth/status", json_answer({"authenticated": True}))
    return door


@pytest.fixture
def locked(locked_door: Door) -> Door:
    """Every call needs a key; the gateway says `done` to everything."""
    return _scripted(locked_door)


@pytest.fixture
def unlocked(unlocked_door: Door) -> Door:
    """Target orders alone need a key; the gateway says `done` to everything."""
    return _scripted(unlocked_door)
