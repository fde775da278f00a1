"""Makes docs/reference.md and docs/reference/*.md: a table of contents, and a page for each proto file.

python -m scripts.reference           write them
python -m scripts.reference --check   fail if what is committed differs from what would be written

The text is the proto files' comments; what a call asks of an API key is the server's own table.
"""

from __future__ import annotations

import posixpath
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    MethodDescriptorProto,
    MethodOptions,
    ServiceDescriptorProto,
)

from bezant_server.keys import scopes
from bezant_server.rpc.rows import bindings
from scripts import contract
from scripts.committed import ROOT
from scripts.contract import PACKAGE, Contract

TARGET = ROOT / "docs"
INDEX = "reference.md"

_FOLDER = "reference"
_RPCS, _MESSAGES, _ENUMS = "RPCs", "Messages", "Enums"
_GOOGLE = {
    ".google.api.HttpBody": "https://github.com/googleapis/googleapis/blob/master/google/api/httpbody.proto",
    ".google.protobuf.Duration": "https://protobuf.dev/reference/protobuf/google.protobuf/#duration",
    ".google.protobuf.Timestamp": "https://protobuf.dev/reference/protobuf/google.protobuf/#timestamp",
}
_PREAMBLE = """\
<!-- Made by scripts/reference.py from proto/bezant/v1. -->

# Reference

Package `bezant.v1`: every RPC, message and enum, in the words of the proto files. [typed-api.md](typed-api.md)
introduces it, [clients.md](clients.md) calls it from four languages, [errors.md](errors.md) says what each error
means, and `GET /docs` of the server has the REST paths with their bodies.

- **Key** is the scope that a call asks of an API key when keys are required ([security.md](security.md)); *always*
  means even when they are not, *none* that no key is ever asked for.
- **Read** is an RPC that its proto file declares free of side effects (`NO_SIDE_EFFECTS`). Clients repeat it when the
  server was unavailable; they send all others once. Those behind the REST paths declare nothing.
- A field whose type says *optional* can be absent, which means unknown, and is never the same as zero. Prices,
  quantities and amounts are decimals in strings: [Money](reference/types.md#money) has the grammar.
"""


class UndescribableError(Exception):
    """The proto files cannot be shown."""


class Place(NamedTuple):
    """Where a message or an enum is described.

    Attributes:
        page: the file, below docs/.
        anchor: its heading's.
    """

    page: str
    anchor: str


def main() -> int:
    pages = render()
    written = {str(path.relative_to(TARGET)) for path in TARGET.glob(f"{_FOLDER}/*.md")} | {INDEX}
    if sys.argv[1:] != ["--check"]:
        (TARGET / _FOLDER).mkdir(exist_ok=True)
        for name in written - pages.keys():
            (TARGET / name).unlink()
        for name, text in pages.items():
            (TARGET / name).write_text(text, encoding="utf-8")
        return 0
    stale = [name for name in sorted(written | pages.keys()) if _read(name) != pages.get(name)]
    for name in stale:
        print(f"docs/{name} is stale: run make generate", file=sys.stderr)
    return 1 if stale else 0


def render() -> dict[str, str]:
    """The pages, by their path below docs/."""
    described = contract.read()
    reference = _Reference(described)
    pages = {_page(file): reference.page(file) for file in described.files}
    return {INDEX: reference.index(), **pages}


def anchor(heading: str) -> str:
    """The fragment by which a heading can be linked to."""
    return re.sub(r"[^a-z0-9_ -]", "", heading.lower()).replace(" ", "-")


class _Reference:
    """Writes the contract as Markdown.

    Args:
        described: the contract.
    """

    def __init__(self, described: Contract) -> None:
        self._contract = described
        self._places = {
            f".{PACKAGE}.{name}": Place(_page(file), anchor(name))
            for file in described.files
            for name in (*_names(file.message_type), *_names(file.enum_type))
        }

    def index(self) -> str:
        """The table of contents."""
        typed, rest, shared = [], [], []
        for file in self._contract.files:
            if not file.service:
                shared.append(file)
            elif _is_rest(file.service[0]):
                rest.append(file)
            else:
                typed.append(file)
        return _joined(
            _PREAMBLE.rstrip("\n"),
            "## Typed services",
            *self._services(typed),
            "## REST services",
            "The REST paths of the server, which Envoy serves, and which gRPC programs can call, too.",
            *self._services(rest),
            "## All messages and enums",
            _table(
                ("File", "Messages", "Enums"),
                (
                    (
                        f"[{file.name.rpartition('/')[2]}]({_page(file)})",
                        self._links(INDEX, _names(file.message_type)),
                        self._links(INDEX, _names(file.enum_type)),
                    )
                    for file in (*typed, *rest, *shared)
                ),
            ),
        )

    def _services(self, files: Iterable[FileDescriptorProto]) -> Iterator[str]:
        for file in files:
            for service in file.service:
                page = _page(file)
                yield f"### [{service.name}]({page})"
                yield _prose(_first_sentence(self._comment(service.name)))
                yield ", ".join(f"[{method.name}]({page}#{anchor(method.name)})" for method in service.method)

    def page(self, file: FileDescriptorProto) -> str:
        """What a proto file says."""
        blocks = [f"<!-- Made by scripts/reference.py from proto/{file.name}. -->", *self._blocks(file)]
        anchors = [anchor(block.lstrip("# ")) for block in blocks if re.match(r"#+ ", block)]
        if twice := {each for each in anchors if anchors.count(each) > 1}:
            raise UndescribableError(f"{file.name}: two headings are one link: {', '.join(sorted(twice))}")
        return _joined(*blocks)

    def _blocks(self, file: FileDescriptorProto) -> Iterator[str]:
        short = file.name.rpartition("/")[2]
        source = f"[{short}](../../proto/{file.name})"
        if file.service:
            (service,) = file.service
            yield f"# {service.name}"
            yield f"`{PACKAGE}.{service.name}`, in {source}. [All services](../{INDEX})"
            yield from _text(self._comment(service.name))
            yield self._overview(service)
        else:
            yield f"# {short}"
            yield f"What several services have in common, in {source}. [All services](../{INDEX})"
        page = _page(file)
        for kind, names in ((_MESSAGES, _names(file.message_type)), (_ENUMS, _names(file.enum_type))):
            if names:
                yield f"{kind}: {self._links(page, names)}"
        for service in file.service:
            yield f"## {_RPCS}"
            for method in service.method:
                yield from self._rpc(page, service, method)
        if file.message_type:
            yield f"## {_MESSAGES}"
            for message in file.message_type:
                yield from self._message(page, message)
        if file.enum_type:
            yield f"## {_ENUMS}"
            for enum in file.enum_type:
                yield from self._enum(enum)

    def _overview(self, service: ServiceDescriptorProto) -> str:
        is_rest = _is_rest(service)
        return _table(
            ("RPC", "REST" if is_rest else "Read", "Key", "What it does"),
            (
                (
                    f"[{method.name}](#{anchor(method.name)})",
                    next(iter(_paths(method)), "") if is_rest else "yes" if _is_read(method) else "",
                    _key(service, method),
                    _cell(_first_sentence(self._comment(f"{service.name}.{method.name}"))),
                )
                for method in service.method
            ),
        )

    def _rpc(self, page: str, service: ServiceDescriptorProto, method: MethodDescriptorProto) -> Iterator[str]:
        yield f"### {method.name}"
        yield from _text(self._comment(f"{service.name}.{method.name}"))
        stream = "a stream of " if method.server_streaming else ""
        facts = [
            f"Request: {self._link(page, method.input_type)}",
            f"Response: {stream}{self._link(page, method.output_type)}",
            f"Key: {_key(service, method)}",
        ]
        if _is_rest(service):
            facts.append(f"REST: {', '.join(_paths(method)) or 'none'}")
        else:
            facts.append(f"Read: {'yes' if _is_read(method) else 'no'}")
        yield "\n".join(f"- {fact}" for fact in facts)

    def _message(self, page: str, message: DescriptorProto) -> Iterator[str]:
        yield f"### {message.name}"
        yield from _text(self._comment(message.name))
        if message.field:
            yield _table(("Field", "Type", "Meaning"), self._fields(page, message))
        else:
            yield "It has no fields."

    def _fields(self, page: str, message: DescriptorProto) -> Iterator[tuple[str, ...]]:
        maps = {
            f".{PACKAGE}.{message.name}.{nested.name}": nested
            for nested in message.nested_type
            if nested.options.map_entry
        }
        introduced = set()
        for field in message.field:
            is_choice = field.HasField("oneof_index") and not field.proto3_optional
            if is_choice and field.oneof_index not in introduced:
                introduced.add(field.oneof_index)
                yield self._choice(message, field.oneof_index)
            yield (
                f"`{field.name}`",
                self._type(page, field, maps),
                _cell(self._comment(f"{message.name}.{field.name}")),
            )

    def _choice(self, message: DescriptorProto, index: int) -> tuple[str, ...]:
        name = message.oneof_decl[index].name
        members = ", ".join(
            f"`{field.name}`" for field in message.field if field.HasField("oneof_index") and field.oneof_index == index
        )
        return f"`{name}`", f"one of {members}", _cell(self._comment(f"{message.name}.{name}"))

    def _type(self, page: str, field: FieldDescriptorProto, maps: Mapping[str, DescriptorProto]) -> str:
        if field.type_name in maps:
            key, value = maps[field.type_name].field
            return f"map of {self._plain_type(page, key)} to {self._plain_type(page, value)}"
        plain = self._plain_type(page, field)
        if field.label == FieldDescriptorProto.LABEL_REPEATED:
            return f"list of {plain}"
        return f"{plain}, optional" if field.proto3_optional else plain

    def _plain_type(self, page: str, field: FieldDescriptorProto) -> str:
        if field.type_name:
            return self._link(page, field.type_name)
        return FieldDescriptorProto.Type.Name(field.type).removeprefix("TYPE_").lower()

    def _enum(self, enum: EnumDescriptorProto) -> Iterator[str]:
        yield f"### {enum.name}"
        yield from _text(self._comment(enum.name))
        yield _table(
            ("Value", "Number", "Meaning"),
            (
                (f"`{value.name}`", str(value.number), _cell(self._comment(f"{enum.name}.{value.name}")))
                for value in enum.value
            ),
        )

    def _links(self, page: str, names: Iterable[str]) -> str:
        return ", ".join(self._link(page, f".{PACKAGE}.{name}") for name in names)

    def _link(self, page: str, type_name: str) -> str:
        """A link from a page to what a type of that name means."""
        if type_name in _GOOGLE:
            return f"[{type_name.removeprefix('.')}]({_GOOGLE[type_name]})"
        if type_name not in self._places:
            raise UndescribableError(f"no page describes {type_name}")
        place = self._places[type_name]
        path = "" if place.page == page else posixpath.relpath(place.page, posixpath.dirname(page))
        return f"[{type_name.rpartition('.')[2]}]({path}#{place.anchor})"

    def _comment(self, name: str) -> str:
        return self._contract.comments[f"{PACKAGE}.{name}"]


def _read(name: str) -> str | None:
    path = TARGET / name
    return path.read_text(encoding="utf-8") if path.exists() else None


def _page(file: FileDescriptorProto) -> str:
    return f"{_FOLDER}/{file.name.rpartition('/')[2].removesuffix('.proto').replace('_', '-')}.md"


def _names(described: Iterable[DescriptorProto] | Iterable[EnumDescriptorProto]) -> list[str]:
    return [each.name for each in described]


def _paths(method: MethodDescriptorProto) -> list[str]:
    return [f"`{verb} {path}`" for verb, path in bindings(method.options)]


def _is_rest(service: ServiceDescriptorProto) -> bool:
    return any(any(bindings(method.options)) for method in service.method)


def _is_read(method: MethodDescriptorProto) -> bool:
    return method.options.idempotency_level == MethodOptions.NO_SIDE_EFFECTS


def _key(service: ServiceDescriptorProto, method: MethodDescriptorProto) -> str:
    rpc = f"/{PACKAGE}.{service.name}/{method.name}"
    need = scopes.of(rpc)
    if need is scopes.OPEN:
        return "none"
    if not isinstance(need, scopes.Scope):
        return "by method and path"
    return f"{need.word}, always" if scopes.is_always_guarded(rpc) else need.word


def _first_sentence(comment: str) -> str:
    return re.split(r"(?<=[.])\s", comment, maxsplit=1)[0]


def _text(comment: str) -> Iterator[str]:
    """The paragraphs of a comment; what is indented in it stands as it is."""
    for paragraph in comment.split("\n\n"):
        if paragraph.startswith("  "):
            yield "\n".join(f"  {line}" for line in paragraph.split("\n"))
        else:
            yield _prose(paragraph)


def _cell(comment: str) -> str:
    return "<br><br>".join(_prose(paragraph) for paragraph in comment.split("\n\n")).replace("|", "\\|")


def _prose(paragraph: str) -> str:
    """A paragraph whose characters mean nothing to Markdown, those between backticks aside."""
    parts = re.split(r"(`[^`]*`)", paragraph)
    return "".join(part if part.startswith("`") else _escaped(part) for part in parts)


def _escaped(text: str) -> str:
    escaped = re.sub(r"[\\*<\[\]]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])", r"\\\g<0>", text)
    return re.sub(r"\bdocs/([a-z-]+\.md)", r"[\g<0>](../\1)", escaped)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ("---",) * len(head), *rows))


def _joined(*blocks: str) -> str:
    return "\n\n".join(blocks) + "\n"


if __name__ == "__main__":
    sys.exit(main())
