"""The starter space on the Tux Paint stamps, none of which was used to fit it.

    python -m benchmarks.space [TUXPAINT] [--sources DIR] [--cache DIR] [--json]

TUXPAINT is the unpacked Debian package `tuxpaint-stamps-default`; with `--sources` (the folder that
`triveni space build starter` fills) the sounds and pictures of GCompris are searched as well.
"""

import argparse
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from encoders.decoding.limits import DecodeLimits
from encoders.errors import ContentError
from encoders.fitting.sources import gcompris_pictures, gcompris_sounds
from encoders.spaces.space import Space
from encoders.spaces.starter import load_starter
from encoders.types import Audio, Content, Floats, Image, Modality, Prepared, Text


@dataclass(frozen=True, slots=True)
class Stamp:
    """A stamp outside `symbols/`."""

    title: str
    picture: Path
    sound: Path | None


def stamps(folder: Path) -> list[Stamp]:
    """The titled stamps of an unpacked package, ordered by path."""
    root = next((path for path in sorted(folder.rglob("stamps")) if path.is_dir()), None)
    if root is None:
        raise SystemExit(
            f"no stamps below {folder}: apt-get download tuxpaint-stamps-default, then dpkg-deb -x the package there"
        )
    found = []
    for picture in sorted([*root.rglob("*.png"), *root.rglob("*.svg")]):
        caption = picture.with_suffix(".txt")
        drawn_twice = picture.suffix == ".svg" and picture.with_suffix(".png").exists()
        turned = picture.stem.endswith(("_mirror", "_flip"))
        if drawn_twice or turned or not caption.is_file() or picture.relative_to(root).parts[0] == "symbols":
            continue
        title = caption.read_text(errors="replace").splitlines()[0].strip()
        sounds = [picture.with_suffix(suffix) for suffix in (".ogg", ".wav")]
        found.append(Stamp(title, picture, next((sound for sound in sounds if sound.is_file()), None)))
    return found


def encode(space: Space, contents: Sequence[Content]) -> tuple[Floats, list[int]]:
    """Vectors of the contents that can be read, and their positions."""

    def prepare(content: Content) -> Prepared | None:
        try:
            return space.prepare(content)
        except ContentError:
            return None

    with ThreadPoolExecutor(4) as pool:
        prepared = list(pool.map(prepare, contents))
    rows = [row for row, value in enumerate(prepared) if value is not None]
    parts = [[value for value in prepared[at : at + 64] if value is not None] for at in range(0, len(prepared), 64)]
    return np.concatenate([space.forward(part) for part in parts if part]), rows


def recalls(scores: Floats, right: Any) -> dict[str, float]:
    """Recall at 1 and 10 and MRR of scores (q, n), with a mask (q, n) of the right answers; ties count against."""
    best = np.where(right, scores, -np.inf).max(axis=1, keepdims=True)
    ranks = 1 + ((scores >= best) & ~right).sum(axis=1)
    return {
        "queries": len(scores),
        "pool": scores.shape[1],
        "recall_at_1": round(float((ranks <= 1).mean()), 4),
        "recall_at_10": round(float((ranks <= 10).mean()), 4),
        "mrr": round(float((1 / ranks).mean()), 4),
        "chance_recall_at_10": round(float(np.minimum(10 * right.sum(axis=1) / scores.shape[1], 1).mean()), 4),
    }


def same(left: Sequence[str], right: Sequence[str]) -> Any:
    """Mask (l, r) of equal titles."""
    return np.array(left)[:, None] == np.array(right)[None]


def mixed_pool(space: Space, texts: Floats, pictures: Floats) -> dict[str, Any]:
    """Each title searched for among all other titles and all pictures, by cosine and by calibrated score.

    Args:
        space: the space.
        texts: (n, d), one title per picture.
        pictures: (n, d).
    """
    own = np.eye(len(texts), dtype=bool)
    by_text, by_picture = texts @ texts.T, texts @ pictures.T
    found: dict[str, Any] = {}
    for name in ("cosine", "calibrated"):
        if name == "calibrated":
            by_text = space.calibration[Modality.TEXT, Modality.TEXT].z(by_text)
            by_picture = space.calibration[Modality.TEXT, Modality.IMAGE].z(by_picture)
        pool = np.concatenate([np.where(own, -np.inf, by_text), by_picture], axis=1)
        first = np.argsort(-pool, axis=1)[:, :10]
        share = (first >= len(texts)).mean(axis=1)
        found[name] = {
            "pictures_in_top_10": round(float(share.mean()), 4),
            "queries_with_texts_only": round(float((share == 0).mean()), 4),
            "queries_with_pictures_only": round(float((share == 1).mean()), 4),
            "own_picture_in_top_10": recalls(pool, np.concatenate([np.zeros_like(own), own], axis=1))["recall_at_10"],
        }
    return found


def measure(space: Space, folder: Path, sources: Path | None) -> dict[str, Any]:
    """All figures."""
    catalogue = stamps(folder)
    first: dict[str, Stamp] = {}
    for stamp in catalogue:
        if stamp.picture.suffix == ".png":
            first.setdefault(stamp.title, stamp)
    pictured = list(first.values())
    sounding = [stamp for stamp in catalogue if stamp.sound is not None]
    texts = space.encode([Text(stamp.title) for stamp in pictured])
    pictures, _ = encode(space, [Image(stamp.picture) for stamp in pictured])
    sounds, heard = encode(space, [Audio(stamp.sound) for stamp in sounding if stamp.sound is not None])
    names = [sounding[row].title for row in heard]
    spoken = space.encode([Text(name) for name in names])
    titles = [stamp.title for stamp in pictured]
    shown = [row for row, name in enumerate(names) if name in first]
    found: dict[str, Any] = {
        "space": space.fingerprint,
        "text_to_picture": recalls(texts @ pictures.T, np.eye(len(texts), dtype=bool)),
        "picture_to_text": recalls(pictures @ texts.T, np.eye(len(texts), dtype=bool)),
        "text_to_sound": recalls(spoken @ sounds.T, same(names, names)),
        "sound_to_picture": recalls(sounds[shown] @ pictures.T, same([names[row] for row in shown], titles)),
        "mixed_pool": mixed_pool(space, texts, pictures),
    }
    if sources is not None:
        found |= gcompris(space, sources)
    return found


def gcompris(space: Space, sources: Path) -> dict[str, Any]:
    """Sounds of GCompris against names and pictures of animals and instruments."""
    noises, photos = gcompris_sounds(sources), gcompris_pictures(sources)
    sounds, heard = encode(space, [Audio(item.path) for item in noises])
    pictures, seen = encode(space, [Image(item.path) for item in photos])
    names, shown = [noises[row].title for row in heard], [photos[row].title for row in seen]
    right = same(names, shown)
    told = right.any(axis=1)
    texts, captions = space.encode([Text(name) for name in names]), space.encode([Text(name) for name in shown])
    return {
        "gcompris_text_to_picture": recalls(captions @ pictures.T, same(shown, shown)),
        "gcompris_text_to_sound": recalls(texts @ sounds.T, same(names, names)),
        "gcompris_sound_to_picture": recalls(sounds[told] @ pictures.T, right[told]),
    }


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description="The starter space on the Tux Paint stamps.")
    parser.add_argument("tuxpaint", nargs="?", type=Path, default=Path("var/tuxpaint"))
    parser.add_argument("--sources", type=Path, help="folder of the sources of the starter space")
    parser.add_argument("--cache", type=Path, default=Path("var/models"), help="folder of networks in ONNX form")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    found = measure(load_starter(options.cache, DecodeLimits(), "cpu"), options.tuxpaint, options.sources)
    if options.json:
        print(json.dumps(found, indent=2))
        return
    for name, figures in found.items():
        print(name, figures if isinstance(figures, str) else "")
        for key, value in figures.items() if isinstance(figures, dict) else ():
            print(f"    {key:28} {value}")


if __name__ == "__main__":
    main()
