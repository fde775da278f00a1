"""TLS to the server."""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass
from pathlib import Path

import grpc

File = str | os.PathLike[str]


@dataclass(frozen=True, slots=True)
class Tls:
    """TLS to the server, all files PEM.

    Attributes:
        ca_file: who may have signed the server's certificate; the system's authorities when None.
        certificate_file: your own certificate, with `key_file`, where the server wants one (mutual TLS).
        key_file: its private key, unencrypted.
    """

    ca_file: File | None = None
    certificate_file: File | None = None
    key_file: File | None = None

    def __post_init__(self) -> None:
        if (self.certificate_file is None) != (self.key_file is None):
            raise ValueError("certificate_file and key_file go together")


def credentials(tls: Tls) -> grpc.ChannelCredentials:
    """Those of a channel.

    Raises:
        ValueError: a file holds something else.
        OSError: a file cannot be read.
    """
    authorities, certificate, key = _read(tls.ca_file), _read(tls.certificate_file), _read(tls.key_file)
    _check(tls)
    if authorities is None:
        # Where the system has no such file, gRPC uses those that it carries.
        authorities = _read(ssl.get_default_verify_paths().cafile)
    return grpc.ssl_channel_credentials(authorities, private_key=key, certificate_chain=certificate)


def _check(tls: Tls) -> None:
    # With such files gRPC would fail to connect, and not say why.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        if tls.ca_file is not None:
            context.load_verify_locations(tls.ca_file)
    except ssl.SSLError:
        raise ValueError("ca_file holds no certificate in PEM") from None
    try:
        if tls.certificate_file is not None:
            context.load_cert_chain(tls.certificate_file, tls.key_file, password="")
    except ssl.SSLError:
        raise ValueError("certificate_file and key_file hold no certificate with its key in PEM, unencrypted") from None


def _read(file: File | None) -> bytes | None:
    return None if file is None else Path(file).read_bytes()
