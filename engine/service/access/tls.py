"""TLS from files, which are read again when they change: new connections get the new certificate."""

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from engine.core.errors import SettingsError
from engine.service.access.watched import Watched, read_file

_ALPN = ("http/1.1",)


@dataclass(frozen=True, slots=True)
class _Read:
    """What the files say, in both forms."""

    context: ssl.SSLContext
    configuration: grpc.ServerCertificateConfiguration


class TlsFiles:
    """A certificate chain, its private key and the certificates of those who sign clients', all in PEM.

    Args:
        cert: the file of the certificate chain.
        key: the file of its private key, without a passphrase.
        client_ca: the file of certificates, one of which must have signed a client's; None asks clients for none.

    Raises:
        SettingsError: if they cannot be read, or do not belong together.
    """

    def __init__(self, cert: Path, key: Path, client_ca: Path | None = None) -> None:
        self._cert, self._key, self._client_ca = cert, key, client_ca
        self._files = Watched("tls", [path for path in (cert, key, client_ca) if path], self._read)

    @property
    def asks_clients(self) -> bool:
        """Whether clients need a certificate."""
        return self._client_ca is not None

    def grpc_credentials(self) -> grpc.ServerCredentials:
        """For a port of gRPC, which asks for the files at each connection."""

        def configuration() -> grpc.ServerCertificateConfiguration:
            return self._files.current().configuration

        return grpc.dynamic_ssl_server_credentials(configuration(), configuration, self.asks_clients)

    def context(self) -> ssl.SSLContext:
        """For any other port: a context that looks at the files at each connection."""
        return _Following(lambda: self._files.current().context)

    def _read(self) -> _Read:
        cert, key = read_file(self._cert, "service.tls_cert"), read_file(self._key, "service.tls_key")
        clients = read_file(self._client_ca, "service.tls_client_ca") if self._client_ca else None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(_ALPN)
        try:
            context.load_cert_chain(self._cert, self._key, password=_no_passphrase)
            if clients is not None:
                context.load_verify_locations(cadata=clients.decode())
                context.verify_mode = ssl.CERT_REQUIRED
        except (ssl.SSLError, OSError, ValueError) as error:
            raise SettingsError(
                f"{self._cert}, {self._key} and {self._client_ca or 'no certificates of clients'} cannot be used "
                f"({error})",
                "name PEM files: a certificate chain, the key that belongs to it, and whom clients are signed by",
            ) from None
        return _Read(context, grpc.ssl_server_certificate_configuration([(key, cert)], clients))


class _Following(ssl.SSLContext):
    """Stands for a context that may be another one at each connection; asyncio asks no more of it than `wrap_bio`."""

    _current: Callable[[], ssl.SSLContext]

    def __new__(cls, current: Callable[[], ssl.SSLContext]) -> "_Following":
        made = super().__new__(cls, ssl.PROTOCOL_TLS_SERVER)
        made._current = current
        return made

    def wrap_bio(self, *args: Any, **kwargs: Any) -> ssl.SSLObject:
        """A connection's, of the context of now."""
        return self._current().wrap_bio(*args, **kwargs)


def _no_passphrase() -> str:
    """Is asked where a key has one: OpenSSL would ask the terminal."""
    raise ValueError("the key has a passphrase")
