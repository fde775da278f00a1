"""TLS on the server's own port."""

from __future__ import annotations

import logging

import grpc

from bezant_server.certificates import CertificateError, Certificates, CertificateStore

_log = logging.getLogger(__name__)


def credentials(store: CertificateStore) -> grpc.ServerCredentials:
    """Those of a port; each handshake meets the certificates as the files have them.

    With a CA of clients, a client without a certificate of that CA is refused.
    """

    def at_handshake() -> grpc.ServerCertificateConfiguration:
        try:
            if store.renew():
                _log.info("the certificate was read anew")
        except CertificateError as error:
            _log.warning("the new certificate cannot be used: the earlier one stays", extra={"reason": str(error)})
        return _configuration(store.current)

    return grpc.dynamic_ssl_server_credentials(
        _configuration(store.current),
        at_handshake,
        require_client_authentication=store.current.client_ca is not None,
    )


def _configuration(found: Certificates) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration([(found.key, found.certificate)], found.client_ca)
