"""Texts that were encoded lately are not encoded again."""

from collections.abc import Sequence

import numpy as np

from encoders.errors import TriveniError
from encoders.types import Content, Text
from engine.core.deadline import Deadline
from engine.encode.encoding import DirectEncoder, Encoded
from engine.encode.text_cache import TextEmbeddingCache
from tests.tiny import concept_image, concept_space


class Counting:
    """The real encoder, and what it was asked for."""

    def __init__(self) -> None:
        self.encoder = DirectEncoder(concept_space())
        self.asked: list[Content] = []

    def encode(self, contents: Sequence[Content], deadline: Deadline) -> list[Encoded]:
        self.asked += contents
        return self.encoder.encode(contents, deadline)


def test_same_vectors_as_without_and_each_text_once() -> None:
    counting = Counting()
    remembered = TextEmbeddingCache(counting)
    contents = [Text("a bird"), concept_image("car"), Text("\n "), Text("a piano")]
    for _ in range(3):
        plain = counting.encoder.encode(contents, Deadline())
        for got, want in zip(remembered.encode(contents, Deadline()), plain, strict=True):
            if isinstance(want, TriveniError):
                assert isinstance(got, TriveniError)
            else:
                assert not isinstance(got, TriveniError)
                np.testing.assert_allclose(got, want, atol=1e-6)
    assert counting.asked.count(Text("a bird")) == counting.asked.count(Text("a piano")) == 1
    assert counting.asked.count(contents[1]) == counting.asked.count(contents[2]) == 3


def test_the_texts_longest_unused_are_forgotten_and_long_ones_never_kept() -> None:
    counting = Counting()
    remembered = TextEmbeddingCache(counting, size=2, max_characters=10)
    for words in ("bird", "car", "bird", "fish", "bird", "car", "x" * 11, "x" * 11):
        remembered.encode([Text(words)], Deadline())
    asked = [content.text for content in counting.asked if isinstance(content, Text)]
    assert asked == ["bird", "car", "fish", "car", "x" * 11, "x" * 11]
