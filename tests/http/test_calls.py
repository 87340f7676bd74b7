"""Every RPC over HTTP, against a real server."""

import base64
import json
import struct

import httpx
import pytest
from google.protobuf import json_format

from engine.http.examples import EXAMPLES
from tests.http.doors import Opened
from tests.tiny import concept_png, concept_wav
from triveni.v1 import recommendation_pb2


def test_search(http: httpx.Client) -> None:
    answer = http.post("/v1/search", json={"parts": [{"content": {"text": "piano"}}], "limit": 3})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    found = answer.json()
    assert {result["item_id"].split("/")[0] for result in found["results"]} == {"piano"}
    assert found["results"][0]["payload"]["category"] == "piano"
    assert found["request_id"] == answer.headers["x-request-id"]


def test_the_answer_is_that_of_grpc(http: httpx.Client, door: Opened) -> None:
    request = {"parts": [{"content": {"text": "bird"}, "weight": 0.5}, {"item_id": "car/image"}], "limit": 7}
    over_http = json_format.ParseDict(
        http.post("/v1/search", json=request, headers={"x-request-id": "same"}).json(),
        recommendation_pb2.SearchResponse(),
    )
    message = json_format.ParseDict(request, recommendation_pb2.SearchRequest())
    over_grpc = door.run.recommendations.Search(message, metadata=[("x-request-id", "same")], timeout=20)
    assert len(over_grpc.results) == 7
    for answer in (over_http, over_grpc):
        assert answer.next_page_token
        answer.next_page_token = ""  # it knows when the list began
    assert over_http == over_grpc


def test_the_next_page(http: httpx.Client) -> None:
    request = {"parts": [{"content": {"text": "bird"}}], "limit": 4}
    first = http.post("/v1/search", json=request).json()
    second = http.post("/v1/search", json=request | {"page_token": first["next_page_token"]}).json()
    read = [one["item_id"] for page in (first, second) for one in page["results"]]
    assert len(set(read)) == len(read) == 8
    refused = http.post(
        "/v1/search", json={"parts": [{"item_id": "car/text"}], "page_token": second["next_page_token"]}
    )
    assert refused.status_code == 400
    assert refused.json()["remedy"].startswith("send next_page_token of the last response with the same request")


def test_names_in_camel_case_are_taken_too(http: httpx.Client) -> None:
    answer = http.post("/v1/search", json={"parts": [{"itemId": "car/text"}], "policy": {"includeSeen": True}})
    assert answer.json()["results"][0]["item_id"].startswith("car/")


def test_recommend_from_events_in_the_request(http: httpx.Client) -> None:
    history = [{"kind": "EVENT_KIND_LIKE", "item_id": "bird/text"}, {"kind": "EVENT_KIND_CLICK", "item_id": "gone"}]
    answer = http.post("/v1/recommend", json={"history": history, "limit": 2}).json()
    assert answer["results"][0]["item_id"].startswith("bird/")
    assert [one["index"] for one in answer["skipped"]] == [1]


@pytest.mark.parametrize("field", ["image", "audio"])
def test_a_picture_or_sound_as_base64_and_as_a_file_find_the_same(http: httpx.Client, field: str) -> None:
    raw = concept_png("bird", 3) if field == "image" else concept_wav("bird", 3)
    as_json = {"parts": [{"content": {field: base64.b64encode(raw).decode()}, "weight": 2}], "limit": 4}
    message = json.dumps({"parts": [{"weight": 2}], "limit": 4})
    as_form = {"message": (None, message, "application/json"), f"parts[0].content.{field}": ("a", raw)}
    answers = [http.post("/v1/search", json=as_json), http.post("/v1/search", files=as_form)]
    ids = [[result["item_id"] for result in answer.json()["results"]] for answer in answers]
    assert len(ids[0]) == 4
    assert ids[0] == ids[1]
    assert ids[0][0] == f"bird/{field}"


def test_a_form_makes_the_places_that_it_names(http: httpx.Client) -> None:
    files = [(f"parts[{row}].content.image", ("x.png", concept_png("bird", row), "image/png")) for row in range(2)]
    answer = http.post("/v1/search", files=files)
    assert {reason["index"] for result in answer.json()["results"] for reason in result["reasons"]} == {0, 1}


@pytest.mark.parametrize("path", ["/v1/items/bird/text", "/v1/items/bird%2Ftext", "/v1/items/b%69rd/text"])
def test_get_an_item_whose_id_holds_a_slash(http: httpx.Client, path: str) -> None:
    item = http.get(path).json()["item"]
    assert (item["id"], item["modalities"], item["payload"]["year"]) == ("bird/text", ["MODALITY_TEXT"], 1999)
    assert item["vectors"] == []


def test_its_vectors(http: httpx.Client, door: Opened) -> None:
    (vector,) = http.get("/v1/items/bird/text?include_vectors=true").json()["item"]["vectors"]
    numbers = struct.unpack(f"<{door.run.space.dimension}f", base64.b64decode(vector["values"]))
    assert sum(number**2 for number in numbers) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(
    "filter_",
    [
        {"filter": json.dumps({"match": {"field": "category", "value": {"string_value": "car"}}})},
        {"filter.match.field": "category", "filter.match.value.string_value": "car"},
        {"filter.range.field": "year", "filter.range.gte": "2001"},
    ],
)
def test_list_items_page_by_page(http: httpx.Client, filter_: dict[str, str]) -> None:
    found: list[str] = []
    token = ""
    while token or not found:
        page = http.get("/v1/items", params={**filter_, "page_size": "2", "page_token": token}).json()
        found += [item["id"] for item in page["items"]]
        token = page["next_page_token"]
    assert sorted(found) == ["car/audio", "car/image", "car/text"]


def test_delete_items(http: httpx.Client) -> None:
    lines = "".join(json.dumps({"item": {"id": f"d/{n}", "contents": [{"text": "x"}]}}) + "\n" for n in range(2))
    http.post("/v1/items:upsert", content=lines, headers={"content-type": "application/x-ndjson"})
    answer = http.post("/v1/items:delete", json={"item_ids": ["d/0", "d/1", "d/2"]})
    assert answer.json() == {"deleted_count": "2"}
    assert http.get("/v1/items/d/0").status_code == 404


def test_encode(http: httpx.Client, door: Opened) -> None:
    answer = http.post("/v1/encode", json={"contents": [{"text": "a"}, {"image": "AAAA"}]}).json()
    assert len(base64.b64decode(answer["vectors"])) == 4 * door.run.space.dimension
    assert (answer["rows"], answer["content_indexes"]) == (1, [0])
    assert (answer["rejected"][0]["index"], answer["rejected"][0]["problem"]["reason"]) == (1, "CONTENT")


def test_what_a_user_did(http: httpx.Client) -> None:
    user = "a/b ü?"
    path = "/v1/users/a%2Fb%20%C3%BC%3F"
    event = {"kind": "EVENT_KIND_LIKE", "item_id": "bird/text", "id": "e1", "time": "2026-01-02T03:04:05.5Z"}
    bad = {"kind": "EVENT_KIND_LIKE", "item_id": "nothing"}
    sent = {"events": [{"user_id": user, "event": event}, {"user_id": user, "event": bad}]}
    answer = http.post("/v1/events:record", json=sent).json()
    assert (answer["recorded_count"], [one["index"] for one in answer["rejected"]]) == (1, [1])
    (kept,) = http.get(f"{path}/history").json()["events"]
    assert {name: kept[name] for name in event} == {**event, "time": "2026-01-02T03:04:05.500Z"}
    assert http.post("/v1/recommend", json={"user_id": user}).json()["results"][0]["reasons"][0]["event_id"] == "e1"
    assert http.delete(path).json()["deleted_count"] == "1"
    assert http.get(f"{path}/history").json()["events"] == []


def test_models_and_trainings_of_a_server_without(http: httpx.Client) -> None:
    assert http.get("/v1/models").json() == {"models": [], "next_page_token": ""}
    for path in ("/v1/models:serving", "/v1/models/v7", "/v1/trainings/t7"):
        assert http.get(path).status_code in (400, 404), path
    for path in ("/v1/models/v7:promote", "/v1/models:rollback", "/v1/trainings", "/v1/trainings/t7:cancel"):
        refused = http.post(path)
        assert refused.status_code in (400, 404), path
        assert refused.json()["remedy"], path
    assert http.get("/v1/trainings").json()["code"] == "FAILED_PRECONDITION"


@pytest.mark.parametrize("service", ["", "triveni.v1.CatalogService"])
def test_health(http: httpx.Client, service: str) -> None:
    answer = http.get("/v1/health", params={"service": service})
    assert (answer.status_code, answer.json()) == (200, {"status": "SERVING"})
    assert http.get("/v1/health?service=nothing").status_code == 404


@pytest.mark.parametrize("path", ["/v1/health", "/v1/items/bird/text", "/docs", "/openapi.json"])
def test_head_is_get_without_a_body(http: httpx.Client, path: str) -> None:
    answer = http.head(path)
    assert (answer.status_code, answer.content) == (200, b"")
    assert int(answer.headers["content-length"]) > 0


def test_the_examples_of_the_page_are_answered(http: httpx.Client) -> None:
    documented = http.get("/openapi.json").json()
    seen = set()
    for path, operations in documented["paths"].items():
        for verb, operation in operations.items():
            for kind, content in operation.get("requestBody", {}).get("content", {}).items():
                said = content.get("example")
                if said and operation["operationId"] in EXAMPLES:
                    body = said if isinstance(said, str) else json.dumps(said)
                    answer = http.request(verb, path, content=body, headers={"content-type": kind})
                    expected = 400 if operation["operationId"] == "TrainModel" else 200  # this server does not train
                    assert answer.status_code == expected, (path, answer.text)
                    seen.add(operation["operationId"])
    assert seen == set(EXAMPLES)
    http.post("/v1/items:delete", json={"item_ids": ["42", "43"]})
