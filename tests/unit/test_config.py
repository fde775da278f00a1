"""The configuration: where each variable may stand, which wins, and what a wrong value does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import time
from pathlib import Path
from typing import get_args
from zoneinfo import ZoneInfo

import pytest
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from bezant_server import cli, config
from bezant_server.addresses import BindAddress, GatewayUrl
from bezant_server.maintenance import Window
from scripts import document_configuration

FIELDS = config.Settings.model_fields
VARIABLES = {config.variable_name(field): name for name, field in FIELDS.items()}
SECRETS = [config.variable_name(field) for field in FIELDS.values() if config.is_secret(field)]


SAMPLES: dict[str, tuple[str, object]] = {
    "confirm_message_ids": ("o163, p12", ("o163", "p12")),
    "cors_origins": ("https://a.example, http://b:3000", ("https://a.example", "http://b:3000")),
    "default_account": ("DU1234567", "DU1234567"),
    "failpoint": ("batch:stored", "batch:stored"),
    "ib_client_id": ("7", 7),
    "ib_host": ("10.0.0.1", "10.0.0.1"),
    "ib_port": ("7497", "7497"),
    "ib_server_port": ("3001", 3001),
}
"""Of fields whose default does not tell what they take."""


def sample(field: FieldInfo) -> tuple[str, object]:
    """A value that is not the default: as an operator writes it, and as the program sees it."""
    if (named := SAMPLES.get(VARIABLES[config.variable_name(field)])) is not None:
        return named
    default = field.default
    if config.is_secret(field):
        return "a-secret", SecretStr("a-secret")
    match default:
        case bool():
            return str(not default).lower(), not default
        case int():
            return str(default + 1), default + 1
        case float():
            return f"{default + 0.5}", default + 0.5
        case BindAddress():
            return "[::1]:81", BindAddress("::1", 81)
        case GatewayUrl():
            return "https://gateway.example:5001/v1/api", GatewayUrl("https", "gateway.example:5001", "/v1/api")
        case (Window(), *_):
            return "Sun 12:30-13:00,23:00-01:00", (Window(6, time(12, 30), time(13)), Window(None, time(23), time(1)))
        case ZoneInfo():
            return "Europe/Zurich", ZoneInfo("Europe/Zurich")
        case tuple():
            return "one, two ,,three", ("one", "two", "three")
        case str():
            other = next(choice for choice in get_args(field.annotation) if choice != default)
            return other, other
        case None | Path():
            return "/tmp/some/file", Path("/tmp/some/file")
    raise AssertionError(f"a default of a new kind: {default!r}")


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.upper().startswith(("BEZANT_", "IBKR_", "IB_")):
            monkeypatch.delenv(name)


@pytest.mark.parametrize("variable", VARIABLES)
def test_from_the_environment(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text, value = sample(FIELDS[VARIABLES[variable]])
    monkeypatch.setenv(variable, text)
    assert getattr(config.load(), VARIABLES[variable]) == value


@pytest.mark.parametrize("variable", VARIABLES)
def test_from_a_dotenv_file(variable: str) -> None:
    text, value = sample(FIELDS[VARIABLES[variable]])
    Path(".env").write_text(f"{variable}={text}\nSOMETHING_ELSE=1\n", encoding="utf-8")
    assert getattr(config.load(), VARIABLES[variable]) == value


@pytest.mark.parametrize("variable", VARIABLES)
@pytest.mark.parametrize("command", ["serve", "up"])
def test_from_a_flag(variable: str, command: str) -> None:
    text, value = sample(FIELDS[VARIABLES[variable]])
    parsed = cli.command_line().parse_args([command, cli.flag_name(variable), text])
    assert getattr(cli.settings_from_flags(parsed), VARIABLES[variable]) == value


def test_a_flag_wins_over_the_environment_and_that_over_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("BEZANT_KEEPALIVE_SECS=1\n", encoding="utf-8")
    assert config.load().keepalive_secs == 1
    monkeypatch.setenv("BEZANT_KEEPALIVE_SECS", "2")
    assert config.load().keepalive_secs == 2
    assert config.load({"BEZANT_KEEPALIVE_SECS": "3"}).keepalive_secs == 3


def test_the_defaults_that_are_promised() -> None:
    settings = config.load()
    assert str(settings.gateway_url) == "https://localhost:5000/v1/api"
    assert str(settings.bind) == "127.0.0.1:8080"
    assert str(settings.grpc_bind) == "127.0.0.1:50051"
    assert (settings.connect_timeout_secs, settings.request_timeout_secs, settings.keepalive_secs) == (10, 30, 60)
    assert settings.verify_tls is False
    assert settings.debug_token is None
    assert settings.events_enabled is False
    assert settings.events_db_path is None
    assert (settings.events_orders_cap, settings.events_pnl_cap, settings.events_marketdata_cap) == (1000, 5000, 2000)


@pytest.mark.parametrize("variable", SECRETS)
@pytest.mark.parametrize("place", ["environment", "file"])
def test_a_secret_from_a_file_of_its_own(variable: str, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("secret").write_text("from a file\n", encoding="utf-8")
    if place == "environment":
        monkeypatch.setenv(f"{variable}_FILE", "secret")
    else:
        Path(".env").write_text(f"{variable}_FILE=secret\n", encoding="utf-8")
    secret = getattr(config.load(), VARIABLES[variable])
    assert secret.get_secret_value() == "from a file"


@pytest.mark.parametrize("variable", SECRETS)
def test_a_secrets_file_that_cannot_be_read_is_named(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{variable}_FILE", "/nowhere/secret")
    with pytest.raises(config.ConfigError, match=f"{variable}_FILE.*/nowhere/secret"):
        config.load()


@pytest.mark.parametrize("variable", SECRETS)
def test_a_blank_secret_is_none(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, "")
    assert getattr(config.load(), VARIABLES[variable]) is None


def test_no_secret_is_ever_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in SECRETS:
        monkeypatch.setenv(variable, "hunter2")
    assert "hunter2" not in f"{config.load()!r} {config.load()} {config.load().model_dump()}"


WRONG = {
    "IBKR_GATEWAY_URL": ["", "localhost:5000", "ftp://x", "https://", "https://u:p@x", "https://a..b", "https://x:0"],
    "BEZANT_BIND": ["", "8080", "127.0.0.1", "127.0.0.1:x", "::1:80", "h:65536", "h:-1", "h:²", "h:" + "9" * 5000],
    "BEZANT_GRPC_BIND": ["nonsense"],
    "BEZANT_LOG_LEVEL": ["LOUD", "", "debug "],
    "BEZANT_VERIFY_TLS": ["maybe", ""],
    "BEZANT_API_KEYS_PATH": ["", "."],
    "BEZANT_STATE_DB_PATH": [""],
    "IB_SERVER_PORT": ["-1", "65536", "x"],
    "BEZANT_KEEPALIVE_SECS": ["0", "-1", "nan", "inf", "1e999", "soon", ""],
    "BEZANT_MAX_CONNECTIONS": ["0", "-1", "1.5", "many"],
    "BEZANT_EVENTS_ENABLED": ["perhaps"],
    "BEZANT_MAINTENANCE_WINDOWS": ["noon", "12:00", "12:00-12:00", "24:00-01:00", "12:60-13:00", "Sol 01:00-02:00"],
    "BEZANT_MAINTENANCE_ZONE": ["", "Mars/Olympus", "../etc/passwd"],
}
WRONG_PAIRS = [(variable, text) for variable, texts in WRONG.items() for text in texts]


@pytest.mark.parametrize(("variable", "text"), WRONG_PAIRS)
def test_a_wrong_value_is_named(variable: str, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, text)
    with pytest.raises(config.ConfigError, match=f"^{variable}: ."):
        config.load()


def test_every_wrong_value_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BEZANT_BIND", "x")
    monkeypatch.setenv("BEZANT_KEEPALIVE_SECS", "x")
    with pytest.raises(config.ConfigError) as caught:
        config.load()
    assert [line.partition(":")[0] for line in str(caught.value).splitlines()] == [
        "BEZANT_BIND",
        "BEZANT_KEEPALIVE_SECS",
    ]


def test_a_wrong_secret_is_not_quoted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IBKR_GATEWAY_URL", "https://trader:hunter2@gateway.example")
    with pytest.raises(config.ConfigError) as caught:
        config.load()
    assert "hunter2" not in str(caught.value)


def bezant(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bezant_server.cli", *arguments],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("arguments", [["--help"], ["serve", "--help"]])
def test_the_help_lists_every_variable(arguments: list[str]) -> None:
    run = bezant(*arguments)
    assert (run.returncode, run.stderr) == (0, "")
    for variable in VARIABLES:
        wanted = variable if arguments == ["--help"] else cli.flag_name(variable)
        assert wanted in run.stdout.split() or f"{wanted}\n" in run.stdout


def test_the_help_tells_no_secret() -> None:
    assert "hunter2" not in bezant("--help", **dict.fromkeys(SECRETS, "hunter2")).stdout


REFUSALS = {
    "a wrong value": ({"BEZANT_KEEPALIVE_SECS": "soon"}, "BEZANT_KEEPALIVE_SECS"),
    "a wrong gateway": ({"IBKR_GATEWAY_URL": "localhost:5000"}, "IBKR_GATEWAY_URL"),
    "a secret's file": ({"BEZANT_DEBUG_TOKEN_FILE": "/nowhere"}, "BEZANT_DEBUG_TOKEN_FILE"),
    "no CA file": ({"BEZANT_VERIFY_TLS": "true", "BEZANT_CA_FILE": "/nowhere/ca.pem"}, "BEZANT_CA_FILE"),
    "a CA file of nonsense": ({"BEZANT_VERIFY_TLS": "true", "BEZANT_CA_FILE": __file__}, "BEZANT_CA_FILE"),
    "a failpoint": ({"BEZANT_FAILPOINT": "anywhere"}, "BEZANT_FAILPOINT"),
    "a socket nowhere": ({"BEZANT_ENVOY_SOCKET": "/nowhere/at/all.sock"}, "BEZANT_ENVOY_SOCKET"),
    "a socket's path too long": ({"BEZANT_ENVOY_SOCKET": "/tmp/" + "x" * 200}, "BEZANT_ENVOY_SOCKET"),
    "an address that is not ours": ({"BEZANT_GRPC_BIND": "192.0.2.1:50051"}, "BEZANT_GRPC_BIND"),
}


@pytest.mark.parametrize(("variables", "named"), REFUSALS.values(), ids=REFUSALS)
def test_a_start_that_cannot_succeed_is_refused_in_one_line(variables: dict[str, str], named: str) -> None:
    run = bezant("serve", **{"BEZANT_GRPC_BIND": "127.0.0.1:0", **variables})
    assert run.returncode == 2
    assert run.stderr.startswith("bezant: ")
    assert named in run.stderr
    assert "Traceback" not in run.stderr
    assert run.stdout == ""


@pytest.mark.parametrize(
    "variable",
    ["BEZANT_EVENTS_PRUNE_SECS", "BEZANT_EVENTS_RETENTION_ORDERS_DAYS", "BEZANT_MAX_REQUEST_BODY_BYTES"],
)
def test_what_no_timer_or_database_can_count_is_refused(variable: str) -> None:
    with pytest.raises(config.ConfigError, match=f"{variable}: .*less than or equal"):
        config.load({variable: str(10**12)})


def test_a_paths_tilde_is_the_home_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/somebody")
    settings = config.load()
    assert settings.api_keys_path == Path("/somebody/.config/bezant/api-keys.json")
    assert settings.state_db_path == Path("/somebody/.local/state/bezant/state.db")
    given = [variable for variable, name in VARIABLES.items() if variable.endswith(("_PATH", "_FILE", "_SOCKET"))]
    assert {"BEZANT_CA_FILE", "BEZANT_EVENTS_DB_PATH", "BEZANT_API_KEYS_PATH"} < set(given)
    settings = config.load(dict.fromkeys(given, "~/it"))
    assert {getattr(settings, VARIABLES[variable]) for variable in given} == {Path("/somebody/it")}


def test_a_failpoint_is_allowed_in_front_of_the_paper_gateway() -> None:
    variables = {"BEZANT_FAILPOINT": "anywhere", "BEZANT_VERIFY_TLS": "true", "BEZANT_CA_FILE": "/nowhere/ca.pem"}
    run = bezant("serve", "--paper", **variables)
    assert run.returncode == 2
    assert run.stderr.startswith("bezant: BEZANT_CA_FILE: ")


def test_what_has_no_effect_is_said_once() -> None:
    variables = {"IB_HOST": "10.0.0.1", "IB_PORT": "7497", "BEZANT_VERIFY_TLS": "true", "BEZANT_CA_FILE": "/nowhere"}
    lines = bezant("serve", **variables).stderr.splitlines()
    told = [json.loads(line) for line in lines if line.startswith("{")]
    assert [(line["level"], line["message"]) for line in told] == [
        ("WARNING", "IB_HOST has no effect: the gateway is IBKR_GATEWAY_URL"),
        ("WARNING", "IB_PORT has no effect: the gateway is IBKR_GATEWAY_URL"),
    ]


@pytest.mark.parametrize("command", ["serve", "up"])
def test_a_dotenv_file_that_is_no_text_is_refused_in_one_line(command: str) -> None:
    Path(".env").write_bytes(b"BEZANT_LOG_LEVEL=\xff\n")
    run = bezant(command)
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr.startswith("bezant: .env: ")
    assert run.stderr.count("\n") == 1


def test_a_file_in_the_sockets_place_is_not_deleted(tmp_path: Path) -> None:
    precious = tmp_path / "precious.txt"
    precious.write_text("keep me", encoding="utf-8")
    run = bezant("serve", "--grpc-bind", "127.0.0.1:0", "--envoy-socket", str(precious))
    assert run.returncode == 2
    assert "BEZANT_ENVOY_SOCKET" in run.stderr
    assert precious.read_text(encoding="utf-8") == "keep me"


def test_an_unknown_flag_is_refused() -> None:
    run = bezant("serve", "--no-such-flag")
    assert run.returncode == 2
    assert "--no-such-flag" in run.stderr


def test_the_documentation_is_fresh() -> None:
    assert document_configuration.TARGET.read_text(encoding="utf-8") == document_configuration.render()


@pytest.mark.parametrize("origins", ["foo", "*", "https://a.example/", "https://a.example, b", "null"])
def test_what_is_no_web_origin_is_refused(origins: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BEZANT_CORS_ORIGINS", origins)
    with pytest.raises(config.ConfigError, match=r"BEZANT_CORS_ORIGINS: '.*' is not a web origin"):
        config.load()
