"""What a dislike takes away and leaves, and what diversity keeps: on Tux Paint and openclipart, through the engine.

    python -m benchmarks.feedback [TUXPAINT] [--sources DIR] [--cache DIR] [--json]

Dislikes: for each folder of enough items and the folder nearest to it, one item A of the first is liked, and one item
B of the second is then disliked. `stay`: of the first ten for `like A` that are nearer to A than to B, how many are
still among the first ten. `fall`: by how much the items among the first ten that are nearer to B become fewer;
`folder_fall`: the same of all items of B's folder, also of those that are nearer to A.

Diversity: three items of a folder are liked; where at least eight of the first ten are of that folder, how many are
at diversity 0.6, in how many lists at least six, and how alike the ten are to one another (mean of
`engine.query.policy.select.likeness`).
"""

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.catalogues import Catalogue, open_clip_art, tux_paint
from encoders.decoding.limits import DecodeLimits
from encoders.spaces.space import Space
from encoders.spaces.starter import load_starter
from encoders.types import Floats
from engine.core.types import Event, EventKind, ItemId, PolicyOptions, Query
from engine.query.pipeline import Engine
from engine.query.policy.select import likeness
from engine.query.similarity import calibrate_signals

ENOUGH = 6
PAIRS, TRIPLES = 2, 4
"""Drawn from each folder."""


def answer(engine: Engine, likes: list[int], dislikes: list[int], diversity: float = 0.0) -> list[int]:
    """Rows of the first ten."""
    events = [Event(EventKind.LIKE, ItemId(str(row))) for row in likes]
    events += [Event(EventKind.DISLIKE, ItemId(str(row))) for row in dislikes]
    policy = PolicyOptions(diversity=diversity)
    return [int(one.item) for one in engine.recommend(Query(history=tuple(events), limit=10, policy=policy)).results]


def dislikes(catalogue: Catalogue, engine: Engine, related: Floats, random: np.random.Generator) -> dict[str, Any]:
    """See the module.

    Args:
        catalogue: n items.
        engine: over it.
        related: (n, n), the similarity between items, both ways.
        random: draws.
    """
    sizes = Counter(catalogue.groups.tolist())
    names = [name for name, size in sizes.items() if size >= ENOUGH and not name.startswith("symbols")]
    members = {name: np.flatnonzero(catalogue.groups == name) for name in names}
    stay, before, after, folder_before, folder_after = [], 0, 0, 0, 0
    for name in names:
        near = {other: related[np.ix_(members[name], members[other])].mean() for other in names if other != name}
        other = max(near, key=near.__getitem__)
        for _ in range(PAIRS):
            a, b = int(random.choice(members[name])), int(random.choice(members[other]))
            first = [row for row in answer(engine, [a], []) if row != b]
            then = answer(engine, [a], [b])
            nearer = related[a] > related[b]
            kept = [row in then for row in first if nearer[row]]
            stay.append(np.mean(kept) if kept else 1.0)
            before += sum(not nearer[row] for row in first)
            after += sum(not nearer[row] and row in first for row in then)
            folder_before += int((catalogue.groups[first] == other).sum())
            folder_after += int((catalogue.groups[then] == other).sum())
    return {
        "pairs": len(stay),
        "stay": round(float(np.mean(stay)), 3),
        "fall": round(1 - after / max(before, 1), 3),
        "folder_fall": round(1 - folder_after / max(folder_before, 1), 3),
    }


def diversity(catalogue: Catalogue, engine: Engine, alike: Floats, random: np.random.Generator) -> dict[str, Any]:
    """See the module; `alike` is (n, n)."""
    sizes = Counter(catalogue.groups.tolist())
    inside: list[float] = []
    likenesses: list[tuple[float, float]] = []
    for name, size in sizes.items():
        if size < 13 or name.startswith("symbols"):
            continue
        for _ in range(TRIPLES):
            liked = random.choice(np.flatnonzero(catalogue.groups == name), 3, replace=False).tolist()
            best, varied = answer(engine, liked, []), answer(engine, liked, [], 0.6)
            if (catalogue.groups[best] == name).sum() >= 8:
                inside.append(float((catalogue.groups[varied] == name).sum()))
                likenesses.append((_inside(alike, best), _inside(alike, varied)))
    plain, varied_likeness = np.mean(likenesses, axis=0)
    return {
        "lists": len(inside),
        "of_ten_in_folder": round(float(np.mean(inside)), 2),
        "lists_with_six": round(float((np.array(inside) >= 6).mean()), 3),
        "likeness_plain": round(float(plain), 3),
        "likeness_at_0.6": round(float(varied_likeness), 3),
    }


def _inside(alike: Floats, rows: list[int]) -> float:
    among = alike[np.ix_(rows, rows)]
    return float((among.sum() - np.trace(among)) / (among.size - len(among)))


def measure(space: Space, catalogue: Catalogue) -> dict[str, Any]:
    """All figures of a catalogue."""
    engine, correlation = catalogue.engine(space), 0.5
    one_way = calibrate_signals(catalogue, space.calibration, space.modalities, correlation).relatedness(catalogue)
    return {
        "dislikes": dislikes(catalogue, engine, one_way + one_way.T, np.random.default_rng(1)),
        "diversity": diversity(
            catalogue, engine, likeness(catalogue, space.calibration, correlation), np.random.default_rng(0)
        ),
    }


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description="What a dislike leaves, and what diversity keeps.")
    parser.add_argument("tuxpaint", nargs="?", type=Path, default=Path("var/tuxpaint"))
    parser.add_argument("--sources", type=Path, help="folder of the sources of the starter space: openclipart too")
    parser.add_argument("--cache", type=Path, default=Path("var/models"), help="folder of networks in ONNX form")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    space = load_starter(options.cache, DecodeLimits(), "cpu")
    figures = {"tuxpaint": measure(space, tux_paint(space, options.tuxpaint))}
    if options.sources is not None:
        figures["openclipart"] = measure(space, open_clip_art(space, options.sources))
    if options.json:
        print(json.dumps(figures, indent=2))
        return
    for name, parts in figures.items():
        for part, values in parts.items():
            print(name, part)
            for key, value in values.items():
                print(f"    {key:20} {value}")


if __name__ == "__main__":
    main()
