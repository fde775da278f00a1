"""The file of keys, as it is changed."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bezant_server.keys.file import KeyFile, KeysError
from bezant_server.keys.keyring import Client, KeyRing
from bezant_server.keys.scopes import Scope


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "config" / "api-keys.json"


def test_whoever_is_changed_beside_it_an_entry_stays_what_it_was(path: Path) -> None:
    keys = KeyFile(path)
    held = {scope.word: keys.add(scope.word, scope) for scope in Scope}
    entries = json.loads(path.read_text())
    keys.add("bob")
    keys.remove("bob")
    assert json.loads(path.read_text()) == entries
    ring = KeyRing(path)
    assert [ring.client(key) for key in held.values()] == [Client(scope.word, scope) for scope in Scope]


@pytest.mark.parametrize("name", ["", "a b", "a" * 65, "ü", "a\n", "../a", "a:b"])
def test_what_is_no_name_is_refused(name: str, path: Path) -> None:
    with pytest.raises(KeysError, match="the name of a client is 1 to 64 of"):
        KeyFile(path).add(name)
    assert not path.parent.exists()


@pytest.mark.parametrize("change", [KeyFile.scopes, lambda keys: keys.add("bob"), lambda keys: keys.remove("alice")])
def test_a_file_that_cannot_be_used_is_named(change: Callable[[KeyFile], object], path: Path) -> None:
    path.parent.touch()
    with pytest.raises(KeysError, match=f"{path} cannot be used: "):
        change(KeyFile(path))


def test_keys_that_are_added_at_once_are_all_there(path: Path) -> None:
    names = [f"client-{number}" for number in range(40)]
    with ThreadPoolExecutor(len(names)) as pool:
        keys = list(pool.map(lambda name: KeyFile(path).add(name), names))
    ring = KeyRing(path)
    assert [ring.client(key) for key in keys] == [Client(name, Scope.TRADE) for name in names]
    assert not [file.name for file in path.parent.iterdir() if file.name.startswith(".")]


def test_one_name_that_is_added_by_several_at_once_gets_one_key(path: Path) -> None:
    def add(number: int) -> str:
        del number
        try:
            return KeyFile(path).add("alice")
        except KeysError:
            return ""

    with ThreadPoolExecutor(20) as pool:
        (key,) = filter(None, pool.map(add, range(20)))
    assert KeyRing(path).client(key) == Client("alice", Scope.TRADE)


def test_a_symbolic_link_stays_one(path: Path) -> None:
    target = path.parent.parent / "elsewhere" / "keys.json"
    path.parent.mkdir()
    path.symlink_to(target)
    key = KeyFile(path).add("alice")
    assert path.is_symlink()
    assert target.is_file()
    assert KeyRing(path).client(key) == Client("alice", Scope.TRADE)
