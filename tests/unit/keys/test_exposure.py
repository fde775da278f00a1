"""Who can reach the addresses of a configuration, and what that asks of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from bezant_server import config
from bezant_server.keys import exposure
from bezant_server.keys.file import KeyFile


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def settings(folder: Path, **variables: str) -> config.Settings:
    return config.load({"BEZANT_API_KEYS_PATH": str(folder / "api-keys.json"), **variables})


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "[::1]", "localhost"])
def test_loopback_is_this_machine(host: str, tmp_path: Path) -> None:
    here = settings(tmp_path, BEZANT_BIND=f"{host}:0", BEZANT_GRPC_BIND=f"{host}:0")
    assert exposure.beyond_loopback(here) == []
    assert exposure.guarded(here) == here
    assert exposure.warnings(here) == []


@pytest.mark.parametrize("host", ["0.0.0.0", "[::]", "192.0.2.1", "[2001:db8::1]", "[::ffff:192.0.2.1]"])
@pytest.mark.parametrize("variable", ["BEZANT_BIND", "BEZANT_GRPC_BIND"])
def test_everything_else_is_beyond(host: str, variable: str, tmp_path: Path) -> None:
    there = settings(tmp_path, **{variable: f"{host}:81"})
    assert exposure.beyond_loopback(there) == [f"{variable}={host}:81"]
    with pytest.raises(config.ConfigError, match=r"bezant keys add NAME.*BEZANT_INSECURE=true"):
        exposure.guarded(there)

    KeyFile(there.api_keys_path).add("alice")
    assert exposure.guarded(there).require_keys is True
    assert [line for line in exposure.warnings(exposure.guarded(there)) if "BEZANT_INSECURE" in line] == []


@pytest.mark.parametrize("insecure", ["true", "false"])
def test_a_name_that_cannot_be_resolved_may_be_anywhere_a_moment_later(insecure: str, tmp_path: Path) -> None:
    there = settings(tmp_path, BEZANT_GRPC_BIND="nowhere.invalid:82", BEZANT_INSECURE=insecure)
    with pytest.raises(config.ConfigError, match=r"^BEZANT_GRPC_BIND: nowhere\.invalid cannot be resolved: "):
        exposure.guarded(there)


@pytest.mark.parametrize("required", ["true", "false"])
def test_insecure_forces_nothing_and_keeps_what_was_asked_for(required: str, tmp_path: Path) -> None:
    there = settings(tmp_path, BEZANT_BIND="0.0.0.0:81", BEZANT_INSECURE="true", BEZANT_REQUIRE_KEYS=required)
    assert exposure.guarded(there) == there
    told = any("can trade" in line for line in exposure.warnings(there))
    assert told is (required == "false")


def test_both_addresses_are_named(tmp_path: Path) -> None:
    there = settings(tmp_path, BEZANT_BIND="0.0.0.0:81", BEZANT_GRPC_BIND="[::]:82", BEZANT_INSECURE="true")
    for line in exposure.warnings(there):
        assert "BEZANT_BIND=0.0.0.0:81, BEZANT_GRPC_BIND=[::]:82" in line


def test_with_tls_nothing_can_be_read_on_its_way(tmp_path: Path) -> None:
    open_ = {"BEZANT_BIND": "0.0.0.0:81", "BEZANT_REQUIRE_KEYS": "true"}
    (line,) = exposure.warnings(settings(tmp_path, **open_))
    assert line.startswith("without BEZANT_TLS_CERT")
    assert exposure.warnings(settings(tmp_path, **open_, BEZANT_TLS_CERT="/a", BEZANT_TLS_KEY="/b")) == []
