"""`bezant keys` as an operator runs it."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from bezant_server.keys.file import KeyFile
from bezant_server.keys.keyring import Client, KeyRing
from bezant_server.keys.scopes import Scope
from tests.support.stack import environment

_SECS = 60.0
_KEY = re.compile(r"bz_[A-Za-z0-9_-]{43}\n")


class Operator:
    """Runs commands in a folder, with the file of keys in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "config" / "api-keys.json"
        self.keys = KeyFile(self.path)

    def start(self, *arguments: str, **variables: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "bezant_server.cli", "keys", *arguments],
            cwd=self.folder,
            env=environment({"BEZANT_API_KEYS_PATH": str(self.path), **variables}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, **variables: str) -> tuple[int, str, str]:
        """Exit status, standard output, standard error."""
        return ended(self.start(*arguments, **variables))


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    with process:
        output, errors = process.communicate(timeout=_SECS)
    assert "Traceback" not in errors
    return process.returncode, output, errors


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    return Operator(tmp_path)


def test_a_new_key_is_printed_alone_and_works(operator: Operator) -> None:
    status, output, errors = operator.run("add", "alice")
    assert status == 0
    assert _KEY.fullmatch(output)
    assert str(operator.path) in errors
    assert output.strip() not in errors
    key = output.strip()
    assert KeyRing(operator.path).client(key) == Client("alice", Scope.TRADE)
    assert json.loads(operator.path.read_text()) == {"alice": hashlib.sha256(key.encode()).hexdigest()}


@pytest.mark.parametrize("scope", Scope, ids=lambda scope: scope.word)
def test_a_key_is_made_for_a_scope(scope: Scope, operator: Operator) -> None:
    key = operator.run("add", "alice", "--scope", scope.word)[1].strip()
    assert KeyRing(operator.path).client(key) == Client("alice", scope)
    digest = hashlib.sha256(key.encode()).hexdigest()
    spelled = digest if scope is Scope.TRADE else {"sha256": digest, "scope": scope.word}
    assert json.loads(operator.path.read_text()) == {"alice": spelled}


@pytest.mark.parametrize("scope", ["", "READ"])
def test_what_is_no_scope_is_refused(scope: str, operator: Operator) -> None:
    status, output, errors = operator.run("add", "alice", "--scope", scope)
    assert (status, output) == (2, "")
    assert "--scope" in errors
    assert not operator.path.parent.exists()


def test_the_file_and_its_new_directory_are_this_users_alone(operator: Operator) -> None:
    assert operator.run("add", "alice")[0] == 0
    operator.keys.add("bob")
    assert operator.path.stat().st_mode & 0o777 == 0o600
    assert operator.path.parent.stat().st_mode & 0o777 == 0o700
    assert all(file.stat().st_mode & 0o077 == 0 for file in operator.path.parent.iterdir())


def test_the_clients_are_listed_one_a_line(operator: Operator) -> None:
    assert operator.run("list")[:2] == (0, "")
    assert not operator.path.parent.exists()
    for name, scope in (("bob", Scope.READ), ("alice", Scope.TRADE), ("0._-Z", Scope.ADMIN)):
        operator.keys.add(name, scope)
    status, output, errors = operator.run("list")
    assert (status, output) == (0, "0._-Z\tadmin\nalice\ttrade\nbob\tread\n")
    assert str(operator.path) in errors


def test_a_name_is_given_once(operator: Operator) -> None:
    key = operator.keys.add("alice")
    status, output, errors = operator.run("add", "alice")
    assert (status, output) == (2, "")
    assert errors.splitlines()[-1] == "bezant: there is a key of alice already: for a new one, remove that first"
    assert KeyRing(operator.path).client(key) == Client("alice", Scope.TRADE)


def test_what_is_no_name_is_refused(operator: Operator) -> None:
    status, output, errors = operator.run("add", "a b")
    assert (status, output) == (2, "")
    assert "the name of a client is 1 to 64 of" in errors
    assert not operator.path.parent.exists()


def test_a_key_that_is_removed_is_nobodys(operator: Operator) -> None:
    alice, bob = map(operator.keys.add, ("alice", "bob"))
    ring = KeyRing(operator.path)
    assert ring.client(alice) == Client("alice", Scope.TRADE)
    assert operator.run("remove", "alice")[:2] == (0, "")
    assert (ring.client(alice), ring.client(bob)) == (None, Client("bob", Scope.TRADE))
    assert operator.keys.scopes() == {"bob": Scope.TRADE}
    assert operator.keys.add("alice") != alice


def test_what_is_not_there_cannot_be_removed(operator: Operator) -> None:
    for _ in range(2):
        status, output, errors = operator.run("remove", "alice")
        assert (status, output) == (2, "")
        assert errors.splitlines()[-1] == "bezant: there is no key of 'alice'"
        if "bob" not in operator.keys.scopes():
            operator.keys.add("bob")


@pytest.mark.parametrize("command", [["add", "bob"], ["list"], ["remove", "alice"]])
def test_a_malformed_file_is_left_as_it_is(command: list[str], operator: Operator) -> None:
    operator.path.parent.mkdir()
    operator.path.write_text('{"alice": "not-a-digest"}')
    status, output, errors = operator.run(*command)
    assert (status, output) == (2, "")
    assert f"{operator.path} is malformed: what stands for client 1 is no SHA-256" in errors
    assert "not-a-digest" not in errors
    assert operator.path.read_text() == '{"alice": "not-a-digest"}'


def test_a_file_that_cannot_be_used_is_named(operator: Operator) -> None:
    operator.path.parent.touch()
    status, output, errors = operator.run("list")
    assert (status, output) == (2, "")
    assert f"{operator.path} cannot be used: " in errors


def test_the_file_is_found_as_every_setting_is(operator: Operator) -> None:
    folder = operator.folder
    variables = environment({"HOME": str(folder)})

    def add(*arguments: str, **given: str) -> None:
        command = [sys.executable, "-m", "bezant_server.cli", "keys", "add", *arguments]
        subprocess.run(command, cwd=folder, env=variables | given, check=True, capture_output=True, timeout=_SECS)

    add("by-default")
    (folder / ".env").write_text("BEZANT_API_KEYS_PATH=dotenv.json\n")
    add("by-dotenv")
    add("by-variable", BEZANT_API_KEYS_PATH="~/variable.json")
    add("by-flag", "--api-keys-path", "flag.json", BEZANT_API_KEYS_PATH="~/variable.json")

    files = (".config/bezant/api-keys.json", "dotenv.json", "variable.json", "flag.json")
    clients = [list(json.loads((folder / file).read_text())) for file in files]
    assert clients == [["by-default"], ["by-dotenv"], ["by-variable"], ["by-flag"]]
