"""docs/coverage.md against the contract, the code, and the lists of what IBKR and its users document."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import Descriptor, ServiceDescriptor

ROOT = Path(__file__).parents[2]
LISTS = ROOT / "tests" / "fixtures" / "coverage"
SERVER = ROOT / "server" / "bezant_server"
STUBS = ROOT / "clients" / "python" / "src" / "bezant" / "v1"
PAGE = (ROOT / "docs" / "coverage.md").read_text(encoding="utf-8")

_BY = re.compile(r"by `([A-Z]+ /[^`]+)`|same from `([A-Z]+ /[^`]+)`")


def listed(name: str) -> list[str]:
    return (LISTS / name).read_text(encoding="utf-8").splitlines()


def table(heading: str) -> list[list[str]]:
    """The cells of the table under a heading, without back-ticks at their ends."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    rows = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip().strip("`") for cell in row] for row in rows[2:]]


SERVED = {path: (rpc, note) for path, rpc, note in table("Paths")}
UNSERVED = dict(table("Paths without a typed RPC"))
FIELDS = {(area, field): place for area, field, place in table("Fields")}


@cache
def pool() -> descriptor_pool.DescriptorPool:
    for stub in STUBS.glob("*_pb2.py"):
        importlib.import_module(f"bezant.v1.{stub.stem}")
    return descriptor_pool.Default()


def service(name: str) -> ServiceDescriptor:
    return pool().FindServiceByName(f"bezant.v1.{name}")


def source(folder: str) -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in (SERVER / folder).rglob("*.py"))


def asked(path: str, folder: str) -> bool:
    """Whether the code of a folder names a path, with anything in the place of its parameters."""
    pattern = re.sub(r"\\\{[^}]*\\\}", r"(\\{.+?\\}|[0-9]+)", re.escape(path))
    return re.search(rf"""["'`/]{pattern}["'?]""", source(folder)) is not None


def folder_of(rpc: str) -> str:
    return rpc.partition("Service.")[0].lower()


def test_every_documented_path_is_in_one_table() -> None:
    assert set(SERVED) | set(UNSERVED) == {*listed("documented_paths.txt"), *listed("openapi_paths.txt")}
    assert not set(SERVED) & set(UNSERVED)
    assert len(SERVED) == len(table("Paths"))


def test_what_the_products_documents_promise_is_served() -> None:
    assert set(listed("documented_paths.txt")) <= set(SERVED)


def test_what_is_not_served_says_why() -> None:
    assert all(len(why) > 20 for why in UNSERVED.values())


@pytest.mark.parametrize("path", SERVED)
def test_the_rpc_exists_and_its_folder_asks_for_the_path(path: str) -> None:
    rpc, note = SERVED[path]
    name, _, method = rpc.partition(".")
    assert method in service(name).methods_by_name
    method_name, _, target = path.partition(" ")
    if method_name == "WS":
        return
    if instead := _BY.search(note):
        target = (instead[1] or instead[2]).partition(" ")[2]
    assert asked(target, folder_of(rpc)), f"{target} is not in {folder_of(rpc)}/"


@pytest.mark.parametrize("topic", [path.partition(" ")[2] for path in SERVED if path.startswith("WS ")])
def test_a_topic_is_known_or_explained(topic: str) -> None:
    note = SERVED[f"WS {topic}"][1]
    assert (
        f'"{topic}' in source("events") or re.search(rf"\b{topic}\+", source("events")) or "never sent" in note or note
    )


def test_every_documented_field_is_listed() -> None:
    assert sorted(f"{area}: {field}" for area, field in FIELDS) == sorted(listed("documented_fields.txt"))
    assert len(FIELDS) > 80


@pytest.mark.parametrize(("area", "field"), FIELDS)
def test_the_proto_field_exists(area: str, field: str) -> None:
    names = list(steps(FIELDS[area, field]))
    message: Descriptor | None = pool().FindMessageTypeByName(f"bezant.v1.{names[0]}")
    for name in names[1:]:
        assert message is not None
        found = message.fields_by_name[name]
        message = found.message_type


def steps(place: str) -> Iterator[str]:
    yield from place.split(".")
