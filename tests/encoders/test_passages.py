"""Passages of long texts: they cover the text, none is too long, and they end where sentences do."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from encoders.networks.passages import passages

FRAME = 2


def by_words(text: str) -> int:
    """Words, and a begin and an end."""
    return len(text.split()) + FRAME


def by_letters(text: str) -> int:
    """Code points that are no white space, as in scripts without spaces; what is around a text is not counted."""
    return len("".join(text.split())) + FRAME


TEXTS = st.text(st.sampled_from("ab ,.!?。！？\n\u2029…」é\u0301नम। "), min_size=1, max_size=200).filter(str.strip)


@settings(max_examples=200, deadline=None)
@given(TEXTS, st.integers(3, 12), st.sampled_from([by_words, by_letters]))
def test_they_cover_the_text_and_none_is_too_long_or_blank(text: str, limit: int, size: object) -> None:
    spans = passages(text, size, limit, 1000)  # type: ignore[arg-type]
    assert spans == passages(text, size, limit, 1000)  # type: ignore[arg-type]
    assert "".join(text[start:stop] for start, stop in spans) == text
    assert (spans[0][0], spans[-1][1]) == (0, len(text))
    for start, stop in spans:
        assert text[start:stop].strip()
        assert size(text[start:stop]) <= limit  # type: ignore[operator]


@settings(max_examples=100, deadline=None)
@given(TEXTS, st.integers(3, 12), st.integers(2, 4))
def test_of_too_many_those_are_taken_that_lie_evenly(text: str, limit: int, most: int) -> None:
    every, some = passages(text, by_letters, limit, 1000), passages(text, by_letters, limit, most)
    assert len(some) == min(most, len(every))
    assert set(some) <= set(every)
    assert some == sorted(some)
    assert (some[0], some[-1]) == (every[0], every[-1])


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("One two three. Four five six! Seven eight?", ["One two three. ", "Four five six! ", "Seven eight?"]),
        ("他来了很久。你好吗？」他说很好！", ["他来了很久。", "你好吗？」", "他说很好！"]),
        ("नमस्ते दुनिया। सब ठीक है। अच्छा", ["नमस्ते दुनिया। ", "सब ठीक है। ", "अच्छा"]),
        ("مرحبا يا صديقي؟ نعم هذا جيد۔ شكرا لك", ["مرحبا يا صديقي؟ ", "نعم هذا جيد۔ ", "شكرا لك"]),
        ("one two three\nfour five six\n\nseven", ["one two three\n", "four five six\n\n", "seven"]),
    ],
)
def test_they_end_where_sentences_do(text: str, parts: list[str]) -> None:
    size = by_letters if "。" in text else by_words
    assert [text[start:stop] for start, stop in passages(text, size, max(map(size, parts)), 9)] == parts


def test_what_is_no_end_of_a_sentence_is_none() -> None:
    text = "It is 3.5 m e.g. here, a.b or c. d and so on in the same sentence. The next one."
    spans = passages(text, by_words, 20, 9)
    assert [text[start:stop] for start, stop in spans] == [text[:-13], text[-13:]]


def test_they_are_about_equally_long() -> None:
    text = "".join(f"Sentence {number} is here. " for number in range(21))
    sizes = [by_words(text[start:stop]) for start, stop in passages(text, by_words, FRAME + 80, 9)]
    assert sizes == [FRAME + 44, FRAME + 40]


def test_a_sentence_that_is_too_long_is_cut_between_words_and_a_word_between_characters() -> None:
    words = " ".join(["word"] * 100)
    for one, other in pairwise(passages(words, by_words, 10, 99)):
        assert (words[one[0]], words[other[0]], words[other[0] - 1]) == ("w", "w", " ")
    letters = "e\u0301" * 50
    assert all(letters[start] == "e" for start, _ in passages(letters, by_letters, 12, 99))


def test_a_text_of_nothing_but_marks_ends_soon() -> None:
    text = "a bell e" + "\u0301" * 20_000
    spans = passages(text, len, 128, 16)
    assert len(spans) == 16 and all(stop - start <= 128 for start, stop in spans)


@pytest.mark.parametrize("limit", [1, 2, 3, 5])
def test_a_limit_that_nothing_is_below_ends_too(limit: int) -> None:
    assert passages("\ufdfa\n[" + "\n" * 50 + "a" * 50, lambda text: 4 + len(text.encode()), limit, 4)


def test_tokens_need_not_add_up() -> None:
    """A text may have more tokens than its parts have together."""

    def size(text: str) -> int:
        return len(text.split()) + text.count(". ") + FRAME

    text = "One two. Three four. Five six. Seven eight. Nine ten. "
    spans = passages(text, size, FRAME + 5, 99)
    assert all(size(text[start:stop]) <= FRAME + 5 for start, stop in spans)
    assert spans[-1][1] == len(text)
