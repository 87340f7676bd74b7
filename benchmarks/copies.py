"""Does an item's own file find that item? On the Tux Paint stamps, through the engine.

    python -m benchmarks.copies [TUXPAINT] [--cache DIR] [--json]

Each item has a title and a picture, some a sound too. It is asked for by its own picture or sound, and by copies of
it: pictures as JPEG of quality 75, at half the size, and with 5 % cut off each way; sounds at 22,050 samples a
second, as MP3, with white noise 30 dB below, and with 5 % cut off. Where several items have the very same content, by
a cosine that differs from 1 by less than 1e-5, each of them counts as found. TUXPAINT is the folder of the unpacked
package.
"""

import argparse
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
import torchaudio
from PIL import Image as Pillow

from benchmarks.catalogues import Catalogue, encode, kept, tux_paint
from encoders.decoding.limits import DecodeLimits
from encoders.errors import ContentError
from encoders.spaces.space import Space
from encoders.spaces.starter import load_starter
from encoders.types import Audio, Content, Floats, Image, Modality
from engine.core.types import Query, QueryPart, VectorInput
from engine.query.pipeline import Engine

SAME = 1 - 1e-5
_NOISE = 10 ** (-30 / 20)


def _png(picture: Pillow.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def _jpeg(picture: Pillow.Image) -> bytes:
    white = Pillow.new("RGBA", picture.size, "white")
    white.alpha_composite(picture)
    file = io.BytesIO()
    white.convert("RGB").save(file, "JPEG", quality=75)
    return file.getvalue()


def _half(picture: Pillow.Image) -> bytes:
    size = max(1, picture.width // 2), max(1, picture.height // 2)
    return _png(picture.resize(size, Pillow.Resampling.LANCZOS))


def _cropped(picture: Pillow.Image) -> bytes:
    across, down = max(1, round(picture.width * 0.025)), max(1, round(picture.height * 0.025))
    return _png(picture.crop((across, down, picture.width - across, picture.height - down)))


def _sound(samples: Any, rate: int, kind: str = "WAV") -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=kind)
    return file.getvalue()


def _resampled(samples: Any, rate: int) -> bytes:
    other = torchaudio.functional.resample(torch.from_numpy(samples.T.copy()), rate, 22_050)
    return _sound(other.numpy().T, 22_050)


def _mp3(samples: Any, rate: int) -> bytes:
    if rate not in {8000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000}:
        samples = torchaudio.functional.resample(torch.from_numpy(samples.T.copy()), rate, 44_100).numpy().T
        rate = 44_100
    return _sound(samples[:, :2], rate, "MP3")


def _noisy(samples: Any, rate: int) -> bytes:
    loudness = np.sqrt(np.square(samples).mean())
    noise = np.random.default_rng(0).standard_normal(samples.shape) * loudness * _NOISE
    return _sound(np.clip(samples + noise, -1, 1), rate)


def _shortened(samples: Any, rate: int) -> bytes:
    cut = int(len(samples) * 0.025)
    return _sound(samples[cut : len(samples) - cut], rate)


PICTURES: dict[str, Callable[[Pillow.Image], bytes]] = {"jpeg": _jpeg, "half": _half, "cropped": _cropped}
SOUNDS: dict[str, Callable[[Any, int], bytes]] = {
    "resampled": _resampled,
    "mp3": _mp3,
    "noise": _noisy,
    "cropped": _shortened,
}


def _open(path: Path) -> Pillow.Image:
    if path.suffix == ".svg":
        import resvg_py

        return Pillow.open(io.BytesIO(bytes(resvg_py.svg_to_bytes(svg_path=str(path))))).convert("RGBA")
    return Pillow.open(path).convert("RGBA")


def copies(files: list[Path | None], modality: Modality) -> dict[str, list[Content | None]]:
    """The copies of each file, by kind."""
    kinds = PICTURES if modality is Modality.IMAGE else SOUNDS
    made: dict[str, list[Content | None]] = {kind: [] for kind in kinds}
    for path in files:
        try:
            if path is None:
                raise ContentError("no file", "")
            if modality is Modality.IMAGE:
                picture = _open(path)
                contents: dict[str, Content] = {kind: Image(make(picture)) for kind, make in PICTURES.items()}
            else:
                samples, rate = soundfile.read(path, always_2d=True, dtype="float32")
                contents = {kind: Audio(make(samples, rate)) for kind, make in SOUNDS.items()}
        except Exception:  # noqa: BLE001 (no copy can be made of it)
            contents = {}
        for kind in kinds:
            made[kind].append(contents.get(kind))
    return made


def found(catalogue: Catalogue, engine: Engine, modality: Modality, vectors: Floats, rows: Any) -> dict[str, float]:
    """How often the own item comes first, and among the first ten."""
    own = catalogue.vectors[modality]
    first = top = 0
    for row in rows:
        part = QueryPart(VectorInput(modality, vectors[row]))
        names = [int(result.item) for result in engine.recommend(Query(parts=(part,), limit=10)).results]
        right = np.flatnonzero(own @ own[row] > SAME)
        first += names[0] in right
        top += bool(np.isin(names, right).any())
    count = len(rows)
    return {"queries": count, "first": round(first / count, 4), "in_top_10": round(top / count, 4)}


def measure(space: Space, folder: Path) -> dict[str, dict[str, float]]:
    """All figures."""
    catalogue = tux_paint(space, folder)
    engine = catalogue.engine(space)
    figures = {}
    for modality in (Modality.IMAGE, Modality.AUDIO):
        rows = np.flatnonzero(catalogue.present[modality])
        figures[f"{modality}_own"] = found(catalogue, engine, modality, catalogue.vectors[modality], rows)

        def make(modality: Modality = modality) -> dict[str, Any]:
            arrays: dict[str, Any] = {}
            for kind, contents in copies(catalogue.files[modality], modality).items():
                arrays[kind], arrays[f"{kind}_present"] = encode(space, contents)
            return arrays

        arrays = kept(f"copies-{modality}", space, make)
        for kind in PICTURES if modality is Modality.IMAGE else SOUNDS:
            rows = np.flatnonzero(catalogue.present[modality] & arrays[f"{kind}_present"].astype(bool))
            figures[f"{modality}_{kind}"] = found(catalogue, engine, modality, arrays[kind], rows)
    return figures


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description="Does an item's own file find that item?")
    parser.add_argument("tuxpaint", nargs="?", type=Path, default=Path("var/tuxpaint"))
    parser.add_argument("--cache", type=Path, default=Path("var/models"), help="folder of networks in ONNX form")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    figures = measure(load_starter(options.cache, DecodeLimits(), "cpu"), options.tuxpaint)
    if options.json:
        print(json.dumps(figures, indent=2))
        return
    for name, line in figures.items():
        print(
            f"{name:16} {line['queries']:4} queries   first {line['first']:.3f}   in top 10 {line['in_top_10']:.3f}"
        )


if __name__ == "__main__":
    main()
