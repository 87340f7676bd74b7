"""Keys and tokens come and go, files change and break, while a server serves; nothing says more than it must."""

import json
import os
import stat
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import jwt
import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.testclient import TestClient

from engine.core.errors import NotFoundError, SettingsError
from engine.http.gate import Gate
from engine.http.session import session_routes
from engine.service.access.access import Access
from engine.service.access.audit import AuditLog
from engine.service.access.caller import ANYONE, EVERY_SCOPE, NOBODY, Caller, Scope
from engine.service.access.errors import PermissionDeniedError, RefusedError, UnauthenticatedError
from engine.service.access.keys import KeyChecker, KeyFile
from engine.service.access.listening import check_listening, is_loopback
from engine.service.access.tls import TlsFiles
from engine.service.access.tokens import Claims, TokenChecker
from engine.service.access.watched import GRACE
from tests.service.access.secured import AUDIENCE, ISSUER, Issuer, Secured, write_certificate
from triveni.client import DeniedError

NOW = datetime.now(UTC)


@pytest.fixture
def keys(tmp_path: Path) -> KeyFile:
    return KeyFile(tmp_path / "keys.toml")


def add(keys: KeyFile, name: str = "shop", *scopes: Scope, days: float = 1, now: datetime = NOW) -> str:
    return keys.add(name, frozenset(scopes or (Scope.READ,)), "acme", timedelta(days=days), now)[0]


def test_two_keys_of_a_name_are_valid_at_once_and_no_third(keys: KeyFile) -> None:
    old, new = add(keys), add(keys)
    checker = KeyChecker(keys.path)
    assert checker.caller(old) == checker.caller(new) == Caller("shop", "acme", frozenset({Scope.READ}))
    with pytest.raises(SettingsError, match="2 valid keys"):
        add(keys)
    keys.revoke(old.split("_")[1])
    with pytest.raises(UnauthenticatedError):
        checker.caller(old)
    assert checker.caller(new).subject == checker.caller(add(keys)).subject == "shop"
    with pytest.raises(NotFoundError):
        keys.revoke(old.split("_")[1])


def test_what_expired_does_not_stand_in_the_way(keys: KeyFile) -> None:
    long_ago = NOW - timedelta(days=9)
    expired = [add(keys, now=long_ago), add(keys, now=long_ago)]
    checker = KeyChecker(keys.path)
    for one in expired:
        with pytest.raises(UnauthenticatedError):
            checker.caller(one)
    assert checker.caller(add(keys)).tenant == "acme"


def test_the_file_holds_no_secret_and_is_its_owners_alone(keys: KeyFile) -> None:
    made = add(keys)
    assert made.split("_", 2)[2] not in keys.path.read_text()
    assert stat.S_IMODE(keys.path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "broken",
    [
        "[[key", "key = 5", "a = " + "[" * 5000, "[[key]]\nid = 'x'", "name = 'a'",
        "[[key]]\nscopes = ['everything']", "\x80",
    ],
)  # fmt: skip
def test_a_broken_file_leaves_what_was_known(keys: KeyFile, broken: str) -> None:
    made = add(keys)
    checker, whole = KeyChecker(keys.path), keys.path.read_text()
    with structlog.testing.capture_logs() as said:
        keys.path.write_bytes(broken.encode("latin-1"))
        assert checker.caller(made).subject == "shop"
        assert checker.caller(made).subject == "shop"
    assert [line["log_level"] for line in said] == ["error"]
    with pytest.raises(SettingsError):
        KeyChecker(keys.path)
    keys.path.write_text(whole.replace('"shop"', '"other"'))
    assert checker.caller(made).subject == "other"


def test_a_file_that_is_taken_away_lets_nobody_in(
    keys: KeyFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    issuer, key = Issuer(tmp_path / "jwks.json"), add(keys)
    token = issuer.token()
    access = Access([KeyChecker(keys.path), TokenChecker(issuer.path, Claims(ISSUER, AUDIENCE))])

    def let_in() -> list[bool]:
        found = []
        for credential in (key, token):
            try:
                access.caller([("x-api-key", credential)])
                found.append(True)
            except UnauthenticatedError:
                found.append(False)
        return found

    for path in (keys.path, issuer.path):
        path.rename(path.with_suffix(".away"))
    with structlog.testing.capture_logs() as said:
        assert let_in() == let_in() == [True, True], "whoever replaces a file may take it away first"
        later = time.monotonic() + GRACE
        monkeypatch.setattr("engine.service.access.watched.time.monotonic", lambda: later)
        assert let_in() == [False, False]
    assert [line["log_level"] for line in said] == ["error"] * 4
    for path in (keys.path, issuer.path):
        path.with_suffix(".away").rename(path)
    assert let_in() == [True, True]


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Issuer:
    return Issuer(Path(tmp_path_factory.mktemp("issuer")) / "jwks.json")


def checker_of(issuer: Issuer, **how: object) -> TokenChecker:
    return TokenChecker(issuer.path, Claims(ISSUER, AUDIENCE, leeway=0, **how))  # type: ignore[arg-type]


def test_a_token_says_who_calls(issuer: Issuer) -> None:
    found = checker_of(issuer, tenant="org", scope_prefix="t:").caller(issuer.token(scope="t:read openid t:admin x"))
    assert found == Caller("ann", "acme", frozenset({Scope.READ, Scope.ADMIN}))
    listed = checker_of(issuer, scopes="roles", subject="azp").caller(issuer.token(roles=["train", 7], azp="shop"))
    assert listed == Caller("shop", "", frozenset({Scope.TRAIN}))


@pytest.mark.parametrize(
    "claims",
    [
        {"seconds": -1}, {"exp": None}, {"exp": "soon"}, {"iss": "https://other"}, {"iss": None}, {"aud": "other"},
        {"exp": 10**400}, {"sub": "a\nb"}, {"org": "\ud800"}, {"org": ["acme"]}, {"org": ""},
        {"headers": {"crit": ["b64"], "b64": True}}, {"aud": None}, {"sub": None},
        {"sub": ""}, {"org": None}, {"org": 7}, {"nbf": 4e9},
        {"headers": {"kid": "two"}},
    ],
)  # fmt: skip
def test_a_token_that_lacks_something_is_refused(issuer: Issuer, claims: dict[str, object]) -> None:
    checker = checker_of(issuer, tenant="org")
    if claims.get("exp") == "soon" or claims.get("sub") == 7:
        pytest.importorskip("jwt")
    with pytest.raises(UnauthenticatedError):
        checker.caller(issuer.token(**claims))  # type: ignore[arg-type]


def test_neither_none_nor_secrets_sign_tokens(issuer: Issuer, tmp_path: Path) -> None:
    checker, said = checker_of(issuer), jwt.decode(issuer.token(), options={"verify_signature": False})
    public = json.dumps(issuer.public())
    for forged in (
        jwt.encode(said, None, "none", headers={"kid": issuer.kid}),
        jwt.encode(said, public * 2, "HS256", headers={"kid": issuer.kid}),
        Issuer(tmp_path / "other.json").token(),
        issuer.token()[:-8] + "AAAAAAAA",
    ):
        with pytest.raises(UnauthenticatedError):
            checker.caller(forged)
    secret = tmp_path / "secret.json"
    secret.write_text(json.dumps({"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "a"}]}))
    with pytest.raises(SettingsError, match="secret"):
        TokenChecker(secret, Claims(ISSUER, AUDIENCE))


def test_keys_of_tokens_change_while_tokens_are_remembered(tmp_path: Path) -> None:
    before = Issuer(tmp_path / "jwks.json", "one")
    checker, old = checker_of(before), before.token()
    assert checker.caller(old) == checker.caller(old)
    after = Issuer(tmp_path / "jwks.json", "two")
    after.publish(before.public())
    assert checker.caller(old).subject == checker.caller(after.token()).subject == "ann"
    after.publish()
    with pytest.raises(UnauthenticatedError):
        checker.caller(old)
    assert checker.caller(after.token()).subject == "ann"


def test_a_remembered_token_expires(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    checker, token = checker_of(issuer), issuer.token(seconds=50)
    assert checker.caller(token).subject == "ann"
    later = time.time() + 60

    class Later(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.fromtimestamp(later, tz)

    monkeypatch.setattr("engine.service.access.tokens.time.time", lambda: later)
    monkeypatch.setattr("jwt.api_jwt.datetime", Later)
    with pytest.raises(UnauthenticatedError):
        checker.caller(token)


TEXT = st.text(st.characters(codec="ascii"), max_size=60) | st.from_regex(r"[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*\.[\w-]*")


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["x-api-key", "authorization", "cookie", "other-bin"]),
            TEXT | TEXT.map("Bearer {}".format) | TEXT.map("triveni_{}".format) | st.binary(max_size=20),
        ),
        max_size=4,
    )
)
def test_garbage_is_refused_and_nothing_else_happens(headers: list[tuple[str, str | bytes]]) -> None:
    access = GARBAGE
    for scope in Scope:
        with pytest.raises(UnauthenticatedError) as refused:
            access.admit(scope, headers)
        assert refused.value.problem == "a valid credential is needed"
    assert access.admit(None, headers) == NOBODY
    assert Access().admit(Scope.ADMIN, headers) == ANYONE


def _garbage_access() -> Access:
    import tempfile

    folder = Path(tempfile.mkdtemp())
    keys, issuer = KeyFile(folder / "keys.toml"), Issuer(folder / "jwks.json")
    add(keys)
    made = Access([KeyChecker(keys.path), TokenChecker(issuer.path, Claims(ISSUER, AUDIENCE))])
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    return made


GARBAGE = _garbage_access()


def test_two_credentials_are_none(keys: KeyFile) -> None:
    access, one = Access([KeyChecker(keys.path)]) if add(keys) else None, add(keys)
    assert access is not None
    assert access.admit(Scope.READ, [("x-api-key", one), ("authorization", f"Bearer {one}")]).subject == "shop"
    assert access.admit(Scope.READ, [("x-api-key", one), ("authorization", "Basic abc")]).subject == "shop"
    with pytest.raises(UnauthenticatedError):
        access.admit(Scope.READ, [("x-api-key", one), ("authorization", "Bearer other")])
    with pytest.raises(PermissionDeniedError):
        access.admit(Scope.WRITE, [("x-api-key", one)])
    assert access.refusals == {"UNAUTHENTICATED": 1, "PERMISSION_DENIED": 1}


@pytest.mark.parametrize(
    ("address", "here"),
    [
        ("127.0.0.1:1", True), ("127.9.9.9:1", True), ("localhost:1", True), ("[::1]:1", True), ("unix:/x", True),
        ("0.0.0.0:1", False), ("[::]:1", False), (":1", False), ("10.0.0.1:1", False), ("example.com:1", False),
        ("127.0.0.1.evil.example:1", False), ("localhost.evil.example:1", False),
    ],
)  # fmt: skip
def test_what_other_machines_reach_is_not_open_by_itself(address: str, here: bool) -> None:
    assert is_loopback(address) is here

    def outcome(**how: bool) -> str:
        with structlog.testing.capture_logs() as said:
            try:
                check_listening("service", address, **{"encrypted": False, "asks": False, "insecure": False, **how})
            except SettingsError as error:
                assert "service.insecure = true" in error.remedy
                return "refused"
        return said[0]["log_level"] if said else "fine"

    assert outcome() == outcome(asks=True) == ("fine" if here else "refused")
    assert outcome(insecure=True) == outcome(encrypted=True) == ("fine" if here else "warning")
    assert outcome(encrypted=True, asks=True) == "fine"


@pytest.mark.parametrize("address", ["0.0.0.0: 50051", "0.0.0.0:+50051"])
def test_an_address_that_grpc_takes_in_a_form_of_its_own_is_looked_at(address: str) -> None:
    with pytest.raises(SettingsError, match="which other machines reach"):
        check_listening("service", address, encrypted=False, asks=False, insecure=False)


def test_an_audit_line_that_is_lost_is_counted_and_the_next_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "audit.jsonl"
    log, write = AuditLog(path), os.write

    def note(name: str) -> None:
        log.ended(name, Scope.WRITE, ANYONE, "OK", "r")

    note("first")
    with monkeypatch.context() as full:
        full.setattr(os, "write", lambda file, line: write(file, line[:10]))
        note("second")
    note("third")
    path.rename(tmp_path / "old.jsonl")
    note("fourth")
    assert log.lost == 1
    lines = (tmp_path / "old.jsonl").read_text().splitlines()
    assert [json.loads(line)["method"] for line in lines if line.endswith("}")] == ["first", "third"]
    assert json.loads(path.read_text())["method"] == "fourth"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    log.ended("read", Scope.READ, ANYONE, "OK", "r")
    assert len(path.read_text().splitlines()) == 1
    with pytest.raises(SettingsError):
        AuditLog(tmp_path / "nowhere" / "audit.jsonl")


def test_what_changed_something_and_what_was_refused_is_audited(server: Secured) -> None:
    writer = server.key(Scope.WRITE, name="writer")
    before = len(server.audited())
    with server.client(writer) as client:
        assert client.upsert([{"id": "audited", "text": "a bird that is a secret of its own"}]).stored == 1
        with pytest.raises(DeniedError):
            client.get("audited")
        client.delete(["audited"])
    with server.http(headers={"x-api-key": writer}) as http:
        assert http.get("/v1/items/audited").status_code == 403
        assert http.get("/v1/items/audited", headers={"x-api-key": "x"}).status_code == 401
        assert http.post("/v1/items:delete", json={"item_ids": ["audited"]}).status_code == 200
    while len(server.audited()) < before + 6:  # gRPC tells of the end of a call after its answer
        time.sleep(0.01)
    lines = server.audited()[before:]
    told = sorted((line["method"].rpartition("/")[2], line["subject"], line["code"]) for line in lines)
    assert told == [
        ("DeleteItems", "writer", "OK"), ("DeleteItems", "writer", "OK"), ("GetItem", "", "UNAUTHENTICATED"),
        ("GetItem", "writer", "PERMISSION_DENIED"), ("GetItem", "writer", "PERMISSION_DENIED"),
        ("UpsertItems", "writer", "OK"),
    ]  # fmt: skip
    assert all(line["peer"] and line["request_id"] and line["time"] for line in lines)
    assert "secret of its own" not in json.dumps(lines)


def test_no_secret_is_logged(server: Secured, capsys: pytest.CaptureFixture[str]) -> None:
    said = [server.key(Scope.READ), server.issuer.token(), server.key(days=1, ago=3), server.issuer.token(seconds=-5)]
    for secret in said:
        for headers in (
            {"x-api-key": secret},
            {"authorization": f"Bearer {secret}"},
            {"cookie": f"__Host-triveni-key={secret}"},
        ):
            with server.http() as http:
                answers = [
                    http.get("/v1/items", headers=headers),
                    http.post("/v1/items:delete", json={}, headers=headers),
                ]
                answers.append(http.post("/session", json={"credential": secret}))
                assert not any(secret in answer.text for answer in answers)
    shown = capsys.readouterr()
    everything = shown.out + shown.err + (server.folder / "audit.jsonl").read_text()
    assert len(everything) > 1000
    for secret in said:
        assert secret not in everything and secret.split("_", 2)[-1][-30:] not in everything


def test_signing_in_and_out(server: Secured) -> None:
    key = server.key(Scope.READ, name="page")
    with server.http() as http:
        assert http.get("/session").status_code == 401
        assert http.post("/session", json={"credential": "wrong"}).status_code == 401
        for body in ({}, [], {"credential": 7}, {"credential": "a;b"}, {"credential": ""}):
            assert http.post("/session", json=body).status_code == 400
        elsewhere = {"origin": "https://evil.example"}
        assert http.post("/session", json={"credential": key}, headers=elsewhere).status_code == 403
        answer = http.post("/session", json={"credential": key})
        assert answer.status_code == 204
        cookie = answer.headers["set-cookie"].lower()
        assert all(part in cookie for part in ("httponly", "samesite=strict", "secure", "path=/"))
        assert cookie.startswith("__host-triveni-key=") and "domain" not in cookie
        assert http.get("/session").json() == {"asks": True, "subject": "page", "tenant": "", "scopes": ["read"]}
        assert http.get("/v1/items").status_code == 200
        assert http.delete("/v1/users/nobody").status_code == 403
        assert http.get("/v1/items", headers={"x-api-key": "wrong"}).status_code == 401
        server.keys.revoke(key.split("_")[1])
        assert http.get("/v1/items").status_code == 401
        assert http.delete("/session").status_code == 204
        assert not http.cookies


def test_a_credential_that_is_tried_at_the_session_is_noted(server: Secured) -> None:
    lines, refused = len(server.audited()), server.access.refusals["UNAUTHENTICATED"]
    with server.http() as http:
        assert http.get("/session").status_code == http.get("/session", headers={"x-api-key": "x"}).status_code == 401
        assert http.post("/session", json={"credential": "x"}).status_code == 401
    assert [line["method"] for line in server.audited()[lines:]] == ["GET /session", "POST /session"]
    assert server.access.refusals["UNAUTHENTICATED"] == refused + 3


def test_http_counts_credentials_as_grpc_does(server: Secured) -> None:
    one, other = server.key(Scope.READ), server.key(Scope.READ)
    with server.http() as http:

        def status(*headers: tuple[str, str]) -> int:
            return http.get("/v1/items", headers=list(headers)).status_code

        assert status(("x-api-key", one), ("x-api-key", one)) == 200
        assert status(("x-api-key", one), ("x-api-key", other)) == 401
        assert status(("authorization", f"Bearer {one}"), ("authorization", f"Bearer {other}")) == 401
        assert status(("authorization", "Basic abc"), ("cookie", f"__Host-triveni-key={one}")) == 200, "a proxy's"
        assert status(("cookie", f"triveni-key={one}")) == 401, "one that another host of the domain may have set"


def test_a_tenant_that_is_not_there_is_refused(server: Secured) -> None:
    key = server.key(tenant="globex")
    with server.client(key) as client, pytest.raises(DeniedError, match="globex"):
        client.get("anything")
    with server.http(headers={"x-api-key": key}) as http:
        assert http.get("/v1/items/anything").status_code == 403


def test_certificates_change_while_a_server_serves(server: Secured) -> None:
    key, folder = server.key(Scope.READ), server.folder
    with server.client(key) as before, server.http(headers={"x-api-key": key}) as kept:
        assert list(before.list()) == [] and kept.get("/v1/items").status_code == 200
        seen = serials(server)
        assert seen == serials(server) and len(set(seen)) == 1
        write_certificate(server.authority, folder)
        changed = serials(server)
        assert len(set(changed)) == 1 and changed != seen
        whole = (folder / "cert.pem").read_bytes()
        with structlog.testing.capture_logs() as said:
            (folder / "cert.pem").write_bytes(whole[:100])
            assert serials(server) == changed
        assert "error" in {line["log_level"] for line in said}
        (folder / "cert.pem").write_bytes(whole)
        assert serials(server) == changed
        assert list(before.list()) == [] and kept.get("/v1/items").status_code == 200, "what was connected stays so"


def serials(server: Secured) -> list[str]:
    """Of the certificates that gRPC and HTTP show."""
    import socket
    import ssl

    found = []
    for port, protocol in ((server.run.server.port, "h2"), (server.door.port, "http/1.1")):
        context = ssl.create_default_context(cafile=str(server.ca))
        context.set_alpn_protocols([protocol])
        with (
            socket.create_connection(("127.0.0.1", port), 20) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as connection,
        ):
            found.append(str((connection.getpeercert() or {})["serialNumber"]))
    return found


def test_tls_files_that_do_not_belong_together_are_refused(tmp_path: Path, server: Secured) -> None:
    cert, key, ca = (server.folder / name for name in ("cert.pem", "key.pem", "ca.pem"))
    assert not TlsFiles(cert, key).asks_clients and TlsFiles(cert, key, ca).asks_clients
    for files in ((ca, key), (key, cert), (tmp_path / "none", key), (cert, key, key)):
        with pytest.raises(SettingsError):
            TlsFiles(*files)


def test_plain_and_wrong_connections_are_dropped(server: Secured) -> None:
    import httpx

    with pytest.raises(httpx.TransportError):
        httpx.get(f"http://127.0.0.1:{server.door.port}/v1/health", timeout=10)
    with grpc.insecure_channel(server.run.address) as channel, pytest.raises(grpc.RpcError) as refused:
        channel.unary_unary("/grpc.health.v1.Health/Check")(b"", timeout=10)
    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE


def test_refusals_are_of_one_tree() -> None:
    for error in (UnauthenticatedError("why"), PermissionDeniedError(Scope.READ, ANYONE)):
        assert isinstance(error, RefusedError) and "why" not in str(error) and {Scope.READ} <= EVERY_SCOPE


@pytest.mark.parametrize(
    ("said", "secure"), [("https", True), ("https, http", True), ("http, https", False), ("", False)]
)
def test_the_cookie_is_secure_where_the_outermost_proxy_encrypts(said: str, secure: bool) -> None:
    app = Starlette(routes=session_routes(Gate(Access())))
    with TestClient(app, base_url="http://localhost") as http:
        answer = http.post("/session", json={"credential": "key"}, headers={"x-forwarded-proto": said})
    assert ("secure" in answer.headers["set-cookie"].lower()) is secure
