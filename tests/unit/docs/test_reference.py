"""The reference pages that are committed, read as GitHub reads them, against what Envoy is given."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet, MethodDescriptorProto, MethodOptions
from markdown_it import MarkdownIt

from bezant_server.keys import scopes
from bezant_server.local.envoy import config_directory
from scripts import reference

DOCS = reference.TARGET
PAGES = {
    str(path.relative_to(DOCS)): path.read_text(encoding="utf-8")
    for path in (DOCS / reference.INDEX, *sorted(DOCS.glob("reference/*.md")))
}
DESCRIBED = FileDescriptorSet.FromString((config_directory() / "bezant.binpb").read_bytes())
MARKDOWN = MarkdownIt("commonmark").enable("table")
FILES = {file.name: file for file in DESCRIBED.file if file.package == "bezant.v1"}
METHODS = [(service.name, method) for file in FILES.values() for service in file.service for method in service.method]


class Rendered(NamedTuple):
    """What a browser would be shown.

    Attributes:
        sections: what stands below each heading, as HTML, up to the next heading.
        anchors: those of the headings.
        links: what is linked to.
    """

    sections: dict[str, str]
    anchors: list[str]
    links: list[str]


def rendered(text: str) -> Rendered:
    html = MARKDOWN.render(text)
    parts = re.split(r"<h[1-6]>(.*?)</h[1-6]>", html)
    headings = [re.sub(r"<[^>]+>", "", heading) for heading in parts[1::2]]
    anchors = [re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings]
    return Rendered(dict(zip(headings, parts[2::2], strict=True)), anchors, re.findall(r'href="([^"]+)"', html))


RENDERED = {name: rendered(text) for name, text in PAGES.items()}


def section_of(name: str) -> str:
    (found,) = [page.sections[name] for page in RENDERED.values() if name in page.sections]
    return found


def rows(section: str) -> dict[str, list[str]]:
    """The cells of each row of a table, by its first one's text."""
    cells = [re.findall(r"<td>(.*?)</td>", row) for row in re.findall(r"<tr>(.*?)</tr>", section, re.DOTALL)]
    return {re.sub(r"<[^>]+>", "", each[0]): each[1:] for each in cells if each}


def facts(service: str, method: MethodDescriptorProto) -> Iterator[tuple[str, str]]:
    (page,) = [page for page in RENDERED.values() if service in page.sections and method.name in page.sections]
    for fact in re.findall(r"<li>(.*?)</li>", page.sections[method.name]):
        name, _, value = re.sub(r"<[^>]+>", "", fact).partition(": ")
        yield name, value


def test_they_are_what_the_contract_makes() -> None:
    assert reference.render() == PAGES


@pytest.mark.parametrize("name", PAGES)
def test_every_link_leads_somewhere(name: str) -> None:
    assert RENDERED[name].links
    for link in RENDERED[name].links:
        if link.startswith("https://"):
            continue
        path, _, fragment = link.partition("#")
        target = (DOCS / name).parent / path if path else DOCS / name
        assert target.exists(), link
        assert not fragment or fragment in RENDERED[str(target.resolve().relative_to(DOCS))].anchors, link


@pytest.mark.parametrize("name", PAGES)
def test_no_two_headings_of_a_page_are_one_link(name: str) -> None:
    assert [each for each, count in Counter(RENDERED[name].anchors).items() if count > 1] == []


def test_the_index_leads_to_every_rpc_message_and_enum() -> None:
    text = " ".join(RENDERED[reference.INDEX].sections.values())
    linked = set(re.findall(r'href="[^"]+\.md#[^"]+">([^<]+)</a>', text))
    for file in FILES.values():
        assert {message.name for message in file.message_type} <= linked
        assert {enum.name for enum in file.enum_type} <= linked
    assert {method.name for _, method in METHODS} <= linked


@pytest.mark.parametrize(("service", "method"), METHODS, ids=lambda each: getattr(each, "name", each))
def test_an_rpc_tells_what_it_takes_gives_and_needs(service: str, method: MethodDescriptorProto) -> None:
    told = dict(facts(service, method))
    assert told["Request"] == method.input_type.rpartition(".")[2]
    assert told["Response"].endswith(method.output_type.rpartition(".")[2])
    assert told["Response"].startswith("a stream of ") == method.server_streaming
    need = scopes.of(f"/bezant.v1.{service}/{method.name}")
    if isinstance(need, scopes.Scope):
        assert told["Key"].partition(",")[0] == need.word
    else:
        assert told["Key"] == ("none" if need is scopes.OPEN else "by method and path")
    if "REST" not in told:
        assert (told["Read"] == "yes") == (method.options.idempotency_level == MethodOptions.NO_SIDE_EFFECTS)


def test_target_orders_always_want_a_key() -> None:
    always = {service for service, method in METHODS if dict(facts(service, method))["Key"].endswith("always")}
    assert always == {"TargetOrdersService", "TargetOrdersRestService"}


def test_paths_are_told() -> None:
    told = {(service, method.name): dict(facts(service, method)).get("REST") for service, method in METHODS}
    assert told["SidecarService", "GetHealth"] == "GET /health, HEAD /health"
    assert told["GatewayService", "Forward"] == "none"
    assert told["OrdersService", "PlaceOrders"] is None


@pytest.mark.parametrize("file", FILES.values(), ids=lambda file: Path(file.name).stem)
def test_every_field_and_value_is_told(file: FileDescriptorProto) -> None:
    for message in file.message_type:
        told = rows(section_of(message.name))
        choices = {
            message.oneof_decl[field.oneof_index].name
            for field in message.field
            if field.HasField("oneof_index") and not field.proto3_optional
        }
        assert told.keys() == {field.name for field in message.field} | choices, message.name
        for field in message.field:
            kind, meaning = told[field.name]
            assert meaning, field.name
            assert ("optional" in kind) == field.proto3_optional, field.name
            if field.type_name and f"{message.name}." not in field.type_name:
                assert f"{field.type_name.rpartition('.')[2]}</a>" in kind, field.name
    for enum in file.enum_type:
        told = rows(section_of(enum.name))
        assert {name: int(cells[0]) for name, cells in told.items()} == {
            value.name: value.number for value in enum.value
        }
        assert all(cells[1] for cells in told.values())


def test_text_of_the_contract_is_not_read_as_markup() -> None:
    html = {name: MARKDOWN.render(text) for name, text in PAGES.items()}
    tags = {tag for page in html.values() for tag in re.findall(r"<(\w+)", page)}
    assert [tag for tag in tags if not re.fullmatch("a|br|code|em|h[1-3]|li|p|pre|strong|t[a-z]+|ul", tag)] == []
    assert {name for name, page in html.items() if re.search(r"<(em|strong)>", page)} == {reference.INDEX}
