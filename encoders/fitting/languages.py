"""Fitting the text head of `starter-multilingual`: what a text means counts, the language that it is in does not."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from encoders.fitting.starter import APPEARANCE, FLOOR, WHITENING, SentenceBank, wordnet_texts
from encoders.networks.known import E5_SMALL, USE_MULTILINGUAL
from encoders.spaces.align import TextHead
from encoders.types import Doubles, Floats

DIMENSION = 384
LANGUAGE = 3.0
"""Weight of the differences between translations in what is whitened."""
SCALE = {USE_MULTILINGUAL.name: 1.0, E5_SMALL.name: 1.5}
"""Weights of the networks' features before they are whitened together; E5's differ less."""


def fit_translated_text(
    bank: SentenceBank, captions: Sequence[str], names: Mapping[str, Sequence[str]], every: int = 7
) -> tuple[TextHead, Floats]:
    """Fit the text head on English texts, and on names in many languages.

    Half-whitened is not how texts differ alone, but the sum of that and of how translations of one name differ
    (within-class covariance, Hatch et al., Interspeech 2006): so directions that tell languages apart count for less.

    Args:
        bank: the sentence networks: Google's sentence encoder, then E5.
        captions: captions of pictures, in English.
        names: per language the names of the same things, in one order.
        every: one word of WordNet in this many is taken.

    Returns:
        The head, and the axes of the space that it leaves to appearance, orthonormal (2 * APPEARANCE, d).
    """
    specs = (USE_MULTILINGUAL, E5_SMALL)
    scale = np.concatenate([np.full(spec.dimension, SCALE[spec.name]) for spec in specs])
    vectors = bank([*wordnet_texts(every), *captions]) * scale
    mean = vectors.mean(axis=0)
    meaning = np.cov((vectors - mean).T)
    translations = np.stack([bank(own) for own in names.values()]) * scale  # (languages, names, f)
    apart = (translations - translations.mean(axis=0)).reshape(-1, len(scale))
    whitened = _power(meaning + LANGUAGE * (apart.T @ apart) / len(apart))
    _, axes = np.linalg.eigh(whitened @ meaning @ whitened)
    kept = whitened @ axes[:, ::-1][:, : DIMENSION - 2 * APPEARANCE]
    weight = np.concatenate([kept, np.zeros((len(scale), 2 * APPEARANCE))], axis=1) * scale[:, None]
    free = np.eye(DIMENSION, dtype=np.float32)[-2 * APPEARANCE :]
    return TextHead((mean / scale).astype(np.float32), weight.astype(np.float16).astype(np.float32)), free


def _power(covariance: npt.NDArray[np.float64]) -> Doubles:
    """The matrix that takes strong directions down: covariance to the power of -WHITENING / 2."""
    variances, axes = np.linalg.eigh(covariance)
    return np.asarray((axes * (variances + FLOOR * variances.mean()) ** (-WHITENING / 2)) @ axes.T)
