"""Bad input: each gets a status and details that a caller can act on, and the server answers the next call."""

import math
import os
import signal
import struct
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from encoders.decoding import processes
from engine.core.deadline import Deadline
from engine.core.types import Query, Recommendations
from engine.service.paging import sealed
from tests.encoders.media import black_png
from tests.service.conftest import MAX_MESSAGE
from tests.service.running import Failure, Running, failure
from tests.tiny import concept_png, concept_wav, png_bytes
from triveni.v1 import catalog_pb2, content_pb2, encoder_pb2, event_pb2, filter_pb2, recommendation_pb2

C, E, F, R = content_pb2.Content, event_pb2, filter_pb2, recommendation_pb2


@pytest.fixture(autouse=True)
def answers_the_next_call(server: Running) -> Iterator[None]:
    """After every bad call the server still answers a good one."""
    yield
    request = R.SearchRequest(parts=[R.QueryPart(content=C(text="piano"))], limit=1)
    assert len(server.recommendations.Search(request, timeout=10).results) == 1


def search(server: Running, **fields: object) -> Callable[[], object]:
    fields.setdefault("parts", [R.QueryPart(content=C(text="bird"))])
    return lambda: server.recommendations.Search(R.SearchRequest(**fields), timeout=10)  # type: ignore[arg-type]


def recommend(server: Running, **fields: object) -> Callable[[], object]:
    return lambda: server.recommendations.Recommend(R.RecommendRequest(**fields), timeout=10)  # type: ignore[arg-type]


def vector(values: np.ndarray, fingerprint: str = "", modality: str = "MODALITY_TEXT") -> list[R.QueryPart]:
    raw = values.astype("<f4").tobytes()
    return [R.QueryPart(vector=content_pb2.Vector(modality=modality, values=raw, fingerprint=fingerprint))]


def huge_png(side: int) -> bytes:
    """A PNG whose header claims side × side pixels."""
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    return (
        b"\x89PNG\r\n\x1a\n"
        + struct.pack(">I", 13)
        + chunk
        + struct.pack(">I", zlib.crc32(chunk))
        + png_bytes(1)[33:]
    )


def long_wav() -> bytes:
    """A WAV whose header claims ten hours."""
    raw = bytearray(concept_wav("bird"))
    raw[40:44] = struct.pack("<I", 36_000 * 16_000 * 2)
    return bytes(raw)


def expect(found: Failure, code: str, field: str, *words: str) -> None:
    assert found.code == code, found
    assert field in found.fields, found
    assert found.reason
    assert found.request_id
    for word in words:
        assert word in found.message, found


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("corrupt image", C(image=b"\x89PNG no"), ("image",)),
        ("truncated image", C(image=png_bytes(3, 64)[:200]), ("image",)),
        ("empty image", C(image=b""), ("image",)),
        ("huge image", C(image=huge_png(15_200)), ("231040000", "pixels")),
        ("corrupt audio", C(audio=b"RIFF no"), ("audio",)),
        ("truncated audio", C(audio=concept_wav("bird")[:20]), ("audio",)),
        ("empty audio", C(audio=b""), ("audio",)),
        ("empty text", C(text=""), ("text",)),
        ("blank text", C(text="  \n"), ("text",)),
        ("a million characters", C(text="a" * 1_000_000), ("text", "1000000", "10000")),
        ("text with NUL", C(text="a\0bird"), ("text", "NUL", "position 1")),
        ("audio that claims ten hours", C(audio=long_wav()), ("audio", "1152000000", "8000 are there")),
        ("an image as audio", C(audio=concept_png("bird")), ("audio",)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_content_that_cannot_be_read(server: Running, name: str, content: C, words: tuple[str, ...]) -> None:
    found = failure(search(server, parts=[R.QueryPart(content=C(text="ok")), R.QueryPart(content=content)]))
    expect(found, "INVALID_ARGUMENT", "parts[1]", *words)
    response = server.encoder.Encode(encoder_pb2.EncodeRequest(contents=[C(text="ok"), content, C(text="fine")]))
    assert list(response.content_indexes) == [0, 2]
    assert [(one.index, one.problem.status) for one in response.rejected] == [(1, "INVALID_ARGUMENT")]
    assert response.rejected[0].problem.field == "contents[1]"
    for word in words:
        assert word in response.rejected[0].problem.message, response.rejected[0]
    answer = server.recommendations.Recommend(
        R.RecommendRequest(history=[E.Event(kind="EVENT_KIND_UPLOAD", content=content)], limit=1)
    )
    assert [skipped.index for skipped in answer.skipped] == [0]
    assert words[0] in answer.skipped[0].reason


def test_vectors(server: Running) -> None:
    good = np.ones(server.space.dimension)
    nan, infinite = good.copy(), good.copy()
    nan[3], infinite[3] = math.nan, math.inf
    for bad in (nan, infinite, 0 * good):
        expect(failure(search(server, parts=vector(bad))), "INVALID_ARGUMENT", "parts[0].vector", "NaN", "finite")
    found = failure(search(server, parts=vector(good[:-1])))
    expect(found, "INVALID_ARGUMENT", "parts[0].vector", "63", "64")
    found = failure(search(server, parts=vector(good, "f" * 32)))
    expect(found, "FAILED_PRECONDITION", "parts[0].vector", "f" * 32, server.space.fingerprint)
    found = failure(search(server, parts=vector(good, modality="MODALITY_UNSPECIFIED")))
    expect(found, "INVALID_ARGUMENT", "parts[0].vector.modality", "MODALITY_TEXT")
    part = R.QueryPart(vector=content_pb2.Vector(modality="MODALITY_TEXT", values=b"12345"))
    expect(failure(search(server, parts=[part])), "INVALID_ARGUMENT", "parts[0].vector.values", "5 bytes")


@pytest.mark.parametrize("limit", [0, -1, 1_000_000])
def test_limit(server: Running, limit: int) -> None:
    for call in (search, recommend):
        expect(failure(call(server, limit=limit)), "INVALID_ARGUMENT", "limit", str(limit), "1 to 1000")


def test_queries_without_bounds_are_refused(server: Running) -> None:
    """Work and memory grow with the square of the parts: enough of them would take all that there is."""
    part, event = R.QueryPart(content=C(text="bird")), E.Event(kind="EVENT_KIND_LIKE", item_id="bird/text")
    assert len(server.recommendations.Search(R.SearchRequest(parts=[part] * 64, limit=1)).results) == 1
    expect(failure(search(server, parts=[part] * 65)), "INVALID_ARGUMENT", "parts", "65 parts", "send 64 at most")
    found = failure(recommend(server, history=[event] * 10_001))
    expect(found, "INVALID_ARGUMENT", "history", "10001 events", "send 10000 at most")
    policy = R.PolicyOptions(exclude_item_ids=[str(number) for number in range(10_001)])
    for call in (search, recommend):
        found = failure(call(server, policy=policy))
        expect(found, "INVALID_ARGUMENT", "policy.exclude_item_ids", "10001 excluded items", "send 10000 at most")
    for call, fields in (  # they are counted before the first of them is read: a million would take seconds
        (recommend, {"history": [E.Event()] * 10_001}),
        (search, {"parts": [R.QueryPart()] * 65}),
        (search, {"policy": R.PolicyOptions(exclude_item_ids=[""] * 10_001)}),
    ):
        assert "at most" in failure(call(server, **fields)).message


def test_a_context_that_could_not_be_logged_is_refused(server: Running) -> None:
    for context, word in (
        ({"page": "x" * 9000}, "9000 characters"),
        ({str(row): "" for row in range(33)}, "33 entries"),
        ({"page": "a\0b"}, "NUL"),
        ({"": "x"}, "empty key"),
    ):
        expect(failure(recommend(server, context=context)), "INVALID_ARGUMENT", "context", word)


def test_query_parts(server: Running) -> None:
    def search_for(part: R.QueryPart) -> Failure:
        return failure(search(server, parts=[part]))

    expect(failure(search(server, parts=[])), "INVALID_ARGUMENT", "parts", "give a text")
    expect(search_for(R.QueryPart()), "INVALID_ARGUMENT", "parts[0]", "set content")
    expect(search_for(R.QueryPart(content=C())), "INVALID_ARGUMENT", "parts[0].content", "set one of")
    expect(search_for(R.QueryPart(item_id="gone")), "NOT_FOUND", "parts[0]", "'gone'")
    expect(search_for(R.QueryPart(item_id="")), "INVALID_ARGUMENT", "parts[0].item_id", "empty")
    expect(search_for(R.QueryPart(item_id="a\0b")), "INVALID_ARGUMENT", "parts[0].item_id", "NUL")
    expect(search_for(R.QueryPart(item_id="x" * 600)), "INVALID_ARGUMENT", "parts[0].item_id", "600", "512")
    weight = R.QueryPart(content=C(text="bird"), weight=math.nan)
    expect(search_for(weight), "INVALID_ARGUMENT", "parts[0].weight", "nan")
    unwanted = R.QueryPart(content=C(text="bird"), weight=-1)
    expect(search_for(unwanted), "INVALID_ARGUMENT", "parts", "positive")


@pytest.mark.parametrize(
    ("event", "field", "word"),
    [
        (E.Event(item_id="bird/text"), "kind", "EVENT_KIND_LIKE"),
        (E.Event(kind=99, item_id="bird/text"), "kind", "99"),  # type: ignore[arg-type]
        (E.Event(kind="EVENT_KIND_LIKE"), "", "item_id"),
        (E.Event(kind="EVENT_KIND_LIKE", item_id=""), "item_id", "empty"),
        (E.Event(kind="EVENT_KIND_LIKE", item_id="a\0b"), "item_id", "NUL"),
        (E.Event(kind="EVENT_KIND_SEARCH", content=C()), "content", "set one of"),
        (E.Event(kind="EVENT_KIND_RATE", item_id="bird/text", value=math.inf), "value", "inf"),
        (E.Event(kind="EVENT_KIND_RATE", item_id="bird/text", value=9), "value", "9"),
        (E.Event(kind="EVENT_KIND_PURCHASE", item_id="bird/text", value=-1), "value", "0 or more"),
        (E.Event(kind="EVENT_KIND_LIKE", item_id="x", time=Timestamp(seconds=1 << 50)), "time", str(1 << 50)),
        (E.Event(kind="EVENT_KIND_LIKE", item_id="x", id="i" * 513), "id", "513"),
    ],
)
def test_events(server: Running, event: E.Event, field: str, word: str) -> None:
    good = E.Event(kind="EVENT_KIND_LIKE", item_id="bird/text")
    path = f"history[1].{field}" if field else "history[1]"
    expect(failure(recommend(server, history=[good, event])), "INVALID_ARGUMENT", path, word)


def _nested(depth: int) -> F.Filter:
    filter_ = F.Filter(match=F.Match(field="category", value=F.Scalar(string_value="bird")))
    for _ in range(depth):
        filter_ = F.Filter(negated=filter_)
    return filter_


@pytest.mark.parametrize(
    ("filter_", "field", "word"),
    [
        (F.Filter(), "filter", "empty"),
        (F.Filter(match=F.Match(field="colour", value=F.Scalar(string_value="red"))), "", "colour"),
        (F.Filter(match=F.Match(field="category")), "filter.match.value", "string_value"),
        (F.Filter(match=F.Match(value=F.Scalar(int_value=1))), "filter.match.field", "names no field"),
        (F.Filter(match=F.Match(field="_id", value=F.Scalar(string_value="a"))), "filter.match.field", "_id"),
        (F.Filter(match=F.Match(field="category", value=F.Scalar(int_value=1))), "", "category"),
        (F.Filter(match_any=F.MatchAny(field="category")), "filter.match_any.values", "at least one"),
        (F.Filter(range=F.Range(field="price")), "filter.range", "gte"),
        (F.Filter(range=F.Range(field="price", gte=math.nan)), "filter.range.gte", "NaN"),
        (F.Filter(range=F.Range(field="category", gte=1)), "", "category"),
        (F.Filter(datetime_range=F.DatetimeRange(field="price")), "filter.datetime_range", "gte"),
        (
            F.Filter(datetime_range=F.DatetimeRange(field="price", gt=Timestamp(seconds=-(1 << 50)))),
            "filter.datetime_range.gt",
            "years",
        ),
        (F.Filter(geo_radius=F.GeoRadius(field="at", lat=91, radius_m=1)), "filter.geo_radius.lat", "91"),
        (F.Filter(geo_radius=F.GeoRadius(field="at", lon=math.nan, radius_m=1)), "filter.geo_radius.lon", "nan"),
        (F.Filter(geo_radius=F.GeoRadius(field="at", radius_m=0)), "filter.geo_radius.radius_m", "0"),
        (F.Filter(all_of=F.FilterList()), "filter.all_of.filters", "at least one"),
        (F.Filter(any_of=F.FilterList(filters=[_nested(0), F.Filter()])), "filter.any_of.filters[1]", "empty"),
        (_nested(20), "", "16 deep"),
    ],
)
def test_filters(server: Running, filter_: F.Filter, field: str, word: str) -> None:
    for call in (
        search(server, filter=filter_),
        recommend(server, filter=filter_),
        lambda: server.catalog.ListItems(catalog_pb2.ListItemsRequest(filter=filter_), timeout=10),
    ):
        found = failure(call)
        assert found.code == "INVALID_ARGUMENT", found
        assert word in found.message, found
        assert next(iter(found.fields)).startswith("filter"), found
        if field:
            assert field in found.fields, found


def test_modalities_and_policy(server: Running) -> None:
    expect(failure(search(server, modalities=[0])), "INVALID_ARGUMENT", "modalities[0]", "MODALITY_TEXT")
    for options, field in (
        (R.PolicyOptions(diversity=2), "policy.diversity"),
        (R.PolicyOptions(min_score=math.nan), "policy.min_score"),
        (R.PolicyOptions(max_per_value={"category": 0}), "policy.max_per_value[category]"),
        (R.PolicyOptions(exclude_item_ids=["a", ""]), "policy.exclude_item_ids[1]"),
    ):
        expect(failure(search(server, policy=options)), "INVALID_ARGUMENT", field)
    expect(failure(recommend(server, user_id="a\0")), "INVALID_ARGUMENT", "user_id", "NUL")


def test_too_many_contents(server: Running) -> None:
    for count in (0, 1025):
        request = encoder_pb2.EncodeRequest(contents=[C(text="a")] * count)
        found = failure(lambda request=request: server.encoder.Encode(request, timeout=10))
        expect(found, "INVALID_ARGUMENT", "contents", str(count), "1024")


def test_message_over_the_limit(server: Running) -> None:
    found = failure(search(server, parts=[R.QueryPart(content=C(image=b"x" * (MAX_MESSAGE + 1)))]))
    assert found.code == "RESOURCE_EXHAUSTED"
    assert str(MAX_MESSAGE) in found.message


@pytest.mark.parametrize(
    "raw",
    [
        b"\xff\xff\xff",  # no protobuf at all
        b"\x0a\x05ab",  # a length beyond the end
        b"\x0a\x06\x0a\x04\x0a\x02\xc3\x28",  # parts[0].content.text is not UTF-8
    ],
)
@pytest.mark.parametrize(
    "method", ["RecommendationService/Search", "EncoderService/Encode", "ModelService/ListModels"]
)
def test_bytes_that_are_no_message(server: Running, raw: bytes, method: str) -> None:
    if method == "ModelService/ListModels":
        raw = raw.replace(b"\x0a", b"\x12")  # page_token
    call = server.channel.unary_unary(f"/triveni.v1.{method}")
    found = failure(lambda: call(raw, timeout=10))
    assert (found.code, found.reason) == ("INVALID_ARGUMENT", "MALFORMED")
    assert "UTF-8" in found.message


def test_long_values_do_not_overflow_the_status(server: Running) -> None:
    for value in ("é" * 200_000, "𝄞" * 100_000):
        found = failure(search(server, parts=[R.QueryPart(item_id=value)]))
        assert found.code == "INVALID_ARGUMENT"
        assert found.fields
        wanted = F.Filter(match=F.Match(field=value, value=F.Scalar(int_value=1)))
        found = failure(search(server, filter=wanted))
        assert found.code == "INVALID_ARGUMENT"
        assert found.fields


def test_unknown_method(server: Running) -> None:
    call = server.channel.unary_unary("/triveni.v1.RecommendationService/Forget")
    assert failure(lambda: call(b"", timeout=10)).code == "UNIMPLEMENTED"


def test_deadline_of_a_millisecond(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """The caller hears of it, and the server does not finish what nobody waits for."""
    finished, real = [], server.tenant.engine.recommend

    def recommend(query: Query, deadline: Deadline) -> Recommendations:
        answer = real(query, deadline)
        finished.append(query)
        return answer

    monkeypatch.setattr(server.tenant.engine, "recommend", recommend)
    history = [E.Event(kind="EVENT_KIND_UPLOAD", content=C(image=concept_png("bird", seed))) for seed in range(100)]
    request = R.RecommendRequest(history=history)
    for _ in range(5):
        found = failure(lambda: server.recommendations.Recommend(request, timeout=0.001))
        assert found.code == "DEADLINE_EXCEEDED"
    until = time.monotonic() + 10
    while server.server._pools.reads.pending and time.monotonic() < until:
        time.sleep(0.01)
    assert server.server._pools.reads.pending == 0
    assert finished == []


@pytest.mark.parametrize(("width", "height"), [(1, 4_000_000), (4_000_000, 1)])
def test_a_picture_that_is_all_length_is_refused_at_once(server: Running, width: int, height: int) -> None:
    picture = black_png(1, 1).replace(struct.pack(">II", 1, 1), struct.pack(">II", width, height))
    at = picture.index(b"IHDR")
    picture = picture[: at + 17] + struct.pack(">I", zlib.crc32(picture[at : at + 17])) + picture[at + 21 :]
    refused = failure(search(server, parts=[R.QueryPart(content=C(image=picture))]))
    assert (refused.code, refused.reason) == ("INVALID_ARGUMENT", "LIMIT")
    assert "has a side of 4000000 pixels, the limit is 32768" in refused.message


@pytest.mark.timeout(60)
def test_a_decoder_that_hangs_or_crashes_stops_nobody_else(server: Running) -> None:
    fine, *others = (R.QueryPart(content=C(image=concept_png("bird", seed))) for seed in (0, 91, 92))
    search(server, parts=[fine])()
    crash = (signal.SIGSEGV, signal.SIGCONT)
    for part, (numbers, reason) in zip(others, (((signal.SIGSTOP,), "OVERTIME"), (crash, "CRASH")), strict=True):
        hanging = processes._idle[-1]
        os.kill(hanging.pid, signal.SIGSTOP)
        with ThreadPoolExecutor(1) as pool:
            refused = pool.submit(failure, search(server, parts=[part]))
            while hanging in processes._idle:
                time.sleep(0.001)
            assert server.catalog.ListItems(catalog_pb2.ListItemsRequest(page_size=1), timeout=5).items
            for number in numbers:
                os.kill(hanging.pid, number)
            assert (refused.result(30).code, refused.result().reason) == ("INVALID_ARGUMENT", reason)
        search(server, parts=[fine])()


@pytest.mark.parametrize(
    "cursor", [b"\xff", b"{00000000-0000-0000-0000-000000000000}", b"urn:uuid:" + b"0" * 32, b"\0", b"9.\xff"]
)
def test_a_page_token_that_somebody_made_up_is_refused(server: Running, cursor: bytes) -> None:
    """Its checksum is no secret."""
    token = sealed(cursor, server.space.fingerprint.encode())
    found = failure(lambda: server.catalog.ListItems(catalog_pb2.ListItemsRequest(page_token=token)))
    assert found.code == "INVALID_ARGUMENT"
    asked = E.GetHistoryRequest(user_id="ann", page_token=sealed(cursor, b"history of ann"))
    assert failure(lambda: server.events.GetHistory(asked)).code == "INVALID_ARGUMENT"
