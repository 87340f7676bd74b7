"""JSON Web Tokens (RFC 7519), verified with the public keys of a file (JWKS, RFC 7517) through PyJWT.

Only signatures of key pairs count, each by the one algorithm that its key is for (RFC 8725, 3.1): neither `none` nor
a secret that the server would have to know.
"""

import json
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import jwt
import structlog

from engine.core.errors import SettingsError
from engine.service.access.caller import Caller, Scope
from engine.service.access.errors import UnauthenticatedError
from engine.service.access.watched import Watched, read_file

ALGORITHMS = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"})
"""That a key may be for."""

_MAX_BYTES = 8192
"""Of a token; more would not fit into the headers of a call."""
_KEPT = 4096
"""Tokens that are remembered once they are verified, so that each is verified once."""


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token has to say, and where it says it."""

    issuer: str
    audience: str
    leeway: float = 30.0
    """Seconds that clocks may differ by."""
    subject: str = "sub"
    """The claim that names the caller."""
    scopes: str = "scope"
    """The claim that lists scopes: a text with spaces between them, or a list."""
    scope_prefix: str = ""
    """Begins those that are Triveni's, such as `triveni:` in `triveni:read`."""
    tenant: str = ""
    """The claim that names the tenant; "" if there is none."""


class TokenChecker:
    """Knows the callers of tokens. Any number of threads may ask.

    Args:
        jwks: the file of public keys; it is read again when it changes.
        claims: what a token has to say.

    Raises:
        SettingsError: if the file cannot be read, or has no key that can be used.
    """

    def __init__(self, jwks: Path, claims: Claims) -> None:
        self._keys = Watched[Mapping[str, jwt.PyJWK]]("jwks", [jwks], lambda: read_jwks(jwks), gone={})
        self._claims = claims
        self._verified: OrderedDict[bytes, tuple[Mapping[str, jwt.PyJWK], float, Caller]] = OrderedDict()
        self._lock = threading.Lock()

    def knows(self, credential: str) -> bool:
        """Whether a credential looks like a token."""
        return credential.count(".") == 2

    def caller(self, credential: str) -> Caller:
        """Whose token it is.

        Raises:
            UnauthenticatedError: if it is not valid.
        """
        if len(credential) > _MAX_BYTES:
            raise UnauthenticatedError("token too long")
        keys, digest = self._keys.current(), sha256(credential.encode()).digest()
        with self._lock:
            found = self._verified.get(digest)
        # Until it expires, to the second: leeway is for tokens that are seen for the first time.
        if found is not None and found[0] is keys and time.time() < found[1]:
            return found[2]
        until, caller = self._verify(credential, keys)
        with self._lock:
            self._verified[digest] = keys, until, caller
            while len(self._verified) > _KEPT:
                self._verified.popitem(last=False)
        return caller

    def _verify(self, token: str, keys: Mapping[str, jwt.PyJWK]) -> tuple[float, Caller]:
        wanted = self._claims
        try:
            key = keys.get(str(jwt.get_unverified_header(token).get("kid", "")))
            if key is None:
                raise UnauthenticatedError("token of an unknown key")
            said = jwt.decode(
                token,
                key,
                algorithms=[key.algorithm_name],
                issuer=wanted.issuer,
                audience=wanted.audience,
                leeway=wanted.leeway,
                options={"require": ["exp", "iss", "aud"]},
            )
            return float(said["exp"]), self._caller(said)
        except (jwt.PyJWTError, OverflowError) as error:
            raise UnauthenticatedError(f"token refused: {type(error).__name__}") from None

    def _caller(self, said: Mapping[str, Any]) -> Caller:
        wanted = self._claims
        subject, tenant = said.get(wanted.subject), said.get(wanted.tenant) if wanted.tenant else ""
        if not isinstance(subject, str) or not subject or not subject.isprintable():
            raise UnauthenticatedError(f"token without claim {wanted.subject}")
        if not isinstance(tenant, str) or (wanted.tenant and not tenant) or not tenant.isprintable():
            raise UnauthenticatedError(f"token without claim {wanted.tenant}")
        listed = said.get(wanted.scopes, "")
        names = listed.split() if isinstance(listed, str) else listed if isinstance(listed, list) else []
        scopes = frozenset(scope for scope in Scope if wanted.scope_prefix + scope in names)
        return Caller(subject, tenant, scopes)


def read_jwks(path: Path) -> Mapping[str, jwt.PyJWK]:
    """The public keys of a file, by their names (`kid`).

    Those that are for encryption, or have no name that a token could say, are left out.

    Raises:
        SettingsError: if it cannot be read, or has none that can be used, or one that is a secret.
    """
    try:
        listed = [dict(one) for one in json.loads(read_file(path, "access.jwks"))["keys"]]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise SettingsError(f"{path} is no JWKS", 'it holds {"keys": [...]} (RFC 7517)') from None
    found: dict[str, jwt.PyJWK] = {}
    for one in listed:
        kid = one.get("kid")
        if one.get("use", "sig") != "sig" or not isinstance(kid, str) or not kid:
            structlog.get_logger("triveni.service").warning("key left out", file=str(path), kid=kid)
            continue
        if one.get("kty") == "oct" or "d" in one:
            raise SettingsError(f"{path} holds a secret, key {kid!r}", "leave only the public parts of key pairs")
        try:
            key = jwt.PyJWK(one)
        except (jwt.PyJWTError, ValueError, TypeError, KeyError) as error:
            raise SettingsError(
                f"{path}: key {kid!r} makes no sense ({error})", "take it out, or correct it"
            ) from None
        if key.algorithm_name not in ALGORITHMS:
            raise SettingsError(
                f"{path}: key {kid!r} is for {key.algorithm_name}", f"use one of {', '.join(sorted(ALGORITHMS))}"
            )
        found[kid] = key
    if not found:
        raise SettingsError(f"{path} has no key that can be used", "each needs a name (kid) and is for signatures")
    return found
