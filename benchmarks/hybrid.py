"""Words as well as meanings: what each finds alone, what both find together, and what that costs.

    python -m benchmarks.hybrid [TUXPAINT] [--sources DIR] [--ml100k DIR] [--cache DIR] [--queries 400] [--json]

Every item is a text with a made-up code of its own in a payload field. It is asked for through the engine over the
embedded store, which keeps its vector in the starter space and its words: by meaning alone (`fuse.words = false`), by
words alone (the store's BM25), and by both. Sets of queries: codes; rare words, which one text of the catalogue has
(`names`); texts that say the same in other words (`paraphrases`, of Tux Paint written by hand, of openclipart the
keywords that are not in the title, which other titles may have); descriptions of openclipart, and a sentence of a
plot of MovieLens-100K that was taken out (`sentences`). `mix` is all of them, each set with the same weight. Of
queries that several texts answer alike, one of them counts. *Kept* and *no match*: at a false positive rate of .01,
the queries whose answer is among the first ten and sure, and those that find nothing sure when it is taken out.
Milliseconds are medians of searches without encoding, each query by meaning and by both in turn. The shop
(`benchmarks/shop.py`) asks for codes, parts of codes, codes among other words, and brands that a twelfth of the
items have: the share of right items among the first ten or twenty, and of those that are surer than .5; of codes that
nobody has, the share of queries that find nothing as sure.
"""

import argparse
import hashlib
import html
import json
import os
import random
import re
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import shop
from benchmarks.catalogues import kept
from encoders.decoding.limits import DecodeLimits
from encoders.spaces.space import Space
from encoders.spaces.starter import load_starter
from encoders.types import Content, Floats, Modality, Text
from engine.cli.demo.catalog import PACKAGE, STAMPS, rows
from engine.core.deadline import Deadline
from engine.core.types import ItemId, Payload, PolicyOptions, Query, QueryPart
from engine.encode.encoding import Encoded
from engine.query.pipeline import Engine
from engine.query.search import DirectSearch
from engine.query.settings import FuseSettings
from engine.query.words import ask_words
from engine.store.base import Point, VectorQuery
from engine.store.edge import EdgeStore
from engine.store.words import WORDS, words

TEN, RATE = 10, 0.01
FIELDS = ("_text", "code", "brand")
PARAPHRASES = {
    "An owl.": "nocturnal hooting hunter",
    "A fire truck.": "emergency vehicle that extinguishes blazes",
    "A lighthouse.": "beacon that guides ships at night",
    "A penguin.": "flightless antarctic swimmer",
    "A spider.": "eight legged web maker",
    "A lion.": "king of the jungle",
    "A kangaroo.": "hopping australian marsupial",
    "A koala.": "eucalyptus eating australian animal",
    "A scientist.": "researcher in a laboratory",
    "A doctor.": "physician",
    "A nurse.": "hospital caregiver",
    "A violin.": "stringed instrument played with a bow",
    "A trumpet.": "brass wind instrument",
    "A drum kit.": "percussion set of a rock band",
    "An airplane.": "passenger jet aircraft",
    "A hot air balloon.": "basket that floats in the sky",
    "A bee.": "honey making insect",
    "A whale.": "huge sea mammal",
    "A dolphin.": "playful marine animal like flipper",
    "A snowman.": "frosty figure with carrot nose",
    "A birthday cake.": "dessert with candles for an anniversary",
    "A cup of coffee.": "hot caffeinated drink",
    "A washing machine.": "laundry appliance",
    "A fridge.": "appliance that keeps food cold",
    "A vacuum cleaner.": "hoover",
    "A graveyard.": "burial ground",
    "A gravestone.": "memorial for the dead",
    "A soccer ball.": "football",
    "A bicycle wheel.": "spoked part of a bike",
    "A garbage truck.": "vehicle collecting trash",
    "A police officer.": "cop",
    "A mermaid.": "woman with a fish tail",
    "A dragonfly.": "insect with four transparent wings near ponds",
    "A butterfly.": "insect that was a caterpillar",
    "A telephone.  Hello? Hello?": "device to call people",
    "A pair of sunglasses.": "dark spectacles",
    "A watermelon.": "big juicy summer fruit",
    "A syringe.": "needle for an injection",
    "A compact disc for music, movies, or data!": "shiny round album",
    "A stopwatch.": "timer for races",
    "An igloo.": "house made of ice",
    "A castle in ruins.": "crumbling old fortification",
    "A squirrel.": "nut gathering rodent in a tree",
    "A yellow school bus.": "pupils ride to class in it",
    "A pumpkin.": "orange gourd",
    "Santa Claus.": "father christmas",
    "A wrapped gift.": "present with ribbon",
    "A scarecrow.": "straw figure in a field",
    "A top hat.": "tall formal headwear",
    "Our moon.": "earth's natural satellite",
}
"""By titles of Tux Paint."""


@dataclass(frozen=True)
class Asked:
    """A catalogue and what is asked of it."""

    texts: Sequence[str]
    sets: dict[str, list[tuple[str, int]]]
    """By the name of a set queries, each with the row of its answer."""


class Known:
    """Encodes texts that were encoded before."""

    def __init__(self, texts: Sequence[str], vectors: Floats) -> None:
        self._row = {text: row for row, text in enumerate(texts)}
        self._vectors = vectors

    def encode(self, contents: Sequence[Content], deadline: Deadline) -> list[Encoded]:
        """See `ContentEncoder.encode`."""
        return [self._vectors[self._row[one.text]] for one in contents if isinstance(one, Text)]


def code(row: int) -> str:
    """A made-up code of an article, such as KD-4821/7."""
    draw = random.Random(row)
    letters = "".join(draw.choices("ABCDEFGHJKLMNPRSTUVWXYZ", k=2))
    return f"{letters}-{draw.randrange(1000, 10_000)}/{draw.randrange(1, 10)}"


def names(texts: Sequence[str]) -> list[tuple[str, int]]:
    """Words that one text has, with its row."""
    have = [{*words(text)} for text in texts]
    count = Counter(word for each in have for word in each)
    return [
        (word, row) for row, each in enumerate(have) for word in sorted(each) if count[word] == 1 and len(word) > 3
    ]


def tux_paint(folder: Path) -> Asked:
    """The titles of the stamps."""
    root = next(path for path in (folder / STAMPS, folder / PACKAGE / STAMPS) if path.is_dir())
    titles = [row["text"] for row in rows(root)]
    row_of = {title: row for row, title in enumerate(titles)}
    said = [(text, row_of[title]) for title, text in PARAPHRASES.items() if title in row_of]
    return Asked(titles, {"paraphrases": said})


def _about(drawing: Path) -> tuple[str, str, list[str]]:
    """Title, description and keywords of a drawing of openclipart."""
    text = drawing.read_text(errors="replace")
    text = text[text.find("<metadata") : text.find("</metadata")]

    def field(name: str) -> str:
        found = re.search(rf"<dc:{name}[^>]*>(.*?)</dc:{name}>", text, re.DOTALL)
        return html.unescape(found.group(1)).strip() if found else ""

    keywords = re.findall(r"<rdf:li>(.*?)</rdf:li>", field("subject"), re.DOTALL)
    return field("title"), field("description"), [word.strip() for word in keywords if word.strip()]


def openclipart(sources: Path) -> Asked:
    """Titles of drawings; asked for by their descriptions, and by keywords without a word of the title."""
    drawings = sorted((sources / "openclipart-svg/usr/share/openclipart/svg").rglob("*.svg"))
    about = [_about(drawing) for drawing in drawings]
    titles = Counter(title.lower() for title, _, _ in about)
    about = [one for one in about if one[0] and "<" not in one[0] and titles[one[0].lower()] <= 4]
    described = Counter(description for _, description, _ in about)
    sentences, paraphrases = [], []
    for row, (title, text, keywords) in enumerate(about):
        of_its_own = described[text] <= 2 and not re.search(r"[@<]|HASH|ollection|Inkscape", text)
        if of_its_own and len(text.split()) >= 3 and {*words(text)} != {*words(title)}:
            sentences.append((text, row))
        starts = {word[:4] for word in words(title)}
        others = [one for one in keywords if not starts & {word[:4] for word in words(one)}]
        if len(others) >= 3:
            paraphrases.append((" ".join(others), row))
    return Asked([one[0] for one in about], {"sentences": sentences, "paraphrases": paraphrases})


def plots(folder: Path) -> Asked:
    """Titles and plots of films without the sentence that they are asked for by."""
    texts, sentences, draw = [], [], random.Random(3)
    for row, line in enumerate((folder / "items.jsonl").read_text(encoding="utf-8").splitlines()):
        film = json.loads(line)
        plot = film.get("overview") or ""
        parts = [part for part in re.split(r"(?<=[.!?])\s+", plot) if len(part.split()) >= 5]
        if len(parts) >= 2:
            sentences.append((draw.choice(parts), row))
            plot = plot.replace(sentences[-1][0], "")
        texts.append(f"{film['title']}. {plot}".strip())
    return Asked(texts, {"sentences": sentences})


class Trial:
    """A catalogue in an embedded store, with two engines over it.

    Args:
        space: of the vectors.
        texts: of the items.
        payloads: of the items.
        queries: texts that are asked for.
    """

    def __init__(
        self, name: str, space: Space, texts: Sequence[str], payloads: Sequence[Payload], queries: Sequence[str]
    ) -> None:
        every = list(dict.fromkeys([*texts, *queries]))
        key = hashlib.blake2b("\0".join(every).encode(), digest_size=6).hexdigest()
        vectors = kept(f"hybrid-{name}-{key}", space, lambda: {"text": space.encode([*map(Text, every)])})["text"]
        row_of = {text: row for row, text in enumerate(every)}
        self.texts = [text.lower() for text in texts]
        self.store = EdgeStore(
            Path(tempfile.mkdtemp()),
            fingerprint=space.fingerprint,
            dimension=space.dimension,
            modalities=space.modalities,
        )
        self.store.index_words(FIELDS)
        self.store.upsert(
            [
                Point(ItemId(str(row)), {Modality.TEXT: vectors[row_of[text]]}, {"_text": text, **payload})
                for row, (text, payload) in enumerate(zip(texts, payloads, strict=True))
            ]
        )
        self.engines = {
            way: Engine(Known(every, vectors), space.manifest, self.store, fuse_settings=FuseSettings(words=on))
            for way, on in (("meaning", False), ("both", True))
        }

    def ask(
        self, way: str, text: str, without: Sequence[int] = (), limit: int = TEN
    ) -> tuple[list[int], list[float]]:
        """The rows that are found, and the relevance of each; without some rows."""
        policy = PolicyOptions(tuple(ItemId(str(row)) for row in without), diversity=0.0)
        found = self.engines[way].recommend(Query((QueryPart(Text(text)),), limit=limit, policy=policy)).results
        return [int(one.item) for one in found], [one.relevance or 0.0 for one in found]

    def by_words(self, text: str, limit: int = TEN) -> list[int]:
        """The rows that words alone find."""
        (words,) = ask_words([text], len(self.texts), DirectSearch(self.store), Deadline())
        if words is None:
            return []
        (hits,) = self.store.query([VectorQuery(words.vector, WORDS, limit)])
        return [int(item) for item in hits.ids]

    def same(self, row: int, by_code: bool) -> list[int]:
        """The rows that are right answers: those of one text, or the one of a code."""
        return [row] if by_code else [other for other, text in enumerate(self.texts) if text == self.texts[row]]


def measure(name: str, space: Space, asked: Asked, limit: int) -> dict[str, Any]:
    """By set and way recall at 1 and 10, what is kept and what is refused at `RATE`; medians of milliseconds."""
    draw = random.Random(0)
    sets = {"codes": [(code(row), row) for row in range(len(asked.texts))], "names": names(asked.texts), **asked.sets}
    sets = {key: draw.sample(queries, min(limit, len(queries))) for key, queries in sets.items()}
    payloads = [{"code": code(row)} for row in range(len(asked.texts))]
    trial = Trial(name, space, asked.texts, payloads, [text for queries in sets.values() for text, _ in queries])
    told: dict[str, Any] = {"items": len(asked.texts)}
    took: dict[str, list[float]] = {way: [] for way in trial.engines}
    for key, queries in sets.items():
        places: dict[str, list[int]] = {way: [] for way in ("meaning", "words", "both")}
        sure: dict[str, list[tuple[bool, bool]]] = {way: [] for way in trial.engines}
        for text, row in queries:
            right = trial.same(row, key == "codes")
            for way in trial.engines:
                began = time.perf_counter()
                found, relevance = trial.ask(way, text)
                took[way].append(time.perf_counter() - began)
                places[way].append(_place(found, right))
                kept_ = places[way][-1] < len(found) and relevance[places[way][-1]] >= 1 - RATE
                sure[way].append((kept_, max(trial.ask(way, text, right)[1], default=0.0) < 1 - RATE))
            places["words"].append(_place(trial.by_words(text), right))
        told[key] = {
            way: [round(float(np.mean(np.array(found) < top)), 3) for top in (1, TEN)]
            for way, found in places.items()
        }
        told[key]["kept, no match"] = {way: np.mean(each, axis=0).round(3).tolist() for way, each in sure.items()}
        told[key]["queries"] = len(queries)
    told["mix"] = {
        way: np.mean([told[key][way] for key in sets], axis=0).round(3).tolist()
        for way in ("meaning", "words", "both")
    }
    told["milliseconds"] = {way: round(1000 * float(np.median(times)), 2) for way, times in took.items()}
    trial.store.close()
    return told


def measure_shop(space: Space) -> dict[str, Any]:
    """By set of the shop the share of right items by each way, and how many of these are surer than .5."""
    items, sets = shop.articles(), shop.asked()
    payloads: list[Payload] = [{"code": item.code, "brand": item.brand} for item in items]
    queries = [text for typed in sets.values() for text, _ in typed]
    trial = Trial("shop", space, [item.title for item in items], payloads, queries)
    told: dict[str, Any] = {}
    for key, typed in sets.items():
        shares: dict[str, list[float]] = {way: [] for way in ("meaning", "words", "both")}
        sure: dict[str, list[float]] = {way: [] for way in trial.engines}
        for text, right in typed:
            limit = max(len(right), TEN)
            for way in trial.engines:
                found, relevance = trial.ask(way, text, limit=limit)
                if right:
                    shares[way].append(shop.share_of_right(found, right))
                    surer = {row for row, one in zip(found, relevance, strict=True) if one >= 0.5}
                    sure[way].append(len(surer & {*right}) / len(right))
                else:
                    sure[way].append(max(relevance) < 0.5)
            if right:
                shares["words"].append(shop.share_of_right(trial.by_words(text, limit), right))
        told[key] = {way: round(float(np.mean(each)), 3) for way, each in shares.items() if each}
        told[key]["sure, or nothing found"] = {way: round(float(np.mean(each)), 3) for way, each in sure.items()}
    trial.store.close()
    return told


def _place(found: Sequence[int], right: Sequence[int]) -> int:
    """From 0, where the first right answer is."""
    return next((place for place, one in enumerate(found) if one in right), TEN)


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description="Words as well as meanings.")
    parser.add_argument("tuxpaint", nargs="?", type=Path, default=Path("var/tuxpaint"))
    parser.add_argument("--sources", type=Path, default=Path("var/sources"))
    data = Path(os.environ.get("TRIVENI_DATA", "../shared/data"))
    parser.add_argument("--ml100k", type=Path, default=data / "ml100k")
    parser.add_argument("--cache", type=Path, default=Path("var/models"), help="folder of networks in ONNX form")
    parser.add_argument("--queries", type=int, default=400, help="of each set, at most")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    space = load_starter(options.cache, DecodeLimits(), "cpu")
    catalogues = {"tuxpaint": tux_paint(options.tuxpaint)}
    if options.sources.is_dir():
        catalogues["openclipart"] = openclipart(options.sources)
    if options.ml100k.is_dir():
        catalogues["ml100k"] = plots(options.ml100k)
    found = {name: measure(name, space, one, options.queries) for name, one in catalogues.items()}
    in_shop = measure_shop(space)
    if options.json:
        print(json.dumps({**found, "shop": in_shop}))
        return
    for name, told in found.items():
        print(f"{name}: {told['items']:,} items; R@1 and R@10; a search {told['milliseconds']} ms")
        for key in told.keys() - {"items", "milliseconds"}:
            ways = ", ".join(f"{way} {told[key][way]}" for way in ("meaning", "words", "both"))
            print(f"    {key:12} {ways}; {told[key].get('kept, no match', '')}")
    print("shop: share of right items among the first, and of those that are surer than .5")
    for key, figures in in_shop.items():
        print(f"    {key:16} {figures}")


if __name__ == "__main__":
    main()
