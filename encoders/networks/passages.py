"""Long texts → passages that an encoder reads whole: cut at ends of sentences, and about equally long.

What ends a sentence is told by Unicode's properties (UAX 29, Sentence_Break), in any script; so does a new line. A
sentence that is too long by itself is halved at white space, or between characters where a script has none.
"""

import unicodedata
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

import numpy as np
import regex

from encoders.types import Span

Size = Callable[[str], int]
"""Tokens of a text, with those of its begin and end."""

_END = regex.compile(
    r"""(?![!?])\p{SB=STerm}+\p{SB=Close}*+\s*+                      # 。！？ and the like end a sentence as they stand
    | (?<![!?\p{SB=ATerm}])[!?\p{SB=ATerm}]++\p{SB=Close}*+\s++(?!\p{Ll})  # . ! ? before a space, not before a small letter
    | [\n\r\x85\u2028\u2029]\s*+""",  # noqa: E501
    regex.VERBOSE,
)
_SPACE = regex.compile(r"\s++")


def passages(text: str, size: Size, limit: int, most: int) -> list[Span]:
    """Split a text.

    They are as few as there can be, and the longest of them as short as it can be. Of more than `most` those are
    taken that lie evenly over the text, the first and the last among them; else they join to the whole text.

    Args:
        text: of more than `limit` tokens.
        size: counts tokens.
        limit: tokens of a passage.
        most: passages, at least 2.

    Returns:
        Where they begin and end, characters, in order. None is blank.
    """
    frame = size("")

    def own(start: int, stop: int) -> int:
        part = text[start:stop]
        return size(part) - frame if part.strip() else 0

    ends = [match.end() for match in _END.finditer(text)]
    sentences = pairwise(sorted({0, *ends, len(text)}))
    pieces = [piece for start, stop in sentences for piece in _fitting(text, start, stop, own, limit - frame)]
    stops, sizes = [stop for stop, _ in pieces], [tokens for _, tokens in pieces]
    room = limit - frame
    while True:
        firsts = _evenly(sizes, room)
        spans = list(pairwise([0, *(stops[first - 1] for first in firsts[1:]), len(text)]))
        over = max(size(text[start:stop]) for start, stop in spans) - limit  # tokens of parts need not add up
        if not 0 < over < room or len(spans) == len(pieces):
            break
        room -= over
    if len(spans) > most:
        spans = [spans[place] for place in np.linspace(0, len(spans) - 1, most).round().astype(int)]
    return spans


def _fitting(
    text: str, start: int, stop: int, own: Callable[[int, int], int], room: int
) -> Iterator[tuple[int, int]]:
    """The end and the tokens of each piece of a sentence, halved until each has room."""
    tokens = own(start, stop)
    if tokens <= room or stop - start < 2:
        yield stop, tokens
        return
    middle = _middle(text, start, stop)
    yield from _fitting(text, start, middle, own, room)
    yield from _fitting(text, middle, stop, own, room)


def _middle(text: str, start: int, stop: int) -> int:
    """After the white space that is nearest to the middle, if it is in the middle half; else the middle."""
    middle, quarter = (start + stop) // 2, (stop - start) // 4
    ends = (match.end() for match in _SPACE.finditer(text, start + quarter, stop - quarter))
    spaces = [end for end in ends if end < stop]
    if spaces:
        return int(min(spaces, key=lambda end: abs(end - middle)))
    letters = (place for place in range(middle, middle + quarter) if not unicodedata.combining(text[place]))
    return next(letters, middle)  # a mark stays with its letter, unless there are hundreds of them


def _evenly(sizes: Sequence[int], room: int) -> list[int]:
    """The first piece of each passage: as few as fit into `room`, with as little room as so many need."""
    count = len(_greedily(sizes, room))
    low, high = 0, room
    while low < high:
        middle = (low + high) // 2
        if len(_greedily(sizes, middle)) > count:
            low = middle + 1
        else:
            high = middle
    return _greedily(sizes, high)


def _greedily(sizes: Sequence[int], room: int) -> list[int]:
    firsts, filled = [0], 0
    for place, tokens in enumerate(sizes):
        if filled and filled + tokens > room:
            firsts.append(place)
            filled = 0
        filled += tokens
    return firsts
