"""The starter spaces: texts, EfficientNet-Lite2 pictures and YAMNet sounds in one space of 384 dimensions.

Two networks read each text. Google's multilingual sentence encoder knows sixteen languages; beside it `starter` has
MiniLM, which knows English, and `starter-multilingual` E5, which knows a hundred and is slower. They need nothing but
packages from the package index; no hub, no GPU. The heads are in `heads/NAME/heads.safetensors`, and
`heads/NAME/card.json` says how they were fitted and how well.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from safetensors.numpy import load as read_tensors

from encoders.decoding.limits import DecodeLimits
from encoders.encoder import Encoder
from encoders.errors import WeightsError
from encoders.networks.audio import SoundEncoder
from encoders.networks.image import PictureEncoder
from encoders.networks.known import E5_SMALL, MINILM, USE_MULTILINGUAL, ModelSpec
from encoders.networks.text import JointEncoder, SentenceEncoder
from encoders.spaces.align import AudioHead, ImageHead, TextHead
from encoders.spaces.appearance import Appearance, AppearanceEncoder, describe_picture, describe_sound
from encoders.spaces.calibration import HeadEncoder
from encoders.spaces.space import PairCalibration, Space
from encoders.types import Modality

STARTER, MULTILINGUAL = "starter", "starter-multilingual"
SENTENCES: Mapping[str, Sequence[ModelSpec]] = MappingProxyType(
    {STARTER: (MINILM, USE_MULTILINGUAL), MULTILINGUAL: (USE_MULTILINGUAL, E5_SMALL)}
)
"""The starter spaces, by name, and the networks that read the texts of each."""
TENSORS = "heads.safetensors"
CARD = "card.json"


def heads_of(name: str) -> Path:
    """The folder of the heads of a starter space."""
    return Path(__file__).parents[1] / "heads" / name


HEADS = heads_of(STARTER)


@dataclass(frozen=True, slots=True)
class StarterHeads:
    """The fitted parts of a starter space."""

    text: TextHead
    image: ImageHead
    audio: AudioHead
    appearance: Mapping[Modality, Appearance]
    """Of pictures and of sounds."""
    calibration: Mapping[tuple[Modality, Modality], PairCalibration]
    card: Mapping[str, Any]
    """For people: data, licences, seed, metrics, command."""


def load_starter(
    cache: Path,
    limits: DecodeLimits,
    device: str = "auto",
    threads: int | None = None,
    *,
    name: str = STARTER,
    heads: Path | None = None,
    sources: Mapping[Modality, str] | None = None,
) -> Space:
    """Load a starter space.

    Args:
        cache: folder for the networks in ONNX form; the first call fills it, which takes a minute.
        limits: bounds on what is decoded.
        device: "auto" (the GPU where there is one), "cpu" or a torch device.
        threads: threads of ONNX Runtime for each network, None for one per core.
        name: of the space, one of `SENTENCES`.
        heads: folder of the heads, None for its own.
        sources: where weights come from if not from the installed packages; see `find_weights`.

    Returns:
        The space, with text, image and audio.

    Raises:
        WeightsError: if weights or heads are missing or altered.
    """
    fitted = read_heads(heads or heads_of(name))
    origin = sources or {}
    text = load_sentences(name, cache, limits, device, threads, source=origin.get(Modality.TEXT))
    image = PictureEncoder(cache, limits, device, threads, origin.get(Modality.IMAGE))
    audio = SoundEncoder(cache, limits, threads, origin.get(Modality.AUDIO))
    encoders: dict[Modality, Encoder] = {
        Modality.TEXT: HeadEncoder(text, fitted.text),
        Modality.IMAGE: AppearanceEncoder(
            HeadEncoder(image, fitted.image), fitted.appearance[Modality.IMAGE], describe_picture
        ),
        Modality.AUDIO: AppearanceEncoder(
            HeadEncoder(audio, fitted.audio), fitted.appearance[Modality.AUDIO], describe_sound
        ),
    }
    return Space(name, encoders, fitted.calibration)


def load_sentences(
    name: str,
    cache: Path,
    limits: DecodeLimits,
    device: str = "auto",
    threads: int | None = None,
    *,
    source: str | None = None,
) -> JointEncoder:
    """What reads the texts of a starter space; see `load_starter`."""
    return JointEncoder([SentenceEncoder(cache, limits, device, threads, source, spec) for spec in SENTENCES[name]])


def read_heads(folder: Path = HEADS) -> StarterHeads:
    """Read the heads of a starter space.

    Raises:
        WeightsError: if a file is missing, malformed or altered.
    """
    refit = "restore the files or refit them: triveni space build starter, or starter-multilingual"
    try:
        document = json.loads((folder / CARD).read_text())
        packed = (folder / TENSORS).read_bytes()
    except (OSError, ValueError) as error:
        raise WeightsError(f"heads of a starter space cannot be read ({error})", refit) from error
    found = hashlib.sha256(packed).hexdigest()
    if found != document["tensors"]["sha256"]:
        raise WeightsError(
            f"heads of a starter space are altered: {folder / TENSORS} has sha256 {found}, "
            f"the card says {document['tensors']['sha256']}",
            refit,
        )
    if "class_factor" not in document["settings"].get("image", ()):
        raise WeightsError(f"heads of a starter space in {folder} are of an earlier release", refit)
    tensors = read_tensors(packed)
    parts: dict[str, dict[str, Any]] = defaultdict(dict)
    for name, tensor in tensors.items():
        part, _, own = name.partition(".")
        parts[part][own] = tensor
    settings = document["settings"]
    calibration = {
        (Modality(query), Modality(item)): PairCalibration(**pair)
        for (query, _, item), pair in ((key.partition("->"), pair) for key, pair in document["calibration"].items())
    }
    return StarterHeads(
        TextHead.from_tensors(parts["text"]),
        ImageHead.from_tensors(parts["image"], settings["image"]),
        AudioHead.from_tensors(parts["audio"], settings["audio"]),
        {
            Modality(name): Appearance.from_tensors(parts[f"{name}_appearance"], share)
            for name, share in settings["appearance"].items()
        },
        calibration,
        document["card"],
    )
