"""Which configurations start: beyond this machine not without keys, with TLS not without what belongs to it."""

from __future__ import annotations

import contextlib
import http.client
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from bezant_server.keys.file import KeyFile
from tests.support.certificates import Authority
from tests.support.stack import Stack, environment, start_stack

_SECS = 60.0
_HERE = {"BEZANT_BIND": "127.0.0.1:0", "BEZANT_GRPC_BIND": "127.0.0.1:0"}
_EVERYWHERE = {"BEZANT_BIND": "0.0.0.0:0", "BEZANT_GRPC_BIND": "127.0.0.1:0"}


def refusal(command: str, folder: Path, variables: Mapping[str, str], *flags: str) -> str:
    """What a start that is refused says."""
    given = {"BEZANT_API_KEYS_PATH": str(folder / "api-keys.json"), "BEZANT_STATE_DB_PATH": str(folder / "state.db")}
    done = subprocess.run(
        [sys.executable, "-m", "bezant_server.cli", command, *flags],
        cwd=folder,
        env=environment({**_HERE, **given, **variables}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_SECS,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert done.stderr.startswith("bezant: ")
    assert done.stderr.count("\n") == 1
    return done.stderr


@pytest.mark.parametrize("command", ["serve", "up"])
@pytest.mark.parametrize(("variable", "address"), [("BEZANT_BIND", "0.0.0.0"), ("BEZANT_GRPC_BIND", "[::]")])
def test_beyond_this_machine_without_keys_is_refused(command: str, variable: str, address: str, tmp_path: Path) -> None:
    said = refusal(command, tmp_path, {variable: f"{address}:0"})
    assert f"{variable}={address}:" in said
    assert "bezant keys add NAME" in said
    assert "BEZANT_INSECURE=true" in said
    assert not list(tmp_path.iterdir())


def test_a_file_of_no_keys_is_as_good_as_none(tmp_path: Path) -> None:
    (tmp_path / "api-keys.json").write_text("{}")
    assert "bezant keys add NAME" in refusal("serve", tmp_path, _EVERYWHERE | {"BEZANT_REQUIRE_KEYS": "true"})
    (tmp_path / "api-keys.json").write_text("{")
    assert refusal("up", tmp_path, _EVERYWHERE).startswith("bezant: BEZANT_API_KEYS_PATH: ")


@pytest.mark.parametrize("command", ["serve", "up"])
def test_tls_that_cannot_be_is_refused_with_the_variable(command: str, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    (certificate, _), (_, another) = authority.issue("server"), authority.issue("another")
    half = {"BEZANT_TLS_CERT": str(certificate)}
    assert refusal(command, tmp_path, half).startswith("bezant: BEZANT_TLS_KEY: ")
    mixed = half | {"BEZANT_TLS_KEY": str(another)}
    assert refusal(command, tmp_path, mixed).startswith("bezant: BEZANT_TLS_CERT, BEZANT_TLS_KEY: ")


@contextlib.contextmanager
def _everywhere(folder: Path, *, paper: bool = False, **variables: str) -> Iterator[Stack]:
    gateway = None if paper else "https://127.0.0.1:1"
    with start_stack(folder, env={**_EVERYWHERE, **variables}, paper=paper, gateway_url=gateway) as stack:
        yield stack


def _status(stack: Stack, path: str, **headers: str) -> tuple[int, str]:
    """Status and code of an answer."""
    place = urlsplit(stack.rest_url)
    with contextlib.closing(http.client.HTTPConnection(place.netloc, timeout=_SECS)) as connection:
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        return response.status, json.load(response).get("code", "")


def test_with_keys_it_starts_and_every_call_needs_one(tmp_path: Path) -> None:
    path = tmp_path / "own-keys.json"
    key = KeyFile(path).add("alice")
    with _everywhere(tmp_path, BEZANT_API_KEYS_PATH=str(path)) as stack:
        assert _status(stack, "/events/_status") == (401, "unauthorized")
        assert _status(stack, "/events/_status", **{"X-API-Key": key}) == (503, "events_disabled")
        assert "can be read on its way, keys included" in stack.output
        assert "BEZANT_INSECURE" not in stack.output
        assert f"curl -H 'X-API-Key: KEY' {stack.rest_url}/accounts" in stack.output
        assert key not in stack.output + stack.log


def test_something_else_may_guard_the_port(tmp_path: Path) -> None:
    with _everywhere(tmp_path, BEZANT_INSECURE="true") as stack:
        assert _status(stack, "/events/_status") == (503, "events_disabled")
        for told in (stack.output, stack.log):
            assert "whoever reaches BEZANT_BIND=0.0.0.0:" in told
            assert "can trade, unless something else guards the port" in told


def test_the_paper_gateway_brings_its_key_along(tmp_path: Path) -> None:
    with _everywhere(tmp_path, paper=True) as stack:
        assert stack.api_key is not None
        assert _status(stack, "/events/_status") == (401, "unauthorized")
        assert _status(stack, "/events/_status", **{"X-API-Key": stack.api_key}) == (200, "")


def test_here_nothing_is_forced_and_nothing_is_said(tmp_path: Path) -> None:
    with start_stack(tmp_path, paper=False, gateway_url="https://127.0.0.1:1") as stack:
        assert _status(stack, "/events/_status") == (503, "events_disabled")
        assert "BEZANT_INSECURE" not in stack.output + stack.log
