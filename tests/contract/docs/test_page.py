"""/docs: the page, the document, and what the page loads."""

from __future__ import annotations

import json
import re

import grpc.aio
import pytest
from google.api.httpbody_pb2 import HttpBody

from bezant.v1 import docs_service_pb2 as pb
from bezant.v1 import docs_service_pb2_grpc
from tests.contract.rest.checks import assert_clean, assert_envelope
from tests.support.edge import Edge
from tests.support.scripted_gateway import ScriptedGateway

FILES = {
    "/docs": "text/html; charset=utf-8",
    "/docs/": "text/html; charset=utf-8",
    "/docs/openapi.json": "application/json",
    "/docs/page.js": "text/javascript; charset=utf-8",
    "/docs/swagger-ui-bundle.js": "text/javascript; charset=utf-8",
    "/docs/swagger-ui.css": "text/css; charset=utf-8",
}


@pytest.mark.parametrize(("path", "content_type"), FILES.items())
def test_a_file(edge: Edge, gateway: ScriptedGateway, path: str, content_type: str) -> None:
    answer = edge.get(path)
    assert (answer.status, answer.header("content-type")) == (200, content_type)
    assert answer.header("content-length") == str(len(answer.body))
    assert len(answer.body) > 100
    assert answer.header("x-content-type-options") == "nosniff"
    assert answer.header("cache-control") == "no-cache"
    assert_clean(answer)
    assert gateway.arrivals == []


@pytest.mark.parametrize("path", FILES)
def test_what_a_browser_has_is_not_sent_again(edge: Edge, path: str) -> None:
    etag = edge.get(path).header("etag") or ""
    assert re.fullmatch('"[0-9a-f]{32}"', etag)
    for given in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        held = edge.get(path, headers=[("If-None-Match", given)])
        assert (held.status, held.body, held.header("etag")) == (304, b"", etag)
        assert "content-type" not in held.names()
    assert edge.get(path, headers=[("If-None-Match", '"other"')]).status == 200


@pytest.mark.parametrize("path", FILES)
def test_head_tells_the_same_without_the_body(edge: Edge, path: str) -> None:
    got, head = edge.get(path), edge.send("HEAD", path)
    assert (head.status, head.body) == (200, b"")
    for name in ("content-type", "content-length", "etag", "content-security-policy"):
        assert head.header(name) == got.header(name)


def test_nothing_is_loaded_from_elsewhere(edge: Edge) -> None:
    page = edge.get("/docs")
    policy = dict(part.strip().split(" ", 1) for part in (page.header("content-security-policy") or "").split(";"))
    assert policy.pop("default-src") == "'none'"
    assert set(policy.values()) <= {"'none'", "'self'", "'self' data:"}
    loaded = re.findall(r'(?:src|href)="([^"]*)"', page.body.decode())
    assert {link for link in loaded if not link.startswith("data:")} <= FILES.keys()


def test_the_document_is_of_openapi(edge: Edge) -> None:
    document = json.loads(edge.get("/docs/openapi.json").body)
    assert document["openapi"] == "3.1.0"
    assert "/accounts/{account_id}/orders" in document["paths"]


@pytest.mark.parametrize("path", ["/docs/page.html", "/docs/nothing", "/docs/a/b", "/docs/..%2fapp.py", "/docs/%2e%2e"])
def test_there_is_no_other_file(edge: Edge, gateway: ScriptedGateway, path: str) -> None:
    assert_envelope(edge.get(path), 404, "not_found")
    assert gateway.arrivals == []


@pytest.mark.parametrize("path", ["/docs", "/docs/openapi.json"])
def test_they_take_no_other_method(edge: Edge, path: str) -> None:
    answer = edge.post(path, b"{}")
    assert_envelope(answer, 405, "method_not_allowed")
    assert answer.header("allow") == "GET, HEAD"


async def test_a_grpc_caller_gets_the_document(edge: Edge) -> None:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{edge.grpc_port}") as channel:
        docs: docs_service_pb2_grpc.DocsServiceAsyncStub = docs_service_pb2_grpc.DocsServiceStub(channel)
        answer: HttpBody = await docs.GetOpenApi(pb.DocsServiceGetOpenApiRequest())
        script: HttpBody = await docs.GetAsset(pb.DocsServiceGetAssetRequest(name="page.js"))
    assert answer.content_type == "application/json"
    assert json.loads(answer.data)["openapi"] == "3.1.0"
    assert script.content_type == "text/javascript; charset=utf-8"
