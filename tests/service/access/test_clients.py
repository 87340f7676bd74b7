"""The client and the command line against a server with TLS and keys; clients with certificates."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from engine.cli import app
from engine.service.access.caller import Scope
from tests.service.access.secured import Secured, secured
from triveni.client import Client, DeniedError, InvalidError, TriveniError

VARIABLES = ("TRIVENI_TOKEN", "TRIVENI_API_KEY", "TRIVENI_TLS", "TRIVENI_TLS_CA")


@pytest.fixture(autouse=True)
def nothing_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module", autouse=True)
def stored(server: Secured) -> None:
    with server.client(server.key(Scope.WRITE)) as client:
        assert client.upsert([{"id": "bird", "text": "a bird that sings"}]).stored == 1


def test_the_client_speaks_tls_and_sends_keys_and_tokens(server: Secured, monkeypatch: pytest.MonkeyPatch) -> None:
    key, token = server.key(Scope.READ), server.issuer.token()
    for how in ({"api_key": key}, {"token": key}, {"token": token}):
        with Client(server.run.address, ca=server.ca, **how) as client:
            assert client.get("bird").id == "bird"
            with pytest.raises(DeniedError, match="write"):
                client.delete(["bird"])
    with (
        Client(server.run.address, ca=server.ca, api_key=key[:-1]) as client,
        pytest.raises(TriveniError, match="valid"),
    ):
        client.get("bird")
    monkeypatch.setenv("TRIVENI_TLS_CA", str(server.ca))
    for name, secret in (("TRIVENI_API_KEY", key), ("TRIVENI_TOKEN", token)):
        monkeypatch.setenv(name, secret)
        with Client(server.run.address) as client:
            assert client.get("bird").id == "bird"
    monkeypatch.delenv("TRIVENI_TLS_CA")
    with pytest.raises(InvalidError, match="in the clear"):
        Client("shop.example:443")


@pytest.mark.parametrize("command", ["search", "recommend"])
def test_the_command_line_asks_with_what_the_environment_says(
    server: Secured, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    asked = [command, *(["bird"] if command == "search" else ["--like", "nothing"]), "--server", server.run.address]
    monkeypatch.setenv("TRIVENI_TLS_CA", str(server.ca))
    refused = CliRunner().invoke(app, asked)
    assert refused.exit_code == 1 and "a valid credential is needed" in str(refused.exception)
    monkeypatch.setenv("TRIVENI_API_KEY", server.key(Scope.READ))
    answered = CliRunner().invoke(app, [*asked, "--json"])
    assert answered.exit_code == 0, answered.exception
    assert '"bird"' in answered.output


def test_a_backup_is_asked_for_with_what_the_environment_says(
    server: Secured, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked = ["backup", str(tmp_path / "all.tar"), "--server", server.run.address]
    monkeypatch.setenv("TRIVENI_TLS_CA", str(server.ca))
    for scope, said in ((Scope.READ, "admin"), (Scope.ADMIN, "takes no backups")):  # this server, made by a test
        monkeypatch.setenv("TRIVENI_API_KEY", server.key(scope))
        refused = CliRunner().invoke(app, asked)
        assert refused.exit_code == 1 and said in str(refused.exception)
    assert not list(tmp_path.iterdir())


def test_keys_by_the_command_line(tmp_path: Path) -> None:
    file = ["--file", str(tmp_path / "keys.toml")]

    def run(*arguments: str) -> tuple[int, str]:
        done = CliRunner().invoke(app, ["access", *arguments, *file])
        return done.exit_code, done.stdout

    code, key = run("add-key", "shop", "--scopes", "read,write", "--tenant", "acme", "--expires", "never")
    assert code == 0 and key.strip().startswith("triveni_")
    identity = key.split("_")[1]
    code, listed = run("list")
    assert code == 0 and identity in listed and key.strip() not in listed
    assert run("add-key", "shop", "--scopes", "everything")[0] == run("add-key", "shop", "--expires", "soon")[0] == 2
    assert run("revoke", identity)[0] == 0
    assert run("revoke", identity)[0] == 1


def test_a_client_needs_a_certificate_where_one_is_asked_for(tmp_path: Path) -> None:
    import trustme

    others = trustme.CA()
    others.cert_pem.write_to_path(tmp_path / "clients.pem")
    own = others.issue_cert("shop")
    own.private_key_pem.write_to_path(tmp_path / "own.key")
    own.cert_chain_pems[0].write_to_path(tmp_path / "own.pem")
    with secured(tmp_path, tls_client_ca=tmp_path / "clients.pem") as server:
        key = server.key(Scope.READ)
        with server.client(key, retry=False, timeout=5) as without, pytest.raises(TriveniError):
            list(without.list())
        mine = {"cert": tmp_path / "own.pem", "key": tmp_path / "own.key"}
        with Client(server.run.address, api_key=key, ca=server.ca, **mine) as client:
            assert list(client.list()) == []
        with Client(server.run.address, ca=server.ca, **mine) as client, pytest.raises(TriveniError, match="valid"):
            list(client.list())
        import ssl

        import httpx

        with pytest.raises(httpx.TransportError), server.http() as http:
            http.get("/v1/health")
        context = ssl.create_default_context(cafile=str(server.ca))
        context.load_cert_chain(mine["cert"], mine["key"])
        assert httpx.get(f"{server.url}/v1/health", verify=context).status_code == 200
