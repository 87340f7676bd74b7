"""Which hosts a server answers for: a name that an attacker points at it (DNS rebinding) is none of them."""

import ipaddress
from collections.abc import Collection


def answers_for(host: str, names: Collection[str]) -> bool:
    """Whether a request may ask for a host: localhost, an IP address, which nobody can point elsewhere, or a name.

    Args:
        host: as the request's header has it, with its port if any.
        names: that are answered too, in small letters; "*" answers all.
    """
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdecimal() and ":" in host else host
    name = name.lower().rstrip(".")
    if "*" in names or name in names or name == "localhost":
        return True
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True
