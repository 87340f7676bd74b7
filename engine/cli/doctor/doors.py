"""Checks of who may come in, and the way in that the checks themselves take."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from engine.cli.doctor.finding import Finding, Patient, ok, problem, warning

if TYPE_CHECKING:
    import grpc
    from cryptography.x509 import Certificate

_RENEWED_BY = timedelta(days=7)


def access(patient: Patient) -> Iterator[Finding]:
    """Whether keys, tokens and certificates can be read, and how long the certificate is valid."""
    from engine.compose.doors import open_access, tls_files

    settings = patient.settings
    tls = tls_files(settings)
    unlogged = settings.model_copy(update={"log": settings.log.model_copy(update={"audit": None})})
    asked = "a key or a token is asked for" if open_access(unlogged).asks else "everybody may do everything"
    yield ok(f"{asked}, {'connections are encrypted' if tls else 'in the clear'}")
    if tls and settings.service.tls_cert is not None:
        yield from _validity(settings.service.tls_cert)


def _validity(file: Path) -> Iterator[Finding]:
    until, now = _certificate(file).not_valid_after_utc, datetime.now(UTC)
    said = f"the certificate {file} is valid until {until:%Y-%m-%d %H:%MZ}"
    remedy = "renew it; servers read it by themselves"
    if until < now:
        yield problem(said, remedy)
    elif until < now + _RENEWED_BY:
        yield warning(said, remedy)
    else:
        yield ok(said)


def channel_to(address: str, cert: Path | None) -> grpc.Channel:
    """A channel to our own server.

    Args:
        address: of the server, on this machine.
        cert: the file of its certificate, which alone is trusted, whatever name it is of; None if it has none.
    """
    import grpc

    if cert is None:
        return grpc.insecure_channel(address)
    names = _names(_certificate(cert))
    options = [("grpc.ssl_target_name_override", names[0].replace("*", "any"))] if names else []
    return grpc.secure_channel(address, grpc.ssl_channel_credentials(cert.read_bytes()), options)


def _certificate(file: Path) -> Certificate:
    from cryptography import x509

    return x509.load_pem_x509_certificate(file.read_bytes())


def _names(certificate: Certificate) -> list[str]:
    from cryptography import x509

    try:
        said = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [*said.get_values_for_type(x509.DNSName), *map(str, said.get_values_for_type(x509.IPAddress))]
