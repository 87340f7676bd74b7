"""Streams as lines: a bad one has its place among the others, and nobody has to read before all is sent."""

import json
import socket
from collections.abc import Iterator

import httpx
import pytest

from tests.http.doors import Opened
from tests.service.conftest import MAX_MESSAGE

LINES = {"content-type": "application/x-ndjson"}


def line(item_id: str, text: str = "a thing") -> str:
    return json.dumps({"item": {"id": item_id, "contents": [{"text": text}]}})


def upsert(http: httpx.Client, content: str | bytes) -> list[dict[str, object]]:
    answer = http.post("/v1/items:upsert", content=content, headers=LINES)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/x-ndjson"
    return [json.loads(one) for one in answer.text.splitlines()]


def test_one_bad_line_among_others(http: httpx.Client) -> None:
    too_long = line("long", "x" * MAX_MESSAGE)
    sent = [line("s/0"), "{bad", "", '{"itme": {}}', line(""), too_long, line("s/1")]
    results = upsert(http, "\n".join(sent))
    assert [result["index"] for result in results] == ["0", "1", "2", "3", "4", "5"]
    outcomes = [str(result["outcome"]).removeprefix("UPSERT_OUTCOME_") for result in results]
    assert outcomes == ["STORED", "REJECTED", "REJECTED", "REJECTED", "REJECTED", "STORED"]
    problems = [result.get("problem", {}) for result in results]
    assert "not JSON" in problems[1]["message"]  # type: ignore[index]
    assert "there is no field 'itme'" in problems[2]["message"]  # type: ignore[index]
    assert "there are item, strict" in problems[2]["remedy"]  # type: ignore[index]
    assert "line has more than" in problems[4]["message"]  # type: ignore[index]
    http.post("/v1/items:delete", json={"item_ids": ["s/0", "s/1"]})


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\n\n"])
def test_line_endings(http: httpx.Client, ending: str) -> None:
    results = upsert(http, ending.join([line("e/0"), line("e/1"), ""]))
    assert [result["item_id"] for result in results] == ["e/0", "e/1"]
    http.post("/v1/items:delete", json={"item_ids": ["e/0", "e/1"]})


def test_nothing_sent_is_nothing_answered(http: httpx.Client) -> None:
    assert upsert(http, b"") == []


def test_answers_come_while_lines_go(door: Opened) -> None:
    """The second line is sent once the first is answered."""
    with socket.create_connection(("127.0.0.1", door.door.port), timeout=20) as connection:
        head = "POST /v1/items:upsert HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n"
        connection.sendall(f"{head}content-type: application/x-ndjson\r\n\r\n".encode())
        received = b""
        for row in range(3):
            raw = (line(f"w/{row}") + "\n").encode()
            connection.sendall(b"%x\r\n%s\r\n" % (len(raw), raw))
            while b"w/%d" % row not in received:
                received += connection.recv(1 << 16) or pytest.fail("closed")
        connection.sendall(b"0\r\n\r\n")
        while not received.endswith(b"0\r\n\r\n"):
            received += connection.recv(1 << 16) or pytest.fail("closed")


def test_a_client_that_sends_all_before_it_reads(door: Opened) -> None:
    """Of what it gets back, several megabytes, little fits into the buffers of the sockets."""
    count = 8000
    body = "".join(json.dumps({"item": {"id": f"{row:04}" + "x" * 1000}}) + "\n" for row in range(count)).encode()
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
    connection.settimeout(60)
    with connection:
        connection.connect(("127.0.0.1", door.door.port))
        head = (
            f"POST /v1/items:upsert HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {len(body)}"
        )
        connection.sendall(f"{head}\r\ncontent-type: application/x-ndjson\r\n\r\n".encode() + body)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)  # through a small one it may take minutes
        received = bytearray()
        while chunk := connection.recv(1 << 16):
            received += chunk
    assert received.count(b'"UPSERT_OUTCOME_REJECTED"') == count


def test_stream_events(http: httpx.Client) -> None:
    def lines() -> Iterator[bytes]:
        for row in range(20):
            event = {"kind": "EVENT_KIND_VIEW", "item_id": "bird/text", "id": f"v{row}"}
            yield (json.dumps({"event": {"user_id": "streamer", "event": event}}) + "\n").encode()
            if row == 9:
                yield b"not json\n"

    answer = http.post("/v1/events:stream", content=lines(), headers=LINES)
    assert answer.status_code == 200, answer.text
    said = answer.json()
    assert (said["recorded_count"], said["rejected_count"]) == ("20", "1")
    assert (said["rejected"][0]["index"], said["rejected"][0]["problem"]["reason"]) == (10, "MALFORMED")
    assert len(http.get("/v1/users/streamer/history?page_size=50").json()["events"]) == 20
    http.delete("/v1/users/streamer")


def test_a_query_on_a_stream_is_refused(http: httpx.Client) -> None:
    answer = http.post("/v1/items:upsert?strict=true", content=line("q"), headers=LINES)
    assert (answer.status_code, answer.json()["reason"]) == (400, "INVALID_QUERY")


def test_a_stream_whose_time_is_up_says_so(door: Opened) -> None:
    """At the first line as a status; later, when there is none to say it with, as the last line."""
    head = (
        "POST /v1/items:upsert HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\nx-request-timeout: 1\r\n"
    )
    raw = (line("t/0") + "\n").encode()
    for begin, status in ((b"", b"504"), (b"%x\r\n%s\r\n" % (len(raw), raw), b"200")):
        with socket.create_connection(("127.0.0.1", door.door.port), timeout=20) as connection:
            connection.sendall(f"{head}content-type: application/x-ndjson\r\n\r\n".encode() + begin)
            received = b""
            while b"DEADLINE_EXCEEDED" not in received:
                received += connection.recv(1 << 16) or pytest.fail(received.decode())
        assert status in received.split(b"\r\n")[0]
