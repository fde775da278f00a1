"""What the OpenAPI document says of keys, held against the door: who is let in, and what the others are told."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import jsonschema_rs
import pytest

from bezant_server.keys.file import KeyFile
from bezant_server.keys.scopes import BY_WORD, Scope
from tests.contract.conftest import RunEdge
from tests.support.edge import Edge, HttpAnswer
from tests.unit.docs.test_openapi import DOCUMENT, OPERATIONS, resolved

DEBUG_TOKEN = "the-debug-token"


@dataclass(frozen=True, slots=True)
class Locked:
    """Server and Envoy where every call needs a key, and a key of each scope."""

    edge: Edge
    keys: Mapping[str, str]


@pytest.fixture(scope="module")
def locked(run_edge: RunEdge, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Locked]:
    path = tmp_path_factory.mktemp("keys") / "api-keys.json"
    keys = {scope.word: KeyFile(path).add(scope.word, scope) for scope in Scope}
    variables = {"BEZANT_REQUIRE_KEYS": "true", "BEZANT_API_KEYS_PATH": str(path), "BEZANT_DEBUG_TOKEN": DEBUG_TOKEN}
    with run_edge(variables) as edge:
        yield Locked(edge, keys)


def operation(verb: str, path: str) -> dict[str, Any]:
    found: dict[str, Any] = DOCUMENT["paths"][path][verb.lower()]
    return found


def call(edge: Edge, verb: str, path: str, *headers: tuple[str, str]) -> HttpAnswer:
    """Whether the gateway, which knows no path, can answer is of no interest: keys are asked for first."""
    return edge.send(
        verb,
        re.sub(r"\{[^}]*\}", "1", path),
        headers=(*headers, ("X-Bezant-Debug-Token", DEBUG_TOKEN)),
        body=b"{}" if verb == "POST" else None,
    )


def schemes(verb: str, path: str) -> set[str]:
    """The ways to send a key that the operation names."""
    return {name for way in operation(verb, path)["security"] for name in way} - {"debugToken"}


def header(scheme: str, key: str) -> tuple[str, str]:
    return {"apiKey": ("X-API-Key", key), "bearer": ("Authorization", f"Bearer {key}")}[scheme]


def is_refused(answer: HttpAnswer, verb: str, path: str, status: int) -> bool:
    """Whether the answer has this status, and is one that the document has for it."""
    if answer.status != status:
        return False
    documented = resolved(operation(verb, path)["responses"][str(status)])
    if verb == "HEAD":
        return True
    schema = documented["content"]["application/json"]["schema"] | {"components": DOCUMENT["components"]}
    jsonschema_rs.Draft202012Validator(schema).validate(answer.json())
    # A gateway that is not logged in is 401 as well.
    code: str = answer.json()["code"]
    return code == {401: "unauthorized", 403: "forbidden"}[status]


@pytest.mark.parametrize(("verb", "path"), OPERATIONS)
def test_who_is_let_in_where_keys_are_required(verb: str, path: str, locked: Locked) -> None:
    needed = operation(verb, path).get("x-bezant-scope")
    if needed is None:
        assert schemes(verb, path) == set()
        assert not is_refused(call(locked.edge, verb, path), verb, path, 401)
        return
    assert schemes(verb, path) == {"apiKey", "bearer"}
    assert is_refused(call(locked.edge, verb, path), verb, path, 401)
    for scheme in schemes(verb, path):
        assert is_refused(call(locked.edge, verb, path, header(scheme, "bz_wrong")), verb, path, 401)
        for scope, key in locked.keys.items():
            answer = call(locked.edge, verb, path, header(scheme, key))
            if BY_WORD[scope] >= BY_WORD[needed]:
                assert answer.status not in (401, 403), answer
            else:
                assert is_refused(answer, verb, path, 403)
                if verb != "HEAD":
                    assert (answer.json()["scope"], answer.json()["needed_scope"]) == (scope, needed)


@pytest.mark.parametrize(("verb", "path"), OPERATIONS)
def test_who_is_let_in_where_they_are_not(verb: str, path: str, edge: Edge) -> None:
    ways = operation(verb, path)["security"]
    is_open = ways == [] or any("apiKey" not in way and "bearer" not in way for way in ways)
    assert is_refused(call(edge, verb, path), verb, path, 401) != is_open
