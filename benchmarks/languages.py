"""Tux Paint's titles in many languages, in each of the starter spaces; none was used to fit them.

    python -m benchmarks.languages [TUXPAINT] [--languages en,zh_CN,...] [--cache DIR] [--json]

TUXPAINT is the unpacked Debian package `tuxpaint-stamps-default`: the text beside each stamp has its title in up to
77 languages. A title searches all 498 pictures, and all English titles; pictures of the same title count as right.
A title that was left in English is left out. Then the spaces take turns: texts in a second, and one query alone.
"""

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks.space import encode, recalls, same, stamps
from encoders.decoding.limits import DecodeLimits
from encoders.spaces.space import Space
from encoders.spaces.starter import SENTENCES, load_starter
from encoders.types import Image, Text

ENGLISH = "en"
LANGUAGES = "en,zh_CN,ja,de,fr,es,ru,ar,ko,hi,tr,pt_BR,pl,vi"
ROUNDS, TEXTS, QUERIES = 3, 512, 60
"""Of the measurement of speed."""


def titled(folder: Path) -> list[tuple[Path, dict[str, str]]]:
    """The pictures outside `symbols/` with their titles by language, each English title once."""
    found: dict[str, tuple[Path, dict[str, str]]] = {}
    for stamp in stamps(folder):
        if stamp.picture.suffix != ".png" or stamp.title in found:
            continue
        lines = stamp.picture.with_suffix(".txt").read_text(errors="replace").splitlines()[1:]
        translated = {name.strip(): title.strip() for name, _, title in (line.partition(".utf8=") for line in lines)}
        found[stamp.title] = stamp.picture, {**translated, ENGLISH: stamp.title}
    return list(found.values())


def searched(space: Space, catalogue: Sequence[tuple[Path, Mapping[str, str]]], languages: Sequence[str]) -> Any:
    """Per language: its titles against all pictures, and against all English titles."""
    pictures, read = encode(space, [Image(picture) for picture, _ in catalogue])
    assert len(read) == len(catalogue)
    english = space.encode([Text(titles[ENGLISH]) for _, titles in catalogue])
    found: dict[str, dict[str, Any]] = {}
    for language in languages:
        own = [titles.get(language, "") for _, titles in catalogue]
        left = {"", *(titles[ENGLISH] for _, titles in catalogue)} if language != ENGLISH else {""}
        rows = [row for row, title in enumerate(own) if title not in left]
        queries = space.encode([Text(own[row]) for row in rows])
        right = same([own[row] for row in rows], own)
        found[language] = {"text_to_picture": recalls(queries @ pictures.T, right)}
        if language != ENGLISH:
            found[language]["text_to_english_text"] = recalls(queries @ english.T, right)
    return found


def speeds(spaces: Mapping[str, Space], texts: Sequence[str]) -> dict[str, dict[str, float]]:
    """Texts in a second in one batch, and milliseconds of one short text alone; networks take turns."""
    batches: dict[str, list[float]] = {name: [] for name in spaces}
    alone: dict[str, list[float]] = {name: [] for name in spaces}
    for _ in range(ROUNDS):
        for name, space in spaces.items():
            began = time.perf_counter()
            space.encode([Text(text) for text in texts[:TEXTS]])
            batches[name].append(min(len(texts), TEXTS) / (time.perf_counter() - began))
            for text in texts[:QUERIES]:
                began = time.perf_counter()
                space.encode([Text(text)])
                alone[name].append(1000 * (time.perf_counter() - began))
    return {
        name: {
            "texts_per_second": round(median(batches[name]), 1),
            "query_ms_p50": round(median(alone[name]), 2),
        }
        for name in spaces
    }


def measure(folder: Path, languages: Sequence[str], cache: Path) -> dict[str, Any]:
    """All figures."""
    catalogue = titled(folder)
    spaces = {name: load_starter(cache, DecodeLimits(), "cpu", name=name) for name in SENTENCES}
    found: dict[str, Any] = {
        name: {"space": space.fingerprint, "languages": searched(space, catalogue, languages)}
        for name, space in spaces.items()
    }
    for figures in found.values():
        by_language = {name: one["text_to_picture"]["recall_at_10"] for name, one in figures["languages"].items()}
        figures["against_english"] = {
            name: round(recall / by_language[ENGLISH], 3) for name, recall in by_language.items() if name != ENGLISH
        }
    random = np.random.default_rng(0)
    texts = [catalogue[row][1][ENGLISH] for row in random.permutation(len(catalogue))]
    for name, figures in speeds(spaces, texts).items():
        found[name]["speed"] = figures
    return found


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description="Titles in many languages, in the starter spaces.")
    parser.add_argument("tuxpaint", nargs="?", type=Path, default=Path("var/tuxpaint"))
    parser.add_argument("--languages", default=LANGUAGES, help="as the stamps name them; English is always there")
    parser.add_argument("--cache", type=Path, default=Path("var/models"), help="folder of networks in ONNX form")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    languages = list(dict.fromkeys([ENGLISH, *options.languages.split(",")]))
    found = measure(options.tuxpaint, languages, options.cache)
    if options.json:
        print(json.dumps(found, indent=2))
        return
    for name, figures in found.items():
        print(name, figures["space"], figures["speed"])
        print("    language  titles  → picture R@1  R@10  of English  → English text R@1  R@10")
        for language, one in figures["languages"].items():
            shown, read = one["text_to_picture"], one.get("text_to_english_text", {})
            share = figures["against_english"].get(language, 1)
            texts = f"{read['recall_at_1']:18.3f} {read['recall_at_10']:5.3f}" if read else ""
            print(
                f"    {language:8} {shown['queries']:7} {shown['recall_at_1']:14.3f} {shown['recall_at_10']:5.3f}"
                f" {share:11.2f} {texts}"
            )


if __name__ == "__main__":
    main()
