"""What is wrong with a request is said as a problem, with a reason and a remedy, and never as 500."""

import json
from pathlib import Path

import httpx
import pytest
from starlette.responses import Response
from starlette.routing import Route

from engine.http.settings import HttpSettings
from tests.http.doors import Opened, opened
from tests.http.raw import exchange
from tests.service.conftest import MAX_MESSAGE

JSON = {"content-type": "application/json"}


def refused(answer: httpx.Response, status: int, reason: str) -> dict[str, object]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, object] = answer.json()
    assert (problem["status"], problem["reason"]) == (status, reason), problem
    assert {"type", "title", "detail", "code", "remedy"} <= set(problem)
    assert problem["remedy"], problem
    return problem


@pytest.mark.parametrize(
    ("body", "says", "field"),
    [
        (b"{", "not JSON", ""),
        (b"\xff", "byte 0 is no UTF-8", ""),
        (b"[" * 100_000, "nested too deeply", ""),
        (b'{"limit": NaN}', "NaN is no number", ""),
        (b'{"limit": 1, "limit": 2}', "a key is there twice", ""),
        (b'{"limit": ' + b"9" * 5000 + b"}", "not JSON", ""),
        (b"[]", "message is list, not an object", ""),
        (b'{"lmit": 1}', "no field 'lmit': there are parts, filter, limit", "lmit"),
        (b'{"parts": [{"content": {"txt": "a"}}]}', "no field 'txt'", "parts[0].content.txt"),
        (b'{"parts": [{"content": {"text": "a", "image": "AA=="}}]}', "multiple", "parts[0].content"),
        (b'{"parts": [{"content": {"image": "A"}}]}', "base64", "image"),
        (b'{"parts": [3]}', "an object is wanted", "parts"),
        (b'{"parts": {"a": 1}}', "must be in []", ""),
        (b'{"limit": 9999999999}', "out of range", "limit"),
        (b'{"limit": "many"}', "'many'", "limit"),
        (b'{"modalities": ["SMELL"]}', "SMELL", "modalities[0]"),
        (b'{"parts": [{"content": {"text": "\\ud800"}}]}', "surrogate", "parts[0].content.text"),
        (b'{"filter": {"datetime_range": {"gte": "soon"}}}', "timestamp", "filter.datetime_range.gte"),
        (b'{"filter":' + b'{"negated":' * 200 + b"{}" + b"}" * 201, "too deep", "filter"),
        (b'{"' + b"x" * 100_000 + b'": 1}', "has no field", None),
    ],
)
def test_bodies_that_are_no_message(http: httpx.Client, body: bytes, says: str, field: str | None) -> None:
    problem = refused(http.post("/v1/search", content=body, headers=JSON), 400, "MALFORMED_BODY")
    assert says in str(problem["detail"])
    assert len(str(problem["detail"])) < 1000
    if field is not None:
        errors = problem.get("errors") or [{"field": ""}]
        assert errors[0]["field"] == field  # type: ignore[index]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"max_false_positive_rate": 0.1}, "it is policy.max_false_positive_rate; there are parts, filter, "),
        ({"pages": ""}, "there are parts, filter, limit"),
        ({"text": "a bird"}, "it is parts[].content.text; there are "),
    ],
)
def test_a_field_in_the_wrong_place_is_shown_its_own(http: httpx.Client, body: object, says: str) -> None:
    remedy = str(refused(http.post("/v1/search", json=body), 400, "MALFORMED_BODY")["remedy"])
    assert remedy.startswith(says)
    assert "page_token" in remedy and "pageToken" not in remedy


def test_a_rate_is_shown_as_it_was_sent(http: httpx.Client) -> None:
    asked = {"parts": [{"item_id": "bird/text"}], "policy": {"max_false_positive_rate": -0.1}}
    problem = refused(http.post("/v1/search", json=asked), 400, "INVALID_QUERY")
    assert "max_false_positive_rate is -0.1: send more than 0" in str(problem["detail"])


def test_what_the_service_refuses_keeps_its_reason_and_fields(http: httpx.Client) -> None:
    answer = http.post("/v1/search", json={"parts": [{"item_id": "bird/text"}], "limit": -1})
    problem = refused(answer, 400, "INVALID_QUERY")
    assert problem["code"] == "INVALID_ARGUMENT"
    assert problem["errors"] == [{"field": "limit", "description": "limit is -1"}] or "limit" in str(
        problem["errors"]
    )
    assert problem["request_id"] == answer.headers["x-request-id"]


def test_an_item_that_is_not_there(http: httpx.Client) -> None:
    problem = refused(http.get("/v1/items/no/such"), 404, "NOT_FOUND")
    assert "'no/such'" in str(problem["detail"])


@pytest.mark.parametrize(
    ("path", "reason", "says"),
    [
        ("/v1/items?page_size=x", "INVALID_QUERY", "'x'"),
        ("/v1/items?page_size=-1", "INVALID_QUERY", "page_size is -1"),
        ("/v1/items?page_size=1&page_size=2", "INVALID_QUERY", "given twice"),
        ("/v1/items?nothing=1", "INVALID_QUERY", "there is no field 'nothing'"),
        ("/v1/items?page_size.x=1", "INVALID_QUERY", "there is no field"),
        ("/v1/items?include_vectors=yes", "INVALID_QUERY", "neither true nor false"),
        ("/v1/items?filter={", "INVALID_QUERY", "not JSON"),
        ("/v1/items?filter=3", "INVALID_QUERY", "an object is wanted"),
        ("/v1/items?filter.match=3&filter.match.field=a", "INVALID_QUERY", "given twice"),
        ("/v1/items?page_token=%ff", "INVALID_QUERY", "no UTF-8"),
        ("/v1/items?page_token=abc", "INVALID_QUERY", "page_token"),
        ("/v1/items/%ff", "INVALID_QUERY", "no UTF-8"),
        ("/v1/items/", "INVALID_ITEM", "item_id"),
        ("/v1/items/bird/text?item_id=other", "MALFORMED_BODY", "the path"),
    ],
)
def test_paths_and_queries_that_make_no_sense(http: httpx.Client, path: str, reason: str, says: str) -> None:
    answer = http.get(path)
    assert answer.status_code == 400, answer.text
    assert says in answer.json()["detail"]
    assert answer.json()["remedy"]
    assert answer.json()["reason"] == reason or reason == "INVALID_ITEM"


@pytest.mark.parametrize(
    ("verb", "path", "status", "reason"),
    [
        ("GET", "/nothing", 404, "NO_SUCH_PATH"),
        ("GET", "/v2/items", 404, "NO_SUCH_PATH"),
        ("DELETE", "/v1/users/", 404, "NO_SUCH_PATH"),
        ("PUT", "/v1/search", 405, "NO_SUCH_METHOD"),
        ("POST", "/docs", 405, "NO_SUCH_METHOD"),
        ("GET", "/docs/static/../../settings.py", 404, "NO_SUCH_PATH"),
        ("GET", "/docs/static/%2e%2e/settings.py", 404, "NO_SUCH_PATH"),
        ("OPTIONS", "/v1/search", 405, "NO_SUCH_METHOD"),
    ],
)
def test_paths_and_methods_that_are_not_there(
    http: httpx.Client, verb: str, path: str, status: int, reason: str
) -> None:
    refused(http.request(verb, path), status, reason)


@pytest.mark.parametrize(
    ("headers", "says"),
    [
        ({}, "there is no content-type"),
        ({"content-type": "text/plain"}, "text/plain"),
        ({"content-type": "application/x-www-form-urlencoded"}, "urlencoded"),
        ({"content-type": "application/json; charset=latin-1"}, "latin-1"),
        ({"content-type": "multipart/form-data; boundary=x; charset = unicode_escape"}, "unicode_escape"),
        ({"content-type": "multipart/form-data; boundary=x; charset*=utf-7''"}, "utf-7"),
        ({"content-type": "application/json", "content-encoding": "gzip"}, "gzip"),
    ],
)
def test_content_types(http: httpx.Client, headers: dict[str, str], says: str) -> None:
    problem = refused(http.post("/v1/search", content=b"{}", headers=headers), 415, "CONTENT_TYPE")
    assert says in str(problem["detail"])


def test_a_stream_takes_lines_and_a_call_does_not(http: httpx.Client) -> None:
    refused(http.post("/v1/items:upsert", json={}), 415, "CONTENT_TYPE")
    lines = {"content-type": "application/x-ndjson"}
    refused(http.post("/v1/search", content=b"{}", headers=lines), 415, "CONTENT_TYPE")


def test_a_body_where_none_belongs(http: httpx.Client) -> None:
    refused(http.request("DELETE", "/v1/users/ann", json={"user_id": "bob"}), 400, "MALFORMED_BODY")


def test_a_body_that_says_otherwise_than_the_path(http: httpx.Client) -> None:
    refused(http.post("/v1/models/a:promote", json={"version": "b"}), 400, "MALFORMED_BODY")
    assert http.post("/v1/models/a:promote", json={"version": "a"}).json()["reason"] != "MALFORMED_BODY"


@pytest.mark.parametrize(
    "parts",
    [
        {"message": (None, "{")},
        {"message": (None, "[]")},
        {"message": (None, "{}"), "parts[1].content.image": ("a", b"x")},
        {"message": (None, '{"parts": 3}'), "parts[0].content.image": ("a", b"x")},
        {"message": (None, "{}"), "limit": (None, "3")},
        {"message": (None, "{}"), "parts[0].content.smell": ("a", b"x")},
        {"message": (None, "{}"), "": ("a", b"x")},
        {"message": (None, "{}"), f"parts[{'9' * 5000}]": ("a", b"x")},
        {"message": (None, "{}"), f"parts[{'9' * 5000}].content.image": ("a", b"x")},
    ],
)
def test_forms_that_are_no_message(http: httpx.Client, parts: dict[str, object]) -> None:
    refused(http.post("/v1/search", files=parts), 400, "MALFORMED_BODY")  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["multipart/form-data", "multipart/form-data; boundary=x"])
def test_forms_that_are_none(http: httpx.Client, kind: str) -> None:
    refused(http.post("/v1/search", content=b"--y\r\n\r\n", headers={"content-type": kind}), 400, "MALFORMED_BODY")


def test_a_body_that_is_too_large_is_refused_before_it_is_sent(http: httpx.Client, door: Opened) -> None:
    """Also where it comes in chunks, without saying how large it will be."""
    raw = json.dumps({"parts": [{"content": {"text": "x" * MAX_MESSAGE}}]}).encode()
    refused(http.post("/v1/search", content=raw, headers=JSON), 413, "TOO_LARGE")
    chunks = (raw[begin : begin + 10_000] for begin in range(0, len(raw), 10_000))
    refused(http.post("/v1/search", content=chunks, headers=JSON), 413, "TOO_LARGE")


def test_a_message_that_is_too_large_though_its_json_is_not(http: httpx.Client) -> None:
    numbers = "[" + ",".join("1" * (MAX_MESSAGE // 8)) + "]"
    line = '{"item": {"id": "a", "contents": [{"text": "x"}], "payload": {"a": ' + numbers + "}}}"
    answer = http.post("/v1/items:upsert", content=line, headers={"content-type": "application/x-ndjson"})
    assert "in protobuf, the limit is" in answer.json()["problem"]["message"]


def test_deadlines(http: httpx.Client) -> None:
    soon = http.post(
        "/v1/search", json={"parts": [{"content": {"text": "x"}}]}, headers={"x-request-timeout": "0.00001"}
    )
    assert (soon.status_code, soon.json()["code"]) == (504, "DEADLINE_EXCEEDED")
    for said in ("", "soon", "-1", "0", "nan", "1e9"):
        answer = http.get("/v1/models", headers={"x-request-timeout": said})
        refused(answer, 400, "MALFORMED_HEADER")
    assert http.get("/v1/models", headers={"x-request-timeout": "20"}).status_code == 200


def test_a_request_id_of_the_caller_is_kept_where_it_is_one(http: httpx.Client) -> None:
    assert http.get("/v1/items/nothing", headers={"x-request-id": "mine"}).json()["request_id"] == "mine"
    made = http.get("/v1/models", headers={"x-request-id": "two words"}).headers["x-request-id"]
    assert len(made) == 32


def test_a_body_that_does_not_arrive(tmp_path: Path) -> None:
    settings = HttpSettings(address="127.0.0.1:0", body_seconds=0.2)
    with opened(tmp_path, settings) as door:
        head = b"POST /v1/search HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        assert b"408" in exchange(door.door.port, head + b"content-length: 9\r\n\r\n{").split(b"\r\n")[0]


def test_a_defect_of_ours_is_told_with_the_request_id(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    def broken(request: object) -> Response:
        raise ZeroDivisionError

    with opened(tmp_path, extra_routes=[Route("/broken", broken)]) as door:
        answer = httpx.get(f"{door.url}/broken", headers={"x-request-id": "mine"})
    problem = refused(answer, 500, "UNEXPECTED")
    assert "request id mine" in str(problem["detail"])
    assert answer.headers["x-content-type-options"] == "nosniff"
    said = capfd.readouterr()
    assert "ZeroDivisionError" in said.out + said.err


@pytest.mark.parametrize(
    "sent",
    [
        b"nonsense\r\n\r\n",
        b"GET /v1/health HTTP/1.1\r\n\r\n",
        b"POST /v1/search HTTP/1.1\r\nhost: localhost\r\ncontent-length: x\r\n\r\n",
        b"POST /v1/search HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n{}",
        b"GET /v1/health HTTP/1.1\r\nhost: a\0b\r\n\r\n",
    ],
    ids=lambda sent: repr(sent[:40]),
)
def test_what_is_no_http_is_refused_as_all_is(door: Opened, sent: bytes) -> None:
    head, _, body = exchange(door.door.port, sent).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert b"content-type: application/problem+json" in head.lower()
    assert json.loads(body)["reason"] == "MALFORMED_REQUEST"
