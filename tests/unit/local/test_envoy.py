from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from bezant_server import config
from bezant_server.local import envoy
from bezant_server.local.secrets import SecretFiles


@pytest.mark.parametrize(("request_timeout", "idle"), [("30", 300), ("270", 300), ("900", 930)])
def test_envoy_waits_longer_than_the_server_for_an_answer(request_timeout: str, idle: float, tmp_path: Path) -> None:
    settings = config.load({"BEZANT_REQUEST_TIMEOUT_SECS": request_timeout})
    document = yaml.safe_load(envoy.render(settings, socket=tmp_path / "server.sock"))
    manager = document["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    assert float(manager["stream_idle_timeout"].removesuffix("s")) == idle


def _listeners(variables: dict[str, str], folder: Path) -> list[dict[str, Any]]:
    document = yaml.safe_load(envoy.render(config.load(variables), socket=folder / "server.sock"))
    listeners = document["static_resources"]["listeners"]
    assert isinstance(listeners, list)
    return listeners


def _manager(listener: dict[str, Any]) -> dict[str, Any]:
    manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
    assert isinstance(manager, dict)
    return manager


def test_historical_data_has_no_port_of_its_own_unless_it_is_given_one(tmp_path: Path) -> None:
    assert [listener["name"] for listener in _listeners({}, tmp_path)] == ["public"]


@pytest.mark.parametrize("mutual", [False, True])
def test_tls_is_of_the_public_listener_alone(mutual: bool, tmp_path: Path) -> None:
    secrets = SecretFiles(tmp_path / "certificate.json", tmp_path / "client_ca.json" if mutual else None)
    settings = config.load({"IB_SERVER_PORT": "3001"})
    document = yaml.safe_load(envoy.render(settings, socket=tmp_path / "server.sock", tls=secrets))
    public, historical = document["static_resources"]["listeners"]

    assert "transport_socket" not in historical["filter_chains"][0]
    tls = public["filter_chains"][0]["transport_socket"]["typed_config"]
    assert tls["require_client_certificate"] is mutual
    common = tls["common_tls_context"]
    assert common["alpn_protocols"] == ["h2", "http/1.1"]
    (own,) = common["tls_certificate_sds_secret_configs"]
    assert own["sds_config"]["path_config_source"] == {"path": str(secrets.certificate)}
    assert ("validation_context_sds_secret_config" in common) is mutual


def test_the_port_of_historical_data_differs_in_its_address_and_its_routes_alone(tmp_path: Path) -> None:
    public, historical = _listeners(
        {
            "IB_SERVER_PORT": "3001",
            "BEZANT_BIND": "0.0.0.0:8080",
            "BEZANT_ALLOWED_HOSTS": "trader.lan",
            "BEZANT_CORS_ORIGINS": "https://mine.example",
            "BEZANT_MAX_REQUEST_BODY_BYTES": "12345",
            "BEZANT_RECEIVE_TIMEOUT_SECS": "7",
        },
        tmp_path,
    )

    assert (historical["name"], _manager(historical)["stat_prefix"]) == ("historical", "historical")
    assert historical["address"] == {"socket_address": {"address": "127.0.0.1", "port_value": 3001}}
    routes = _manager(historical)["route_config"]["virtual_hosts"][0]["routes"]
    assert [route["match"]["prefix"] for route in routes if "route" in route] == ["/ib/"]
    assert routes[-1] == {"match": {"prefix": "/"}, "direct_response": {"status": 404}}
    (transcoder,) = (each for each in _manager(historical)["http_filters"] if each["name"].endswith("transcoder"))
    assert transcoder["typed_config"].pop("match_incoming_request_route") is True
    for listener in (public, historical):
        manager = _manager(listener)
        del listener["name"], listener["address"], manager["stat_prefix"], manager["route_config"]["name"]
        del manager["route_config"]["virtual_hosts"][0]["routes"]
    assert historical == public
