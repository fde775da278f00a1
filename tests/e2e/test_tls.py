"""TLS on both ports, as callers with a CA meet it, and as an operator renews the certificate."""

from __future__ import annotations

import contextlib
import http.client
import re
import shutil
import socket
import ssl
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import grpc
import pytest
from cryptography import x509

from bezant.v1 import session_service_pb2, session_service_pb2_grpc
from bezant_server.local import probe
from tests.support.certificates import Authority
from tests.support.missing import tool
from tests.support.stack import Stack, start_stack, wait_until

_SECS = 45.0
_SECURITY = Path(__file__).resolve().parents[2] / "docs" / "security.md"


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who trusts a CA, with a certificate of its own or without."""

    ca_file: Path
    certificate: Path | None = None
    key: Path | None = None

    def context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.ca_file)
        if self.certificate is not None:
            context.load_cert_chain(self.certificate, self.key)
        return context

    def get(self, url: str, path: str, **headers: str) -> int:
        """The status of an answer."""
        place = urlsplit(url)
        connection = http.client.HTTPSConnection(
            place.hostname or "", place.port, timeout=_SECS, context=self.context()
        )
        with contextlib.closing(connection):
            connection.request("GET", path, headers=headers)
            return connection.getresponse().status

    def serial(self, address: str) -> int:
        """Of the certificate that a port shows."""
        host, _, port = address.rpartition(":")
        context = self.context()
        context.set_alpn_protocols(["h2"])
        with (
            socket.create_connection((host, int(port)), timeout=_SECS) as raw,
            context.wrap_socket(raw, server_hostname=host) as shown,
        ):
            assert shown.selected_alpn_protocol() == "h2"
            certificate = shown.getpeercert(binary_form=True)
            assert certificate is not None
            return x509.load_der_x509_certificate(certificate).serial_number

    def session(self, target: str, key: str) -> grpc.StatusCode:
        """How GetSession ends."""
        own = (None, None) if self.certificate is None else (_bytes(self.key), _bytes(self.certificate))
        credentials = grpc.ssl_channel_credentials(self.ca_file.read_bytes(), *own)
        with grpc.secure_channel(target, credentials) as channel:
            stub = session_service_pb2_grpc.SessionServiceStub(channel)
            request = session_service_pb2.GetSessionRequest()
            try:
                stub.GetSession(request, metadata=(("x-api-key", key),), timeout=_SECS)
            except grpc.RpcError as error:
                return error.code()
            return grpc.StatusCode.OK


def _bytes(path: Path | None) -> bytes | None:
    return None if path is None else path.read_bytes()


@dataclass(frozen=True, slots=True)
class Secured:
    """A stack with TLS; `certificate` and `key` are the operator's files."""

    stack: Stack
    authority: Authority
    certificate: Path
    key: Path

    @property
    def ports(self) -> tuple[str, str]:
        """Envoy's and the server's own."""
        return urlsplit(self.stack.rest_url).netloc, self.stack.grpc_target

    @property
    def stranger(self) -> Caller:
        return Caller(self.authority.ca_file)

    def serial(self) -> int:
        """Of the certificate in the operator's file."""
        return x509.load_pem_x509_certificate(self.certificate.read_bytes()).serial_number


@contextlib.contextmanager
def _secured(folder: Path, *, mutual: bool = False) -> Iterator[Secured]:
    authority = Authority(folder)
    certificate, key = authority.issue("server")
    variables = {
        "BEZANT_TLS_CERT": str(certificate),
        "BEZANT_TLS_KEY": str(key),
        "BEZANT_REQUIRE_KEYS": "true",
        "IB_SERVER_PORT": "0",
        "BEZANT_RECEIVE_TIMEOUT_SECS": "3",
        **({"BEZANT_TLS_CLIENT_CA": str(authority.ca_file)} if mutual else {}),
    }
    with start_stack(folder, env=variables) as stack:
        yield Secured(stack, authority, certificate, key)


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    with _secured(tmp_path_factory.mktemp("tls")) as running:
        yield running


@pytest.fixture(scope="module")
def mutual(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    with _secured(tmp_path_factory.mktemp("mutual"), mutual=True) as running:
        yield running


def test_both_ports_speak_tls_and_no_other_than_the_ca_is_needed(secured: Secured) -> None:
    stack, caller = secured.stack, secured.stranger
    assert stack.api_key is not None
    assert stack.rest_url.startswith("https://")
    assert f"curl --cacert CA.crt {stack.rest_url}/health" in stack.output
    assert caller.get(stack.rest_url, "/health") == 200
    assert caller.get(stack.rest_url, "/accounts") == 401
    assert caller.get(stack.rest_url, "/accounts", **{"X-API-Key": stack.api_key}) == 200
    for port in secured.ports:
        assert caller.session(port, stack.api_key) is grpc.StatusCode.OK
        assert caller.session(port, "bz_wrong") is grpc.StatusCode.UNAUTHENTICATED
        assert caller.serial(port) == secured.serial()


def test_who_does_not_trust_the_ca_does_not_connect(secured: Secured, tmp_path: Path) -> None:
    elsewhere = Caller(Authority(tmp_path, "other").ca_file)
    with pytest.raises(ssl.SSLCertVerificationError):
        elsewhere.get(secured.stack.rest_url, "/health")
    assert elsewhere.session(secured.stack.grpc_target, "") is grpc.StatusCode.UNAVAILABLE


def test_nothing_is_served_without_tls_but_the_port_of_historical_data(secured: Secured) -> None:
    for port in secured.ports:
        host, _, number = port.rpartition(":")
        with contextlib.closing(http.client.HTTPConnection(host, int(number), timeout=_SECS)) as connection:
            connection.request("GET", "/health")
            with pytest.raises((http.client.HTTPException, OSError)):
                connection.getresponse()
    assert secured.stack.ib_url is not None
    place = urlsplit(secured.stack.ib_url)
    with contextlib.closing(http.client.HTTPConnection(place.netloc, timeout=_SECS)) as connection:
        connection.request("GET", "/ib/health")
        assert connection.getresponse().status == 200


def _rewrite(secured: Secured) -> None:
    """Another certificate in the same files, in place: in between they are half of one and half of the other."""
    for old, new in zip((secured.certificate, secured.key), secured.authority.issue("another"), strict=True):
        old.write_bytes(new.read_bytes())


def _replace(secured: Secured) -> None:
    secured.authority.issue("server")


@pytest.mark.parametrize("renew", [_rewrite, _replace])
def test_a_renewed_certificate_is_served_without_a_restart(renew: Callable[[Secured], None], secured: Secured) -> None:
    stack, caller, before = secured.stack, secured.stranger, secured.serial()
    # Cut short, as by a copy that is under way: what was there stays.
    complaints = stack.log.count("the new certificate cannot be used")
    secured.certificate.write_bytes(secured.certificate.read_bytes()[:100])
    for port in secured.ports:
        assert caller.serial(port) == before
    wait_until(
        lambda: stack.log.count("the new certificate cannot be used") >= complaints + 2,
        "the complaints of the server and of Envoy's side",
        lambda: stack.log,
    )
    assert {caller.serial(port) for port in secured.ports} == {before}

    renew(secured)
    after = secured.serial()
    assert after != before
    for port in secured.ports:
        wait_until(lambda port=port: caller.serial(port) == after, "the new certificate", lambda: stack.log)  # type: ignore[misc]
    assert caller.get(stack.rest_url, "/health") == 200
    assert stack.process.poll() is None


def test_nothing_older_than_tls_1_2_is_spoken(secured: Secured) -> None:
    for newest, spoken in ((ssl.TLSVersion.TLSv1_1, False), (ssl.TLSVersion.TLSv1_2, True)):
        context = secured.stranger.context()
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = newest
        context.set_alpn_protocols(["h2"])
        for port in secured.ports:
            host, _, number = port.rpartition(":")
            with socket.create_connection((host, int(number)), timeout=_SECS) as raw:
                if not spoken:
                    with pytest.raises(ssl.SSLError, match=r"PROTOCOL_VERSION|EOF"):
                        context.wrap_socket(raw, server_hostname=host)
                    continue
                with context.wrap_socket(raw, server_hostname=host) as shown:
                    assert shown.version() == "TLSv1.2"


def test_who_says_nothing_is_not_waited_for(secured: Secured) -> None:
    host, _, number = secured.ports[0].rpartition(":")
    with socket.create_connection((host, int(number)), timeout=_SECS) as silent:
        assert silent.recv(1) == b""


def test_the_private_key_is_in_no_log_and_in_a_file_of_this_user_alone(secured: Secured) -> None:
    lines = secured.key.read_text().splitlines()[1:-1]
    assert lines
    assert not [line for line in lines if line in secured.stack.log or line in secured.stack.output]
    directory = _private_directory(secured.stack)
    copies = [file for file in directory.iterdir() if file.is_file() and lines[0] in file.read_text(errors="replace")]
    assert [file.stat().st_mode & 0o777 for file in copies] == [0o600]


def _private_directory(stack: Stack) -> Path:
    command = Path(f"/proc/{stack.pids['envoy']}/cmdline").read_bytes().decode().split("\0")
    return Path(command[command.index("-c") + 1]).parent


def test_without_a_certificate_of_the_ca_nobody_connects(mutual: Secured, tmp_path: Path) -> None:
    stack = mutual.stack
    assert stack.api_key is not None
    own = Caller(mutual.authority.ca_file, *mutual.authority.issue("client"))
    forged = Caller(mutual.authority.ca_file, *Authority(tmp_path, "other").issue("forged"))
    for caller in (mutual.stranger, forged):
        with pytest.raises((OSError, http.client.HTTPException)):
            caller.get(stack.rest_url, "/health")
        for port in mutual.ports:
            assert caller.session(port, stack.api_key) is grpc.StatusCode.UNAVAILABLE
    assert own.get(stack.rest_url, "/health") == 200
    # It opens the connection, and is no key.
    assert own.get(stack.rest_url, "/accounts") == 401
    for port in mutual.ports:
        assert own.session(port, stack.api_key) is grpc.StatusCode.OK


def test_another_ca_of_clients_counts_without_a_restart(mutual: Secured, tmp_path: Path) -> None:
    stack, ca_file = mutual.stack, mutual.authority.ca_file
    assert stack.api_key is not None
    other = Authority(tmp_path, "other")
    newcomer = Caller(ca_file.with_name("server-ca.pem"), *other.issue("newcomer"))
    own = ca_file.read_bytes()
    newcomer.ca_file.write_bytes(own)

    def met() -> set[grpc.StatusCode]:
        return {newcomer.session(port, stack.api_key or "") for port in mutual.ports}

    for content, outcome in (
        (own + other.ca_file.read_bytes(), grpc.StatusCode.OK),
        (own, grpc.StatusCode.UNAVAILABLE),
    ):
        ca_file.write_bytes(content)
        wait_until(lambda outcome=outcome: met() == {outcome}, f"{outcome} on both ports", lambda: stack.log)  # type: ignore[misc]


@pytest.mark.parametrize("kind", ["secured", "mutual"])
def test_the_health_check_of_the_container_answers(kind: str, request: pytest.FixtureRequest) -> None:
    running: Secured = request.getfixturevalue(kind)
    url = f"http://{running.ports[0]}"
    command = [sys.executable, "-m", probe.__name__, url]
    assert subprocess.run(command, cwd=running.key.parent, timeout=_SECS, check=False).returncode == 0


def test_the_commands_of_the_documentation_make_what_it_says(tmp_path: Path) -> None:
    tool("openssl")
    found = re.search(r"<!-- commands -->\n```sh\n(.*?)```", _SECURITY.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    shell = shutil.which("sh") or "/bin/sh"
    made = subprocess.run([shell, "-eu", "-c", found[1]], cwd=tmp_path, capture_output=True, timeout=_SECS, check=False)
    assert made.returncode == 0, made.stderr
    variables = {name: str(tmp_path / file) for name, file in _NAMED.items()}
    caller = Caller(*(tmp_path / name for name in ("ca.crt", "client.crt", "client.key")))
    with start_stack(tmp_path / "stack", env=variables) as stack:
        assert caller.get(stack.rest_url.replace("127.0.0.1", "localhost"), "/health") == 200
        assert caller.session(stack.grpc_target.replace("127.0.0.1", "localhost"), "") is grpc.StatusCode.OK
        directory = _private_directory(stack)
        assert (directory / "certificate.json").is_file()
    assert not directory.exists()


_NAMED = {"BEZANT_TLS_CERT": "server.crt", "BEZANT_TLS_KEY": "server.key", "BEZANT_TLS_CLIENT_CA": "ca.crt"}
