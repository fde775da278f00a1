"""Makes server/bezant_server/docs/openapi.json, the OpenAPI document of the REST paths.

python -m scripts.openapi           write it
python -m scripts.openapi --check   fail if what is committed differs from what would be written

Paths, methods, parameters and their descriptions are the proto files'; what an error means and which scope a key needs
are the server's own tables.
Bodies are bytes to protobuf, and a parameter there is text, so what these are is written down in openapi/*.yaml. What
is in one of the two and not in the other stops the script.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import yaml
from google.protobuf.descriptor_pb2 import MethodDescriptorProto, ServiceDescriptorProto

from bezant_server import errors
from bezant_server.errors import BezantError
from bezant_server.keys import scopes
from bezant_server.keys.scopes import OPEN, Scope
from bezant_server.rpc.rows import bindings
from scripts import contract
from scripts.committed import ROOT, write_or_check
from scripts.contract import PACKAGE, Contract

SOURCES = ROOT / "openapi"
TARGET = ROOT / "server" / "bezant_server" / "docs" / "openapi.json"

_COMMON = "document.yaml"
_FALLBACK = "/**"
_JSON = "application/json"
_ANY_TYPE = "*/*"
_HEAD = "HEAD"
# Their status is the gateway's own.
_OF_ANY_STATUS = frozenset({"upstream_status", "upstream_client_error"})

Object = dict[str, Any]


class OpenApiError(Exception):
    """The proto files and openapi/*.yaml do not fit each other."""


def main() -> int:
    return write_or_check(TARGET, render())


def render() -> str:
    """The document."""
    common = _load(_COMMON)
    notes = [_load(path.name) for path in sorted(SOURCES.glob("*.yaml")) if path.name != _COMMON]
    return json.dumps(_Document(contract.read(), common, notes).made(), indent=1, ensure_ascii=False) + "\n"


class _Document:
    """Joins the contract with what is written down about it.

    Args:
        described: the proto files.
        common: what holds for all services.
        notes: what holds for each.
    """

    def __init__(self, described: Contract, common: Object, notes: list[Object]) -> None:
        self._contract = described
        self._messages = described.messages()
        self._common = common
        self._notes = {each["service"]: each for each in notes}
        self._codes = {error.code: error for error in _all_errors(BezantError)}
        self._failures: dict[str, Object] = {}

    def made(self) -> Object:
        """The whole document."""
        paths: dict[str, Object] = {}
        noted = dict(self._notes)
        for service in self._contract.services():
            methods = [method for method in service.method if any(_rows(method))]
            if not methods:
                continue
            if service.name not in noted:
                raise OpenApiError(f"{service.name} has paths and no file in openapi/")
            note = noted.pop(service.name)
            _same(f"openapi/ of {service.name}", note["operations"], [method.name for method in methods])
            for method in methods:
                for verb, path in _rows(method):
                    paths.setdefault(path, {})[verb.lower()] = self._operation(service, method, verb, path)
        _same("openapi/", noted, ())
        return {
            "openapi": "3.1.0",
            "info": {**self._common["info"], "version": _version()},
            "servers": [{"url": "/"}],
            "tags": self._common["tags"],
            "security": self._common["security"]["usual"],
            "paths": dict(sorted(paths.items())),
            "components": {
                "securitySchemes": self._common["securitySchemes"],
                "parameters": self._common["parameters"],
                "responses": dict(sorted(self._failures.items())),
                "headers": self._gathered("headers"),
                "schemas": self._gathered("schemas"),
            },
        }

    def _gathered(self, kind: str) -> Object:
        gathered: Object = {}
        for source in (self._common, *self._notes.values()):
            for name, value in source.get(kind, {}).items():
                if name in gathered:
                    raise OpenApiError(f"{kind}: {name} is there twice")
                gathered[name] = value
        return dict(sorted(gathered.items()))

    def _operation(
        self, service: ServiceDescriptorProto, method: MethodDescriptorProto, verb: str, path: str
    ) -> Object:
        note = self._notes[service.name]
        own = note["operations"][method.name]
        name = f"{service.name.removesuffix('Service')}_{method.name}"
        rpc = f"/{PACKAGE}.{service.name}/{method.name}"
        scope = _scope(rpc)
        security = _security(rpc, scope, own)
        operation: Object = {
            "tags": [_HEAD if verb == _HEAD else own.get("tag", note.get("tag"))],
            "operationId": f"{name}_{verb}" if verb == _HEAD else name,
            "summary": own["summary"],
            "description": "\n\n".join(
                [self._contract.comments[f"{PACKAGE}.{service.name}.{method.name}"], *_about_keys(rpc, scope)]
            ),
            "security": self._common["security"][security],
            **({"x-bezant-scope": scope.word} if scope else {}),
            "parameters": [
                *self._parameters(method, path, own.get("parameters", {}), note["query_names"]),
                *({"$ref": f"#/components/parameters/{each}"} for each in own.get("headers", ())),
            ],
        }
        if "body" in own:
            operation["requestBody"] = _body(own["body"])
        codes = [*self._expanded(["everywhere"]), *self._expanded(own.get("errors", ()))]
        if scope is OPEN:
            codes.remove("unauthorized")
        operation["responses"] = self._responses(own, codes, bodiless=verb == _HEAD)
        return operation

    def _parameters(
        self, method: MethodDescriptorProto, path: str, notes: Mapping[str, Object], query_names: str
    ) -> Iterator[Object]:
        message = self._messages[method.input_type.removeprefix(".")]
        fields = [field for field in message.field if not (contract.has_body(method) and field.name == "body")]
        in_path = {field.name for field in fields if f"{{{field.name}}}" in path}
        names = {
            field.name: field.name if field.name in in_path else str(getattr(field, query_names)) for field in fields
        }
        _same(f"openapi/ of {method.name}: parameters", notes, names.values())
        for field in fields:
            name = names[field.name]
            note = notes[name]
            parameter: Object = {
                "name": name,
                "in": "path" if field.name in in_path else "query",
                "description": self._contract.comments[f"{PACKAGE}.{message.name}.{field.name}"],
                "schema": note["schema"],
            }
            if field.name in in_path or note.get("required"):
                parameter["required"] = True
            if note["schema"].get("type") == "array":
                parameter |= {"style": "form", "explode": False}
            if "example" in note:
                parameter["example"] = note["example"]
            yield parameter

    def _responses(self, own: Object, codes: list[str], *, bodiless: bool) -> Object:
        forwarded = own.get("forwarded", False)
        responses = {str(status): _answer(answer, forwarded) for status, answer in own["answers"].items()}
        if bodiless:
            for response in responses.values():
                response.pop("content", None)
        by_status: dict[str, list[str]] = {}
        for code in codes:
            by_status.setdefault(str(self._codes[code].http_status), []).append(code)
        if variable := [code for code in codes if code in _OF_ANY_STATUS]:
            by_status["default"] = variable
        if forwarded:
            by_status["default"] = []
        for status, each in sorted(by_status.items()):
            responses[status] = self._failure(each, forwarded=forwarded, bodiless=bodiless)
        return responses

    def _failure(self, codes: list[str], *, forwarded: bool, bodiless: bool) -> Object:
        """A reference to the answer with one of these codes: many operations share it."""
        name = ".".join([*codes, *["gateway"] * forwarded, *["head"] * bodiless])
        if name not in self._failures:
            self._failures[name] = self._made_failure(codes, forwarded=forwarded, bodiless=bodiless)
        return {"$ref": f"#/components/responses/{name}"}

    def _made_failure(self, codes: list[str], *, forwarded: bool, bodiless: bool) -> Object:
        meanings = {code: (self._codes[code].__doc__ or "").strip().splitlines()[0] for code in codes}
        lines = [f"`{code}`: {meaning}" for code, meaning in meanings.items()]
        if forwarded:
            lines.append("The gateway's own answer.")
        response = _described("\n\n".join(lines))
        if any(self._codes[code].http_status == 429 for code in codes):
            response["headers"]["retry-after"] = {"$ref": "#/components/headers/RetryAfter"}
        content: Object = {}
        if codes:
            schema: Object = {"$ref": "#/components/schemas/Error", "properties": {"code": {"enum": codes}}}
            content[_JSON] = {
                "schema": _or_gateway_error(schema) if forwarded else schema,
                "examples": {code: {"value": {"code": code, "message": text}} for code, text in meanings.items()},
            }
        if forwarded:
            content[_ANY_TYPE] = {}
        return response if bodiless else response | {"content": content}

    def _expanded(self, names: Iterable[str]) -> Iterator[str]:
        for name in names:
            codes = self._common["errors"].get(name, [name])
            for code in codes:
                if code not in self._codes:
                    raise OpenApiError(f"there is no error {code}")
                yield code


def _load(name: str) -> Object:
    loaded: Object = yaml.safe_load((SOURCES / name).read_text(encoding="utf-8"))
    return loaded


def _rows(method: MethodDescriptorProto) -> Iterator[tuple[str, str]]:
    """The paths that can be told apart: OpenAPI has no word for all others."""
    return ((verb, path) for verb, path in bindings(method.options) if path != _FALLBACK)


def _scope(rpc: str) -> Scope | None:
    need = scopes.of(rpc)
    if need is OPEN or isinstance(need, Scope):
        return need
    raise OpenApiError(f"{rpc} is judged call by call, which OpenAPI has no word for")


def _security(rpc: str, scope: Scope | None, own: Object) -> str:
    """Who may call, by the name that document.yaml gives it."""
    if scope is OPEN:
        return "anybody"
    return str(own.get("security", "key" if scopes.is_always_guarded(rpc) else "usual"))


def _about_keys(rpc: str, scope: Scope | None) -> Iterator[str]:
    if scope is not OPEN:
        when = "" if scopes.is_always_guarded(rpc) else ", where keys are required"
        yield f"Needs an API key of the scope `{scope.word}`{when}."


def _all_errors(error: type[BezantError]) -> Iterator[type[BezantError]]:
    for subclass in error.__subclasses__():
        if subclass.__module__ == errors.__name__ and "code" in vars(subclass):
            yield subclass
        yield from _all_errors(subclass)


def _answer(note: Object, forwarded: bool) -> Object:
    answer = _described(note["description"])
    answer["headers"] |= {
        name: {"$ref": f"#/components/headers/{header}"} for name, header in note.get("headers", {}).items()
    }
    if "schema" in note:
        schema = _or_gateway_error(note["schema"]) if forwarded else note["schema"]
        shown = {key: note[key] for key in ("example", "examples") if key in note}
        answer["content"] = {note.get("type", _JSON): {"schema": schema, **shown}}
    return answer


def _described(text: str) -> Object:
    return {"description": text, "headers": {"x-request-id": {"$ref": "#/components/headers/RequestId"}}}


def _or_gateway_error(schema: Object) -> Object:
    return {"anyOf": [schema, {"$ref": "#/components/schemas/GatewayError"}]}


def _body(note: Object) -> Object:
    content = {key: note[key] for key in ("schema", "example") if key in note}
    return {"description": note["description"], "required": note["required"], "content": {_JSON: content}}


def _same(where: str, written: Iterable[str], described: Iterable[str]) -> None:
    """Two sets of names that must be one."""
    if difference := set(written) ^ set(described):
        raise OpenApiError(f"{where}: {', '.join(sorted(difference))} is only there, or only in the proto files")


def _version() -> str:
    """The contract's: additions to it are no new version."""
    return PACKAGE.rpartition(".")[2]


if __name__ == "__main__":
    sys.exit(main())
