"""The words of a text, in any script."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.store.words import MAX_ASKED, MAX_LENGTH, asked_tokens, shared, tokens, words, words_of
from tests.store.implementations import words_asked


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("The quick violins", "the quick violins"),
        ("AB-123/4", "ab 123 4 ab1234"),
        ("iPhone12 v1.5_x", "iphone 12 iphone12 v 1 5 x v15x"),
        ("Andy's don't", "andy don t dont"),
        ("Müller CAFÉ Straße Ёлка Ελληνικά", "muller cafe strasse елка ελληνικα"),
        ("ＡＢ１２ ﬁne ①", "ab 12 ab12 fine 1"),
        ("हिन्दी में", "हिन्दी में"),
        ("한국어 검색", "한국어 검색"),
        ("小提琴", "小提 提琴 小 提 琴"),
        ("犬", "犬"),
        ("カメラとcameraが", "カメ メラ ラと camera が"),
        ("สวัสดี", "สว วั ัส สด ดี"),
        ("  ?! — …", ""),
    ],
)
def test_words(text: str, found: str) -> None:
    assert list(words(text)) == found.split()


def test_what_is_typed_as_one() -> None:
    assert list(tokens("SKU-47, red 琴 don't")) == [("sku", "47", "sku47"), ("red",), ("琴",), ("don", "t", "dont")]


@given(st.text(st.sampled_from("ab1- 琴"), max_size=600))
def test_few_words_of_a_long_text_are_asked_for(text: str) -> None:
    asked, every = asked_tokens(text), list(dict.fromkeys(tokens(text)))
    rest = iter(every)
    assert all(one in rest for one in asked) and sum(map(len, asked)) <= MAX_ASKED
    assert asked == every or sum(map(len, tokens(text))) > MAX_ASKED


def test_what_is_too_long_hides_nothing_behind_it() -> None:
    assert asked_tokens("-".join(map(str, range(200))) + " red boots") == [("red",), ("boots",)]


@given(st.text())
def test_any_text_has_words_that_are_found_again(text: str) -> None:
    found = list(words(text))
    assert all(word and len(word) <= MAX_LENGTH and not word.isspace() for word in found)
    asked, kept = words_asked(text), words_of({"title": [text, 3, None, True]}, ["title"])
    assert {*asked.indices} <= {*kept.indices} and kept.indices == sorted({*kept.indices})
    assert all(0 <= number < 2**32 for number in kept.indices) and kept.values == [1.0] * len(kept.indices)


def test_what_a_text_and_an_item_share() -> None:
    payload = {"title": "A red violin from 東京都", "code": "AB-123/4"}
    assert shared("the VIOLIN in red", payload, ["title"]) == ("violin", "red")
    assert shared("ab-123/4", payload, ["title", "code"]) == ("ab1234",)
    assert shared("東京都庁", payload, ["title"]) == ("東京都",)
    assert shared("a piano", {"title": "red"}, ["title", "code"]) == ()
