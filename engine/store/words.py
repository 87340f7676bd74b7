"""The words of a text, in any script, and the sparse vectors that words are searched by (BM25's rarity).

What people type is made alike: compatibility forms (NFKC), capitals, accents. Scripts that are written without
spaces give every two neighbouring characters, and a Han character also alone: a word of two is one of those pairs, so
no dictionary is needed. What is joined by signs, or of letters and digits, as codes are, is found whole, without the
signs, and by its parts: `AB-123/4` gives `ab`, `123`, `4` and `ab1234`.
"""

import math
import re
import sys
import unicodedata
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice

from engine.core.types import Payload
from engine.store.match import held

WORDS = "words"
"""The name of the vector of an item's words."""
FORM = 2
"""Of the words that this program makes; where a collection has another, they are made again."""
MAX_LENGTH = 64
"""Characters of a word; what is longer nobody types."""
MAX_WORDS, MAX_ASKED = 20_000, 128
"""Words of a field, and of a query, that count."""
MAX_SHARED = 5
_HAN = "\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_UNSPACED = re.compile(f"([\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3041-\u30ff\u31f0-\u31ff{_HAN}]+)")
"""Thai, Lao, Burmese, Khmer, kana, Han."""
_IS_HAN = re.compile(f"[{_HAN}]")
_ACCENTS = re.compile("[\u0300-\u036f\u0591-\u05c7\u0640\u064b-\u065f\u0670]+")
"""Of Latin, Greek and Cyrillic letters; points of Hebrew and Arabic, which few write."""
_SIGNS = "./'’+&:#-"
_ASCII = re.compile(rf"[a-z0-9]+(?:[{_SIGNS}]+[a-z0-9]+)*")
_PART = re.compile(rf"\d+|[^\d{_SIGNS}]+")


@lru_cache(maxsize=1)
def _word() -> re.Pattern[str]:
    """A word, with the signs in it. Vowel signs, as in Devanagari, are letters, which Python's \\w leaves out."""
    codes = range(0x300, sys.maxunicode + 1)
    marks = "".join(chr(code) for code in codes if unicodedata.category(chr(code)) in ("Mn", "Mc"))
    return re.compile(rf"[\w{marks}]+(?:[{_SIGNS}]+[\w{marks}]+)*")


def words(text: str) -> Iterator[str]:
    """The words of a text, in their order, with repetitions."""
    return (word for token in tokens(text) for word in token)


def tokens(text: str) -> Iterator[tuple[str, ...]]:
    """What is typed as one, in its order, with repetitions: a word, or a code's parts and last the whole."""
    text = text.replace("_", "-")
    if text.isascii():
        folded, word = text.lower(), _ASCII
    else:
        apart = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).casefold())
        folded, word = unicodedata.normalize("NFC", _ACCENTS.sub("", apart)), _word()
    for found in word.finditer(folded):
        token = found.group()
        if token.isascii():
            yield _spaced(token)
        else:
            for place, run in enumerate(_UNSPACED.split(token)):
                yield from ((word,) for word in _unspaced(run)) if place % 2 else filter(None, (_spaced(run),))


def _spaced(token: str) -> tuple[str, ...]:
    if token.isalpha():
        return (token[:MAX_LENGTH],)
    parts = _PART.findall(token.removesuffix("'s").removesuffix("’s"))
    whole = ("".join(parts)[:MAX_LENGTH],) if len(parts) > 1 else ()
    return (*(part[:MAX_LENGTH] for part in parts), *whole)


def _unspaced(run: str) -> Iterator[str]:
    yield from (run[place : place + 2] for place in range(len(run) - 1))
    yield from (character for character in run if len(run) == 1 or _IS_HAN.match(character))


@dataclass(frozen=True, slots=True)
class WordVector:
    """The words of a text, each a number with a weight. Two words have one number once in 4,000 million."""

    indices: list[int]
    """uint32, ascending."""
    values: list[float]


@dataclass(frozen=True, slots=True)
class AskedWords:
    """What a text asks for by its words."""

    vector: WordVector
    """The score of an item is its surprise: that at finding by chance what it has of them."""
    surprise: float
    """That at finding all of them; positive."""


def word_number(word: str) -> int:
    """The number of a word, uint32, the same on every machine."""
    return zlib.crc32(word.encode(errors="replace"))


def words_of(payload: Payload, fields: Sequence[str]) -> WordVector:
    """What an item is found by: its words in some fields, texts and numbers, each once, however often it is there.

    The store multiplies each with how rare it is in the catalogue; see `rarity`.

    Args:
        payload: of the item.
        fields: their names, `a.b` for one within another; those that it lacks do no harm.
    """
    found: set[int] = set()
    for field in fields:
        for value in held(payload, field):
            if isinstance(value, str | int | float) and not isinstance(value, bool):
                found.update(map(word_number, islice(words(str(value)), MAX_WORDS)))
    return WordVector(sorted(found), [1.0] * len(found))


def asked_tokens(text: str) -> list[tuple[str, ...]]:
    """The `tokens` that a text asks for, each once: the first that fit into `MAX_ASKED` words."""
    room, found = MAX_ASKED, dict[tuple[str, ...], None]()
    for token in tokens(text):
        if room <= 0:
            break
        if len(token) <= room:
            room -= len(token)
            found[token] = None
    return [*found]


def shared(text: str, payload: Payload, fields: Sequence[str]) -> tuple[str, ...]:
    """The words that a text and an item have in common, the longest first, at most `MAX_SHARED`.

    Pairs of characters that follow one another are put together again, and what is part of another is left out.
    """
    values = (value for field in fields for value in held(payload, field))
    have = {word for value in values for word in islice(words(str(value)), MAX_WORDS)}
    common: list[str] = []
    for word in islice(words(text), MAX_ASKED):
        if word in have:
            joined = len(word) == 2 and common and _UNSPACED.match(word) and common[-1].endswith(word[0])
            common[-1:] = [common[-1] + word[1]] if joined else [*common[-1:], word]
    longest = sorted(dict.fromkeys(common), key=len, reverse=True)
    whole = [word for row, word in enumerate(longest) if not any(word in other for other in longest[:row])]
    return tuple(whole[:MAX_SHARED])


def rarity(count: int, having: int) -> float:
    """The surprise at finding a word that `having` of `count` items have, as Qdrant reckons it (the IDF of BM25)."""
    return math.log((count - having + 0.5) / (having + 0.5) + 1)
