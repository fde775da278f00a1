"""The OpenAPI document that is served."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest
import schemathesis
import yaml
from google.api import annotations_pb2
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.json_format import MessageToDict

from bezant_server.docs import files
from bezant_server.local.envoy import config_directory
from scripts import openapi

DOCUMENT: dict[str, Any] = json.loads(files.read().document.data)
OPERATIONS = [(verb.upper(), path) for path, operations in DOCUMENT["paths"].items() for verb in operations]
FALLBACK = {f"{verb} /**" for verb in ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")}


def annotated_rows() -> Iterator[tuple[str, str]]:
    """Methods and paths of every RPC, from what Envoy is given."""
    described = FileDescriptorSet.FromString((config_directory() / "bezant.binpb").read_bytes())
    for method in (method for file in described.file for service in file.service for method in service.method):
        rule = MessageToDict(method.options.Extensions[annotations_pb2.http])
        for each in (rule, *rule.get("additionalBindings", ())):
            if "custom" in each:
                yield each["custom"]["kind"], each["custom"]["path"]
            for verb in {"get", "put", "post", "delete", "patch"} & each.keys():
                yield verb.upper(), each[verb]


def transcoded_services() -> set[str]:
    config = yaml.safe_load((config_directory() / "envoy.yaml").read_text(encoding="utf-8"))
    manager = config["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    (services,) = [each["typed_config"]["services"] for each in manager["http_filters"] if "transcoder" in each["name"]]
    return set(services)


def test_it_is_valid() -> None:
    schemathesis.openapi.from_dict(DOCUMENT).validate()
    assert DOCUMENT["openapi"] == "3.1.0"


def test_every_schema_is_one() -> None:
    for name, schema in DOCUMENT["components"]["schemas"].items():
        assert jsonschema_rs.meta.is_valid(schema | {"$schema": "https://json-schema.org/draft/2020-12/schema"}), name


def test_it_has_every_path_that_envoy_serves_but_the_fallback_and_no_other() -> None:
    rows = [f"{verb} {path}" for verb, path in annotated_rows()]
    assert set(rows) >= FALLBACK
    assert sorted(f"{verb} {path}" for verb, path in OPERATIONS) == sorted(set(rows) - FALLBACK)
    assert len(rows) == len(set(rows))


def test_envoy_serves_every_service_with_paths() -> None:
    with_paths = {
        each["operationId"].partition("_")[0] for path in DOCUMENT["paths"].values() for each in path.values()
    }
    assert transcoded_services() == {f"bezant.v1.{name}Service" for name in (*with_paths, "Gateway")}


def test_no_two_paths_are_one() -> None:
    shapes = [re.sub(r"\{[^}]*\}", "{}", path) for path in DOCUMENT["paths"]]
    assert len(shapes) == len(set(shapes))


def test_operation_ids_are_unique() -> None:
    ids = [operation["operationId"] for path in DOCUMENT["paths"].values() for operation in path.values()]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize(("verb", "path"), OPERATIONS)
def test_an_operation_tells_what_a_reader_needs(verb: str, path: str) -> None:
    operation = DOCUMENT["paths"][path][verb.lower()]
    assert operation["summary"]
    assert operation["description"]
    assert operation["tags"][0] in {tag["name"] for tag in DOCUMENT["tags"]}
    assert {
        name
        for parameter in operation["parameters"]
        if (name := parameter.get("name")) and not parameter["description"]
    } == set()
    assert {"400", "403", "500", "503"} <= operation["responses"].keys()
    for status, response in operation["responses"].items():
        if verb != "HEAD" and status not in ("204", "304"):
            assert resolved(response)["content"], status


def test_trading_by_target_needs_a_key() -> None:
    for path, operations in DOCUMENT["paths"].items():
        for operation in operations.values():
            needs_key = {} not in operation["security"] and operation["security"] != []
            assert needs_key == (path.startswith(("/debug", "/api/v1")) and path != "/api/v1/health"), path


@pytest.mark.parametrize(("verb", "path"), OPERATIONS)
def test_who_may_call_is_said(verb: str, path: str) -> None:
    operation = DOCUMENT["paths"][path][verb.lower()]
    scope = operation.get("x-bezant-scope")
    assert (scope is None) == (operation["security"] == []) == (path in ("/health", "/ib/health", "/api/v1/health"))
    refused = resolved(operation["responses"].get("401", {})).get("description", "")
    assert ("`unauthorized`" in refused) == (scope is not None)
    assert "a key of too narrow a scope" in resolved(operation["responses"]["403"])["description"]
    if scope is not None:
        assert f"Needs an API key of the scope `{scope}`" in operation["description"]


def examples() -> Iterator[tuple[str, Any, Any]]:
    for path, operations in DOCUMENT["paths"].items():
        for verb, operation in operations.items():
            where = f"{verb} {path}"
            for parameter in operation["parameters"]:
                each = resolved(parameter)
                if "example" in each:
                    yield f"{where} {each['name']}", each["schema"], each["example"]
            for response in (*operation["responses"].values(), operation.get("requestBody", {})):
                for media in resolved(response).get("content", {}).values():
                    shown = [media["example"]] if "example" in media else []
                    for example in (*shown, *(each["value"] for each in media.get("examples", {}).values())):
                        yield where, media["schema"], example


def resolved(reference: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in reference:
        return reference
    _, _, kind, name = reference["$ref"].split("/")
    found: dict[str, Any] = DOCUMENT["components"][kind][name]
    return found


def test_every_example_is_one_of_its_schema() -> None:
    found = list(examples())
    assert len(found) > 40
    for where, schema, example in found:
        whole = {**schema, "components": DOCUMENT["components"]}
        assert list(jsonschema_rs.Draft202012Validator(whole).iter_errors(example)) == [], where


def test_everything_that_has_a_name_is_used() -> None:
    text = json.dumps(DOCUMENT)
    for kind in ("schemas", "parameters", "headers", "responses"):
        assert [name for name in DOCUMENT["components"][kind] if f'"#/components/{kind}/{name}"' not in text] == []
    assert {
        name for scheme in DOCUMENT["components"]["securitySchemes"] if f'"{(name := scheme)}": []' not in text
    } == set()


def test_it_is_what_the_contract_and_the_notes_make() -> None:
    assert openapi.render() == openapi.TARGET.read_text(encoding="utf-8")
