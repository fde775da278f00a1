"""What `bezant up` runs: which programs, with which flags and environment, and how to tell that each is ready."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from bezant_server import logs
from bezant_server.addresses import BindAddress, GatewayUrl
from bezant_server.certificates import CertificateError, CertificateStore
from bezant_server.config import ConfigError, Settings, tls_files, without_effect
from bezant_server.keys import exposure
from bezant_server.keys.file import KeyFile
from bezant_server.local import environment, envoy, ports, probe
from bezant_server.local.ports import Listener
from bezant_server.local.secrets import Secrets
from bezant_server.local.supervisor import Service

_START_SECS = 30.0
_STOP_SECS = 10.0
_CHECK_SECS = 2.0
_ENVOY_WORKERS = "2"
"""The one Python process behind it is busy long before two workers are."""

_PAPER_CLIENT = "paper"

_REACHED_AT = {"0.0.0.0": "127.0.0.1", "::": "::1"}


@dataclass(frozen=True, slots=True)
class PaperOptions:
    """How the paper gateway is started; see `bezant paper --help`."""

    bind: BindAddress
    control_bind: BindAddress
    seed: int | None
    logged_out: bool
    limits: bool


@dataclass(frozen=True, slots=True)
class PaperUrls:
    """Where the paper gateway is: its API, and its control endpoint."""

    api: str
    control: str


@dataclass(frozen=True, slots=True)
class Plan:
    """The programs, in the order of their start, and where callers find them.

    Attributes:
        services: the programs.
        settings: the configuration they run with.
        rest_url: Envoy's, without a slash at the end.
        grpc_target: the server's own gRPC address.
        ib_url: Envoy's on the port that serves /ib alone; None without one.
        paper: None without the paper gateway.
        api_key: one for target orders on the paper gateway; None when the operator has a file of keys.
        warnings: what of the configuration does nothing.
        exposure: what listening beyond this machine means; empty when it does not.
        beside: what the supervisor does while they run; each is given what takes a line for the log.
    """

    services: tuple[Service, ...]
    settings: Settings
    rest_url: str
    grpc_target: str
    ib_url: str | None
    paper: PaperUrls | None
    api_key: str | None = field(repr=False)
    warnings: tuple[str, ...]
    exposure: tuple[str, ...]
    beside: tuple[Callable[[Callable[[str], None]], Coroutine[Any, Any, None]], ...]


@contextmanager
def planned(settings: Settings, paper: PaperOptions | None, directory: Path) -> Iterator[Plan]:
    """The plan for a configuration; its addresses stay ours until the end.

    Args:
        settings: the configuration.
        paper: None to use the gateway of the configuration.
        directory: private to this run, and short enough for a socket.

    Raises:
        AddressError: an address cannot be listened on.
        ConfigError: callers from elsewhere would need keys and there are none, or the certificates cannot be used.
        KeysError: the API key of the paper gateway cannot be stored.
    """
    warnings = tuple(without_effect(settings))
    secrets = _secrets(settings, directory)
    listeners = [
        Listener("Envoy", settings.bind, "--bind (BEZANT_BIND)"),
        Listener("gRPC server", settings.grpc_bind, "--grpc-bind (BEZANT_GRPC_BIND)"),
    ]
    if settings.ib_server_port is not None:
        of_historical_data = BindAddress(envoy.LOOPBACK, settings.ib_server_port)
        listeners.append(Listener("Envoy, for /ib", of_historical_data, "--ib-server-port (IB_SERVER_PORT)"))
    if paper is not None:
        listeners += [
            Listener("paper gateway", paper.bind, "--paper-bind"),
            Listener("paper gateway's control endpoint", paper.control_bind, "--paper-control-bind"),
        ]
    socket = directory / "server.sock"
    with ports.settled(listeners) as (bind, grpc_bind, *further):
        ib_bind = further.pop(0) if settings.ib_server_port is not None else None
        # Envoy listens on numbers only; the name it was given as stays one of ours.
        names = {settings.bind.host} - {bind.host}
        settings = settings.model_copy(
            update={
                "bind": bind,
                "grpc_bind": grpc_bind,
                "envoy_socket": socket,
                # The server writes into a pipe; whether its lines end on a terminal is known here.
                "log_format": "text" if logs.is_text(settings.log_format, sys.stderr) else "json",
                "allowed_hosts": (*settings.allowed_hosts, *names),
                "ib_server_port": ib_bind and ib_bind.port,
                # Told here, once, and not by the server again.
                "ib_host": None,
                "ib_port": None,
            }
        )
        services: list[Service] = []
        urls = None
        api_key = None
        if paper is not None:
            paper_bind, control_bind = further
            authority = _reached_at(paper_bind)
            urls = PaperUrls(f"https://{authority}/v1/api", f"http://{_reached_at(control_bind)}")
            has_keys = "api_keys_path" in settings.model_fields_set
            settings = settings.model_copy(update=_of_paper(settings, authority, directory))
            if not has_keys:
                api_key = KeyFile(settings.api_keys_path).add(_PAPER_CLIENT)
            services.append(_paper(paper, paper_bind, control_bind, directory))
        settings = exposure.guarded(settings)
        services += [
            _server(settings, socket, on_paper=paper is not None),
            _envoy(settings, socket, directory, secrets),
        ]
        yield Plan(
            services=tuple(services),
            settings=settings,
            rest_url=f"{'http' if secrets is None else 'https'}://{_reached_at(bind)}",
            grpc_target=str(_reached_at(grpc_bind)),
            ib_url=f"http://{ib_bind}" if ib_bind else None,
            paper=urls,
            api_key=api_key,
            warnings=warnings,
            exposure=tuple(exposure.warnings(settings)),
            beside=() if secrets is None else (secrets.follow,),
        )


def _secrets(settings: Settings, directory: Path) -> Secrets | None:
    files = tls_files(settings)
    if files is None:
        return None
    try:
        return Secrets(CertificateStore(files), directory)
    except CertificateError as error:
        raise ConfigError(str(error)) from None


def _of_paper(settings: Settings, authority: BindAddress, directory: Path) -> dict[str, object]:
    """What differs on the paper gateway: where it is, whom its certificate is from, events to look at.

    Keys and orders are of this run alone, like the gateway, unless the operator says where to keep them.
    """
    private = {"api_keys_path": directory / "api-keys.json", "state_db_path": directory / "state.db"}
    return {
        **{name: path for name, path in private.items() if name not in settings.model_fields_set},
        "gateway_url": GatewayUrl("https", str(authority), "/v1/api"),
        "ca_file": _ca_file(directory),
        "events_enabled": settings.events_enabled or "events_enabled" not in settings.model_fields_set,
    }


def _paper(options: PaperOptions, bind: BindAddress, control_bind: BindAddress, directory: Path) -> Service:
    ready_file = directory / "paper.ready"
    command = [
        *(sys.executable, "-m", "bezant_server.paper"),
        *("--bind", str(bind), "--control-bind", str(control_bind)),
        *("--ready-file", str(ready_file), "--ca-file", str(_ca_file(directory))),
        *([] if options.seed is None else ["--seed", str(options.seed)]),
        *(["--logged-out"] if options.logged_out else []),
        *(["--limits"] if options.limits else []),
    ]

    async def healthy() -> bool:
        return ready_file.exists()

    return Service(
        name="paper",
        command=command,
        environment=environment.without_settings(),
        healthy=healthy,
        start_secs=_START_SECS,
        stop_secs=_STOP_SECS,
        stop_rank=2,
    )


def _server(settings: Settings, socket: Path, *, on_paper: bool) -> Service:
    async def healthy() -> bool:
        async with grpc.aio.insecure_channel(f"unix:{socket}") as channel:
            check = health_pb2_grpc.HealthStub(channel).Check  # type: ignore[attr-defined]  # the typing leaves it out
            try:
                answer = await check(health_pb2.HealthCheckRequest(), timeout=_CHECK_SECS)
            except grpc.aio.AioRpcError:
                return False
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)

    return Service(
        name="server",
        command=(sys.executable, "-m", "bezant_server.cli", "serve", *(["--paper"] if on_paper else [])),
        environment=environment.with_settings(settings),
        healthy=healthy,
        start_secs=_START_SECS,
        # Calls in flight get their grace, then the rest of the server its time to flush.
        stop_secs=settings.shutdown_grace_secs + _STOP_SECS,
        stop_rank=0,
    )


def _envoy(settings: Settings, socket: Path, directory: Path, secrets: Secrets | None) -> Service:
    configuration = directory / "envoy.yaml"
    if secrets is not None:
        secrets.write()
    tls = None if secrets is None else secrets.files
    configuration.write_text(envoy.render(settings, socket=socket, tls=tls), encoding="utf-8")
    address = _reached_at(settings.bind)

    async def healthy() -> bool:
        return await asyncio.to_thread(probe.answers, address.host, address.port, tls=tls is not None)

    return Service(
        name="envoy",
        command=(
            *(str(envoy.binary()), "-c", str(configuration)),
            # The components' own levels: `main` warns at every start and stop, of nothing an operator can act on.
            *("--log-level", "warning", "--component-log-level", "main:error"),
            *("--disable-hot-restart", "--concurrency", _ENVOY_WORKERS),
        ),
        environment=environment.without_settings(),
        healthy=healthy,
        start_secs=_START_SECS,
        stop_secs=_STOP_SECS,
        stop_rank=1,
    )


def _ca_file(directory: Path) -> Path:
    return directory / "paper-ca.pem"


def _reached_at(bind: BindAddress) -> BindAddress:
    """Where a client on this machine reaches a listener."""
    return BindAddress(_REACHED_AT.get(bind.host, bind.host), bind.port)
