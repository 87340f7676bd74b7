"""The starter space: MiniLM texts, EfficientNet-Lite2 pictures and YAMNet sounds in one space of 384 dimensions.

It needs nothing but packages from the package index; no hub, no GPU. The heads are files beside this one:
`heads/starter/heads.safetensors`, and `heads/starter/card.json`, which says how they were fitted and how well.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.numpy import load as read_tensors

from encoders.decoding.limits import DecodeLimits
from encoders.encoder import Encoder
from encoders.errors import WeightsError
from encoders.networks.audio import SoundEncoder
from encoders.networks.image import PictureEncoder
from encoders.networks.text import SentenceEncoder
from encoders.spaces.align import AudioHead, ImageHead, TextHead
from encoders.spaces.appearance import Appearance, AppearanceEncoder, describe_picture, describe_sound
from encoders.spaces.calibration import HeadEncoder
from encoders.spaces.space import PairCalibration, Space
from encoders.types import Modality

NAME = "starter"
HEADS = Path(__file__).parents[1] / "heads" / NAME
TENSORS = "heads.safetensors"
CARD = "card.json"
_REFIT = "restore the files or refit them: triveni space build starter"


@dataclass(frozen=True, slots=True)
class StarterHeads:
    """The fitted parts of the starter space."""

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
    heads: Path = HEADS,
    sources: Mapping[Modality, str] | None = None,
) -> Space:
    """Load the starter space.

    Args:
        cache: folder for the networks in ONNX form; the first call fills it, which takes a minute.
        limits: bounds on what is decoded.
        device: "auto" (the GPU where there is one), "cpu" or a torch device.
        threads: threads of ONNX Runtime for each network, None for one per core.
        heads: folder of the heads.
        sources: where weights come from if not from the installed packages; see `find_weights`.

    Returns:
        The space, with text, image and audio.

    Raises:
        WeightsError: if weights or heads are missing or altered.
    """
    fitted = read_heads(heads)
    origin = sources or {}
    text = SentenceEncoder(cache, limits, device, threads, origin.get(Modality.TEXT))
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
    return Space(NAME, encoders, fitted.calibration)


def read_heads(folder: Path = HEADS) -> StarterHeads:
    """Read the heads of the starter space.

    Raises:
        WeightsError: if a file is missing, malformed or altered.
    """
    try:
        document = json.loads((folder / CARD).read_text())
        packed = (folder / TENSORS).read_bytes()
    except (OSError, ValueError) as error:
        raise WeightsError(f"heads of the starter space cannot be read ({error})", _REFIT) from error
    found = hashlib.sha256(packed).hexdigest()
    if found != document["tensors"]["sha256"]:
        raise WeightsError(
            f"heads of the starter space are altered: {folder / TENSORS} has sha256 {found}, "
            f"the card says {document['tensors']['sha256']}",
            _REFIT,
        )
    if "appearance" not in document["settings"]:
        raise WeightsError(f"heads of the starter space in {folder} are of an earlier release", _REFIT)
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
