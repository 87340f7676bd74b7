"""The suites of encoders and spaces."""

from abc import abstractmethod
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise, product

import numpy as np

from encoders.encoder import Encoder, PreparesPassages
from encoders.errors import ContentError
from encoders.spaces.space import Space
from encoders.types import WHOLE, Audio, Content, Floats, Image, Modality, Text

TOLERANCE = 1e-4
"""In each coordinate, between a content encoded alone and in a batch."""


class EncoderContract:
    """What every `Encoder` does."""

    @abstractmethod
    def encoder(self) -> Encoder:
        """The encoder, made anew or not."""

    @abstractmethod
    def contents(self) -> Sequence[Content]:
        """Different contents that it takes, at least three; none so long that it is split."""

    def long_contents(self) -> Sequence[Content]:
        """Contents that it splits, if it is one that `PreparesPassages`."""
        return ()

    def test_it_is_an_encoder(self) -> None:
        """It has all members of the protocol, and its identity is plain text that repeats."""
        encoder = self.encoder()
        assert isinstance(encoder, Encoder)
        assert encoder.identity
        assert all(isinstance(one, str) for pair in encoder.identity.items() for one in pair)
        assert encoder.identity == self.encoder().identity
        assert {content.modality for content in self.contents()} == {encoder.modality}

    def test_vectors_have_unit_length(self) -> None:
        """They are float32 (n, dimension), and different contents have different ones."""
        contents = self.contents()
        vectors = self._vectors(contents)
        assert vectors.dtype == np.float32
        assert vectors.shape == (len(contents), self.encoder().dimension)
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
        assert len(np.unique(vectors.round(5), axis=0)) == len(contents)

    def test_a_batch_gives_what_its_contents_give_alone(self) -> None:
        """In any order, and none gives none."""
        contents = self.contents()
        alone = np.concatenate([self._vectors([content]) for content in contents])
        np.testing.assert_allclose(self._vectors(contents), alone, atol=TOLERANCE)
        np.testing.assert_allclose(self._vectors(contents[::-1]), alone[::-1], atol=TOLERANCE)
        assert self._vectors([]).shape == (0, self.encoder().dimension)

    def test_contents_are_prepared_in_many_threads(self) -> None:
        """`prepare` may run in several at once."""
        encoder, contents = self.encoder(), [*self.contents()] * 4
        with ThreadPoolExecutor(4) as pool:
            prepared = list(pool.map(encoder.prepare, contents))
        np.testing.assert_allclose(encoder.forward(prepared), self._vectors(contents), atol=TOLERANCE)

    def test_a_content_of_another_modality_is_refused(self) -> None:
        """With an error of the tree, so that it does not end a run."""
        others: dict[Modality, Content] = {
            Modality.TEXT: Image(b"x"),
            Modality.IMAGE: Audio(b"x"),
            Modality.AUDIO: Text("x"),
        }
        try:
            self.encoder().prepare(others[self.encoder().modality])
        except ContentError as error:
            assert error.problem
        else:
            raise AssertionError("a content of another modality was taken")

    def test_long_contents_are_split(self) -> None:
        """Into passages in order, the whole before them or not, the same each time; what is not long stays whole."""
        encoder = self.encoder()
        if not isinstance(encoder, PreparesPassages):
            return
        for content in self.contents():
            (one,) = encoder.prepare_passages(content, 4).items()
            assert one[0] == WHOLE
            np.testing.assert_allclose(encoder.forward([one[1]]), self._vectors([content]), atol=TOLERANCE)
        for content in self.long_contents():
            found = encoder.prepare_passages(content, 4)
            assert 2 <= len(found) <= 4
            spans = list(found)
            assert spans == list(encoder.prepare_passages(content, 4))
            passages = spans[spans[0] == WHOLE :]
            assert all(start < stop for start, stop in passages)
            assert all(one[1] <= other[0] for one, other in pairwise(passages))
            vectors = encoder.forward(list(found.values()))
            np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
            if isinstance(content, Text):
                texts = [Text(content.text[start:stop]) for start, stop in spans]
                np.testing.assert_allclose(vectors, self._vectors(texts), atol=TOLERANCE)

    def _vectors(self, contents: Sequence[Content]) -> Floats:
        encoder = self.encoder()
        return encoder.forward([encoder.prepare(content) for content in contents])


class SpaceContract:
    """What every space does, whoever opens it."""

    @abstractmethod
    def space(self) -> Space:
        """The space, opened anew."""

    def test_the_fingerprint_repeats(self) -> None:
        """Else a collection could not be opened again."""
        first, second = self.space(), self.space()
        assert first.manifest.to_json() == second.manifest.to_json()
        assert first.fingerprint == second.fingerprint

    def test_encoders_are_of_their_modality_and_of_one_dimension(self) -> None:
        """As the space says."""
        space = self.space()
        for modality in space.modalities:
            assert space.encoder(modality).modality is modality
            assert space.encoder(modality).dimension == space.dimension

    def test_every_pair_of_modalities_is_calibrated(self) -> None:
        """With finite numbers, a spread above zero and a trust that is not negative."""
        space = self.space()
        for pair in product(space.modalities, space.modalities):
            read = space.calibration[pair]
            assert np.isfinite([read.mean, read.std, read.weight]).all(), f"{pair}: {read}"
            assert read.std > 0, f"{pair}: {read}"
            assert read.weight >= 0, f"{pair}: {read}"
