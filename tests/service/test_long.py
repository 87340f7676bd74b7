"""Long texts and sounds over gRPC: found by each passage, the reason names it, and the item comes back whole."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from encoders.decoding.decode import decode_audio
from encoders.decoding.limits import DEFAULT_LIMITS
from encoders.types import Audio
from engine.cli.answer import why
from tests.service.running import Running, item, open_edge, open_events, running
from tests.tiny import CONCEPTS, LONG_WORDS, SAMPLE_RATE, concept_space, concept_wav, wav_of, words_of
from triveni.client.reading import item_part
from triveni.v1 import catalog_pb2, content_pb2, recommendation_pb2

P = catalog_pb2
SENTENCES = [f"In chapter {number} there is a {one}, old and very small." for number, one in enumerate(CONCEPTS)]
TEXT = " ".join(SENTENCES)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder, space = Path(tmp_path_factory.mktemp("long")), concept_space()
    store = open_edge(folder / "items", space)
    with running(space, store, open_events(folder, store)) as started:
        others = [
            item(f"{one}-{n}", text=f"a {one} {n}", audio=concept_wav(one, n)) for one in CONCEPTS for n in (7, 8)
        ]
        started.upsert(others)
        yield started
    store.close()


def first(
    run: Running, content: content_pb2.Content, modality: content_pb2.Modality.ValueType
) -> recommendation_pb2.Reason:
    """Why the item "long" is found."""
    part = recommendation_pb2.QueryPart(content=content)
    request = recommendation_pb2.SearchRequest(parts=[part], modalities=[modality], limit=3)
    results = {one.item_id: one for one in run.recommendations.Search(request, timeout=10).results}
    assert results["long"].text.startswith(TEXT[:100])
    (reason,) = results["long"].reasons
    return reason


def test_a_long_text_is_found_by_each_passage(run: Running) -> None:
    sent = item("long", text=TEXT, title="all of them")
    (answer,) = run.upsert([sent])
    assert (answer.outcome, answer.thinned) == (P.UPSERT_OUTCOME_STORED, False)
    stored = run.catalog.GetItem(P.GetItemRequest(item_id="long", include_vectors=True)).item
    assert stored.text == TEXT
    assert len(stored.vectors) > 2
    seen = set()
    for sentence in SENTENCES:
        reason = first(run, content_pb2.Content(text=sentence), content_pb2.MODALITY_TEXT)
        part = reason.part
        passage = TEXT[part.start : part.end]
        assert sentence in passage
        assert words_of(passage) <= LONG_WORDS
        assert part.text == passage[:80]
        assert (part.index, part.end_seconds) == (0, 0)
        assert item_part(part).name("text") == f"text, passage {part.passage} (“{part.text.strip()}”)"
        seen.add(part.passage)
    assert seen == set(range(1, len(stored.vectors) + 1))
    assert run.upsert([sent])[0].outcome == P.UPSERT_OUTCOME_UNCHANGED


def test_an_item_that_shrinks_is_of_one_part(run: Running) -> None:
    run.upsert([item("shrinks", text=TEXT)])
    assert run.upsert([item("shrinks", text="a bell")])[0].outcome == P.UPSERT_OUTCOME_STORED
    stored = run.catalog.GetItem(P.GetItemRequest(item_id="shrinks", include_vectors=True)).item
    assert (stored.text, len(stored.vectors)) == ("a bell", 1)


def test_what_has_too_many_passages_says_so(run: Running) -> None:
    text = " ".join(SENTENCES * 5)
    (answer,) = run.upsert([item("longest", text=text)])
    assert answer.thinned
    stored = run.catalog.GetItem(P.GetItemRequest(item_id="longest", include_vectors=True)).item
    assert (stored.text, len(stored.vectors)) == (text, 16)
    run.catalog.DeleteItems(P.DeleteItemsRequest(item_ids=["longest"]))


def test_a_long_sound_is_found_by_each_passage_of_time(run: Running) -> None:
    names = ("bird", "car", "bell")
    sounds = [decode_audio(Audio(concept_wav(name, 1, seconds=2.0)), DEFAULT_LIMITS, SAMPLE_RATE) for name in names]
    run.upsert([item("long", text=TEXT, audio=wav_of(np.concatenate(sounds)))])
    for number, name in enumerate(names):
        content = content_pb2.Content(audio=concept_wav(name, 1))
        reason = first(run, content, content_pb2.MODALITY_AUDIO)
        part = reason.part
        assert (part.passage, part.start_seconds, part.end_seconds) == (number + 1, 2 * number, 2 * number + 2)
        assert (part.text, part.start, part.end) == ("", 0, 0)
        said = why([reason], [recommendation_pb2.QueryPart(content=content)], [])
        assert f"by its sound, 0:0{2 * number} to 0:0{2 * number + 2}" in said
