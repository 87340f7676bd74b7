"""Fitting the heads of the starter spaces: `triveni space build starter`, or `starter-multilingual`.

Texts are the pivot. The fit is deterministic: files are read in the order of their paths, and folds follow from
the seed. Nothing is drawn at random but the folds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import scipy.linalg

from encoders.fitting.sources import Captioned
from encoders.networks.audio import class_names
from encoders.networks.known import E5_SMALL, MINILM, USE_MULTILINGUAL, YAMNET
from encoders.networks.weights import find_weights
from encoders.spaces.align import (
    AudioHead,
    ClassTexts,
    ImageHead,
    TextHead,
    softmax_top,
)
from encoders.spaces.calibration import FeatureExtractor
from encoders.spaces.drawings import LEVELS, KernelRidge, hellinger, kernel
from encoders.spaces.space import unit
from encoders.spaces.starter import MULTILINGUAL, SENTENCES, STARTER
from encoders.types import Doubles, Floats, Rows, Text

TEMPERATURE, TOP = 2.0, 50
"""Of the softmax over ImageNet classes (ConSE)."""
CLASS_FACTOR = 1.75
"""The largest that finds held-out drawings as well as a sum of the two at one length: photographs gain by more."""
WIDTH, PENALTY = 0.7, 0.5
"""Of the kernel ridge regression on drawings."""
WHITENING, FLOOR = 0.4, 0.1
"""Power of the whitening of texts, and what is added to each variance, in mean variances."""
DIMENSION = 384
"""Of the space: axes that texts have, and those that they leave to appearance."""
SCALE = {MINILM.name: 0.7, USE_MULTILINGUAL.name: 1.0, E5_SMALL.name: 1.5}
"""Weights of the networks' features before they are whitened together."""
LANGUAGE = {STARTER: 0.3, MULTILINGUAL: 3.0}
"""By space, the weight of how translations differ in what is whitened: the more, the less English counts."""
PRIOR_POWER = 0.25
PICTURE_SHARE, SOUND_SHARE = 0.2, 0.6
"""Of the appearance in a vector's squared length."""
APPEARANCE = 32
"""Axes of the space that the appearance of one modality gets."""


class SentenceBank:
    """Encodes sentences, each once."""

    def __init__(self, encoder: FeatureExtractor) -> None:
        self._encoder = encoder
        self._known: dict[str, Floats] = {}

    def __call__(self, texts: Sequence[str]) -> Floats:
        """Texts → float32 (n, f)."""
        new = sorted({text for text in texts if text not in self._known})
        if new:
            vectors = self._encoder.features([self._encoder.prepare(Text(text)) for text in new])
            self._known.update(zip(new, vectors, strict=True))
        return np.stack([self._known[text] for text in texts])


def fit_text(
    name: str, bank: SentenceBank, captions: Sequence[str], names: Mapping[str, Sequence[str]], every: int = 7
) -> tuple[TextHead, Floats]:
    """Fit the text head of a starter space on WordNet's words and glosses, captions, and names in many languages.

    Half-whitened is not how texts differ alone, but the sum of that and of how translations of one name differ
    (within-class covariance, Hatch et al., Interspeech 2006): so directions that tell languages apart count for less.
    The axes along which texts differ least are not theirs: they are free for the appearance of pictures and sounds.

    Args:
        name: of the space.
        bank: its sentence networks.
        captions: captions of pictures, in English.
        names: per language the names of the same things, in one order.
        every: one word of WordNet in this many is taken.

    Returns:
        The head, and the free axes, orthonormal (2 * APPEARANCE, d).
    """
    scale = np.concatenate([np.full(spec.dimension, SCALE[spec.name]) for spec in SENTENCES[name]])
    vectors = bank([*wordnet_texts(every), *captions]) * scale
    mean = vectors.mean(axis=0)
    meaning = np.cov((vectors - mean).T)
    translations = np.stack([bank(own) for own in names.values()]) * scale  # (languages, names, f)
    apart = (translations - translations.mean(axis=0)).reshape(-1, len(scale))
    whitened = _power(meaning + LANGUAGE[name] * (apart.T @ apart) / len(apart))
    _, axes = np.linalg.eigh(whitened @ meaning @ whitened)
    kept = whitened @ axes[:, ::-1][:, : DIMENSION - 2 * APPEARANCE]
    weight = np.concatenate([kept, np.zeros((len(scale), 2 * APPEARANCE))], axis=1) * scale[:, None]
    free = np.eye(DIMENSION, dtype=np.float32)[-2 * APPEARANCE :]
    return TextHead((mean / scale).astype(np.float32), weight.astype(np.float16).astype(np.float32)), free


def _power(covariance: npt.NDArray[np.float64]) -> Doubles:
    """The matrix that takes strong directions down: covariance to the power of -WHITENING / 2."""
    variances, axes = np.linalg.eigh(covariance)
    return np.asarray((axes * (variances + FLOOR * variances.mean()) ** (-WHITENING / 2)) @ axes.T)


def wordnet_texts(every: int) -> list[str]:
    """Words of WordNet, one in `every`, then their glosses."""
    words, glosses = _wordnet()
    keys = sorted(words)[::every]
    return [words[key].split(", ")[0] for key in keys] + [glosses[key] for key in keys]


def image_class_texts(bank: SentenceBank, head: TextHead) -> Floats:
    """The 1000 ImageNet classes as texts: the word, and the words with WordNet's gloss; (1000, d)."""
    words, glosses = _wordnet()
    keys = _imagenet_classes()
    plain = bank([words[key].split(", ")[0] for key in keys])
    explained = bank([f"{words[key]}: {glosses[key]}" for key in keys])
    return head(unit(plain + explained))


def audio_class_texts(bank: SentenceBank, head: TextHead) -> Floats:
    """The 521 AudioSet classes as texts, each the mean of the names in its name; (521, d)."""
    names = [
        [part.strip() for part in name.lower().replace("(", ",").replace(")", ",").split(",") if part.strip()]
        for name in class_names(find_weights(YAMNET))
    ]
    return head(unit(np.stack([bank(parts).sum(axis=0) for parts in names])))


def caption_vectors(bank: SentenceBank, head: TextHead, drawings: Sequence[Captioned]) -> Floats:
    """What each drawing is fitted to: its title, and its title with its keywords; unit vectors (n, d)."""
    title = [drawing.title if drawing.titled else drawing.short for drawing in drawings]
    keywords = [", ".join(drawing.keywords) if drawing.titled else "" for drawing in drawings]
    both = [f"{words}, {more}" if more else words for words, more in zip(title, keywords, strict=True)]
    return unit(head(bank(title)) + head(bank(both)))


def fit_image(features: Floats, captions: Floats, classes: Floats) -> ImageHead:
    """Fit the image head.

    Args:
        features: (n, 1280 + 1000) of captioned drawings.
        captions: (n, d) unit vectors, what `caption_vectors` gives.
        classes: (1000, d), what `image_class_texts` gives.
    """
    pooled, logits = np.split(features, [features.shape[1] - len(classes)], axis=1)
    classes = classes.astype(np.float16).astype(np.float32)
    class_mean = (softmax_top(logits, TEMPERATURE, TOP) @ classes).mean(axis=0)
    points = hellinger(pooled)
    step = np.maximum(np.quantile(points, 0.999, axis=0) / LEVELS, 1e-6).astype(np.float32)
    levels = np.round(points / step).clip(0, LEVELS).astype(np.uint8)
    # The kernel between the pictures as they are and as they are kept: what serving will see.
    gram = kernel(points, levels.astype(np.float32) * step, WIDTH).astype(np.float64)
    gram = (gram + gram.T) / 2
    gram[np.diag_indices_from(gram)] += PENALTY
    solved = scipy.linalg.solve(gram, captions - captions.mean(axis=0), assume_a="pos", overwrite_a=True)
    scale = np.maximum(np.abs(solved).max(axis=0) / 127, 1e-9).astype(np.float32)
    drawings = KernelRidge(levels, step, np.round(solved / scale).astype(np.int8), scale, WIDTH)
    placed = ClassTexts(classes, class_mean)
    head = ImageHead(placed, drawings, np.zeros_like(class_mean), TEMPERATURE, TOP, CLASS_FACTOR)
    mean = _mean_vector(head, features)
    return ImageHead(placed, drawings, mean, TEMPERATURE, TOP, CLASS_FACTOR)


def _mean_vector(head: ImageHead, features: Floats) -> Floats:
    """The mean vector (d,) of pictures; each batch of 512 at a time, to bound memory."""
    total = sum(head(features[start : start + 512]).sum(axis=0) for start in range(0, len(features), 512))
    return np.asarray(total / len(features), np.float32)


def fit_audio(features: Floats, classes: Floats) -> AudioHead:
    """Fit the audio head: the prior of the classes, over sounds without their names.

    Args:
        features: (n, 1024 + 521).
        classes: (521, d), what `audio_class_texts` gives.
    """
    probabilities = features[:, -len(classes) :]
    classes = classes.astype(np.float16).astype(np.float32)
    prior = (probabilities.mean(axis=0) + 1e-4).astype(np.float32)
    # The sounds at hand are mostly instruments; the mean of all classes leans to nothing.
    mean = classes.mean(axis=0)
    return AudioHead(ClassTexts(classes, mean), prior, PRIOR_POWER)


@dataclass(frozen=True, slots=True)
class Folds:
    """Rows to fit on and rows to check on; near-duplicates are on one side."""

    fit: Rows
    check: Rows


def split(groups: Sequence[str], seed: int, parts: int = 4) -> Folds:
    """Hold out one group in `parts`."""
    names = sorted(set(groups))
    shuffled = np.random.default_rng(seed).permutation(len(names))
    number = {name: int(place) for name, place in zip(names, shuffled, strict=True)}
    held = np.array([number[group] % parts == 0 for group in groups])
    return Folds(np.flatnonzero(~held), np.flatnonzero(held))


def _wordnet() -> tuple[dict[str, str], dict[str, str]]:
    """WordNet's words and glosses by synset, as timm ships them."""
    return _table("imagenet_synset_to_lemma.txt"), _table("imagenet_synset_to_definition.txt")


def _imagenet_classes() -> list[str]:
    return _timm_file("imagenet_synsets.txt").read_text().split()


def _table(name: str) -> dict[str, str]:
    rows = (line.split("\t") for line in _timm_file(name).read_text().splitlines() if line)
    return {row[0]: row[1] for row in rows}


def _timm_file(name: str) -> Path:
    from importlib.util import find_spec

    spec = find_spec("timm")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("timm is not installed: pip install open_clip_torch")
    return Path(spec.submodule_search_locations[0]) / "data" / "_info" / name
