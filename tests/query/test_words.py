"""The words of a query count beside its meaning."""

import math

import numpy as np
import pytest

from encoders.types import Text
from engine.core.deadline import Deadline
from engine.core.types import ItemId, QueryPart, ReasonKind
from engine.query.search import DirectSearch
from engine.query.settings import FuseSettings
from engine.query.words import CODE, _weighed, ask_words, evidence, word_shares
from engine.store.base import VectorQuery
from engine.store.words import WORDS
from tests.query.scene import I, Scene, T, concepts_of, names_of, scene
from tests.tiny import concept_text

CODES = ("AB-1234/5", "AB-1234/6", "小提琴")


def coded(fuse: FuseSettings | None = None) -> Scene:
    """A catalogue in which some items have codes, which the space has no meaning for."""
    made = scene(each=8, fuse=fuse)
    made.store.index_words(("number", "code", "label"))
    for number, code in enumerate(CODES):
        made.add("bell", 100 + number, (T,), code=code)
    return made


def test_an_item_is_found_by_its_code_and_the_reason_names_it() -> None:
    made = coded()
    for number, code in enumerate(CODES):
        answer = made.search(Text(code.lower()))
        assert answer.results[0].item == f"bell-{100 + number}", code
        (reason,) = answer.results[0].reasons
        assert reason.kind is ReasonKind.QUERY and reason.words_share > 0.5
        assert sum(reason.by_modality) == pytest.approx(1)
    assert made.search(Text("ab-1234/6")).results[0].reasons[0].words == ("ab12346",)
    assert made.search(Text("我的小提琴")).results[0].reasons[0].words == ("小提琴",)


def test_words_that_nobody_has_change_nothing() -> None:
    with_words, without = coded(), coded(FuseSettings(words=False))
    asked = concept_text("dog", 7)
    one, other = with_words.search(asked, limit=30), without.search(asked, limit=30)
    assert names_of(one) == names_of(other)
    assert [result.score for result in one.results] == [result.score for result in other.results]
    assert all(not reason.words and not reason.words_share for result in one.results for reason in result.reasons)


def test_what_words_add_is_the_formula() -> None:
    made, plain = coded(), coded(FuseSettings(words=False))
    name, _ = (each.add("dog", 200, (T, I), label="zanzibar") for each in (made, plain))
    asked = Text(concept_text("dog", 7).text + " zanzibar nowhere")
    score, without = (
        {one.item: one.score for one in each.search(asked, limit=50).results}[name] for each in (made, plain)
    )
    (words,) = ask_words([asked.text], made.store.count(), DirectSearch(made.store), Deadline())
    assert words is not None
    (hits,) = made.store.query([VectorQuery(words.vector, WORDS, 5)])
    assert hits.ids == (name,)
    added = evidence(hits.scores[0], words.surprise)
    assert 0 < hits.scores[0] < words.surprise and score - without == pytest.approx(added, rel=1e-3)


def surprises(made: Scene, text: str) -> tuple[dict[ItemId, float], float]:
    """That of what each item has of a text, and of all that is asked for."""
    (asked,) = ask_words([text], made.store.count(), DirectSearch(made.store), Deadline())
    if asked is None:
        return {}, 0.0
    (hits,) = made.store.query([VectorQuery(asked.vector, WORDS, 500)])
    return dict(zip(hits.ids, hits.scores.tolist(), strict=True)), asked.surprise


def test_what_is_typed_as_one_counts_once() -> None:
    made = coded()
    most = math.log(1 + made.store.count())
    first, second, other = (ItemId(f"bell-{100 + number}") for number in range(3))
    found, whole = surprises(made, "ab-1234/5")
    assert found[first] == pytest.approx(whole, rel=1e-4) and whole == pytest.approx(CODE * most)
    assert 0 < found[second] <= whole / 2 and other not in found
    part, whole = surprises(made, "AB-1234")
    assert part[first] == part[second] == pytest.approx(whole, rel=1e-4) and whole <= CODE * most
    unknown, whole = surprises(made, "AB-9")
    assert max(unknown.values()) < whole == pytest.approx(CODE * most)
    assert surprises(made, "nobody's 99") == surprises(made, "?!") == ({}, 0.0)
    twice, whole = surprises(made, "ab-1234/5 AB12345")
    assert twice[first] == pytest.approx(whole, rel=1e-4) and twice[second] < whole / 2


def test_words_do_not_count_where_they_are_off_or_only_other_modalities_are_asked_of() -> None:
    for made, modalities in ((coded(FuseSettings(words=False)), ()), (coded(), (I,))):
        answer = made.ask(parts=(QueryPart(Text(CODES[0])),), limit=10, modalities=modalities)
        assert answer.results and not any(why.words_share for result in answer.results for why in result.reasons)


def test_a_word_that_is_not_wanted_pushes_away() -> None:
    made, unwanted = coded(), QueryPart(Text(CODES[0]), weight=-1.0)
    liked = QueryPart(ItemId("bell-101"))
    before, after = (
        {one.item: one.score for one in made.ask(parts=parts, limit=200).results}
        for parts in ((liked,), (liked, unwanted))
    )
    assert after[ItemId("bell-100")] < before[ItemId("bell-100")] - 1


def test_a_store_without_words_is_searched_by_meaning() -> None:
    made = scene(each=4)
    assert made.store.words == () and concepts_of(made.search(concept_text("dog", 7)))[0] == "dog"


def test_the_shares_of_words() -> None:
    added, similarity = np.array([0.0, 2.0, 3.0], np.float32), np.array([1.0, 4.0, 2.0], np.float32)
    np.testing.assert_allclose(word_shares(added, similarity), [0, 0.5, 1])


def test_a_word_that_all_of_very_many_items_have_says_nothing_and_fails_nothing() -> None:
    """The store's rarity of such a word is 0."""
    rare = _weighed([("the",), ("boots",)], {"the": 0.0, "boots": 3.0}, 9_000_000)
    assert rare is not None and rare.surprise == pytest.approx(3, abs=1e-3)
    assert _weighed([("a", "1", "a1")], {"a": 0.0, "1": 0.0, "a1": 0.0}, 9_000_000) is not None
