"""Whether other machines may reach a port as it is."""

import ipaddress

import structlog

from engine.core.errors import SettingsError


def is_loopback(address: str) -> bool:
    """Whether only this machine reaches an address: HOST:PORT, as gRPC names it, or a socket of the file system."""
    if address.startswith(("unix:", "unix-abstract:")):
        return True
    host = address.rpartition(":")[0].strip("[]").partition("%")[0]
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def check_listening(section: str, address: str, *, encrypted: bool, asks: bool, insecure: bool) -> None:
    """Let a port be opened, refuse it, or warn of it.

    Args:
        section: of the settings that the address is in.
        address: that it listens on.
        encrypted: whether it speaks TLS.
        asks: whether callers need a credential, or a certificate.
        insecure: whether the settings want it whatever this finds.

    Raises:
        SettingsError: if others reach it in the clear, and the settings do not want that.
    """
    # gRPC takes " 50051" and "+50051" as ports, too; without a digit nothing listens, which is said elsewhere.
    is_address = any(sign.isdecimal() for sign in address.rpartition(":")[2])
    if is_loopback(address) or (encrypted and asks) or not is_address:
        return
    lacks = "credentials" if encrypted else "encryption" if asks else "encryption and credentials"
    if not (encrypted or insecure):
        raise SettingsError(
            f"{section}.address is {address}, which other machines reach, and it has no {lacks}",
            f"{_REMEDIES[section]}, listen on 127.0.0.1, or set {section}.insecure = true where something before it "
            "guards it",
        )
    structlog.get_logger("triveni.service").warning(
        "open to other machines", what=section, address=address, without=lacks, remedy=_REMEDIES[section]
    )


_GUARDED = "set service.tls_cert and service.tls_key, and access.keys or access.jwks (docs/security.md)"
_REMEDIES = {"service": _GUARDED, "http": _GUARDED, "metrics": "let only Prometheus reach it"}
