"""The commands of the tours, run as they stand in docs/, against what they say they run against."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.contract.grpc_surface.test_grpcurl import grpcurl
from tests.support.certificates import Authority
from tests.support.stack import Stack, start_stack
from tests.support.typed import typed_server

ROOT = Path(__file__).parents[3]
BUF = Path(sys.executable).parent / "buf"
GRPCURL_PAGE = ROOT / "docs" / "typed-api.md"
BUF_PAGE = ROOT / "docs" / "tour.md"

__all__ = ["grpcurl"]


class Step(NamedTuple):
    """A command of a page, and the output that the page shows below it."""

    command: str
    shown: str


def steps(page: Path) -> list[Step]:
    blocks = re.findall(r"(?:^ {4}.*\n)+", page.read_text(encoding="utf-8"), re.MULTILINE)
    lines = "".join(re.sub("^ {4}", "", block, flags=re.MULTILINE) for block in blocks)
    return [Step(*each.partition("\n")[::2]) for each in re.split(r"^\$ ", lines, flags=re.MULTILINE)[1:]]


def run(program: Path, command: str, addresses: Mapping[str, str], folder: Path = ROOT) -> tuple[int, str]:
    """The exit status and the output of a command whose documented addresses and names are replaced by real ones."""
    for documented, real in addresses.items():
        command = command.replace(documented, real)
    words = [str(program), *shlex.split(command)[1:]]
    done = subprocess.run(
        words, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, check=False
    )
    return done.returncode, done.stdout


def assert_shown(step: Step, status: int, output: str) -> None:
    pattern = "".join(
        "(?:.*\n)*?" if line.strip() == "…" else re.escape(line).replace("…", ".*") + "\n"
        for line in step.shown.strip().split("\n")
    )
    assert re.fullmatch(pattern, output.strip() + "\n"), f"{step.command}\n{output}"
    assert (status != 0) == ('"code":' in step.shown or "--timeout" in step.command), f"{step.command}\n{status}"


@pytest.mark.go
@pytest.mark.timeout(600)
def test_every_command_of_the_grpcurl_tour_works(grpcurl: Path, tmp_path: Path) -> None:
    commands = [step.command for step in steps(GRPCURL_PAGE)]
    assert len(commands) > 5
    with typed_server(tmp_path) as server:
        for command in commands:
            status, output = run(grpcurl, command, {"127.0.0.1:50051": server.target})
            left = "-max-time" in command and "DeadlineExceeded" in output
            assert status == 0 or left, f"{command}\n{output}"
            assert "{" in output


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    with start_stack(tmp_path) as running:
        yield running


def test_every_command_of_the_buf_tour_shows_what_the_page_shows(stack: Stack) -> None:
    plain = [step for step in steps(BUF_PAGE) if "https://" not in step.command]
    assert len(plain) > 5
    assert stack.api_key is not None
    addresses = {
        "127.0.0.1:50051": stack.grpc_target,
        "http://127.0.0.1:8080": stack.rest_url,
        "bz_…": stack.api_key,
    }
    for step in plain:
        assert_shown(step, *run(BUF, step.command, addresses))


def test_the_command_with_certificates_reaches_a_server_that_asks_for_them(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    certificate, key = authority.issue("server")
    authority.issue("me")
    variables = {
        "BEZANT_TLS_CERT": str(certificate),
        "BEZANT_TLS_KEY": str(key),
        "BEZANT_TLS_CLIENT_CA": str(authority.ca_file),
        "BEZANT_REQUIRE_KEYS": "true",
    }
    (step,) = [step for step in steps(BUF_PAGE) if "https://" in step.command]
    with start_stack(tmp_path, env=variables) as stack:
        assert stack.api_key is not None
        addresses = {"localhost:50051": f"localhost:{stack.grpc_target.rpartition(':')[2]}", "bz_…": stack.api_key}
        assert_shown(step, *run(BUF, step.command, addresses, tmp_path))
        status, output = run(BUF, step.command, {**addresses, "--reflect-header '*'": ""}, tmp_path)
        assert status != 0
        assert "failed to find service" in output
