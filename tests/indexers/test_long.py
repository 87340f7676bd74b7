"""Long texts and sounds in a catalogue: split into passages, found and kept as one item."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from encoders.encoder import Passages
from encoders.errors import ContentError
from encoders.spaces.space import Space
from encoders.types import Audio, Content, Modality, Text
from engine.catalog.ingest import Digest, Key, item_of, point_of, spans_of, vectors_of
from engine.catalog.parts import found_part
from engine.core.types import FoundPart, Item, ItemId
from engine.store.base import Point, VectorStore
from indexers.catalog import Catalog
from indexers.pipeline import index
from indexers.report import Report, RowOutcome
from indexers.verify import verify
from tests.indexers.catalogs import everything, write_jsonl
from tests.indexers.test_pipeline import Counting
from tests.tiny import CONCEPTS, LONG_WORDS, make_wav, words_of

T, A = Modality.TEXT, Modality.AUDIO
LONG = ItemId("long")
TEXT = " ".join(f"The chapter number {number} tells of a {one} in the woods." for number, one in enumerate(CONCEPTS))
MIDDLE = "It is a text of a few long words: " + " ".join(["antidisestablishmentarianism"] * 7)
assert words_of(TEXT) > 3 * LONG_WORDS > words_of(MIDDLE)
ROWS: list[dict[str, object]] = [
    {"id": "long", "text": TEXT, "price": 1},
    {"id": "middle", "text": MIDDLE},
    {"id": "short", "text": "a wren"},
]


def catalog(root: Path, rows: list[dict[str, object]] | None = None, **how: object) -> Catalog:
    path = write_jsonl(root / "items.jsonl", rows or ROWS)
    return Catalog(path, root, **{"split_long": True, "max_parts": 8, **how})  # type: ignore[arg-type]


def run(
    root: Path, store: VectorStore, space: Space, rows: list[dict[str, object]] | None = None, **how: object
) -> Report:
    report = index(catalog(root, rows, **how), store, space)
    assert report.errors == 0
    return report


def texts_of(point: Point) -> list[str]:
    return [item_of(point).text[start:stop] for _, start, stop in spans_of(point.payload, T)]


def test_a_long_text_is_split_and_the_item_gives_it_back_whole(store: VectorStore, space: Space, root: Path) -> None:
    assert run(root, store, space).thinned == 0
    points = everything(store)
    long = points[LONG]
    parts = texts_of(long)
    assert item_of(long).text == "".join(parts) == TEXT
    assert all(words_of(part) <= LONG_WORDS for part in parts)
    assert all(part.strip().endswith(".") for part in parts)
    np.testing.assert_allclose(long.parts(T), space.encode([Text(part) for part in parts]), atol=1e-5)
    for name in ("middle", "short"):
        assert "_parts" not in points[ItemId(name)].payload
        assert not points[ItemId(name)].more
    assert Digest.of_payload(points[ItemId("short")].payload).split == 0  # type: ignore[union-attr]
    assert verify(catalog(root), store, space=space).in_order


def test_a_second_run_has_nothing_to_do_and_a_new_price_encodes_nothing(
    store: VectorStore, space: Space, root: Path
) -> None:
    run(root, store, space)
    before, counting = everything(store)[LONG], Counting(space)
    assert run(root, store, counting).outcomes == {RowOutcome.UNCHANGED: 3}
    assert run(root, store, counting, [{**ROWS[0], "price": 2}, *ROWS[1:]]).outcomes[RowOutcome.PAYLOAD] == 1
    assert (counting.prepared, counting.forwarded) == (0, 0)
    after = everything(store)[LONG]
    assert (after.payload["price"], after.payload["_parts"]) == (2, before.payload["_parts"])
    np.testing.assert_allclose(after.parts(T), before.parts(T), atol=1e-6)


def test_a_text_that_shrinks_leaves_nothing_behind(store: VectorStore, space: Space, root: Path) -> None:
    run(root, store, space)
    run(root, store, space, [{"id": "long", "text": "a short one"}, *ROWS[1:]])
    long = everything(store)[LONG]
    assert (long.more, long.payload["_text"]) == ({}, "a short one")
    assert "_parts" not in long.payload


@pytest.mark.parametrize("first", [False, True])
def test_another_setting_encodes_long_contents_again_and_no_others(
    store: VectorStore, space: Space, root: Path, first: bool
) -> None:
    """So a collection from before is brought up by the next run."""
    run(root, store, space, split_long=first)
    before, counting = everything(store), Counting(space)
    report = run(root, store, counting, split_long=not first)
    assert report.outcomes == {RowOutcome.CHANGED: 1, RowOutcome.PAYLOAD: 1, RowOutcome.UNCHANGED: 1}
    after = everything(store)
    assert (len(after[LONG].parts(T)) > 1) is not first
    assert counting.forwarded == len(after[LONG].parts(T))
    for name in ("middle", "short"):
        np.testing.assert_allclose(after[ItemId(name)].parts(T), before[ItemId(name)].parts(T), atol=1e-6)
    assert run(root, store, counting, split_long=not first).outcomes == {RowOutcome.UNCHANGED: 3}


def test_of_too_many_passages_some_are_left_out_and_counted(store: VectorStore, space: Space, root: Path) -> None:
    all_of_it = run(root, store, space, max_parts=64)
    every = texts_of(everything(store)[LONG])
    assert (all_of_it.thinned, len(every) > 3) == (0, True)
    assert run(root, store, space, max_parts=3).thinned == 1
    some = texts_of(everything(store)[LONG])
    assert len(some) == 3
    assert (some[0], some[-1]) == (every[0], every[-1])
    assert item_of(everything(store)[LONG]).text == TEXT


def test_several_contents_share_the_parts(store: VectorStore, space: Space, root: Path) -> None:
    rows: list[dict[str, object]] = [{"id": "long", "text": ["a title", TEXT]}]
    run(root, store, space, rows, max_parts=6)
    long = everything(store)[LONG]
    assert item_of(long).text == f"a title\n{TEXT}"
    assert [number for number, *_ in spans_of(long.payload, T)] == [0, 1, 1, 1, 1, 1]
    assert texts_of(long)[0] == "a title"
    found = vectors_of(long)
    assert [key.number for key in found] == [0, 1, 1, 1, 1, 1]
    for (key, vector), text in zip(found.items(), texts_of(long), strict=True):
        assert key.number == 0 or TEXT[slice(*key.span)] == text
        np.testing.assert_allclose(vector, space.encode([Text(text)])[0], atol=1e-5)
    counting = Counting(space)
    assert run(root, store, counting, rows, max_parts=6).outcomes == {RowOutcome.UNCHANGED: 1}


def test_a_long_sound_is_split_in_passages_of_time(store: VectorStore, space: Space, root: Path) -> None:
    make_wav(root / "long.wav", 300.0, seconds=6.0)
    make_wav(root / "short.wav", 300.0, seconds=1.5)
    rows: list[dict[str, object]] = [{"id": "long", "audio": "long.wav"}, {"id": "short", "audio": "short.wav"}]
    run(root, store, space, rows)
    points = everything(store)
    assert spans_of(points[LONG].payload, A) == [(0, 0, 2000), (0, 2000, 4000), (0, 4000, 6000)]
    assert [key.span for key in vectors_of(points[LONG])] == [(0, 2000), (2000, 4000), (4000, 6000)]
    assert len(points[LONG].parts(A)) == 3
    assert not points[ItemId("short")].more
    counting = Counting(space)
    assert run(root, store, counting, rows).outcomes == {RowOutcome.UNCHANGED: 2}
    assert counting.forwarded == 0


class Deaf(Counting):
    """A space that cannot decode sounds any more."""

    def prepare_passages(self, content: Content, most: int) -> Passages:
        if content.modality is A:
            raise ContentError("audio is too loud", "listen elsewhere")
        return super().prepare_passages(content, most)


def test_what_the_store_has_of_a_sound_is_not_given_up_for_another_setting(
    store: VectorStore, space: Space, root: Path
) -> None:
    make_wav(root / "long.wav", 300.0, seconds=6.0)
    rows: list[dict[str, object]] = [{"id": "long", "text": "a wren", "audio": "long.wav"}]
    run(root, store, space, rows, split_long=False)
    before = everything(store)[LONG]
    assert run(root, store, Deaf(space), rows).missing == {}
    np.testing.assert_allclose(everything(store)[LONG].parts(A), before.parts(A), atol=1e-6)


def test_of_a_sound_the_whole_comes_before_its_passages_and_is_none(space: Space) -> None:
    vector = space.encode([Text("a")])[0]
    keys = [Key(A, 0), Key(A, 0, (0, 9000)), Key(A, 0, (9000, 18_000))]
    point = point_of(Item(LONG, (Audio(b"x"),)), dict.fromkeys(reversed(keys), vector))
    assert list(vectors_of(point)) == keys
    assert [found_part(point.payload, A, row) for row in range(3)] == [
        None,
        FoundPart(0, passage=1, seconds=(0.0, 9.0)),
        FoundPart(0, passage=2, seconds=(9.0, 18.0)),
    ]


def test_verify_sees_that_passages_are_lost(store: VectorStore, space: Space, root: Path) -> None:
    rows: list[dict[str, object]] = [{"id": "long", "text": TEXT}]
    run(root, store, space, rows)
    assert verify(catalog(root, rows), store, space=space).same == 1
    store.upsert([replace(everything(store)[LONG], more={})])
    assert verify(catalog(root, rows), store, space=space).incomplete.examples == ["long"]
