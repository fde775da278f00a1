"""The paths that have an RPC of their own, from the annotations in the contract."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from google.api import annotations_pb2

_OWN = re.compile("/(events|debug)(/.*)?")

_VERBS = ("get", "put", "post", "delete", "patch")
_TEMPLATE_FIELD = re.compile(r"\\\{[^}]*\\\}")


class Rows:
    """Which methods a path allows, read from the `google.api.http` annotations of a service."""

    def __init__(self, service_descriptor: Any) -> None:
        methods: dict[str, list[str]] = {}
        for rpc in service_descriptor.methods:
            rule = rpc.GetOptions().Extensions[annotations_pb2.http]
            for method, template in _bindings([rule, *rule.additional_bindings]):
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


def _bindings(rules: Iterable[Any]) -> Iterable[tuple[str, str]]:
    for rule in rules:
        verb = rule.WhichOneof("pattern")
        if verb in _VERBS:
            yield verb.upper(), getattr(rule, verb)
        elif verb == "custom":
            yield rule.custom.kind, rule.custom.path


def _pattern(template: str) -> re.Pattern[str]:
    return re.compile(_TEMPLATE_FIELD.sub("[^/]+", re.escape(template)) + "/?")
