"""Long texts and sounds: what splitting them into passages gives, and what it costs those that are short.

    python -m benchmarks.long [MANPAGES] [TUXPAINT] [--ml100k DIR] [--cache DIR] [--part PART] [--json]

Texts: the manual pages of sections 2, 4, 5, 7 and 8 (`apt-get download manpages manpages-dev`, `dpkg-deb -x` each
into MANPAGES), without tables and code. Of each long page three sentences are taken out, one each of its first 1,000
characters, which the network reads of a page that is cut off, of its middle and of its last third; of each short page
one. Each is then asked for, by meaning alone and with words as well: is its page among the first ten?

Sounds: two to six sounds of Tux Paint one after the other, each for 6 to 18 seconds, over three shuffles of all. Each
sound is asked for by its title, and by itself: is its track the first, and among the first three?

Cost: MovieLens' plots, none of which is long, are indexed with and without splitting by turns, from JSONL into a
store in memory; the ratios of processor time, and the same of runs that find nothing to do.
"""

import argparse
import gzip
import io
import json
import os
import random
import re
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from encoders.decoding.decode import decode_audio
from encoders.decoding.limits import DEFAULT_LIMITS, DecodeLimits
from encoders.networks import audio
from encoders.spaces.space import Space
from encoders.spaces.starter import load_starter
from encoders.types import Audio, Content, Floats, Modality, Text
from engine.catalog.ingest import keys_of, passages_of, point_of
from engine.catalog.settings import IndexSettings
from engine.cli.demo.catalog import PACKAGE, STAMPS, rows
from engine.core.types import Item, ItemId, PolicyOptions, Query, QueryPart
from engine.encode.encoding import DirectEncoder
from engine.query.pipeline import Engine
from engine.query.settings import FuseSettings
from engine.store.base import Point
from engine.store.edge import EdgeStore
from engine.store.memory import MemoryStore
from indexers.catalog import Catalog
from indexers.pipeline import index

SECTIONS = "24578"
MOST = IndexSettings().max_parts
SECONDS = (0, 5, 10, 20)
"""Lengths of passages of sounds that are compared; 0 does not split."""
_RATE = 16_000


def page_text(raw: str) -> str:
    """The prose of a manual page in roff, a paragraph or heading to a line."""
    raw = re.sub(r"(?ms)^\.(TS|EX|nf)\b.*?^\.(TE|EE|fi)\b", "", raw)
    lines: list[str] = [""]
    for line in raw.splitlines():
        name, _, arguments = line[1:].partition(" ")
        if not line.startswith((".", "'")):
            lines[-1] += f" {line}"
        elif name in {"B", "I", "BR", "BI", "IR", "RB", "RI", "IB"}:
            lines[-1] += f" {arguments if len(name) == 1 else arguments.replace(' ', '')}"
        elif name in {"PP", "P", "TP", "IP", "SH", "SS", "LP"}:
            lines += [arguments, ""] if name in {"SH", "SS"} else [""]
    text = "\n".join(" ".join(line.split()) for line in lines)
    text = re.sub(r"\\f[A-Z]|\\f\(..|\\[&:,/|]|\\s[+-]?\d|\"", "", text)
    text = re.sub(r"\\-", "-", re.sub(r"\\\(aq", "'", text))
    text = re.sub(r"\\\(..|\\\[.*?\]|\\.", " ", text)
    return re.sub(r"\n+", "\n", text).strip()


@dataclass(frozen=True)
class Pages:
    """Manual pages, and what is asked of them."""

    texts: Sequence[str]
    asked: Mapping[str, Sequence[tuple[str, int]]]
    """By set sentences with the rows of their pages."""


def manual(folder: Path, space: Space) -> Pages:
    """The manual pages without the sentences that are asked for."""
    draw = random.Random(0)
    texts: list[str] = []
    asked: dict[str, list[tuple[str, int]]] = {key: [] for key in ("first", "middle", "last", "short")}
    for path in sorted(folder.rglob(f"man[{SECTIONS}]/*.gz")):
        text = "" if path.is_symlink() else page_text(gzip.decompress(path.read_bytes()).decode(errors="replace"))
        if not 300 < len(text) < DEFAULT_LIMITS.max_characters:
            continue
        long = len(space.prepare_passages(Text(text), 2)) > 1
        size, chosen = len(text), []
        sentences = [
            found for found in re.finditer(r"[A-Z][^.\n]{40,250}\.(?=\s)", text) if len(found[0].split()) >= 8
        ]
        thirds = {"first": (0, 1000), "middle": (size / 3, 2 * size / 3), "last": (2 * size / 3, size)}
        for key, (low, high) in thirds.items() if long else [("short", (0, size))]:
            if within := [found for found in sentences if low <= found.start() and found.end() < high]:
                chosen.append((key, draw.choice(within)[0]))
        for key, sentence in chosen:
            asked[key].append((sentence, len(texts)))
            text = text.replace(sentence, "")
        texts.append(text)
    return Pages(texts, asked)


def points_of(space: Space, contents: Sequence[Content], most: int) -> list[Point]:
    """Items of one content each, named by their rows."""
    points = []
    for row, content in enumerate(contents):
        item = Item(ItemId(str(row)), (content,))
        found = space.prepare_passages(content, passages_of(item, most)[content.modality])
        (key,) = keys_of(item)
        vectors = space.forward(list(found.values()))
        points.append(point_of(item, {key._replace(span=span): v for span, v in zip(found, vectors, strict=True)}))
    return points


def store_of(space: Space, points: Sequence[Point]) -> EdgeStore:
    """An embedded store with words."""
    store = EdgeStore(
        Path(tempfile.mkdtemp()),
        fingerprint=space.fingerprint,
        dimension=space.dimension,
        modalities=space.modalities,
    )
    store.index_words(["_text"])
    store.upsert(points)
    return store


def texts(space: Space, folder: Path) -> dict[str, Any]:
    """By way and set the share of sentences whose page is among the first ten."""
    pages = manual(folder, space)
    told: dict[str, Any] = {"pages": len(pages.texts), "asked": {k: len(one) for k, one in pages.asked.items()}}
    contents = [Text(text) for text in pages.texts]
    for way, most in (("cut off", 0), ("split", MOST)):
        began = time.perf_counter()
        points = points_of(space, contents, most)
        parts = [len(point.parts(Modality.TEXT)) for point in points]
        told[way] = {"seconds": round(time.perf_counter() - began, 1), "parts": sum(parts)}
        told[way]["pages of several"] = sum(count > 1 for count in parts)
        store = store_of(space, points)
        for name, words in (("meaning", False), ("with words", True)):
            fuse = FuseSettings(words=words)
            engine = Engine(DirectEncoder(space), space.manifest, store, fuse_settings=fuse)
            for key, sentences in pages.asked.items():
                hits = [str(row) in _found(engine, QueryPart(Text(said)), 10) for said, row in sentences]
                told[way].setdefault(name, {})[key] = round(float(np.mean(hits)), 3)
    return told


def _found(engine: Engine, part: QueryPart, limit: int) -> list[str]:
    query = Query((part,), limit=limit, policy=PolicyOptions(diversity=0.0))
    return [result.item for result in engine.recommend(query).results]


def sounds(space: Space, tuxpaint: Path) -> dict[str, Any]:
    """By length of the passages the share of sounds whose track is the first, and among the first three."""
    root = next(path for path in (tuxpaint / STAMPS, tuxpaint / PACKAGE / STAMPS) if path.is_dir())
    titled = {row["text"]: root / row["audio"] for row in rows(root) if "audio" in row}
    decoded = [decode_audio(Audio(path), DEFAULT_LIMITS, _RATE) for path in titled.values()]
    told: dict[str, dict[str, list[tuple[bool, bool]]]] = {}
    parts: dict[str, list[int]] = {}
    for seed in range(3):
        draw = np.random.default_rng(seed)
        order = draw.permutation(len(decoded)).tolist()
        tracks: list[list[int]] = []
        while order:
            size = int(draw.integers(2, 7))
            tracks.append(order[:size])
            order = order[size:]
        made = [
            Audio(_wav(np.concatenate([_scene(decoded[one], draw.uniform(6, 18)) for one in track])))
            for track in tracks
        ]
        for seconds in SECONDS:
            audio.PASSAGE_SECONDS = seconds or 1e9
            points = points_of(space, made, MOST)
            engine = Engine(DirectEncoder(space), space.manifest, store_of(space, points))
            way = f"passages of {seconds} s" if seconds else "whole"
            parts.setdefault(way, []).append(sum(len(point.parts(Modality.AUDIO)) for point in points))
            for row, track in enumerate(tracks):
                for one in track:
                    title, path = list(titled.items())[one]
                    for key, content in (("title", Text(title)), ("sound", Audio(path))):
                        found = _found(engine, QueryPart(content), 3)
                        told.setdefault(way, {}).setdefault(key, []).append(
                            (found[:1] == [str(row)], str(row) in found)
                        )
    return {
        way: {key: np.mean(hits, axis=0).round(3).tolist() for key, hits in each.items()}
        | {"vectors": round(float(np.mean(parts[way])))}
        for way, each in told.items()
    }


def _scene(samples: Floats, seconds: float) -> Floats:
    """A sound again and again, .3 s of silence between."""
    one = np.concatenate([samples, np.zeros(round(0.3 * _RATE), np.float32)])
    return np.resize(one, round(seconds * _RATE))


def _wav(samples: Floats) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, _RATE, format="WAV", subtype="PCM_16")
    return file.getvalue()


def cost(space: Space, ml100k: Path, turns: int) -> dict[str, Any]:
    """Times of splitting in those of not splitting, where nothing is long: indexing, and finding nothing to do."""
    films = [json.loads(line) for line in (ml100k / "items.jsonl").read_text().splitlines()]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "items.jsonl"
        kept = [json.dumps({"id": film["id"], "text": film["overview"]}) for film in films if film.get("overview")]
        path.write_text("\n".join(kept))
        times: dict[bool, list[tuple[float, float]]] = {False: [], True: []}
        for _ in range(turns):
            for split in times:
                store = MemoryStore(
                    fingerprint=space.fingerprint, dimension=space.dimension, modalities=space.modalities
                )
                catalog = Catalog(path, max_parts=MOST, split_long=split)
                times[split].append(
                    (_processor_seconds(catalog, store, space), _processor_seconds(catalog, store, space))
                )
    ratios = np.divide(times[True], times[False])
    return {
        "items": len(kept),
        "indexing": [round(float(value), 3) for value in np.sort(ratios[:, 0])],
        "nothing to do": [round(float(value), 3) for value in np.sort(ratios[:, 1])],
    }


def _processor_seconds(catalog: Catalog, store: MemoryStore, space: Space) -> float:
    began = time.process_time()
    index(catalog, store, space)
    return time.process_time() - began


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description="What passages of long contents give and cost")
    parser.add_argument("manpages", nargs="?", type=Path, default=Path("var/manpages"))
    parser.add_argument("tuxpaint", nargs="?", type=Path, default=Path("var/tuxpaint"))
    data = Path(os.environ.get("TRIVENI_DATA", "../shared/data"))
    parser.add_argument("--ml100k", type=Path, default=data / "ml100k")
    parser.add_argument("--cache", type=Path, default=Path("var/models"), help="folder of networks in ONNX form")
    parser.add_argument("--turns", type=int, default=5, help="of the cost")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--part", choices=("texts", "sounds", "cost"), help="only this")
    options = parser.parse_args()
    space = load_starter(options.cache, DecodeLimits(), "cpu")
    made: dict[str, Any] = {}
    if options.part in (None, "texts"):
        made["texts"] = texts(space, options.manpages)
    if options.part in (None, "sounds"):
        made["sounds"] = sounds(space, options.tuxpaint)
    if options.part in (None, "cost"):
        made["cost"] = cost(space, options.ml100k, options.turns)
    if options.json:
        print(json.dumps(made, indent=2))
        return
    for name, figures in made.items():
        print(name)
        for key, value in figures.items():
            print(f"    {key:20} {value}")


if __name__ == "__main__":
    main()
