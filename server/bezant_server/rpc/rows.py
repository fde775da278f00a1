"""The paths that have an RPC of their own, from the annotations in the contract."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

from google.api import annotations_pb2

from bezant_server.errors import BadRequest

_OWN = re.compile("/(docs|events|debug|ib|api/v1)(/.*)?")

_VERBS = ("get", "put", "post", "delete", "patch")
_TEMPLATE_FIELD = re.compile(r"\\\{([^}]*)\\\}")


class Rows:
    """What a path allows and means, read from the `google.api.http` annotations of services."""

    def __init__(self, *service_descriptors: Any) -> None:
        methods: dict[str, list[str]] = {}
        for rpc in itertools.chain.from_iterable(service.methods for service in service_descriptors):
            for method, template in bindings(rpc.GetOptions()):
                methods.setdefault(template, []).append(method)
        # Envoy prefers a literal segment to a field, so the templates with fewer fields are looked at first.
        self._rows = [
            (_pattern(template), tuple(sorted(methods[template])))
            for template in sorted(methods, key=lambda template: template.count("{"))
        ]

    @staticmethod
    def is_own(path: str) -> bool:
        """Whether nothing at this path could be the gateway's: what has no row there is not found."""
        return _OWN.fullmatch(path) is not None

    def allowed(self, path: str) -> tuple[str, ...]:
        """The methods of the row that `path` belongs to; empty when it belongs to none."""
        for pattern, methods in self._rows:
            if pattern.fullmatch(path):
                return methods
        return ()

    def field(self, name: str, path: str) -> str:
        """The decoded segment of `path` that its row binds to the field `name`; empty when there is none.

        The field of the transcoded message is no substitute: Envoy lets a query parameter or a body of that name win
        over the path, and an order would reach another account.

        Raises:
            BadRequest: it is not text in UTF-8.
        """
        for pattern, _ in self._rows:
            if match := pattern.fullmatch(path):
                try:
                    return unquote(match.groupdict().get(name, ""), errors="strict")
                except UnicodeDecodeError:
                    raise BadRequest(f"{name} must be text in UTF-8", field=name) from None
        return ""


def bindings(options: Any) -> Iterator[tuple[str, str]]:
    """The HTTP methods and path templates of an RPC with these `google.protobuf.MethodOptions`."""
    rule = options.Extensions[annotations_pb2.http]
    for each in (rule, *rule.additional_bindings):
        verb = each.WhichOneof("pattern")
        if verb in _VERBS:
            yield verb.upper(), getattr(each, verb)
        elif verb == "custom":
            yield each.custom.kind, each.custom.path


def _pattern(template: str) -> re.Pattern[str]:
    return re.compile(_TEMPLATE_FIELD.sub(r"(?P<\1>[^/]+)", re.escape(template)) + "/?")
