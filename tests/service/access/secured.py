"""A real server with TLS, keys, tokens and an audit log, and its HTTP door, for tests."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import jwt
import trustme
from cryptography.hazmat.primitives.asymmetric import ec

from engine.compose.doors import http_doors, open_access, tls_files
from engine.config.settings import Settings
from engine.http.server import HttpServer
from engine.models.registry import Registry
from engine.models.serving import Serving
from engine.service.access.access import Access
from engine.service.access.caller import EVERY_SCOPE, Scope
from engine.service.access.keys import KeyFile
from engine.service.server import ServerOptions
from tests.service.running import Running, open_edge, open_events, running
from tests.tiny import concept_space
from triveni.client import Client

ISSUER, AUDIENCE = "https://issuer.example", "triveni"


class Issuer:
    """Issues tokens, and writes the file of the keys that they are verified with."""

    def __init__(self, path: Path, kid: str = "one") -> None:
        self.path, self.kid = path, kid
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.publish()

    def public(self) -> dict[str, Any]:
        told: dict[str, Any] = jwt.algorithms.ECAlgorithm.to_jwk(self.key.public_key(), as_dict=True)
        return {**told, "kid": self.kid, "use": "sig", "alg": "ES256"}

    def publish(self, *others: dict[str, Any]) -> None:
        self.path.write_text(json.dumps({"keys": [self.public(), *others]}))

    def token(self, seconds: float = 600, headers: dict[str, Any] | None = None, **claims: Any) -> str:
        said = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ann", "scope": "read", "org": "acme"}
        said |= {"exp": time.time() + seconds, **claims}
        kept = {name: value for name, value in said.items() if value is not None}
        return jwt.encode(kept, self.key, "ES256", headers={"kid": self.kid, **(headers or {})})


@dataclass
class Secured:
    """A server that asks for credentials."""

    run: Running
    door: HttpServer
    access: Access
    folder: Path
    authority: trustme.CA
    keys: KeyFile
    issuer: Issuer

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.door.port}"

    @property
    def ca(self) -> Path:
        return self.folder / "ca.pem"

    def key(self, *scopes: Scope, name: str = "", tenant: str = "", days: float = 1, ago: float = 0) -> str:
        """A new key; the server knows it within a second."""
        now = datetime.now(UTC) - timedelta(days=ago)
        name = name or f"test {len(self.keys.every())}"
        text, _ = self.keys.add(name, frozenset(scopes) or EVERY_SCOPE, tenant, timedelta(days=days), now)
        return text

    def client(self, key: str = "", **how: Any) -> Client:
        return Client(self.run.address, api_key=key, **{"ca": self.ca, **how})

    def http(self, **how: Any) -> httpx.Client:
        import ssl

        verify = ssl.create_default_context(cafile=str(self.ca))
        return httpx.Client(base_url=self.url, verify=verify, timeout=20, **how)

    def audited(self) -> list[dict[str, str]]:
        return [json.loads(line) for line in (self.folder / "audit.jsonl").read_text().splitlines()]


def write_certificate(authority: trustme.CA, folder: Path) -> None:
    """A certificate of this machine, as `cert.pem` and `key.pem`."""
    made = authority.issue_cert("127.0.0.1", "localhost")
    for name, part in (("key", made.private_key_pem), ("cert", made.cert_chain_pems[0])):
        new = folder / f"{name}.new"
        new.write_bytes(part.bytes())
        new.replace(folder / f"{name}.pem")


@contextmanager
def secured(folder: Path, *, address: str = "127.0.0.1:0", **service: Any) -> Iterator[Secured]:
    """Start it over an empty catalogue; stop it at the end."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    write_certificate(authority, folder)
    keys, issuer = KeyFile(folder / "keys.toml"), Issuer(folder / "jwks.json")
    keys.add("first", EVERY_SCOPE, "", None, datetime.now(UTC))
    settings = Settings(
        service={"address": address, "tls_cert": folder / "cert.pem", "tls_key": folder / "key.pem", **service},
        access={
            "keys": keys.path,
            "jwks": issuer.path,
            "issuer": ISSUER,
            "audience": AUDIENCE,
            "leeway_seconds": 0,
        },
        log={"audit": folder / "audit.jsonl"},
    )
    access, tls = open_access(settings), tls_files(settings)
    space = concept_space()
    store, events = open_edge(folder / "items", space), open_events(folder)
    serving = Serving(Registry(folder / "models"), {}, space.fingerprint)
    doors = http_doors(settings, "127.0.0.1:0", access=access, tls=tls)
    options = ServerOptions(**settings.service.model_dump(exclude={"threads"}))
    ca = authority.cert_pem.bytes()
    parts = {"serving": serving, "access": access, "tls": tls, "ca": ca}
    with running(space, store, events, options, doors=doors, **parts) as run:  # type: ignore[arg-type]
        yield Secured(run, doors[0], access, folder, authority, keys, issuer)
    events.close()
    store.close()
