"""The clients among the examples, as a user runs them, against a real server with its HTTP door."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.http.doors import Opened, opened
from tests.tiny import make_png

EXAMPLES = Path(__file__).parents[2] / "examples"
NODE, CURL, BASH = (shutil.which(name) for name in ("node", "curl", "bash"))


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    with opened(tmp_path_factory.mktemp("clients")) as run:
        yield run


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


@pytest.mark.skipif(not (CURL and BASH), reason="curl or bash is not installed")
def test_curl(door: Opened, tmp_path: Path) -> None:
    picture = make_png(tmp_path / "a.png", 3)
    lines = run(str(BASH), str(EXAMPLES / "http/search.sh"), door.url, 'the "piano"', str(picture)).splitlines()
    by_text, by_both, items, problem = (json.loads(line) for line in lines[1::2])
    assert by_text["results"][0]["item_id"].startswith("piano/")
    kinds = {reason["modality"] for result in by_both["results"] for reason in result["reasons"]}
    assert "MODALITY_IMAGE" in kinds
    assert len(items["items"]) == 3
    assert (problem["status"], problem["reason"]) == (404, "NOT_FOUND")


@pytest.mark.skipif(NODE is None, reason="node is not installed")
def test_node(door: Opened) -> None:
    lines = run(str(NODE), str(EXAMPLES / "http/client.mjs"), door.url, "a car", "car/text").splitlines()
    said = [line.split() for line in lines]
    assert [line[:3] for line in said[:2]] == [
        ["upsert", "example/1", "UPSERT_OUTCOME_STORED"],
        ["upsert", "example/2", "UPSERT_OUTCOME_REJECTED"],
    ]
    assert said[2][:2] == ["search", "1"]
    assert ["recorded", "1"] in said
    assert "car/image" in next(line for line in said if line[0] == "recommend")
    assert said[-1][:3] == ["problem", "400", "INVALID_QUERY"]


def test_reflection(door: Opened) -> None:
    client = [sys.executable, str(EXAMPLES / "reflection/client.py"), door.run.address]
    listed = run(*client).split()
    assert {"triveni.v1.CatalogService/UpsertItems", "grpc.health.v1.Health/Check"} <= set(listed)
    search = json.dumps({"parts": [{"content": {"text": "bird"}}], "limit": 2})
    found = json.loads(run(*client, "triveni.v1.RecommendationService/Search", search))
    assert [result["item_id"].split("/")[0] for result in found["results"]] == ["bird", "bird"]
    items = [json.dumps({"item": {"id": f"r/{row}", "contents": [{"text": "x"}]}}) for row in range(2)]
    assert run(*client, "triveni.v1.CatalogService/UpsertItems", *items).count("UPSERT_OUTCOME_STORED") == 2
    assert json.loads(run(*client, "grpc.health.v1.Health/Check")) == {"status": "SERVING"}
