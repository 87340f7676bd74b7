"""Every method of both clients, over gRPC on loopback."""

import inspect
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
import pytest

from encoders.types import Image
from tests.service.running import Running
from tests.tiny import concept_png, concept_space, concept_text, concept_wav
from triveni.client import (
    Answer,
    AsyncClient,
    Client,
    InvalidError,
    NotFoundError,
    Part,
    PreconditionError,
    Vector,
)

METHODS = [name for name in dir(Client) if not name.startswith("_")]


def ids(answer: Answer, count: int = 3) -> set[str]:
    return {result.id for result in answer[:count]}


BIRDS = {"bird/text", "bird/image", "bird/audio"}


# Both clients -----------------------------------------------------------------------------------------------


def test_both_clients_have_the_same_methods() -> None:
    assert [name for name in dir(AsyncClient) if not name.startswith("_")] == METHODS
    assert len(METHODS) > 20


@pytest.mark.parametrize("name", METHODS)
def test_a_method_has_the_same_arguments_and_documentation_in_both(name: str) -> None:
    waiting, awaited = getattr(Client, name), getattr(AsyncClient, name)
    ones, others = (inspect.signature(method).parameters.values() for method in (waiting, awaited))
    assert [(one.name, one.kind, one.default) for one in ones] == [
        (one.name, one.kind, one.default) for one in others
    ]
    assert waiting.__doc__ == awaited.__doc__
    assert waiting.__doc__
    returned = inspect.signature(waiting).return_annotation, inspect.signature(awaited).return_annotation
    assert returned[1] in (returned[0], f"Async{returned[0]}")
    assert "Plan[" not in str(returned)
    assert inspect.iscoroutinefunction(awaited) != inspect.isasyncgenfunction(awaited)


# Search and recommendations ---------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["words", "path", "bytes", "sound", "item", "vector", "parts", "pair"])
def test_search_takes_what_there_is(form: str, client: Any, tmp_path: Path) -> None:
    photo = tmp_path / "photo.of.a.bird"  # its ending says nothing, its bytes do
    photo.write_bytes(concept_png("bird", 5))
    vector = concept_space().encode([concept_text("bird", 3)])[0]
    query = {
        "words": concept_text("bird", 3).text,
        "path": photo,
        "bytes": photo.read_bytes(),
        "sound": concept_wav("bird", 5),
        "item": Part(item="bird/text"),
        "vector": Vector("text", vector, concept_space().fingerprint),
        "parts": [(concept_text("bird", 3).text, 1.0), Part(photo), (concept_text("car").text, -0.5)],
        "pair": (concept_text("bird", 3).text, 2.0),
    }[form]
    answer = client.search(query, limit=3)
    assert ids(answer) >= BIRDS - ({"bird/text"} if form == "item" else set())  # an item is not like itself
    assert [result.rank for result in answer] == [1, 2, 3]
    assert answer.request_id
    assert answer.model == "untrained"


def test_a_negative_part_asks_for_less(client: Any) -> None:
    words = concept_text("bird").text, concept_text("piano").text
    both = client.search(list(words), limit=9)
    less = client.search([words[0], (words[1], -1.0)], limit=9)
    assert {"piano/text"} <= ids(both, 6)
    assert [one.id for one in less][-1].startswith("piano")


def test_recommendations_come_of_all_that_was_done(client: Any, tmp_path: Path) -> None:
    sound = tmp_path / "x.wav"
    sound.write_bytes(concept_wav("car", 4))
    answer = client.recommend(like=["bird/text"], search=concept_text("piano", 4).text, upload=sound, limit=6)
    assert {one.id.split("/")[0] for one in answer} == {"bird", "piano", "car"}
    labels = {reason.label for result in answer for reason in result.reasons}
    assert {"like bird/text", "upload x.wav"} <= labels
    assert sum(reason.share for reason in answer[0].reasons) == pytest.approx(1, abs=1e-3)
    assert "bird/text" not in ids(answer, 6)
    assert "bird/text" in ids(client.recommend(like="bird/text", include_seen=True), 9)


def test_the_history_counts_what_is_disliked_and_says_what_it_skipped(client: Any) -> None:
    history = [
        {"kind": "rate", "item_id": "bird/text", "value": 5, "time": "2026-01-01"},
        {"kind": "like", "item": "x"},
    ]
    answer = client.recommend(history=history, dislike=["car/text"], limit=9)
    assert answer[0].id.startswith("bird")
    (skipped,) = answer.skipped
    assert skipped.index == 1
    assert "'x'" in skipped.reason


@pytest.mark.parametrize(
    ("filter", "found"),
    [
        ({"category": "piano"}, {"piano/text", "piano/audio"}),
        ("category=piano", {"piano/text", "piano/audio"}),
        ({"price": {"lt": 1, "gte": 0.5}}, {"bird/text"}),
        ("price<1 and price>=0.5", {"bird/text"}),
        (["price<1", {"price": {"gte": 0.5}}], {"bird/text"}),
        ({"category": {"not": "piano"}, "year": [1999, 2000]}, {"bird/text", "bird/audio"}),
        ({"any_of": [{"price": 2.5}, {"price": 1}]}, {"car/text", "piano/image"}),
        ({"not": "price<=2"}, {"bird/audio", "piano/audio", "car/audio", "car/text"}),
    ],
)
def test_filters_in_words_and_as_dicts(client: Any, filter: Any, found: set[str]) -> None:
    assert {one.id for one in client.search(concept_text("bird").text, filter=filter)} == found
    assert {one.id for one in client.list(filter=filter)} == found


def test_what_may_be_shown(client: Any) -> None:
    words = concept_text("bird").text
    answer = client.search(words, exclude=["bird/text"], max_per={"category": 1}, modalities=["text", "audio"])
    assert answer[0].id == "bird/audio"
    categories = [one.payload["category"] for one in answer]
    assert len(categories) == len(set(categories))
    assert all(not one.id.endswith("image") for one in answer)
    assert len(client.search(words, min_score=3.0)) < 9
    assert len(client.search(words, diversity=1.0, limit=2)) == 2


def test_only_what_fits_is_shown_or_nothing(client: Any) -> None:
    found = client.search(concept_text("bird", 3).text, max_false_positive_rate=0.1)
    assert {one.id for one in found} == BIRDS
    assert all(one.relevance >= 0.9 for one in found)
    nothing = client.search(concept_text("tree").text, max_false_positive_rate=0.1)
    assert (len(nothing), nothing.no_match, str(nothing)) == (0, True, "nothing fits")
    assert client.recommend(like="bird/text", max_false_positive_rate=0.1)[0].relevance is None


def test_pages_are_read_as_they_are_taken(client: Any) -> None:
    for first in (client.search(concept_text("bird").text, limit=4), client.recommend(like="bird/text", limit=4)):
        read = list(client.pages(first))
        whole = 9 if read[0].results[0].relevance is not None else 8
        assert [len(page) for page in read] == [4, 4, 1][: 2 if whole == 8 else 3]
        assert len({one.id for page in read for one in page}) == whole
        assert [one.rank for page in read for one in page] == list(range(1, whole + 1))
        assert len({page.request_id for page in read}) == len(read)
        assert read[0] is first


# Catalogue --------------------------------------------------------------------------------------------------


def test_items_come_back(client: Any) -> None:
    item = client.get("piano/image", vectors=True)
    assert item.payload == {"price": 1, "tags": ["a", {"b": None}]}
    assert type(item.payload["price"]) is int
    assert item.modalities == ("image",)
    assert item.indexed is not None
    assert item.indexed.tzinfo is not None
    expected = concept_space().encode([Image(concept_png("piano"))])
    np.testing.assert_allclose(np.asarray(item.vectors[0].values), expected[0], atol=1e-6)
    assert client.get("car/text").vectors == ()
    assert {one.id for one in client.list()} >= BIRDS
    assert len([*client.list(limit=2)]) == 2
    with pytest.raises(NotFoundError):
        client.get("gone")


def test_items_are_deleted(client: Any) -> None:
    client.upsert([{"id": number, "text": "a bell"} for number in range(3)])
    assert client.get("2").text == "a bell"
    assert client.delete("0") == 1
    assert client.delete(["0", "1", "2"]) == 2
    assert client.delete([]) == 0


# Events -----------------------------------------------------------------------------------------------------


def test_one_event_is_recorded_and_forgotten(client: Any) -> None:
    answer = client.search(concept_text("bird").text, limit=1)
    assert client.record(
        user="ann", kind="click", item=answer[0].id, request=answer, context={"page": "home"}
    ).recorded
    time = datetime(2026, 1, 31, 12, tzinfo=UTC)
    client.record(user="ann", kind="search", content="owls", time=time, value=2, id="of-ann")
    assert client.record(user="ann", kind="search", content="owls", time=time, value=2, id="of-ann").duplicates == 1
    click, search = client.history("ann")
    assert (click.kind, click.item, click.request, click.context) == (
        "click",
        "bird/text",
        answer.request_id,
        {"page": "home"},
    )
    assert (search.kind, search.text, search.time, search.value, search.id) == ("search", "owls", time, 2, "of-ann")
    assert len(client.history("ann", limit=1)) == 1
    assert client.recommend("ann")[0].id.startswith("bird")
    assert client.recommend(history=client.history("ann"))[0].id.startswith("bird")
    end = monotonic() + 30
    while len((data := client.data_of("ann")).lists) < 1 and monotonic() < end:
        pass  # a list is logged once its answer has left
    assert data.events == tuple(client.history("ann"))
    assert data.lists[0].items[0].startswith("bird")
    gone = client.forget("ann")
    assert (gone.events, gone.lists, gone.versions, gone.scrubbed) == (2, 1, (), True)
    assert len(gone.receipt) == 16
    assert len(client.history("ann")) == 0


def test_many_events_are_recorded_and_bad_ones_refused_alone(client: Any) -> None:
    good = [
        {
            "user": f"user-{n % 7}",
            "kind": "like",
            "item": "car/text",
            "time": f"2026-01-01T00:{n // 60:02}:{n % 60:02}Z",
        }
        for n in range(2500)
    ]
    bad = [
        {"user": "u", "kind": "no such kind", "item": "car/text"},
        {"user": "u", "kind": "like"},
        {"kind": "like", "item": "car/text"},
        {"user": "u", "kind": "like", "item": "gone"},
        {"user": "u", "kind": "upload", "image": b"\x89PNG but no picture"},
        {"user": "u", "kind": "upload", "image": b"\x89PNG" + bytes(1 << 20)},
        {"user": "u", "kind": "like", "item": "car/text", "when": "now"},
        7,
    ]
    rows = [*good[:1200], *bad, *good[1200:]]
    done = client.record(row for row in rows)
    try:
        assert done.recorded == 2500
        assert [one.index for one in done.rejected] == list(range(1200, 1200 + len(bad)))
        assert all(one.problem.message and one.problem.remedy for one in done.rejected)
        assert client.record(good).duplicates == 2500
        assert len(client.history("user-0", limit=2000)) == 358
    finally:
        assert sum(client.forget(f"user-{n}").events for n in range(7)) == 2500


def test_pictures_and_sounds_are_events_too(client: Any) -> None:
    client.record(user="eve", kind="upload", content=concept_png("car", 3))
    (event,) = client.history("eve")
    assert (event.modality, event.text, event.item) == ("image", "", "")
    assert client.recommend("eve")[0].id.startswith("car")
    client.forget("eve")


# Encoder and models -----------------------------------------------------------------------------------------


def test_contents_become_vectors(client: Any) -> None:
    text = concept_text("car")
    made = client.embed([text.text, b"nothing", concept_wav("bird"), *["one more"] * 300])
    assert made.fingerprint == concept_space().fingerprint
    assert made.vectors[1] is None
    assert made.problems.keys() == {1}
    assert made.vectors[2].modality == "audio"
    assert len(made.vectors) == 303
    np.testing.assert_allclose(np.asarray(made.vectors[0].values), concept_space().encode([text])[0], atol=1e-6)
    assert client.search(made.vectors[2], limit=1)[0].id == "bird/audio"
    assert len(client.embed("one").vectors) == 1


@pytest.mark.parametrize("name", ["models", "model", "rollback", "train", "trainings"])
def test_a_server_without_models_says_so(client: Any, name: str) -> None:
    with pytest.raises(PreconditionError, match="triveni serve"):
        getattr(client, name)()


# Refusals ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ask", "says"),
    [
        (lambda client: client.search("x", filter={"price": {"less": 3}}), "gte, gt, lte, lt"),
        (lambda client: client.search("x", filter={"price": {"lt": datetime(2026, 1, 1)}}), "time zone"),
        (lambda client: client.search("x", filter="price"), "field=value"),
        (lambda client: client.search("x", filter={"category": []}), "category"),
        (lambda client: client.search("x", filter={"price": {"lt": 3, "gt": "2026-01-01"}}), "numbers and times"),
        (lambda client: client.search("x", filter="colour=red"), "unknown filter field"),
        (lambda client: client.search([]), "parts"),
        (lambda client: client.search(Path("nowhere.png")), "cannot read nowhere.png"),
        (lambda client: client.search(b"neither"), "neither a picture nor a sound"),
        (lambda client: client.search(Part()), "one thing"),
        (lambda client: client.search("\ud800"), "Unicode"),
        (lambda client: client.search(4.5), "path nor bytes"),
        (lambda client: client.search("x", modalities=["smell"]), "smell"),
        (lambda client: client.search("x", limit=-1), "limit"),
        (lambda client: client.recommend(upload="photo.jpg"), r"Path\(\.\.\.\)"),
        (lambda client: client.recommend(history=[{"kind": "like"}]), r"history\[0\]: it names nothing"),
        (lambda client: client.recommend(history=[{"kind": "like", "item": "a", "time": "today"}]), "no time"),
        (lambda client: client.record(user="ann", kind="hug", item="bird/text"), "hug"),
        (lambda client: client.record(user="ann", kind="like", item="gone"), "'gone' is not in the catalogue"),
        (lambda client: client.record(kind="like", item="bird/text"), "names no user"),
        (lambda client: client.record([], kind="like"), "either"),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_remedy(client: Any, ask: Any, says: str) -> None:
    with pytest.raises(InvalidError, match=says) as refusal:
        ask(client)
    assert refusal.value.status == "INVALID_ARGUMENT"
    assert refusal.value.remedy


def test_a_refusal_of_the_server_tells_all(client: Any) -> None:
    with pytest.raises(InvalidError) as refusal:
        client.search("x", filter="colour=red")
    error = refusal.value
    assert error.reason == "INVALID_QUERY"
    assert error.fields == {"filter": "unknown filter field 'colour'"}
    assert "price" in error.remedy
    assert str(error) == f"{error.problem}: {error.remedy}"
    assert error.request_id
    assert error.retry_after is None


def test_the_server_that_is_meant_is_the_one_of_the_environment(
    server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIVENI_SERVER", server.address)
    with Client() as client:
        assert client.get("bird/text").id == "bird/text"
    monkeypatch.delenv("TRIVENI_SERVER")
    assert "127.0.0.1:50051" in repr(Client())
