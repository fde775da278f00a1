"""grpcurl against the public port: what a person types first."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.support.contract import described_services
from tests.support.edge import Edge
from tests.support.missing import tool
from tests.support.scripted_gateway import ScriptedGateway, json_answer

pytestmark = [pytest.mark.go, pytest.mark.timeout(600)]

VERSION = "v1.9.4"
CACHE = Path(__file__).parents[3] / ".venv" / "go"


@pytest.fixture(scope="session")
def grpcurl() -> Path:
    binary = CACHE / VERSION / "grpcurl"
    if binary.exists():
        return binary
    subprocess.run(
        [tool("go"), "install", f"github.com/fullstorydev/grpcurl/cmd/grpcurl@{VERSION}"],
        env={**os.environ, "GOBIN": str(binary.parent)},
        check=True,
        timeout=500,
    )
    return binary


def run(grpcurl: Path, *arguments: str) -> str:
    done = subprocess.run([grpcurl, "-plaintext", *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_lists_the_services(grpcurl: Path, edge: Edge) -> None:
    assert run(grpcurl, f"127.0.0.1:{edge.grpc_port}", "list").split() == [
        *sorted(described_services()),
        "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection",
    ]


def test_it_describes_a_service(grpcurl: Path, edge: Edge) -> None:
    described = run(grpcurl, f"127.0.0.1:{edge.grpc_port}", "describe", "bezant.v1.SidecarService")
    assert "rpc GetHealth ( .bezant.v1.SidecarServiceGetHealthRequest ) returns ( .google.api.HttpBody )" in described


def test_it_calls(grpcurl: Path, edge: Edge, gateway: ScriptedGateway) -> None:
    gateway.on("POST", "/v1/api/iserver/auth/status", json_answer({"authenticated": True}))
    answer = json.loads(run(grpcurl, f"127.0.0.1:{edge.grpc_port}", "bezant.v1.SidecarService/GetHealth"))
    assert answer["content_type"] == "application/json"


def test_it_calls_through_envoy(grpcurl: Path, edge: Edge, gateway: ScriptedGateway) -> None:
    gateway.on("POST", "/v1/api/iserver/auth/status", json_answer({"authenticated": True}))
    answer = json.loads(run(grpcurl, f"127.0.0.1:{edge.port}", "bezant.v1.SidecarService/GetHealth"))
    assert answer["content_type"] == "application/json"
