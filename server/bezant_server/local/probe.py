"""Whether a running sidecar answers: `python -m bezant_server.local.probe http://127.0.0.1:8080`, for health checks.

It asks for gRPC's health, which the server answers itself, without an API key: a gateway that is down or logged out
makes no sidecar unhealthy, since starting it anew would mend nothing. It asks as gRPC-Web, for which HTTP/1.1 will do.

The scheme of the URL does not matter: whether Envoy speaks TLS is the configuration's affair, which this command does
not know, and both are tried. The certificate is not verified, because nothing is told and nothing is believed.
"""

from __future__ import annotations

import http.client
import ssl
import sys
from urllib.parse import urlsplit

_TIMEOUT_SECS = 3.0
_GRPC_WEB = "application/grpc-web+proto"
_NO_SERVICE = bytes(5)
"""The frame of an empty request, which asks for the whole server."""
_OK = b"grpc-status:0"
_MOST_BYTES = 1024
_CERTIFICATE_WANTED = frozenset({"SSLV3_ALERT_HANDSHAKE_FAILURE", "TLSV1_ALERT_CERTIFICATE_REQUIRED"})


def answers(host: str, port: int, *, tls: bool) -> bool:
    """Whether Envoy listens there, with TLS or without, and the server behind it answers, with whatever status.

    Of an Envoy that asks its callers for a certificate, a handshake as far as that question is all there is to see.
    """
    connection = (
        http.client.HTTPSConnection(host, port, timeout=_TIMEOUT_SECS, context=_unverified())
        if tls
        else http.client.HTTPConnection(host, port, timeout=_TIMEOUT_SECS)
    )
    try:
        connection.request("POST", "/grpc.health.v1.Health/Check", _NO_SERVICE, {"content-type": _GRPC_WEB})
        body = connection.getresponse().read(_MOST_BYTES)
    except ssl.SSLError as error:
        return error.reason in _CERTIFICATE_WANTED
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return _OK in body


def _unverified() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    # Later versions refuse a client without a certificate after the handshake, when it writes already.
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context


def main(arguments: list[str]) -> int:
    """Exit status 0 if the sidecar at the given URL answers, 1 if not."""
    url = urlsplit(arguments[0] if arguments else "http://127.0.0.1:8080")
    host, port = url.hostname or "127.0.0.1", url.port or 80
    return 0 if any(answers(host, port, tls=tls) for tls in (False, True)) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
