"""The spaces that other tests stand on do what they say."""

from itertools import product
from pathlib import Path

import numpy as np
import pytest

from encoders.encoder import Encoder
from encoders.errors import ContentError
from encoders.spaces.space import Space
from encoders.types import Audio, Content, Image, Modality, Text
from engine.testing import EncoderContract, SpaceContract
from tests.tiny import (
    CONCEPTS,
    concept_audio,
    concept_image,
    concept_space,
    concept_text,
    make_png,
    make_wav,
    tiny_space,
    wav_bytes,
)

MAKERS = {Modality.TEXT: concept_text, Modality.IMAGE: concept_image, Modality.AUDIO: concept_audio}


@pytest.mark.parametrize("space", [tiny_space(), concept_space(), tiny_space(16), concept_space(128)])
def test_every_encoder_gives_unit_vectors_alone_as_in_a_batch(space: Space) -> None:
    contents: list[Content] = [make(concept, 5) for concept in CONCEPTS[:4] for make in MAKERS.values()]
    batch = space.encode(contents)
    assert batch.shape == (12, space.dimension)
    np.testing.assert_allclose(np.linalg.norm(batch, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(batch, np.concatenate([space.encode([one]) for one in contents]), atol=1e-5)
    assert all(isinstance(space.encoder(modality), Encoder) for modality in Modality)


def test_near_contents_get_near_vectors(tmp_path: Path) -> None:
    space = tiny_space()
    for near, same, far in (
        (Text("a small brown bird"), Text("a brown bird"), Text("quantum chromodynamics")),
        (
            *(
                Image(make_png(tmp_path / f"{n}.png", c))
                for n, c in enumerate([(250, 0, 0), (235, 10, 0), (0, 0, 250)])
            ),
        ),
        (*(Audio(make_wav(tmp_path / f"{f}.wav", f)) for f in (440, 445, 3000)),),
    ):
        a, b, c = space.encode([near, same, far])
        assert a @ b > a @ c + 0.1


@pytest.mark.parametrize(("query", "item"), list(product(Modality, Modality)))
def test_a_concept_is_found_across_modalities(query: Modality, item: Modality) -> None:
    space = concept_space()
    queries = space.encode([MAKERS[query](concept, 1) for concept in CONCEPTS])
    items = space.encode([MAKERS[item](concept, 2) for concept in CONCEPTS])
    assert np.mean((queries @ items.T).argmax(axis=1) == np.arange(12)) == 1
    z = space.calibration[query, item].z(queries @ items.T)
    assert z.diagonal().mean() > 3
    assert abs(z[~np.eye(12, dtype=bool)].mean()) < 0.5


def test_the_spaces_are_told_apart_and_repeat() -> None:
    assert len({s.fingerprint for s in (tiny_space(), concept_space(), tiny_space(16))}) == 3
    assert tiny_space.__wrapped__(64).fingerprint == tiny_space(64).fingerprint


def test_broken_contents_are_refused() -> None:
    for content in (Text(" "), Image(b"x"), Audio(b"x")):
        with pytest.raises(ContentError):
            tiny_space().prepare(content)


class TestTinySpace(SpaceContract):
    def space(self) -> Space:
        tiny_space.cache_clear()
        return tiny_space()


class TestConceptSpace(SpaceContract):
    def space(self) -> Space:
        concept_space.cache_clear()
        return concept_space()


class TestTinyEncoder(EncoderContract):
    @pytest.fixture(autouse=True, params=Modality)
    def of(self, request: pytest.FixtureRequest) -> None:
        self.modality: Modality = request.param

    def encoder(self) -> Encoder:
        return tiny_space().encoder(self.modality)

    def contents(self) -> list[Content]:
        return [MAKERS[self.modality](concept, 5) for concept in CONCEPTS[:4]]

    def long_contents(self) -> list[Content]:
        sentences = " ".join(
            f"This is sentence {number} about a {concept}." for number, concept in enumerate(CONCEPTS)
        )
        long = {Modality.TEXT: [Text(sentences)], Modality.AUDIO: [Audio(wav_bytes(seconds=6.0))]}
        return list[Content](long.get(self.modality, []))
