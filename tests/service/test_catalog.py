"""The catalogue over the wire."""

import itertools
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from google.protobuf.json_format import MessageToDict
from google.protobuf.struct_pb2 import Struct

from encoders.errors import ContentError, TriveniError
from encoders.types import Content, Image, Text
from engine.catalog.settings import IndexSettings
from engine.compose.doors import server_options
from engine.config.settings import Settings
from engine.core.deadline import Deadline
from engine.core.filters import FieldKind
from engine.core.types import Item, ItemId
from engine.encode.encoding import ContentEncoder, Encoded, EncodedPassages
from engine.service.server import ServerOptions
from engine.service.upsert import Upserted, Upserter, UpsertOutcome
from engine.store.edge import EdgeStore
from tests.service.running import Running, failure, item, open_edge, open_events, running
from tests.tiny import concept_png, concept_space, concept_wav
from triveni.v1 import catalog_pb2, content_pb2, filter_pb2, item_pb2, recommendation_pb2

P, F = catalog_pb2, filter_pb2
STORED, UNCHANGED, REJECTED = P.UPSERT_OUTCOME_STORED, P.UPSERT_OUTCOME_UNCHANGED, P.UPSERT_OUTCOME_REJECTED


class Counting:
    """Counts what is encoded, and may be held up."""

    def __init__(self, encoder: ContentEncoder) -> None:
        self.encoder = encoder
        self.contents: list[Content] = []
        self.go_on = threading.Event()
        self.go_on.set()

    def encode(self, contents: list[Content], deadline: Deadline) -> list[Encoded]:
        self.go_on.wait(20)
        self.contents += contents
        return self.encoder.encode(contents, deadline)

    def encode_passages(self, contents: list[Content], most: list[int], deadline: Deadline) -> list[EncodedPassages]:
        self.go_on.wait(20)
        self.contents += contents
        return self.encoder.encode_passages(contents, most, deadline)


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, Counting]]:
    space, counting = concept_space(), []
    folder = Path(tmp_path_factory.mktemp("catalog"))
    store = open_edge(folder / "items", space)
    events = open_events(folder, store)
    options = ServerOptions(address="127.0.0.1:0", max_batch=8, max_message_bytes=1 << 20, drain_seconds=2)

    def wrap(encoder: ContentEncoder) -> ContentEncoder:
        counting.append(Counting(encoder))
        return counting[0]

    with running(space, store, events, options, wrap=wrap) as run:
        yield run, counting[0]
    events.close()
    store.close()


@pytest.fixture
def fresh(started: tuple[Running, Counting]) -> tuple[Running, Counting]:
    """A server with an empty catalogue, and what its encoder is asked for."""
    run, counting = started
    run.store.delete([point.id for point in run.store.scroll(limit=10_000).points])
    counting.contents.clear()
    counting.go_on.set()
    return run, counting


def get(run: Running, item_id: str, *, vectors: bool = False) -> item_pb2.StoredItem:
    return run.catalog.GetItem(P.GetItemRequest(item_id=item_id, include_vectors=vectors), timeout=10).item


def test_upserted_item_can_be_read_and_found(fresh: tuple[Running, Counting]) -> None:
    run, _ = fresh
    sent = item("a", text="a bird", image=concept_png("bird"), audio=concept_wav("bird"), year=1999, price=2.5)
    (result,) = run.upsert([sent])
    assert (result.outcome, result.index, result.item_id) == (STORED, 0, "a")
    stored = get(run, "a", vectors=True)
    assert (stored.id, stored.text) == ("a", "a bird")
    assert MessageToDict(stored.payload) == {"year": 1999, "price": 2.5}
    assert stored.digest
    assert abs(stored.index_time.ToSeconds() - time.time()) < 60
    vectors = {vector.modality: np.frombuffer(vector.values, "<f4") for vector in stored.vectors}
    assert set(vectors) == set(stored.modalities) == {1, 2, 3}
    encoded = run.space.encode([Text("a bird"), Image(concept_png("bird"))])
    np.testing.assert_allclose(vectors[content_pb2.MODALITY_TEXT], encoded[0], atol=1e-5)
    np.testing.assert_allclose(vectors[content_pb2.MODALITY_IMAGE], encoded[1], atol=1e-5)
    assert not get(run, "a").vectors
    part = recommendation_pb2.QueryPart(content=content_pb2.Content(audio=concept_wav("bird", 4)))
    found = run.recommendations.Search(recommendation_pb2.SearchRequest(parts=[part]))
    assert [one.item_id for one in found.results] == ["a"]


def test_whole_numbers_stay_integers_for_filters(fresh: tuple[Running, Counting]) -> None:
    run, _ = fresh
    run.upsert([item("a", text="x", year=1999), item("b", text="y", year=2000)])
    wanted = F.Filter(match=F.Match(field="year", value=F.Scalar(int_value=1999)))
    assert [one.id for one in run.catalog.ListItems(P.ListItemsRequest(filter=wanted)).items] == ["a"]


def test_a_bad_item_does_not_end_the_stream(fresh: tuple[Running, Counting]) -> None:
    run, _ = fresh
    nan = item("nan", text="x")
    nan.payload["price"] = float("nan")
    good = [item(f"good{row}", text=f"bird {row}") for row in range(12)]
    bad = {
        "": item("", text="x"),
        "nul\0": item("nul\0", text="x"),
        "x" * 513: item("x" * 513, text="x"),
        "none": item("none"),
        "empty": item_pb2.Item(id="empty", contents=[content_pb2.Content()]),
        "many": item_pb2.Item(id="many", contents=[content_pb2.Content(text="a")] * 17),
        "image": item("image", image=b"no image"),
        "nan": nan,
        "reserved": item("reserved", text="x", _id="y"),
    }
    fields = ["id", "id", "id", "contents", "contents[0]", "contents", "contents[0].image", "price", "payload"]
    sent = [pair for both in zip(good, bad.values(), strict=False) for pair in both] + good[len(bad) :]
    results = run.upsert(sent)
    assert [result.index for result in results] == list(range(len(sent)))
    assert [result.item_id for result in results] == [one.id for one in sent]
    by_id = {result.item_id: result for result in results}
    for one in good:
        assert by_id[one.id].outcome == STORED
    for item_id, field in zip(bad, fields, strict=True):
        result = by_id[item_id]
        assert result.outcome == REJECTED
        assert result.problem.status == "INVALID_ARGUMENT"
        assert result.problem.message
        assert result.problem.remedy
        assert result.problem.field in (field, ""), result
    assert run.store.count() == len(good)


def test_a_message_that_cannot_be_parsed_is_a_bad_item(fresh: tuple[Running, Counting]) -> None:
    run, _ = fresh
    method = "/triveni.v1.CatalogService/UpsertItems"
    call = run.channel.stream_stream(method, response_deserializer=P.UpsertItemsResponse.FromString)
    good = P.UpsertItemsRequest(item=item("a", text="x")).SerializeToString()
    other = P.UpsertItemsRequest(item=item("b", text="y")).SerializeToString()
    surrogate = b"\x0a\x05\x0a\x03\xed\xa0\x80"
    results = list(call(iter([good, b"\xff\xff", surrogate, other]), timeout=10))
    assert [result.outcome for result in results] == [STORED, REJECTED, REJECTED, STORED]
    assert [result.problem.reason for result in results] == ["", "MALFORMED", "MALFORMED", ""]


def test_only_what_changed_is_encoded(fresh: tuple[Running, Counting]) -> None:
    run, counting = fresh
    first = item("a", text="a bird", image=concept_png("bird"), price=1.0)
    assert run.upsert([first])[0].outcome == STORED
    assert len(counting.contents) == 2
    before = get(run, "a", vectors=True)
    assert run.upsert([first])[0].outcome == UNCHANGED
    dearer = item("a", text="a bird", image=concept_png("bird"), price=2.0)
    assert run.upsert([dearer])[0].outcome == STORED
    assert len(counting.contents) == 2
    after = get(run, "a", vectors=True)
    assert after.payload["price"] == 2.0
    assert list(after.vectors) == list(before.vectors)
    assert run.upsert([item("a", text="a car")])[0].outcome == STORED
    assert list(get(run, "a").modalities) == [content_pb2.MODALITY_TEXT]


def test_of_two_with_one_id_the_later_stays(fresh: tuple[Running, Counting]) -> None:
    run, _ = fresh
    results = run.upsert(
        [item("a", text="one"), item("a", text="two"), item("a", text="two"), item("a", image=b"bad")]
    )
    assert [result.outcome for result in results] == [STORED, STORED, UNCHANGED, REJECTED]
    assert get(run, "a").text == "two"


def test_an_item_is_stored_without_a_content_that_cannot_be_read(fresh: tuple[Running, Counting]) -> None:
    run, counting = fresh
    sent = item("a", text="a bird", image=b"no image", price=1.0)
    (result,) = run.upsert([sent])
    assert (result.outcome, result.HasField("problem")) == (STORED, False)
    (missing,) = result.missing
    assert (missing.field, missing.status) == ("contents[1].image", "INVALID_ARGUMENT")
    assert missing.message.startswith("image has no known format")
    assert missing.remedy
    stored = get(run, "a")
    assert (list(stored.modalities), stored.text) == ([content_pb2.MODALITY_TEXT], "a bird")
    assert "_missing" not in stored.payload

    counting.contents.clear()
    results = run.upsert([sent, sent])  # only the picture is tried again
    assert [one.outcome for one in results] == [UNCHANGED, UNCHANGED]
    assert [len(one.missing) for one in results] == [1, 1]
    assert {content.modality for content in counting.contents} == {"image"}
    assert get(run, "a").index_time == stored.index_time

    (result,) = run.upsert([item("a", text="a bird", image=concept_png("bird"), price=1.0)])
    assert (result.outcome, len(result.missing)) == (STORED, 0)
    assert len(get(run, "a").modalities) == 2


def test_an_item_is_refused_where_it_would_become_poorer_or_strictness_is_asked_for(
    fresh: tuple[Running, Counting],
) -> None:
    run, counting = fresh
    half = item("a", text="a bird", image=b"no image")
    (result,) = run.catalog.UpsertItems(iter([P.UpsertItemsRequest(item=half, strict=True)]), timeout=10)
    assert (result.outcome, result.problem.field, len(result.missing)) == (REJECTED, "contents[1].image", 0)
    strict = Upserter(counting.encoder, run.store, strict=True)
    (refused,) = strict.upsert([Item(ItemId("a"), (Text("a bird"), Image(b"no image")))], Deadline())
    assert isinstance(refused, ContentError)
    assert run.store.count() == 0
    assert server_options(Settings(index=IndexSettings(strict=True))).index.strict

    assert run.upsert([item("a", text="a bird", image=concept_png("bird"))])[0].outcome == STORED
    assert run.upsert([half])[0].outcome == REJECTED
    assert len(get(run, "a").modalities) == 2


def test_of_two_with_one_id_each_has_its_own_strictness(fresh: tuple[Running, Counting]) -> None:
    run, counting = fresh
    half = Item(ItemId("a"), (Text("a bird"), Image(b"no image")))
    for strict in (1, 0):
        results = Upserter(counting.encoder, run.store).upsert([half, half], Deadline(), strict=[strict])
        refused, stored = results[strict], results[1 - strict]
        assert isinstance(refused, ContentError)
        assert isinstance(stored, Upserted)
        assert [error.field for error in stored.missing] == ["contents[1].image"]
        assert get(run, "a").modalities == [content_pb2.MODALITY_TEXT]
        run.store.delete([ItemId("a")])


def test_a_later_one_of_a_batch_does_not_make_its_item_poorer(fresh: tuple[Running, Counting]) -> None:
    run, counting = fresh
    whole = Item(ItemId("a"), (Text("a bird"), Image(concept_png("bird"))))
    half = Item(ItemId("a"), (Text("a robin"), Image(b"no image")))
    stored, refused = Upserter(counting.encoder, run.store).upsert([whole, half], Deadline())
    assert stored == Upserted(UpsertOutcome.STORED)
    assert isinstance(refused, ContentError)
    assert get(run, "a").text == "a bird"
    assert len(get(run, "a").modalities) == 2


def test_what_is_said_twice_shares_the_fate_of_the_first(fresh: tuple[Running, Counting]) -> None:
    """An item that is refused was not stored, so its repetition is not unchanged."""
    run, counting = fresh
    bad, good = Item(ItemId("bad"), (Image(b"no image"),)), Item(ItemId("good"), (Text("a bird"),))
    upserter = Upserter(counting.encoder, run.store)
    results = upserter.upsert([bad, good, bad, good, bad], Deadline())
    assert results[1::2] == [Upserted(UpsertOutcome.STORED), Upserted(UpsertOutcome.UNCHANGED)]
    assert all(isinstance(result, ContentError) for result in results[::2])
    assert [point.id for point in run.store.scroll().points] == ["good"]
    assert upserter.upsert([good, good, bad], Deadline())[:2] == [Upserted(UpsertOutcome.UNCHANGED)] * 2


def test_what_is_said_twice_fails_with_the_first(
    fresh: tuple[Running, Counting], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, counting = fresh

    def broken(points: object) -> None:
        raise _FullError("disk is full", "free some space")

    good = Item(ItemId("good"), (Text("a bird"),))
    with monkeypatch.context() as patch:
        patch.setattr(run.store, "upsert", broken)
        results = Upserter(counting.encoder, run.store).upsert([good, good], Deadline())
    assert [type(result) for result in results] == [_FullError, _FullError]


def test_fields_of_the_settings_can_be_filtered_on(tmp_path: Path) -> None:
    """A catalogue that only the service fills has no bulk run that would index them."""
    space = concept_space()
    store = EdgeStore(
        tmp_path / "items", fingerprint=space.fingerprint, dimension=space.dimension, modalities=space.modalities
    )
    events = open_events(tmp_path, store)
    settings = Settings(index=IndexSettings(fields={"colour": FieldKind.KEYWORD, "price": FieldKind.FLOAT}))
    options = server_options(settings).model_copy(update={"address": "127.0.0.1:0"})
    with running(space, store, events, options) as run:
        run.upsert([item("a", text="a bird", colour="red"), item("b", text="a bird", colour="blue")])
        red = F.Filter(match=F.Match(field="colour", value=F.Scalar(string_value="red")))
        assert [one.id for one in run.catalog.ListItems(P.ListItemsRequest(filter=red)).items] == ["a"]
        part = recommendation_pb2.QueryPart(content=content_pb2.Content(text="bird"))
        found = run.recommendations.Search(recommendation_pb2.SearchRequest(parts=[part], filter=red))
        assert [one.item_id for one in found.results] == ["a"]
        refused, stored = run.upsert([item("c", text="x", price="n/a"), item("d", text="x", price=3)])
        assert (refused.outcome, stored.outcome) == (REJECTED, STORED)
        assert refused.problem.field == "price"
        assert refused.problem.message == "price is 'n/a', but the field holds values of kind float"
    events.close()
    store.close()


def test_results_come_while_the_stream_is_open(fresh: tuple[Running, Counting]) -> None:
    run, _ = fresh
    more = threading.Event()

    def requests() -> Iterator[P.UpsertItemsRequest]:
        yield P.UpsertItemsRequest(item=item("a", text="x"))
        assert more.wait(10)
        yield P.UpsertItemsRequest(item=item("b", text="y"))

    responses = run.catalog.UpsertItems(requests(), timeout=20)
    assert next(responses).item_id == "a"
    assert get(run, "a").text == "x"
    more.set()
    assert next(responses).item_id == "b"
    assert list(responses) == []


def test_a_fast_client_is_held_back(fresh: tuple[Running, Counting]) -> None:
    """While the encoder stands still, the client cannot hand over more than the windows and boxes take."""
    run, counting = fresh
    counting.go_on.clear()
    handed = 0

    def requests() -> Iterator[P.UpsertItemsRequest]:
        nonlocal handed
        for row in range(300):
            handed = row + 1
            yield P.UpsertItemsRequest(item=item(f"i{row}", text="x", filler="y" * 100_000))

    responses = run.catalog.UpsertItems(requests(), timeout=60)
    last = -1
    while handed != last:
        last = handed
        time.sleep(0.5)
    assert 0 < handed < 250
    counting.go_on.set()
    assert sum(result.outcome == STORED for result in responses) == 300
    assert handed == 300


def test_a_client_that_leaves_ends_its_stream(fresh: tuple[Running, Counting]) -> None:
    run, counting = fresh
    counting.go_on.clear()
    responses = run.catalog.UpsertItems(
        (P.UpsertItemsRequest(item=item(f"i{row}", text="x")) for row in range(1000)), timeout=60
    )
    time.sleep(0.2)
    responses.cancel()
    counting.go_on.set()
    until = time.monotonic() + 10
    while (run.server._pools.reads.pending or run.server._calls.running) and time.monotonic() < until:
        time.sleep(0.01)
    assert run.server._pools.reads.pending == run.server._calls.running == 0
    assert run.store.count() < 1000
    assert run.upsert([item("after", text="x")])[0].outcome == STORED


def test_a_store_that_fails_is_said_per_item(
    fresh: tuple[Running, Counting], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, _ = fresh

    def broken(points: object) -> None:
        raise _FullError("disk is full", "free some space")

    with monkeypatch.context() as patch:
        patch.setattr(run.store, "upsert", broken)
        results = run.upsert([item("a", text="x"), item("", text="y")])
    assert [result.outcome for result in results] == [REJECTED, REJECTED]
    assert [result.problem.status for result in results] == ["UNAVAILABLE", "INVALID_ARGUMENT"]
    assert run.upsert([item("a", text="x")])[0].outcome == STORED


class _FullError(TriveniError):
    status = "UNAVAILABLE"


def test_pages_hold_every_item_once(fresh: tuple[Running, Counting]) -> None:
    run, _ = fresh
    run.upsert([item(f"i{row}", text=f"x {row}", category="even" if row % 2 == 0 else "odd") for row in range(25)])
    odd = F.Filter(match=F.Match(field="category", value=F.Scalar(string_value="odd")))
    for filter_, wanted in ((None, range(25)), (odd, range(1, 25, 2))):
        seen, token = [], ""
        while True:
            page = run.catalog.ListItems(P.ListItemsRequest(page_size=4, page_token=token, filter=filter_))
            assert len(page.items) <= 4
            assert page.fingerprint == run.space.fingerprint
            seen += [one.id for one in page.items]
            token = page.next_page_token
            if not token:
                break
        assert sorted(seen) == sorted(f"i{row}" for row in wanted)
        assert len(seen) == len(set(seen))


def test_page_tokens_are_checked(fresh: tuple[Running, Counting]) -> None:
    run, _ = fresh
    run.upsert([item(f"i{row}", text=f"x {row}", category="c") for row in range(5)])
    token = run.catalog.ListItems(P.ListItemsRequest(page_size=2)).next_page_token
    flipped = ("B" if token[0] != "B" else "C") + token[1:]
    some = F.Filter(match=F.Match(field="category", value=F.Scalar(string_value="c")))
    for request in (
        P.ListItemsRequest(page_token="nonsense"),
        P.ListItemsRequest(page_token="ünïcode\0"),
        P.ListItemsRequest(page_token=flipped),
        P.ListItemsRequest(page_token=token[:-4]),
        P.ListItemsRequest(page_token=token, filter=some),
    ):
        found = failure(lambda request=request: run.catalog.ListItems(request))
        assert (found.code, list(found.fields)) == ("INVALID_ARGUMENT", ["page_token"])
    for size in (-1, 1001):
        found = failure(lambda size=size: run.catalog.ListItems(P.ListItemsRequest(page_size=size)))
        assert (found.code, list(found.fields)) == ("INVALID_ARGUMENT", ["page_size"])


def test_delete(fresh: tuple[Running, Counting]) -> None:
    run, _ = fresh
    run.upsert([item("a", text="x"), item("b", text="y")])
    assert run.catalog.DeleteItems(P.DeleteItemsRequest(item_ids=["a", "a", "gone"])).deleted_count == 1
    found = failure(lambda: get(run, "a"))
    assert (found.code, found.reason, list(found.fields)) == ("NOT_FOUND", "NOT_FOUND", ["item_id"])
    assert get(run, "b").text == "y"
    found = failure(lambda: run.catalog.DeleteItems(P.DeleteItemsRequest()))
    assert (found.code, list(found.fields)) == ("INVALID_ARGUMENT", ["item_ids"])
    found = failure(lambda: run.catalog.DeleteItems(P.DeleteItemsRequest(item_ids=["b", ""])))
    assert (found.code, list(found.fields)) == ("INVALID_ARGUMENT", ["item_ids[1]"])
    assert run.store.count() == 1


def test_empty_payload_is_kept_empty(fresh: tuple[Running, Counting]) -> None:
    run, _ = fresh
    run.upsert([item("a", text="x")])
    assert get(run, "a").payload == Struct()


def test_a_caller_who_does_not_read_answers_is_held_back(fresh: tuple[Running, Counting]) -> None:
    """Answers that nobody takes wait at the caller's own machine, in gRPC's window; the server keeps none beyond."""
    run, _ = fresh
    offered, sent = 50_000, 0

    def items() -> Iterator[P.UpsertItemsRequest]:
        nonlocal sent
        while sent < offered:
            yield P.UpsertItemsRequest(item=item(f"{sent % 20:01000d}", text="a bird"))
            sent += 1

    answers = run.catalog.UpsertItems(items(), timeout=60)
    before = -1
    while before != sent:
        before = sent
        time.sleep(0.5)  # it stopped if nothing was sent in this time
    assert 0 < sent < offered
    assert len(list(itertools.islice(answers, before))) == before  # read, they come, and it goes on
    answers.cancel()


def several(item_id: str, *contents: content_pb2.Content) -> item_pb2.Item:
    """An item of these contents."""
    return item_pb2.Item(id=item_id, contents=contents)


def test_more_parts_come_at_once_than_may_wait_for_a_network(fresh: tuple[Running, Counting]) -> None:
    run, _ = fresh
    texts = [content_pb2.Content(text=f"a bird {number}") for number in range(9)]
    sent = [several(f"many/{number}", *texts) for number in range(32)]
    assert [one.outcome for one in run.upsert(sent)] == [STORED] * 32


def test_an_item_of_several_parts_is_found_by_each_and_the_reason_names_it(fresh: tuple[Running, Counting]) -> None:
    run, counting = fresh
    pictures = [content_pb2.Content(image=concept_png(name)) for name in ("bird", "car", "flower")]
    texts = [content_pb2.Content(text=text) for text in ("a bird sings", "a car drives")]
    sent = several("several", texts[0], *pictures, texts[1])
    others = [
        item(f"{name}-{n}", image=concept_png(name, n)) for name in ("bird", "car", "tree") for n in range(5, 9)
    ]
    assert [one.outcome for one in run.upsert([sent, *others])] == [STORED] * 13
    for row, picture in enumerate(pictures):
        query = recommendation_pb2.SearchRequest(parts=[recommendation_pb2.QueryPart(content=picture)])
        first = run.recommendations.Search(query, timeout=10).results[0]
        assert first.item_id == "several"
        assert first.text == "a bird sings\na car drives"
        (reason,) = first.reasons
        assert (reason.modality, reason.HasField("part")) == (content_pb2.MODALITY_IMAGE, True)
        assert (reason.part.index, reason.part.path) == (row, "")
    words = recommendation_pb2.SearchRequest(
        parts=[recommendation_pb2.QueryPart(content=texts[1])], modalities=[content_pb2.MODALITY_TEXT]
    )
    (reason,) = run.recommendations.Search(words, timeout=10).results[0].reasons
    assert (reason.part.index, reason.part.text, reason.part.start) == (1, "a car drives", 13)
    (stored,) = [
        one for one in run.catalog.ListItems(P.ListItemsRequest(include_vectors=True)).items if one.id == "several"
    ]
    assert len(stored.vectors) == 5
    assert list(stored.image_paths) == []

    counting.contents.clear()
    assert run.upsert([sent])[0].outcome == UNCHANGED
    assert counting.contents == []
    assert run.upsert([several("several", texts[0], pictures[1])])[0].outcome == STORED
    query = recommendation_pb2.SearchRequest(parts=[recommendation_pb2.QueryPart(content=pictures[2])])
    gone = {one.item_id: one for one in run.recommendations.Search(query, timeout=10).results}["several"]
    assert not gone.reasons[0].HasField("part")
    assert len(get(run, "several").modalities) == 2
    assert run.catalog.DeleteItems(P.DeleteItemsRequest(item_ids=["several"])).deleted_count == 1
    assert "several" not in {one.item_id for one in run.recommendations.Search(query, timeout=10).results}


def test_of_several_pictures_a_bad_one_is_named_and_the_others_are_kept(fresh: tuple[Running, Counting]) -> None:
    run, counting = fresh
    contents = [content_pb2.Content(image=data) for data in (concept_png("bird"), b"no image", concept_png("car"))]
    (result,) = run.upsert([several("a", *contents)])
    assert (result.outcome, [one.field for one in result.missing]) == (STORED, ["contents[1].image"])
    counting.contents.clear()
    (result,) = run.upsert([several("a", *contents)])
    assert (result.outcome, len(counting.contents)) == (UNCHANGED, 1)
    query = recommendation_pb2.SearchRequest(parts=[recommendation_pb2.QueryPart(content=contents[2])])
    assert run.recommendations.Search(query, timeout=10).results[0].reasons[0].part.index == 2
    limit = IndexSettings().max_parts
    (refused,) = run.upsert([several("b", *[content_pb2.Content(text=f"text {n}") for n in range(limit + 1)])])
    assert (refused.outcome, refused.problem.reason) == (REJECTED, "INVALID_ITEM")
    assert f"has {limit + 1} contents of modality text, the limit is {limit}" in refused.problem.message
