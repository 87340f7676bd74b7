"""Every call at both doors: with no credential, a bad one, an expired one, one for something else, the right one."""

import re
from collections.abc import Iterator

import grpc
import pytest
from google.protobuf import descriptor_pool

from engine.http.app import all_bindings
from engine.http.body import LINES
from engine.service.access.caller import EVERY_SCOPE, Scope
from engine.service.access.scopes import SCOPES, scope_of
from engine.service.server import READY
from tests.service.access.secured import Secured
from tests.service.access.test_scopes import methods
from tests.service.running import Failure, unpack

NO_KEY = "triveni_" + "0" * 12 + "_" + "A" * 43
REFUSED = {"UNAUTHENTICATED", "PERMISSION_DENIED"}

OURS = sorted(methods())


@pytest.fixture(scope="module")
def credentials(server: Secured) -> dict[str, str]:
    """By name; `no ...` lacks one scope, `only ...` has no other."""
    made = {"no": "", "unknown": NO_KEY, "nonsense": "x", "expired": server.key(days=1, ago=2)}
    made["revoked"] = server.key()
    server.keys.revoke(made["revoked"].split("_")[1])
    made["wrong secret"] = server.key()[:-6] + "AAAAAA"
    made["expired token"] = server.issuer.token(seconds=-10, scope=" ".join(EVERY_SCOPE))
    for scope in Scope:
        made[f"no {scope}"] = server.key(*(EVERY_SCOPE - {scope}))
        made[f"only {scope}"] = server.key(scope)
        made[f"token {scope}"] = server.issuer.token(scope=str(scope))
    return made


def ask(server: Secured, method: str, *metadata: tuple[str, str]) -> Failure | None:
    """What a call with an empty message is refused with; None if it is answered."""
    service, _, name = method.lstrip("/").partition("/")
    rpc = descriptor_pool.Default().FindServiceByName(service).FindMethodByName(name)
    channel, options = server.run.channel, {"timeout": 20, "metadata": metadata}
    try:
        if rpc.client_streaming and rpc.server_streaming:
            list(channel.stream_stream(method)(iter([b""]), **options))
        elif rpc.client_streaming:
            channel.stream_unary(method)(iter([b""]), **options)
        elif rpc.server_streaming:
            list(channel.unary_stream(method)(b"", **options))
        else:
            channel.unary_unary(method)(b"", **options)
    except grpc.RpcError as error:
        return unpack(error)
    return None


@pytest.mark.parametrize("method", OURS)
def test_over_grpc(server: Secured, credentials: dict[str, str], method: str) -> None:
    refusals = {
        name: ask(server, method, *([("x-api-key", credentials[name])] if name != "no" else []))
        for name in ("no", "unknown", "nonsense", "expired", "revoked", "wrong secret", "expired token")
    }
    assert {(one.code, one.message) if one else None for one in refusals.values()} == {
        ("UNAUTHENTICATED", refusals["no"].message if refusals["no"] else "")
    }, "all the same: which credentials there are is not told"
    scope = SCOPES[method]
    denied = ask(server, method, ("x-api-key", credentials[f"no {scope}"]))
    assert denied is not None and (denied.code, denied.reason) == ("PERMISSION_DENIED", "PERMISSION_DENIED")
    assert f"lacks the scope {scope}" in denied.message
    for metadata in (
        ("x-api-key", credentials[f"only {scope}"]),
        ("authorization", f"Bearer {credentials[f'only {scope}']}"),
        ("authorization", f"bearer {credentials[f'token {scope}']}"),
    ):
        answered = ask(server, method, metadata)
        assert answered is None or answered.code not in REFUSED, answered


def requests() -> Iterator[tuple[str, str, str]]:
    """Verb, path and method of all that HTTP answers."""
    for binding in all_bindings():
        yield binding.verb, re.sub(r"\{[^}]+\}", "x", binding.template), binding.method


@pytest.mark.parametrize(("verb", "path", "method"), [one for one in requests() if "Health" not in one[2]])
def test_over_http(server: Secured, credentials: dict[str, str], verb: str, path: str, method: str) -> None:
    scope, rpc = scope_of(method), next(one for one in all_bindings() if one.method == method)
    body = {
        "headers": {"content-type": LINES[0] if rpc.rpc.client_streaming else "application/json"},
        "content": b"{}\n",
    }
    with server.http() as http:

        def status(**headers: str) -> tuple[int, str, str]:
            said = {**(body["headers"] if rpc.body else {}), **headers}  # type: ignore[dict-item]
            answer = http.request(verb, path, headers=said, content=body["content"] if rpc.body else None)
            problem = answer.json() if "problem" in answer.headers["content-type"] else {}
            return answer.status_code, answer.headers.get("www-authenticate", ""), problem.get("detail", "")

        told = {
            status(**({"x-api-key": credentials[one]} if one != "no" else {})) for one in ("no", "unknown", "expired")
        }
        assert len(told) == 1 and next(iter(told))[:2] == (401, 'Bearer realm="triveni"')
        code, _, detail = status(**{"x-api-key": credentials[f"no {scope}"]})
        assert code == 403 and f"lacks the scope {scope}" in detail
        for headers in (
            {"x-api-key": credentials[f"only {scope}"]},
            {"authorization": f"Bearer {credentials[f'token {scope}']}"},
            {"cookie": f"other=a; __Host-triveni-key={credentials[f'only {scope}']}"},
        ):
            assert status(**headers)[0] not in (401, 403)


def test_health_needs_nothing_and_reflection_needs_to_read(server: Secured, credentials: dict[str, str]) -> None:
    from grpc_health.v1 import health_pb2, health_pb2_grpc
    from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

    assert (
        health_pb2_grpc.HealthStub(server.run.channel).Check(health_pb2.HealthCheckRequest(), timeout=10).status == 1
    )
    with server.http() as http:
        assert http.get("/v1/health").status_code == 200
        assert {http.get(path).status_code for path in ("/docs", "/openapi.json")} == {200}
    stub = reflection_pb2_grpc.ServerReflectionStub(server.run.channel)

    def services(key: str) -> int:
        asked = iter([reflection_pb2.ServerReflectionRequest(list_services="")])
        (answer,) = stub.ServerReflectionInfo(asked, timeout=10, metadata=(("x-api-key", key),))
        return len(answer.list_services_response.service)

    assert services(credentials["only read"]) == len(READY) + 1
    with pytest.raises(grpc.RpcError) as refused:
        services(credentials["only write"])
    assert unpack(refused.value).code == "PERMISSION_DENIED"
