"""How far the gateway's certificate is trusted."""

from __future__ import annotations

import ssl
from pathlib import Path


def client_context(*, verify: bool, ca_file: Path | None) -> ssl.SSLContext:
    """The TLS context for the gateway.

    The Client Portal Gateway ships with a self-signed certificate, so nothing is verified unless asked for; then
    against `ca_file`, or the system's authorities without one.

    Raises:
        OSError: `ca_file` cannot be read, or holds no certificate (ssl.SSLError).
    """
    if verify:
        return ssl.create_default_context(cafile=ca_file)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
