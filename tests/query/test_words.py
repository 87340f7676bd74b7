"""The words of a query count beside its meaning."""

import numpy as np
import pytest

from encoders.types import Text
from engine.core.types import ItemId, QueryPart, ReasonKind
from engine.query.settings import FuseSettings
from engine.query.words import evidence, word_shares
from engine.store.base import VectorQuery
from engine.store.words import WORDS, words_asked
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
    asked = Text(concept_text("dog", 7).text + " zanzibar")
    score, without = (
        {one.item: one.score for one in each.search(asked, limit=50).results}[name] for each in (made, plain)
    )
    words = words_asked(asked.text)
    (hits,) = made.store.query([VectorQuery(words, WORDS, 5)])
    assert hits.ids == (name,)
    added = evidence(hits.scores[0], len(words.indices), made.store.count())
    assert added > 0 and score - without == pytest.approx(added, rel=1e-3)


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
