"""Texts that were encoded lately are not encoded again: a history brings the same searches with every request."""

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence

from encoders.errors import TriveniError
from encoders.types import Content, Floats, Text
from engine.core.caching import UseCount, Uses
from engine.core.deadline import Deadline
from engine.encode.encoding import ContentEncoder, Encoded, EncodedPassages


class TextEmbeddingCache:
    """A `ContentEncoder` in front of another one that keeps the vectors of the texts last used.

    Args:
        encoder: encodes what is not known.
        size: texts that are kept, with a vector each.
        max_characters: texts that are longer are not kept.
    """

    def __init__(self, encoder: ContentEncoder, *, size: int = 16_384, max_characters: int = 1000) -> None:
        self._encoder, self._size, self._max_characters = encoder, size, max_characters
        self._vectors: OrderedDict[str, Floats] = OrderedDict()
        self._turn = threading.Lock()
        self._count = UseCount()

    def encode(self, contents: Sequence[Content], deadline: Deadline) -> list[Encoded]:
        """Encode contents, each for itself; see `ContentEncoder.encode`."""
        results: list[Encoded | None] = [self._known(content) for content in contents]
        missing = [row for row, result in enumerate(results) if result is None]
        texts = sum(isinstance(content, Text) for content in contents)
        self._count.add(known := len(contents) - len(missing), texts - known)
        if missing:
            encoded = self._encoder.encode([contents[row] for row in missing], deadline)
            for row, result in zip(missing, encoded, strict=True):
                results[row] = result
                self._keep(contents[row], result)
        return [result for result in results if result is not None]

    def encode_passages(
        self, contents: Sequence[Content], most: Sequence[int], deadline: Deadline
    ) -> list[EncodedPassages]:
        """Encode contents of items, which are not kept; see `ContentEncoder.encode_passages`."""
        return self._encoder.encode_passages(contents, most, deadline)

    def caches(self) -> Mapping[str, Uses]:
        """How it was used; see `Caching`."""
        return {"texts": self._count.uses}

    def _known(self, content: Content) -> Floats | None:
        if not isinstance(content, Text):
            return None
        with self._turn:
            vector = self._vectors.get(content.text)
            if vector is not None:
                self._vectors.move_to_end(content.text)
            return vector

    def _keep(self, content: Content, vector: Encoded) -> None:
        if isinstance(vector, TriveniError) or not isinstance(content, Text):
            return
        if len(content.text) > self._max_characters:
            return
        kept = vector.copy()  # not a view of a whole batch
        kept.flags.writeable = False
        with self._turn:
            self._vectors[content.text] = kept
            self._vectors.move_to_end(content.text)
            while len(self._vectors) > self._size:
                self._vectors.popitem(last=False)
