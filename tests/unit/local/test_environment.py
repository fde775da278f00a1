from __future__ import annotations

from pathlib import Path

import pytest

from bezant_server import config
from bezant_server.local import environment


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {
            "IBKR_GATEWAY_URL": "https://[::1]:5000/v1/portal",
            "BEZANT_BIND": "[::1]:8081",
            "BEZANT_ALLOWED_HOSTS": "one.example, two.example",
            "BEZANT_CA_FILE": "/etc/ca.pem",
            "BEZANT_DEBUG_TOKEN": "open-sesame",
            "BEZANT_VERIFY_TLS": "true",
            "BEZANT_KEEPALIVE_SECS": "0.125",
            "BEZANT_EVENTS_ORDERS_CAP": "17",
        },
    ],
)
def test_a_child_reads_the_very_same_configuration(
    given: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = config.load(given)
    for name, value in environment.with_settings(settings).items():
        monkeypatch.setenv(name, value)
    # What a file says counts for the supervisor, whose word the environment is.
    (tmp_path / ".env").write_text("BEZANT_CA_FILE=/elsewhere.pem\nBEZANT_KEEPALIVE_SECS=7\n")

    assert config.load() == settings


def test_other_programs_get_nothing_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BEZANT_DEBUG_TOKEN", "open-sesame")
    monkeypatch.setenv("IBKR_GATEWAY_URL", "https://localhost:5000")
    monkeypatch.setenv("TZ", "UTC")

    passed = environment.without_settings()

    assert passed["TZ"] == "UTC"
    assert not {"BEZANT_DEBUG_TOKEN", "IBKR_GATEWAY_URL"} & passed.keys()
