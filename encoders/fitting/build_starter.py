"""`triveni space build starter`, or `starter-multilingual`: from free pictures and sounds to the committed heads, and
how well they do.
"""

import hashlib
import json
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save as write_tensors

from encoders.decoding.limits import DecodeLimits
from encoders.errors import ContentError, SpaceError
from encoders.fitting.calibrate_starter import Checked, calibrate
from encoders.fitting.sources import (
    Captioned,
    emoji,
    emoji_names,
    gcompris_pictures,
    gcompris_sounds,
    openclipart,
)
from encoders.fitting.starter import (
    APPEARANCE,
    PICTURE_SHARE,
    SOUND_SHARE,
    SentenceBank,
    audio_class_texts,
    caption_vectors,
    fit_audio,
    fit_image,
    fit_text,
    image_class_texts,
    split,
)
from encoders.networks.audio import SoundEncoder
from encoders.networks.image import PictureEncoder
from encoders.networks.known import EFFICIENTNET_LITE2, YAMNET
from encoders.spaces.align import AudioHead, ImageHead, TextHead
from encoders.spaces.appearance import (
    PICTURE_GROUPS,
    SOUND_GROUPS,
    Appearance,
    Describe,
    describe_picture,
    describe_sound,
    fit_appearance,
)
from encoders.spaces.calibration import FeatureExtractor, retrieval_metrics
from encoders.spaces.starter import (
    CARD,
    SENTENCES,
    STARTER,
    TENSORS,
    StarterHeads,
    heads_of,
    load_sentences,
    read_heads,
)
from encoders.types import Audio, Content, Floats, Image, Modality

DATA = {
    "openclipart (Debian openclipart-png, openclipart-svg 0.18)": "public domain",
    "emoji-datasource-google 16.0.0 (npm)": "MIT, art Apache-2.0",
    "emojibase-data 17.0.0 (npm)": "MIT",
    "gcompris-qt-data 3.1 (Debian): class priors, calibration and checks only": "GPL-3+, CC-BY-SA and others",
    "WordNet words and glosses as shipped by timm": "WordNet licence",
    "cldr-annotations-full 48.2.0 (npm): what emoji are called, in twelve languages": "Unicode-3.0",
}

Report = Callable[[str], None]
"""Takes a line about progress."""


@dataclass(frozen=True, slots=True)
class _Encoded:
    """Contents that could be read, with their features and descriptors."""

    items: list[Captioned]
    features: Floats
    """(n, f)."""
    descriptors: Floats
    """(n, p)."""

    def take(self, rows: list[int]) -> "_Encoded":
        """Some of them."""
        return _Encoded([self.items[row] for row in rows], self.features[rows], self.descriptors[rows])

    def placed(self, head: Callable[[Floats], Floats], appearance: Appearance) -> Floats:
        """(n, d): their vectors in the space."""
        return appearance(head(self.features), self.descriptors)


def build_starter(
    sources: Path,
    out: Path | None = None,
    *,
    name: str = STARTER,
    cache: Path,
    seed: int = 0,
    limits: DecodeLimits | None = None,
    threads: int | None = None,
    report: Report = print,
) -> StarterHeads:
    """Fit the heads of a starter space and write them.

    Args:
        sources: the folder that `encoders.fitting.sources.fetch_sources` filled.
        out: folder of the heads, overwritten; None for the place of the space's own.
        name: of the space, one of `encoders.spaces.starter.SENTENCES`.
        cache: folder of the networks in ONNX form, and of features between two runs.
        seed: decides what is held out for checking and calibration.
        limits: bounds on what is decoded.
        threads: threads of each network, None for one per core.
        report: is told what happens.

    Returns:
        The heads, as read back from `out`.

    Raises:
        SpaceError: if a source is missing or almost nothing in it can be read.
        WeightsError: if the weights of a network are missing or altered.
    """
    started = time.monotonic()
    bounds = limits or DecodeLimits()
    out = out or heads_of(name)
    bank = SentenceBank(load_sentences(name, cache, bounds, "cpu", threads))
    look = PictureEncoder(cache, bounds, "cpu", threads)
    listen = SoundEncoder(cache, bounds, threads)
    drawings = _encode("drawings", look, [*openclipart(sources), *emoji(sources)], cache, report)
    photos = _encode("pictures to check on", look, gcompris_pictures(sources), cache, report)
    sounds = _encode("sounds", listen, gcompris_sounds(sources), cache, report)

    report("fitting text")
    titles = [text for drawing in drawings.items if drawing.titled for text in (drawing.title, drawing.short)]
    text, free = fit_text(name, bank, titles, emoji_names(sources))
    classes = image_class_texts(bank, text)
    captions = caption_vectors(bank, text, drawings.items)
    report("fitting pictures on three quarters, to check on the rest")
    folds = split([drawing.group for drawing in drawings.items], seed)
    trial = fit_image(drawings.features[folds.fit], captions[folds.fit], classes)
    audio = fit_audio(sounds.features, audio_class_texts(bank, text))
    looks = fit_appearance(drawings.descriptors, PICTURE_GROUPS, free[:APPEARANCE], PICTURE_SHARE, seed)
    noise = fit_appearance(sounds.descriptors, SOUND_GROUPS, free[APPEARANCE:], SOUND_SHARE, seed)
    held = drawings.take([row for row in folds.check if drawings.items[row].titled])
    placed = held.placed(trial, looks), photos.placed(trial, looks), sounds.placed(audio, noise)
    checked = Checked(bank, text, held.items, placed[0], photos.items, placed[1], sounds.items, placed[2])
    calibration, pairs = calibrate(checked)
    card = _card(name, seed, drawings.items, checked, pairs)
    report("fitting pictures on all")
    image = fit_image(drawings.features, captions, classes)
    fitted = StarterHeads(text, image, audio, {Modality.IMAGE: looks, Modality.AUDIO: noise}, calibration, card)
    _write(out, name, fitted)
    report(f"wrote {out} after {time.monotonic() - started:.0f} s")
    return read_heads(out)


def _card(
    name: str, seed: int, drawings: Sequence[Captioned], checked: Checked, pairs: dict[str, Any]
) -> dict[str, Any]:
    """What the space says of itself, for people."""
    return {
        "command": f"triveni space build {name}",
        "seed": seed,
        "data": DATA,
        "licence": "Apache-2.0",
        "fitted_on": {"drawings": len(drawings), "titled": sum(one.titled for one in drawings)},
        "checked_on": {
            "drawings": len(checked.drawings),
            "photos": len(checked.photos),
            "sounds": len(checked.sounds),
        },
        "metrics": _metrics(checked),
        "calibration_pairs": pairs,
        "networks": {spec.name: spec.checksum for spec in (*SENTENCES[name], EFFICIENTNET_LITE2, YAMNET)},
    }


def _metrics(checked: Checked) -> dict[str, dict[str, float]]:
    """Text → picture and text → sound on contents that were not fitted on."""
    found = {}
    for name, items, vectors in (
        ("text_to_held_out_drawing", checked.drawings, checked.drawing_vectors),
        ("text_to_photo", checked.photos, checked.photo_vectors),
        ("text_to_sound", checked.sounds, checked.sound_vectors),
    ):
        first = list({item.title: row for row, item in reversed(list(enumerate(items)))}.values())[::-1]
        queries = checked.titles([items[row] for row in first])
        scores = retrieval_metrics(queries, vectors[first])
        found[name] = {"items": len(first), **{key: round(value, 4) for key, value in scores.items()}}
    return found


def _encode(
    kind: str, network: FeatureExtractor, items: Sequence[Captioned], cache: Path, report: Report
) -> _Encoded:
    """Features of all items that can be read; kept in the cache for the next run."""
    digest = hashlib.sha256(json.dumps(network.identity, sort_keys=True).encode())
    for item in items:
        digest.update(f"{item.path.name}:{item.path.stat().st_size};".encode())
    kept = cache / f"features-{network.modality}-{digest.hexdigest()[:16]}.npz"
    if not kept.is_file():
        features, descriptors, rows = _run(kind, network, items, report)
        cache.mkdir(parents=True, exist_ok=True)
        beside = kept.with_suffix(f".{os.getpid()}.npz")
        np.savez(beside, features=features, descriptors=descriptors, rows=rows)
        beside.replace(kept)
    stored = np.load(kept)
    if len(stored["rows"]) < len(items) // 2 or not len(items):
        raise SpaceError(
            f"only {len(stored['rows'])} of {len(items)} {kind} could be read", "fetch the sources again"
        )
    return _Encoded([items[row] for row in stored["rows"]], stored["features"], stored["descriptors"])


def _run(
    kind: str, network: FeatureExtractor, items: Sequence[Captioned], report: Report
) -> tuple[Floats, Floats, list[int]]:
    describe: Describe = describe_sound if network.modality == Modality.AUDIO else describe_picture

    def prepare(item: Captioned) -> Any:
        content: Content = Audio(item.path) if network.modality == Modality.AUDIO else Image(item.path)
        try:
            return network.prepare(content)
        except ContentError as error:
            return error

    parts: list[Floats] = []
    descriptors: list[Floats] = []
    rows: list[int] = []
    with ThreadPoolExecutor(max(1, os.cpu_count() or 1)) as pool:
        for start in range(0, len(items), 64):
            prepared = list(pool.map(prepare, items[start : start + 64]))
            read = [row for row, value in enumerate(prepared) if not isinstance(value, ContentError)]
            if read:
                parts.append(network.features([prepared[row] for row in read]))
                descriptors.extend(describe(prepared[row]) for row in read)
                rows.extend(start + row for row in read)
            report(f"{kind}: {min(start + 64, len(items))} of {len(items)}, {len(rows)} read")
    return np.concatenate(parts), np.stack(descriptors), rows


def _write(out: Path, name: str, heads: StarterHeads) -> None:
    parts: dict[str, TextHead | ImageHead | AudioHead | Appearance] = {
        "text": heads.text,
        "image": heads.image,
        "audio": heads.audio,
        **{f"{modality}_appearance": appearance for modality, appearance in heads.appearance.items()},
    }
    tensors = {
        f"{part}.{own}": np.ascontiguousarray(tensor)
        for part, head in parts.items()
        for own, tensor in head.tensors().items()
    }
    image = heads.image
    packed = write_tensors(tensors)
    document = {
        "name": name,
        "tensors": {"file": TENSORS, "sha256": hashlib.sha256(packed).hexdigest(), "bytes": len(packed)},
        "settings": {
            "image": {
                "temperature": image.temperature,
                "top": image.top,
                "class_factor": image.class_factor,
                "width": image.drawings.width,
            },
            "audio": {"prior_power": heads.audio.prior_power},
            "appearance": {str(modality): one.share for modality, one in heads.appearance.items()},
        },
        "calibration": {f"{query}->{item}": asdict(pair) for (query, item), pair in heads.calibration.items()},
        "card": dict(heads.card),
    }
    out.mkdir(parents=True, exist_ok=True)
    for file, body in ((TENSORS, packed), (CARD, (json.dumps(document, indent=2) + "\n").encode())):
        beside = out / f".{file}"
        beside.write_bytes(body)
        beside.replace(out / file)
