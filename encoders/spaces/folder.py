"""A space in a folder: `space.json` (what it is, and how it did) and `heads.safetensors` (means and heads)."""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load as read_tensors
from safetensors.numpy import save as write_tensors

from encoders.decoding.limits import DEFAULT_LIMITS, DecodeLimits
from encoders.encoder import Encoder
from encoders.errors import SpaceError, WeightsError
from encoders.spaces.calibration import FeatureExtractor, HeadEncoder, RidgeHead
from encoders.spaces.openclip import OpenClip, OpenClipImage, OpenClipText, load_openclip
from encoders.spaces.space import PairCalibration, Space
from encoders.types import Floats, Modality

FORMAT = 1
CARD = "space.json"
TENSORS = "heads.safetensors"
LONG_TEXT = "long_text"
AUDIO = "audio"

Extractors = Mapping[str, Callable[[], FeatureExtractor]]
"""Loaders of the extractors that heads need, by the head's name: `LONG_TEXT` or `AUDIO`."""


@dataclass(frozen=True, slots=True)
class SpaceParts:
    """What was fitted around an OpenCLIP model: the content of a space folder."""

    means: Mapping[Modality, Floats]
    """(d,) of texts and of pictures; each is subtracted from its modality's vectors."""
    heads: Mapping[str, RidgeHead]
    """By name: `LONG_TEXT`, `AUDIO`."""
    calibration: Mapping[tuple[Modality, Modality], PairCalibration]
    card: Mapping[str, Any] = field(default_factory=dict)
    """For people: data, licence, seed, metrics, command."""


def assemble(name: str, clip: OpenClip, parts: SpaceParts, extractors: Mapping[str, FeatureExtractor]) -> Space:
    """Put a model, its fitted parts and the extractors of their heads together.

    Args:
        name: the name of the space.
        clip: the model.
        parts: what was fitted around it.
        extractors: one for each head of the parts.

    Returns:
        The space: text and image, and audio if it has a head.
    """
    joined = {head: HeadEncoder(extractors[head], fitted) for head, fitted in parts.heads.items()}
    encoders: dict[Modality, Encoder] = {
        Modality.TEXT: OpenClipText(clip, parts.means.get(Modality.TEXT), joined.get(LONG_TEXT)),
        Modality.IMAGE: OpenClipImage(clip, parts.means.get(Modality.IMAGE)),
    }
    if AUDIO in joined:
        encoders[Modality.AUDIO] = joined[AUDIO]
    return Space(name, encoders, parts.calibration)


def save_space(
    out: Path, name: str, clip: OpenClip, parts: SpaceParts, extractors: Mapping[str, FeatureExtractor]
) -> Space:
    """Write a space to a folder, all or nothing; a space that stands there is replaced.

    Args:
        out: the folder.
        name: the name of the space.
        clip: the model.
        parts: what was fitted around it.
        extractors: one for each head of the parts.

    Returns:
        The space.

    Raises:
        SpaceError: if the folder holds something other than a space.
    """
    if out.exists() and not (out / CARD).is_file() and (not out.is_dir() or any(out.iterdir())):
        raise SpaceError(f"{out} is not empty and holds no space", "name a new folder")
    space = assemble(name, clip, parts, extractors)
    tensors = {f"{modality}.mean": mean for modality, mean in parts.means.items()}
    for head, fitted in parts.heads.items():
        tensors |= {f"{head}.offset": fitted.offset, f"{head}.weight": fitted.weight}
    packed = write_tensors({key: np.ascontiguousarray(value) for key, value in tensors.items()})
    document = {
        "format": FORMAT,
        "name": name,
        "dimension": space.dimension,
        "fingerprint": space.fingerprint,
        "model": {"source": clip.source, "checksum": clip.checksum},
        "heads": {head: extractors[head].identity for head in parts.heads},
        "tensors": {"file": TENSORS, "sha256": hashlib.sha256(packed).hexdigest()},
        "calibration": {f"{q}->{i}": asdict(pair) for (q, i), pair in parts.calibration.items()},
        "card": dict(parts.card),
    }
    _replace_folder(out, {TENSORS: packed, CARD: (json.dumps(document, indent=2, sort_keys=True) + "\n").encode()})
    return space


def load_space_folder(
    folder: Path,
    extractors: Extractors,
    *,
    source: str | None = None,
    device: str = "cpu",
    limits: DecodeLimits = DEFAULT_LIMITS,
) -> Space:
    """Load a space that `save_space` wrote.

    Args:
        folder: the folder.
        extractors: loaders by head; only those that the space needs are called.
        source: where the model lies now, None for where it lay when the space was built.
        device: a torch device.
        limits: bounds on what is decoded.

    Returns:
        The space, with the fingerprint that it was saved with.

    Raises:
        SpaceError: if the folder holds no readable space.
        WeightsError: if the model, an extractor or the tensors are missing or not the ones that it was built with.
    """
    document = read_card(folder)
    tensors = _read_tensors(folder, document["tensors"]["sha256"])
    loaded = _load_extractors(document, extractors)
    model = document["model"]
    clip = load_openclip(source or model["source"], device=device, limits=limits, checksum=model["checksum"])
    parts = SpaceParts(
        means={m: tensors[f"{m}.mean"] for m in Modality if f"{m}.mean" in tensors},
        heads={head: RidgeHead(tensors[f"{head}.offset"], tensors[f"{head}.weight"]) for head in document["heads"]},
        calibration=_read_calibration(document["calibration"]),
        card=document["card"],
    )
    space = assemble(document["name"], clip, parts, loaded)
    if space.fingerprint != document["fingerprint"]:
        raise SpaceError(
            f"space in {folder} has fingerprint {space.fingerprint}, it was built as {document['fingerprint']}",
            "build the space anew and index with it",
        )
    return space


def read_card(folder: Path) -> dict[str, Any]:
    """Read what a space folder says about itself.

    Args:
        folder: the folder.

    Returns:
        name, dimension, fingerprint, model, heads, tensors, calibration, card.

    Raises:
        SpaceError: if there is none, or it is of another format.
    """
    try:
        document = json.loads((folder / CARD).read_bytes())
    except OSError as error:
        raise SpaceError(f"{folder} holds no space ({error.strerror})", "run `triveni space build`") from error
    except ValueError as error:
        raise SpaceError(f"{folder / CARD} is no JSON ({error})", "build the space anew") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        have = document.get("format") if isinstance(document, dict) else None
        raise SpaceError(f"{folder / CARD} has format {have}, {FORMAT} is read", "build the space anew")
    absent = {"name", "fingerprint", "model", "heads", "tensors", "calibration", "card"} - document.keys()
    if absent:
        raise SpaceError(f"{folder / CARD} has no {', '.join(sorted(absent))}", "build the space anew")
    return document


def _read_tensors(folder: Path, checksum: str) -> dict[str, Floats]:
    try:
        packed = (folder / TENSORS).read_bytes()
    except OSError as error:
        raise WeightsError(f"{folder / TENSORS} cannot be read ({error.strerror})", "build the space anew") from error
    found = hashlib.sha256(packed).hexdigest()
    if found != checksum:
        raise WeightsError(
            f"{folder / TENSORS} has checksum {found}, {CARD} says {checksum}",
            "restore the file or build the space anew",
        )
    return read_tensors(packed)


def _load_extractors(document: Mapping[str, Any], extractors: Extractors) -> dict[str, FeatureExtractor]:
    """By head, those that the space was built with."""
    loaded: dict[str, FeatureExtractor] = {}
    for head, identity in document["heads"].items():
        if head not in extractors:
            raise WeightsError(f"space {document['name']} needs an extractor for {head}", "give one that loads it")
        loaded[head] = extractors[head]()
        if loaded[head].identity != identity:
            raise WeightsError(
                f"extractor for {head} is {loaded[head].identity}, the space was built with {identity}",
                "install that version or build the space anew",
            )
    return loaded


def _read_calibration(pairs: Mapping[str, Mapping[str, float]]) -> dict[tuple[Modality, Modality], PairCalibration]:
    calibration = {}
    for key, values in pairs.items():
        query, _, item = key.partition("->")
        calibration[Modality(query), Modality(item)] = PairCalibration(**values)
    return calibration


def _replace_folder(out: Path, files: Mapping[str, bytes]) -> None:
    """Write files to a folder beside `out`, then put it in the place of `out` by renaming."""
    out.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    old = fresh.with_name(f"{fresh.name}.old")
    try:
        fresh.chmod(0o755)
        for name, data in files.items():
            with (fresh / name).open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        if out.exists():
            out.rename(old)
        try:
            fresh.rename(out)
        except OSError:
            if old.exists():
                old.rename(out)
            raise
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)
