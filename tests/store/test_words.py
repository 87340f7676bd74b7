"""Items are found by their words: what every store does with them, on all of them."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from encoders.types import Modality
from engine.core.errors import InvalidQueryError
from engine.core.filters import Match
from engine.core.types import ItemId
from engine.store import edge
from engine.store.base import Hits, Point, VectorQuery, VectorStore
from engine.store.edge_repair import forget_vectors
from engine.store.optimizer import Optimizer
from engine.store.words import WORDS
from tests.store.implementations import (
    assert_same_points,
    everything,
    open_edge,
    open_memory,
    open_store,
    point,
    unit_vectors,
    words_asked,
)

pytestmark = pytest.mark.filterwarnings("ignore:Local mode", "ignore:Payload indexes have no effect")

FIELDS = ("_text", "code")
TEXTS = ["a red violin", "a red bird", "the violin concerto in red, red, red", "小提琴", "", "Müller's café"]


def item(number: int) -> ItemId:
    return ItemId(f"item {number}")


def made(texts: list[str], start: int = 0) -> list[Point]:
    return [
        point(
            f"item {start + place}",
            start + place,
            payload={"_text": text, "code": f"XK-{start + place}7/B", "colour": "red" if "red" in text else "blue"},
        )
        for place, text in enumerate(texts)
    ]


def ask(store: VectorStore, text: str, **narrowing: object) -> Hits:
    (hits,) = store.query([VectorQuery(words_asked(text), WORDS, 20, **narrowing)])  # type: ignore[arg-type]
    return hits


@pytest.fixture
def words(store: VectorStore) -> VectorStore:
    """A store of `TEXTS` that keeps words."""
    store.index_words(())
    store.index_words(FIELDS)
    store.upsert(made(TEXTS))
    return store


def test_items_are_found_by_words_of_their_fields(words: VectorStore) -> None:
    assert words.words == FIELDS
    assert set(ask(words, "VIOLIN").ids) == {item(0), item(2)}
    assert ask(words, "小提琴的").ids == ask(words, "琴").ids == (item(3),)
    assert ask(words, "muller").ids == ask(words, "Cafe").ids == (item(5),)
    assert ask(words, "xk-47/b").ids[0] == ask(words, "XK47B").ids[0] == item(4)
    assert ask(words, "viola").ids == ()


def test_scores_are_how_rare_the_words_are(kind: str, tmp_path: Path) -> None:
    words = open_store(kind, tmp_path)  # anew: a server counts what was deleted until it has optimised
    words.index_words(FIELDS)
    words.upsert(made(TEXTS))
    n = len(TEXTS)
    hits = ask(words, "concerto violin nowhere")
    assert hits.ids == (item(2), item(0))
    rare, common = math.log((n - 0.5) / 1.5 + 1), math.log((n - 1.5) / 2.5 + 1)
    np.testing.assert_allclose(hits.scores, [rare + common, common], rtol=1e-4)
    np.testing.assert_allclose(ask(words, "red").scores, 3 * [math.log((n - 2.5) / 3.5 + 1)], rtol=1e-4)
    words.close()


def test_searches_by_words_are_narrowed_like_others(words: VectorStore) -> None:
    assert set(ask(words, "red violin 小提琴", filter=Match("colour", "blue")).ids) == {item(3)}
    assert set(ask(words, "red", exclude=(item(2),)).ids) == {item(0), item(1)}
    assert set(ask(words, "red violin", among=(item(1), item(2), item(3), ItemId("nobody"))).ids) == {
        item(1),
        item(2),
    }
    assert ask(words, "red", among=()).ids == ()
    (near,) = words.query([VectorQuery(unit_vectors(0, 1)[0], Modality.TEXT, 20, among=(item(1), item(4)))])
    assert set(near.ids) == {item(1), item(4)}
    assert len(words.query([VectorQuery(words_asked("red"), WORDS, 2)])[0].ids) == 2


def test_words_and_vectors_are_searched_in_one_batch(words: VectorStore) -> None:
    vector = unit_vectors(3, 1)[0]
    asked = [VectorQuery(vector, Modality.TEXT, 3), VectorQuery(words_asked("bird"), WORDS, 3)]
    near, found = words.query([*asked, asked[0]])[:2]
    assert len(near.ids) == 3 and found.ids == (item(1),)


def test_a_query_without_words_finds_nothing_and_words_are_asked_of_words(words: VectorStore) -> None:
    assert ask(words, "?!").ids == ()
    with pytest.raises(InvalidQueryError, match="words are asked of text"):
        words.query([VectorQuery(words_asked("red"), Modality.TEXT, 3)])


def test_words_go_with_what_is_written(words: VectorStore) -> None:
    words.upsert([point("item 1", 1, payload={"_text": "a blue bird", "code": "new"})])
    assert ask(words, "blue new").ids == (item(1),)
    assert item(1) not in ask(words, "red").ids
    words.delete([item(1)])
    assert ask(words, "bird").ids == ()


def test_items_that_are_there_get_their_words(store: VectorStore) -> None:
    store.index_words(())
    store.upsert(made(TEXTS))
    before, told = everything(store), list[int]()
    assert store.words == () and ask(store, "violin").ids == ()
    store.index_words(FIELDS, told.append)
    assert store.words == FIELDS and sum(told) == len(TEXTS)
    assert set(ask(store, "violin").ids) == {item(0), item(2)}
    assert_same_points(everything(store), before)
    store.index_words(FIELDS, told.append)
    assert sum(told) == len(TEXTS), "nothing was to be done"


def test_other_fields_replace_those_that_were(words: VectorStore) -> None:
    words.index_words(("code",))
    assert words.words == ("code",)
    assert ask(words, "violin").ids == () and ask(words, "xk07b").ids[0] == item(0)
    words.index_words(())
    assert words.words == () and ask(words, "xk07b").ids == ()


def test_words_stay_when_the_store_is_opened_again(kind: str, tmp_path: Path) -> None:
    if kind == "memory":
        pytest.skip("it keeps nothing")
    store = open_store(kind, tmp_path)
    store.index_words(FIELDS)
    store.upsert(made(TEXTS))
    store.close()
    again = open_store(kind, tmp_path)
    assert again.words == FIELDS and set(ask(again, "violin").ids) == {item(0), item(2)}
    again.upsert(made(["a new violin"], start=10))
    assert item(10) in ask(again, "violin").ids
    again.close()


def test_a_snapshot_keeps_words(words: VectorStore, tmp_path: Path) -> None:
    words.snapshot(tmp_path / "all.parquet")
    other = open_memory()
    other.restore(tmp_path / "all.parquet")
    assert other.words == FIELDS and set(ask(other, "violin").ids) == {item(0), item(2)}
    words.upsert(made(["a violin more"], start=20))
    words.restore(tmp_path / "all.parquet")
    assert set(ask(words, "violin").ids) == {item(0), item(2)}


def test_an_embedded_collection_from_before_words_gets_them(tmp_path: Path) -> None:
    store = open_edge(tmp_path / "edge")
    store.upsert(made(TEXTS))
    store.close()
    forget_vectors(tmp_path / "edge" / "shard-0", {WORDS})  # what Edge's files were like before
    store = open_edge(tmp_path / "edge")
    store.upsert(made(["a violin more"], start=10))
    assert store.words == () and ask(store, "violin").ids == ()
    store.index_words(FIELDS)
    assert set(ask(store, "violin").ids) == {item(0), item(2), item(10)}
    store.close()


def test_words_of_an_embedded_collection_that_were_cut_short_are_made_again(tmp_path: Path) -> None:
    folder = tmp_path / "edge"
    store = open_edge(folder)
    store.upsert(made(TEXTS))
    with pytest.raises(KeyboardInterrupt):
        store.index_words(FIELDS, _interrupt)
    assert store.words == ()
    store.close()
    about = json.loads((folder / "store.json").read_text())
    (folder / "store.json").write_text(json.dumps({**about, "strays": [WORDS]}))  # as if killed while it was added
    store = open_edge(folder)
    assert len(everything(store)) == len(TEXTS) and store.words == ()
    store.index_words(FIELDS)
    assert set(ask(store, "violin").ids) == {item(0), item(2)}
    store.close()


def test_words_that_are_made_while_the_search_graph_is_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edge, "GRAPH_FROM_BYTES", 0)
    store = open_edge(tmp_path / "edge")
    store.upsert(made(TEXTS))
    build = Optimizer._build

    def build_while_writing(self: Optimizer, path: Path, niceness: int) -> None:
        build(self, path, niceness)
        store.index_words(FIELDS)
        store.upsert(made(["a violin more"], start=10))
        store.delete([item(0)])

    monkeypatch.setattr(Optimizer, "_build", build_while_writing)
    store.optimize()
    assert set(ask(store, "violin").ids) == {item(2), item(10)}
    assert ask(store, "cafe").ids == (item(5),)
    store.close()


def _interrupt(_: int) -> None:
    raise KeyboardInterrupt


WORDS_OF = st.lists(
    st.sampled_from(["red", "blue", "bird", "violin", "東京", "都", "ab-1/2", "ÉTÉ"]), max_size=6
).map(" ".join)


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(texts=st.lists(WORDS_OF, min_size=1, max_size=8), asked=WORDS_OF.filter(bool))
def test_all_stores_find_and_score_alike(kind: str, store: VectorStore, texts: list[str], asked: str) -> None:
    oracle = open_memory()
    store.delete(list(everything(store)))
    for one in (store, oracle):
        one.index_words(())
        one.upsert(made(texts))
        one.index_words(FIELDS)
    ours, theirs = ask(store, asked), ask(oracle, asked)
    assert sorted(ours.ids) == sorted(theirs.ids)
    if kind != "server":  # which counts what was deleted until it has optimised
        scores = dict(zip(theirs.ids, theirs.scores, strict=True))
        np.testing.assert_allclose(ours.scores, [scores[name] for name in ours.ids], rtol=1e-4)
