"""Every RPC has a form over HTTP, a route, and a place in the OpenAPI document; what is vendored is what it says."""

import hashlib
import re
from importlib.resources import files
from pathlib import Path

import httpx
import pytest
from google.api import annotations_pb2
from google.protobuf import descriptor_pool

from engine.http.app import SERVICES, all_bindings
from engine.http.bindings import bindings
from engine.http.openapi import comments, document
from engine.service.server import READY

ROOT = Path(__file__).parents[2]
RPCS = [rpc for name in SERVICES for rpc in descriptor_pool.Default().FindServiceByName(name).methods]
DOCUMENT = document(all_bindings())


def test_the_services_are_those_of_the_server() -> None:
    assert set(SERVICES) == set(READY) - {""}
    assert len(RPCS) >= 19


@pytest.mark.parametrize("rpc", RPCS, ids=lambda rpc: rpc.full_name)
def test_every_rpc_has_an_annotation_and_a_route(rpc: object, http: httpx.Client) -> None:
    rule = rpc.GetOptions().Extensions[annotations_pb2.http]  # type: ignore[attr-defined]
    assert rule.WhichOneof("pattern"), f"{rpc.full_name} needs a google.api.http annotation"  # type: ignore[attr-defined]
    own = [binding for binding in bindings(SERVICES) if binding.rpc.full_name == rpc.full_name]  # type: ignore[attr-defined]
    assert own
    for binding in own:
        path = re.sub(r"\{.*?\}", "nothing", binding.template)
        refused = http.request("PATCH", path)
        assert (refused.status_code, binding.verb in refused.headers["allow"].split(", ")) == (405, True)
        assert all(name in rpc.input_type.fields_by_name for name in binding.variables)  # type: ignore[attr-defined]


def test_no_two_rpcs_share_a_form() -> None:
    forms = [(binding.verb, re.sub(r"\{.*?\}", "{}", binding.template)) for binding in all_bindings()]
    assert len(forms) == len(set(forms))


def test_the_document_has_all_of_it_with_its_comments(http: httpx.Client) -> None:
    operations = [one for path in DOCUMENT["paths"].values() for one in path.values()]
    names = [operation["operationId"] for operation in operations]
    assert len(names) == len(set(names)) == len(all_bindings())
    assert {rpc.name for rpc in RPCS} <= set(names)
    assert [one["operationId"] for one in operations if not one["description"]] == ["Check"]
    of_ours = {name: one for name, one in DOCUMENT["components"]["schemas"].items() if not name.startswith("Health")}
    assert [name for name, schema in of_ours.items() if not schema.get("description")] == []
    without = [
        f"{name}.{field}"
        for name, schema in of_ours.items()
        if name != "HttpProblem"
        for field, one in schema.get("properties", {}).items()
        if not one.get("description")
    ]
    assert without == []
    assert http.get("/openapi.json").json() == DOCUMENT


def test_a_comment_is_the_one_in_the_file() -> None:
    said = comments()
    assert said["triveni.v1.Content.image"] == "The bytes of a picture file: PNG, JPEG, WebP, GIF, SVG and others."
    assert said["triveni.v1.CatalogService.GetItem"] == "One item. NOT_FOUND if there is none."
    assert said["triveni.v1.EventKind.EVENT_KIND_CLICK"] == "The item was chosen from a list."


@pytest.mark.parametrize("name", ["annotations.proto", "http.proto"])
def test_the_annotations_are_those_of_the_installed_package(name: str) -> None:
    assert (ROOT / "proto/google/api" / name).read_text() == files("google.api").joinpath(name).read_text()


def test_vendored_files_are_those_of_the_table() -> None:
    folder = ROOT / "engine/http/static/vendor"
    told = dict(re.findall(r"^\| `(\S+)` \| `([0-9a-f]{64})` \|", (folder / "README.md").read_text(), re.MULTILINE))
    found = {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "README.md"
    }
    assert found == told
