"""The certificates as Envoy reads them: files that are renamed into place, which is all that it notices."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from bezant_server import private_files
from bezant_server.certificates import CertificateError, CertificateStore

_TYPE = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"
_CERTIFICATE = "certificate"
_CLIENT_CA = "client_ca"
_LOOK_SECS = 1.0


@dataclass(frozen=True, slots=True)
class SecretFiles:
    """Where Envoy finds them; `client_ca` is None when clients need no certificate."""

    certificate: Path
    client_ca: Path | None


class Secrets:
    """Envoy's copy of the certificates.

    Args:
        store: the certificates.
        directory: this user's alone.

    Attributes:
        files: what Envoy is to read.
    """

    def __init__(self, store: CertificateStore, directory: Path) -> None:
        self._store = store
        has_clients = store.current.client_ca is not None
        self.files = SecretFiles(
            directory / f"{_CERTIFICATE}.json", directory / f"{_CLIENT_CA}.json" if has_clients else None
        )

    def write(self) -> None:
        """Have the files say what the store holds."""
        held = self._store.current
        _replace(
            self.files.certificate,
            _CERTIFICATE,
            {"tls_certificate": {"certificate_chain": _inline(held.certificate), "private_key": _inline(held.key)}},
        )
        if self.files.client_ca is not None and held.client_ca is not None:
            _replace(self.files.client_ca, _CLIENT_CA, {"validation_context": {"trusted_ca": _inline(held.client_ca)}})

    async def follow(self, tell: Callable[[str], None]) -> NoReturn:
        """Pass changes of the certificates on, until cancelled.

        Args:
            tell: takes a line for the log.
        """
        behind = False
        while True:
            await asyncio.sleep(_LOOK_SECS)
            try:
                if self._store.renew() or behind:
                    self.write()
                    behind = False
                    tell("the certificate was read anew")
            except CertificateError as error:
                tell(f"the new certificate cannot be used, and the earlier one stays: {error}")
            except OSError as error:
                if not behind:
                    tell(f"Envoy keeps the earlier certificate: {error.strerror or error}")
                behind = True


def _source(path: Path, name: str) -> dict[str, Any]:
    return {"name": name, "sds_config": {"resource_api_version": "V3", "path_config_source": {"path": str(path)}}}


def transport_socket(files: SecretFiles) -> dict[str, Any]:
    """TLS of a listener."""
    common: dict[str, Any] = {
        "alpn_protocols": ["h2", "http/1.1"],
        "tls_params": {"tls_minimum_protocol_version": "TLSv1_2"},
        "tls_certificate_sds_secret_configs": [_source(files.certificate, _CERTIFICATE)],
    }
    if files.client_ca is not None:
        common["validation_context_sds_secret_config"] = _source(files.client_ca, _CLIENT_CA)
    return {
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
            "require_client_certificate": files.client_ca is not None,
            "common_tls_context": common,
        },
    }


def _inline(pem: bytes) -> dict[str, str]:
    return {"inline_string": pem.decode("latin-1")}


def _replace(path: Path, name: str, secret: dict[str, Any]) -> None:
    private_files.write(path, json.dumps({"resources": [{"@type": _TYPE, "name": name, **secret}]}).encode())
