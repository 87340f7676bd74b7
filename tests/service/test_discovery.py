"""Health and reflection, asked by a client that knows nothing of us: `buf curl`."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.service.running import Running

BUF = shutil.which("buf", path=str(Path(sys.executable).parent)) or shutil.which("buf")
pytestmark = pytest.mark.skipif(BUF is None, reason="buf is not installed: pip install buf-bin")


def curl(server: Running, method: str, request: object, *flags: str) -> subprocess.CompletedProcess[str]:
    command = [
        str(BUF),
        "curl",
        "--protocol",
        "grpc",
        "--http2-prior-knowledge",
        "--data",
        json.dumps(request),
        *flags,
    ]
    return subprocess.run(
        [*command, f"http://{server.address}/{method}"], capture_output=True, text=True, timeout=60, check=False
    )


def answer(server: Running, method: str, request: object) -> dict[str, object]:
    done = curl(server, method, request)
    assert done.returncode == 0, done.stderr
    result: dict[str, object] = json.loads(done.stdout)
    return result


@pytest.mark.parametrize(
    ("service", "status"),
    [
        ("", "SERVING"),
        ("triveni.v1.RecommendationService", "SERVING"),
        ("triveni.v1.CatalogService", "SERVING"),
        ("triveni.v1.EncoderService", "SERVING"),
        ("triveni.v1.EventService", "SERVING"),
        ("triveni.v1.ModelService", "SERVING"),
        ("triveni.v1.AdminService", "SERVING"),
    ],
)
def test_health_per_service(server: Running, service: str, status: str) -> None:
    assert answer(server, "grpc.health.v1.Health/Check", {"service": service}) == {"status": status}


def test_health_of_an_unknown_service(server: Running) -> None:
    done = curl(server, "grpc.health.v1.Health/Check", {"service": "nothing"})
    assert done.returncode != 0
    assert json.loads(done.stderr)["code"] == "not_found"


def test_reflection_lists_every_service(server: Running) -> None:
    command = [str(BUF), "curl", "--protocol", "grpc", "--http2-prior-knowledge", "--list-services"]
    done = subprocess.run(
        [*command, f"http://{server.address}"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.split()) == {
        *(
            f"triveni.v1.{name}Service"
            for name in ("Recommendation", "Catalog", "Encoder", "Event", "Model", "Admin")
        ),
        "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection",
    }


def test_search_by_reflection(server: Running) -> None:
    request = {"parts": [{"content": {"text": "piano"}}], "limit": 3}
    results = answer(server, "triveni.v1.RecommendationService/Search", request)["results"]
    assert isinstance(results, list)
    assert {result["itemId"].split("/")[0] for result in results} == {"piano"}
    assert results[0]["payload"]["category"] == "piano"


def test_a_stream_by_reflection(server: Running) -> None:
    request = {"item": {"id": "", "contents": [{"text": "x"}]}}
    result = answer(server, "triveni.v1.CatalogService/UpsertItems", request)
    assert result["outcome"] == "UPSERT_OUTCOME_REJECTED"


def test_error_details_can_be_read(server: Running) -> None:
    done = curl(server, "triveni.v1.RecommendationService/Search", {"limit": 0, "parts": [{"itemId": "a"}]})
    assert done.returncode != 0
    error = json.loads(done.stderr)
    assert error["code"] == "invalid_argument"
    kinds = {detail["type"] for detail in error["details"]}
    assert kinds == {"google.rpc.ErrorInfo", "google.rpc.RequestInfo", "google.rpc.BadRequest"}
