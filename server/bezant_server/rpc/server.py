"""The gRPC server: its ports, its limits, health and reflection."""

from __future__ import annotations

import socket
from pathlib import Path
from types import ModuleType

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from bezant_server.addresses import BindAddress
from bezant_server.rpc.health import HealthService
from bezant_server.rpc.interceptor import CallInterceptor

PACKAGE = "bezant.v1"
_METADATA_BYTES = 128 * 1024
_FRAMING_BYTES = 1024 * 1024
_PING_INTERVAL_MS = 1_000


class PortTakenError(Exception):
    """The address cannot be listened on; the message says why."""

    def __init__(self, address: str, why: str) -> None:
        super().__init__(f"cannot listen on {address}: {why}")


class SocketUnusableError(Exception):
    """The private socket cannot be bound; the message says why."""


class GrpcServer:
    """A grpc.aio server with health and reflection, on a TCP address and, for Envoy, on a private Unix socket.

    What Envoy says about a request is believed only on that socket, so nobody else may open it (mode 0600).
    """

    def __init__(
        self, *, interceptor: CallInterceptor, max_calls: int, max_request_bytes: int, max_response_bytes: int
    ) -> None:
        self._health = HealthService()
        self._services: list[str] = []
        self._socket: Path | None = None
        self.server = grpc.aio.server(
            interceptors=[interceptor],
            maximum_concurrent_rpcs=max_calls,
            options=[
                ("grpc.so_reuseport", 0),
                ("grpc.max_receive_message_length", max_request_bytes + _FRAMING_BYTES),
                ("grpc.max_send_message_length", max_response_bytes + _FRAMING_BYTES),
                ("grpc.max_metadata_size", _METADATA_BYTES),
                ("grpc.absolute_max_metadata_size", _METADATA_BYTES),
                # Clients ping to learn whether a quiet connection lives; by default the fourth ping within five minutes
                # would end it.
                ("grpc.http2.min_ping_interval_without_data_ms", _PING_INTERVAL_MS),
                ("grpc.keepalive_permit_without_calls", 1),
            ],
        )

    def listen(self, address: BindAddress, credentials: grpc.ServerCredentials | None = None) -> int:
        """Bind the public port and return it.

        Args:
            address: where.
            credentials: of TLS; None to be served without.

        Raises:
            PortTakenError: it cannot be bound.
        """
        try:
            _try_to_bind(address)
            if credentials is not None:
                return self.server.add_secure_port(str(address), credentials)
            return self.server.add_insecure_port(str(address))
        except OSError as error:
            raise PortTakenError(str(address), error.strerror or str(error)) from None
        except RuntimeError as error:
            raise PortTakenError(str(address), str(error)) from None

    def listen_for_envoy(self, path: Path) -> None:
        """Bind the private socket.

        Raises:
            SocketUnusableError: another server listens there, something else has that name, or it cannot be made.
        """
        if path.exists() and not path.is_socket():
            raise SocketUnusableError(f"{path} is there and is no socket")
        if _is_served(path):
            raise SocketUnusableError(f"another server listens on {path}")
        try:
            path.unlink(missing_ok=True)
            _try_to_bind_at(path)
            self.server.add_insecure_port(f"unix:{path}")
            path.chmod(0o600)
        except (OSError, RuntimeError) as error:
            raise SocketUnusableError(f"cannot make {path}: {error}") from None
        self._socket = path

    def add(self, module: ModuleType, name: str, servicer: object) -> None:
        """Have a service served.

        Args:
            module: its generated `…_pb2_grpc`.
            name: as the proto file gives it.
            servicer: its handlers.
        """
        getattr(module, f"add_{name}Servicer_to_server")(servicer, self.server)
        self._services.append(f"{PACKAGE}.{name}")

    async def start(self) -> None:
        """Serve; health says SERVING for the whole and for each service."""
        ours = tuple(self._services)
        self._health.begin(ours)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self.server)
        health = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
        reflection.enable_server_reflection((*ours, health, reflection.SERVICE_NAME), self.server)
        await self.server.start()

    async def stop(self, grace: float) -> None:
        """Tell watchers first, then let calls in flight finish for `grace` seconds."""
        self._health.end()
        await self.server.stop(grace)
        if self._socket is not None:
            self._socket.unlink(missing_ok=True)


def _try_to_bind(address: BindAddress) -> None:
    """Bind and let go. The system says what is wrong; gRPC only that something is, and it logs that by itself."""
    family, kind, protocol, _, resolved = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(resolved)


def _try_to_bind_at(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.bind(str(path))
    path.unlink()


def _is_served(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True
