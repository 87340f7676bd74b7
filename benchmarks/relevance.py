"""How well `max_false_positive_rate` tells what fits from what does not, in the starter space.

    python -m benchmarks.relevance [TUXPAINT] [--sources DIR] [--ml100k DIR] [--queries 500] [--json]

Each query has one right answer. It is asked for twice: with the answer in the catalogue (is it among the first ten,
and still so under the rate?), and with it and all items of its title taken out (does `no_match` say so?).

What is left may fit all the same: who asks for "a red fox" when that picture is gone may be served well by "a fox".
So queries for which another title is like the asked are told apart (the cosine of the texts is 0.6 or more, the line
that the calibration of the space draws). Two more figures tell what the rate is for: queries of another world, which
nothing fits, and the names of categories, which many items fit. The oracle knows, of all thresholds on the same
similarity, the one that lets one in ten queries without an answer through: nobody can keep more by one threshold.

Sets: titles of Tux Paint for pictures alone; keywords of openclipart for titles with pictures; the last sentence of a
plot of MovieLens-100K for the whole plots, and for the plots without it.
"""

import argparse
import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.catalogues import Catalogue, kept, open_clip_art, tux_paint
from encoders.decoding.limits import DecodeLimits
from encoders.fitting.sources import openclipart
from encoders.spaces.space import Space
from encoders.spaces.starter import load_starter
from encoders.types import Floats, Modality, Text
from engine.core.types import ItemId, PolicyOptions, Query, QueryPart, Recommendations, VectorInput
from engine.query.pipeline import Engine

RATES = (0.5, 0.1, 0.01)
LIKE = 0.6
TEN = 10


@dataclass
class Set:
    """Queries, each with its answer in a catalogue."""

    catalogue: Catalogue
    queries: Floats
    """(q, d), of texts."""
    answers: Sequence[int]
    """(q,), rows of the catalogue."""
    titles: Floats
    """(n, d): of each item's text, also where the catalogue does not have it."""
    modalities: tuple[Modality, ...] = ()
    """Of the items that are searched in; all if empty."""
    categories: dict[str, Floats] = field(default_factory=dict)
    """By the name of a group its vector."""


def tux_paint_pictures(space: Space, folder: Path) -> Set:
    """Titles for pictures."""
    whole = tux_paint(space, folder)
    rows = [row for row in range(len(whole)) if whole.present[Modality.IMAGE][row]]
    first = {whole.titles[row]: row for row in reversed(rows) if not whole.groups[row].startswith("symbols")}
    answers = sorted(first.values())
    texts = whole.vectors[Modality.TEXT]
    groups = sorted({group.rpartition("/")[2] for group in whole.groups if not group.startswith("symbols")})
    names = dict(zip(groups, space.encode([Text(group) for group in groups]), strict=True))
    return Set(whole, texts[answers], answers, texts, (Modality.IMAGE,), names)


def openclipart_keywords(space: Space, sources: Path, limit: int, seed: int) -> Set:
    """Keywords other than the title, for titles with pictures."""
    whole = open_clip_art(space, sources)
    drawings = [drawing for drawing in openclipart(sources) if drawing.titled]
    told = {
        row: ", ".join(word for word in one.keywords if word.lower() not in one.title.lower())
        for row, one in enumerate(drawings)
    }
    asked = [row for row, words in told.items() if words.count(",") > 1 and whole.present[Modality.IMAGE][row]]
    answers = sorted(np.random.default_rng(seed).permutation(asked)[:limit].tolist())

    def make() -> dict[str, Any]:
        return {"queries": space.encode([Text(told[row]) for row in answers])}

    queries = kept(f"openclipart-keywords-{limit}-{seed}", space, make)["queries"]
    return Set(whole, queries, answers, whole.vectors[Modality.TEXT])


def plots(space: Space, folder: Path, *, whole: bool) -> Set:
    """The last sentence of a plot for the plots; without that sentence if not `whole`."""
    films = [json.loads(line) for line in (folder / "items.jsonl").read_text().splitlines()]
    texts, sentences, answers = [], [], []
    for film in films:
        if not film.get("overview"):
            continue
        parts = [part for part in re.split(r"(?<=[.!?])\s+", film["overview"]) if len(part) > 20]
        if len(parts) > 1:
            sentences.append(parts[-1])
            answers.append(len(texts))
        texts.append(film["overview"] if whole or len(parts) < 2 else " ".join(parts[:-1]))

    def make() -> dict[str, Any]:
        return {
            "texts": space.encode([Text(text) for text in texts]),
            "sentences": space.encode([Text(text) for text in sentences]),
        }

    vectors = kept(f"ml100k-{'whole' if whole else 'rest'}", space, make)
    size, nothing = len(texts), np.zeros_like(vectors["texts"])
    catalogue = Catalogue(
        texts,
        np.array([""] * size),
        {modality: [None] * size for modality in Modality},
        {Modality.TEXT: vectors["texts"], Modality.IMAGE: nothing, Modality.AUDIO: nothing},
        {modality: np.full(size, modality is Modality.TEXT) for modality in Modality},
    )
    return Set(catalogue, vectors["sentences"], answers, vectors["texts"])


def ask(engine: Engine, vector: Floats, of: Set, without: Sequence[int] = ()) -> Recommendations:
    """The first ten for a text, without some items; which of them pass a rate is told by their relevance."""
    policy = PolicyOptions(tuple(ItemId(str(row)) for row in without), diversity=0.0)
    parts = (QueryPart(VectorInput(Modality.TEXT, vector)),)
    return engine.recommend(Query(parts, limit=TEN, modalities=of.modalities, policy=policy))


def surest(engine: Engine, vectors: Floats, of: Set) -> Floats:
    """The relevance of the first result for each of (m, d) texts."""
    return np.array([ask(engine, vector, of).results[0].relevance for vector in vectors], np.float32)


def measure(space: Space, of: Set, others: Floats | None, limit: int, seed: int) -> dict[str, Any]:
    """All figures of a set.

    Args:
        space: of all.
        of: the set.
        others: (m, d), texts of another world, if there are any.
        limit: queries that are asked, at most.
        seed: draws them.
    """
    engine, titles = of.catalogue.engine(space), of.catalogue.titles
    of_title: dict[str, list[int]] = {}
    for row, title in enumerate(titles):
        of_title.setdefault(title, []).append(row)
    own, left, alike = [], [], []
    for number in np.random.default_rng(seed).permutation(len(of.answers))[:limit].tolist():
        row, vector = of.answers[number], of.queries[number]
        there = {one.item: one for one in ask(engine, vector, of).results}
        found = there.get(ItemId(str(row)))
        own.append((found.score, found.relevance) if found else (-np.inf, -1.0))
        first = ask(engine, vector, of, of_title[titles[row]]).results[0]
        left.append((first.score, first.relevance))
        likeness = of.titles @ of.titles[row]
        likeness[of_title[titles[row]]] = -1
        alike.append(likeness.max() >= LIKE)
    (score, sure), (next_score, next_sure) = np.array(own).T, np.array(left).T
    alone = ~np.array(alike)
    told = {
        "items": len(of.catalogue),
        "queries": len(own),
        "with_another_like_title": round(1 - float(alone.mean()), 3),
        "recall_at_10": round(float((sure >= 0).mean()), 3),
    }
    foreign = None if others is None else surest(engine, others, of)
    named = surest(engine, np.array(list(of.categories.values())), of) if of.categories else None
    for rate in RATES:
        told[f"rate_{rate:g}"] = {
            "no_match_answer_taken_out": round(float((next_sure < 1 - rate).mean()), 3),
            "and_no_like_title_left": round(float((next_sure < 1 - rate)[alone].mean()), 3),
            **(
                {} if foreign is None else {"no_match_of_another_world": round(float((foreign < 1 - rate).mean()), 3)}
            ),
            "recall_at_10_kept": round(float((sure >= 1 - rate).mean()), 3),
            **({} if named is None else {"categories_answered": round(float((named >= 1 - rate).mean()), 3)}),
        }
    told["oracle_recall_at_10_kept"] = round(float((score >= np.quantile(next_score, 0.9)).mean()), 3)
    told["oracle_and_no_like_title_left"] = round(
        float((score >= np.quantile(next_score[alone], 0.9))[alone].mean()), 3
    )
    return told


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description="What fits, and what does not.")
    parser.add_argument("tuxpaint", nargs="?", type=Path, default=Path("var/tuxpaint"))
    parser.add_argument("--sources", type=Path, default=Path("var/sources"))
    data = Path(os.environ.get("TRIVENI_DATA", "../shared/data"))
    parser.add_argument("--ml100k", type=Path, default=data / "ml100k")
    parser.add_argument("--cache", type=Path, default=Path("var/models"), help="folder of networks in ONNX form")
    parser.add_argument("--queries", type=int, default=500, help="of each set, at most")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    space = load_starter(options.cache, DecodeLimits(), "cpu")
    sets: dict[str, Set] = {"tuxpaint_title_for_picture": tux_paint_pictures(space, options.tuxpaint)}
    if options.sources.is_dir():
        sets["openclipart_keywords_for_titled_picture"] = openclipart_keywords(
            space, options.sources, options.queries, options.seed
        )
    if options.ml100k.is_dir():
        sets["ml100k_sentence_for_plot"] = plots(space, options.ml100k, whole=True)
        sets["ml100k_sentence_for_rest_of_plot"] = plots(space, options.ml100k, whole=False)
    found = {}
    for name, one in sets.items():  # of drawings and of films: each is the other's other world
        foreign = next((other for key, other in sets.items() if ("ml100k" in key) != ("ml100k" in name)), None)
        others = foreign.queries[: options.queries] if foreign else None
        found[name] = measure(space, one, others, options.queries, options.seed)
        if not options.json:
            print(name)
            for key, value in found[name].items():
                print(f"    {key:32} {value}")
    if options.json:
        print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
