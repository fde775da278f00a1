"""The certificate that callers meet, and the CA of theirs: files of the operator, read anew as they change."""

from __future__ import annotations

import os
import ssl
import stat
from dataclasses import dataclass, field
from pathlib import Path

_MOST_BYTES = 1024 * 1024

_Version = tuple[tuple[int, ...], ...]


class CertificateError(Exception):
    """The files cannot be used; the message names the variable, the file and the reason."""


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Where they are.

    Attributes:
        certificate: PEM, the server's own first and then those that lead to its CA.
        key: PEM of its private key, without a password.
        client_ca: PEM of the CAs whose clients are let in; None lets in clients without a certificate.
    """

    certificate: Path
    key: Path
    client_ca: Path | None


@dataclass(frozen=True, slots=True)
class Certificates:
    """What stands in them, in PEM."""

    certificate: bytes
    key: bytes = field(repr=False)
    client_ca: bytes | None


class CertificateStore:
    """The certificates in use.

    New files that cannot be used, as while they are replaced one after the other, leave those in use that were: a
    server that nobody can connect to helps nobody.

    Args:
        files: where they are.

    Attributes:
        current: what they held when they could last be used.

    Raises:
        CertificateError: they cannot be used.
    """

    def __init__(self, files: TlsFiles) -> None:
        self._files = files
        self._version = _version(files)
        self.current = _read(files)

    def renew(self) -> bool:
        """Read the files if they have changed; whether `current` is another now.

        Raises:
            CertificateError: they cannot be used as they are now, which is said once.
        """
        version = _version(self._files)
        if version == self._version:
            return False
        try:
            found = _read(self._files)
        except CertificateError:
            self._version = version
            raise
        if version != _version(self._files):
            # Changed while they were read: what was read may belong to two certificates.
            return False
        self._version = version
        if found == self.current:
            return False
        self.current = found
        return True


def _version(files: TlsFiles) -> _Version:
    return tuple(_stamp(path) for path in (files.certificate, files.key, files.client_ca) if path is not None)


def _stamp(path: Path) -> tuple[int, ...]:
    try:
        found = path.stat()
    except OSError as error:
        return (error.errno or 0,)
    return (found.st_mtime_ns, found.st_size, found.st_dev, found.st_ino, found.st_ctime_ns)


def _read(files: TlsFiles) -> Certificates:
    certificate = _content("BEZANT_TLS_CERT", files.certificate)
    key = _content("BEZANT_TLS_KEY", files.key)
    client_ca = None if files.client_ca is None else _content("BEZANT_TLS_CLIENT_CA", files.client_ca)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        # Without a password OpenSSL would ask the terminal for that of an encrypted key.
        context.load_cert_chain(files.certificate, files.key, password="")
    except OSError as error:
        raise CertificateError(
            f"BEZANT_TLS_CERT, BEZANT_TLS_KEY: {files.certificate} and {files.key} are no certificate and its key "
            f"without a password, in PEM{_reason(error)}"
        ) from None
    if files.client_ca is not None:
        try:
            context.load_verify_locations(files.client_ca)
        except OSError as error:
            raise CertificateError(
                f"BEZANT_TLS_CLIENT_CA: {files.client_ca} holds no certificate in PEM{_reason(error)}"
            ) from None
    return Certificates(certificate, key, client_ca)


def _content(variable: str, path: Path) -> bytes:
    # Without O_NONBLOCK a named pipe in its place would hold the whole server up.
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            regular = stat.S_ISREG(os.fstat(descriptor).st_mode)
            content = file.read(_MOST_BYTES + 1) if regular else b""
    except OSError as error:
        raise CertificateError(f"{variable}: cannot read {path}: {error.strerror or error}") from None
    if not regular:
        raise CertificateError(f"{variable}: {path} is no regular file")
    if len(content) > _MOST_BYTES:
        raise CertificateError(f"{variable}: {path} is larger than {_MOST_BYTES} bytes")
    return content


def _reason(error: OSError) -> str:
    reason = error.reason if isinstance(error, ssl.SSLError) else error.strerror
    return f" ({reason})" if reason else ""
