"""The contract with its comments, as the scripts that document it read it."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.api import annotations_pb2
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
    MethodDescriptorProto,
    ServiceDescriptorProto,
)

from scripts.committed import ROOT

PACKAGE = "bezant.v1"

_BUF = Path(sys.executable).parent / "buf"
# Field numbers of FileDescriptorProto, DescriptorProto and so on, of which a comment's place is made.
_MESSAGES, _ENUMS, _SERVICES = 4, 5, 6
_FIELDS, _NESTED_MESSAGES, _NESTED_ENUMS, _ONEOFS = 2, 3, 4, 8
_METHODS, _VALUES = 2, 2


@dataclass(frozen=True, slots=True)
class Contract:
    """What the proto files say.

    Attributes:
        files: those of the package, by name.
        comments: by the full name of what they stand above, a value's being its enum's and its own.
    """

    files: tuple[FileDescriptorProto, ...]
    comments: Mapping[str, str]

    def services(self) -> Iterator[ServiceDescriptorProto]:
        """Every service, by file."""
        for file in self.files:
            yield from file.service

    def messages(self) -> Mapping[str, DescriptorProto]:
        """Every message of the top level by its full name."""
        return {f"{PACKAGE}.{message.name}": message for file in self.files for message in file.message_type}


def read() -> Contract:
    """Have buf read the proto files, comments included."""
    built = subprocess.run(
        [_BUF, "build", "proto", "--as-file-descriptor-set", "--output", "-"], cwd=ROOT, check=True, capture_output=True
    )
    files = tuple(
        sorted(
            (file for file in FileDescriptorSet.FromString(built.stdout).file if file.package == PACKAGE),
            key=lambda file: file.name,
        )
    )
    return Contract(files, {name: text for file in files for name, text in _comments(file)})


def has_body(method: MethodDescriptorProto) -> bool:
    """Whether an RPC's request is made of a body, too."""
    return bool(method.options.Extensions[annotations_pb2.http].body)


def _comments(file: FileDescriptorProto) -> Iterator[tuple[str, str]]:
    names = dict(_places(file))
    for location in file.source_code_info.location:
        name = names.get(tuple(location.path))
        if name and location.leading_comments:
            yield name, _paragraphs(location.leading_comments)


def _paragraphs(comment: str) -> str:
    """A comment with one line for each paragraph; a list or a block of code keeps its lines."""
    paragraphs = re.split(r"\n\s*\n", "\n".join(line.removeprefix(" ") for line in comment.strip("\n").split("\n")))
    return "\n\n".join(
        text if re.search(r"^( {2,}|[-*] )", text, re.MULTILINE) else " ".join(text.split()) for text in paragraphs
    )


def _places(file: FileDescriptorProto) -> Iterator[tuple[tuple[int, ...], str]]:
    for index, message in enumerate(file.message_type):
        yield from _of_message(message, f"{file.package}.{message.name}", (_MESSAGES, index))
    for index, enum in enumerate(file.enum_type):
        yield from _of_enum(enum, f"{file.package}.{enum.name}", (_ENUMS, index))
    for index, service in enumerate(file.service):
        name = f"{file.package}.{service.name}"
        yield (_SERVICES, index), name
        for number, method in enumerate(service.method):
            yield (_SERVICES, index, _METHODS, number), f"{name}.{method.name}"


def _of_message(message: DescriptorProto, name: str, place: tuple[int, ...]) -> Iterator[tuple[tuple[int, ...], str]]:
    yield place, name
    for index, field in enumerate(message.field):
        yield (*place, _FIELDS, index), f"{name}.{field.name}"
    for index, oneof in enumerate(message.oneof_decl):
        yield (*place, _ONEOFS, index), f"{name}.{oneof.name}"
    for index, nested in enumerate(message.nested_type):
        yield from _of_message(nested, f"{name}.{nested.name}", (*place, _NESTED_MESSAGES, index))
    for index, enum in enumerate(message.enum_type):
        yield from _of_enum(enum, f"{name}.{enum.name}", (*place, _NESTED_ENUMS, index))


def _of_enum(enum: Any, name: str, place: tuple[int, ...]) -> Iterator[tuple[tuple[int, ...], str]]:
    yield place, name
    for index, value in enumerate(enum.value):
        yield (*place, _VALUES, index), f"{name}.{value.name}"
