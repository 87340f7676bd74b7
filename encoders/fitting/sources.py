"""The free pictures and sounds that the starter space is fitted and checked on.

- openclipart (Debian `openclipart-png`, `openclipart-svg`): captioned drawings, public domain;
- emoji (npm `emoji-datasource-google`, `emojibase-data`): named drawings, art Apache-2.0, names MIT;
- CLDR's names of emoji in many languages (npm `cldr-annotations-full`), Unicode licence: only their texts;
- GCompris (Debian `gcompris-qt-data`): named sounds and pictures, mixed free licences, only to check and calibrate.
"""

import html
import json
import re
import struct
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from encoders.errors import SpaceError
from encoders.fitting.download import fetch_debian, fetch_npm

DEBIAN = ("openclipart-png", "openclipart-svg", "gcompris-qt-data")
NPM = ("emoji-datasource-google@16.0.0", "emojibase-data@17.0.0", "cldr-annotations-full@48.2.0")
LANGUAGES = ("ar", "de", "en", "es", "fr", "hi", "ja", "ko", "pt", "ru", "tr", "zh")
"""In which the names of emoji are read: languages that many people speak, in eight scripts."""
EVERY = 4
"""One emoji in this many is read."""


@dataclass(frozen=True, slots=True)
class Captioned:
    """A picture or sound with what people wrote about it."""

    path: Path
    title: str
    keywords: tuple[str, ...]
    short: str
    """The file's name in words, or the keywords."""
    group: str
    """Near-duplicates share it: they are fitted or held out together."""
    titled: bool = True
    """Whether the title describes it; else only `short` does."""


def fetch_sources(folder: Path) -> None:
    """Download and unpack all sources below a folder; what is there already is left alone.

    Args:
        folder: made if need be.

    Raises:
        DownloadError: if apt-get, dpkg-deb or npm is missing, or a package cannot be had.
    """
    for name in DEBIAN:
        fetch_debian(name, folder / name)
    for name in NPM:
        fetch_npm(name, folder / name.partition("@")[0])


def _below(folder: Path, name: str) -> Path:
    path = folder / name
    if not path.is_dir():
        raise SpaceError(f"source {path} is missing", "fetch the sources first, or name the folder that holds them")
    return path


_DULL = ("computer/icons", "shapes", "special", "signs_and_symbols/flags", "unsorted/")
"""Folders of openclipart whose titles name a collection, not the picture."""


def openclipart(folder: Path) -> list[Captioned]:
    """The usable drawings of openclipart, ordered by path.

    A title that many files share names a collection; such a drawing counts under its file's name alone, twice
    at most for each name.
    """
    pictures = _below(folder, "openclipart-png") / "usr/share/openclipart/png"
    drawings = _below(folder, "openclipart-svg") / "usr/share/openclipart/svg"
    found: list[tuple[Path, str, str, tuple[str, ...]]] = []
    for path in sorted(pictures.rglob("*.png")):
        drawing = drawings / path.relative_to(pictures).with_suffix(".svg")
        if drawing.is_file():
            title, keywords = _svg_caption(drawing.read_text(errors="replace"))
            found.append((path, str(path.parent.relative_to(pictures)), title, keywords))
    titles = Counter(title for _, _, title, _ in found)
    names: Counter[str] = Counter()
    kept = []
    for path, place, title, keywords in found:
        short = words_of(path.stem)
        collection = "Buculei" in title or "Part of" in title or titles[title] > 4
        if title and not collection and not place.startswith(_DULL):
            kept.append(Captioned(path, title, keywords, short, f"{place}/{title.lower()[:6]}"))
        elif len(short) > 3 and not place.startswith(("shapes", "special")) and "flags" not in place:
            names[short] += 1
            if names[short] <= 2 and "card" not in title:
                kept.append(Captioned(path, title, keywords, short, f"{place}/{short}", titled=False))
    return kept


def _svg_caption(text: str) -> tuple[str, tuple[str, ...]]:
    """Title and keywords from the metadata of an openclipart file."""
    metadata = text[text.find("<metadata") : text.find("</metadata")]
    title = re.search(r"<dc:title>(.*?)</dc:title>", metadata, re.DOTALL)
    subject = re.search(r"<dc:subject>(.*?)</dc:subject>", metadata, re.DOTALL)
    found = re.findall(r"<rdf:li>(.*?)</rdf:li>", subject.group(1), re.DOTALL) if subject else []
    keywords = tuple(word for word in (html.unescape(word).strip() for word in found) if word)
    return (html.unescape(title.group(1)).strip() if title else ""), keywords


def emoji(folder: Path) -> list[Captioned]:
    """Google's emoji with their English names and keywords, without flags and skin tones."""
    art = _below(folder, "emoji-datasource-google") / "package"
    names = _below(folder, "emojibase-data") / "package/en/data.json"
    labels = {row["hexcode"]: row for row in json.loads(names.read_text())}
    kept = []
    for row in json.loads((art / "emoji.json").read_text()):
        code = row["unified"]
        label = (
            labels.get(code) or labels.get(row.get("non_qualified") or "") or labels.get(code.replace("-FE0F", ""))
        )
        path = art / "img/google/64" / row["image"]
        if label is None or row["category"] in ("Flags", "Component") or not path.is_file():
            continue
        keywords = tuple(label.get("tags", ()))
        short = ", ".join(keywords) or label["label"]
        group = f"emoji/{row['subcategory']}/{label['label'].split()[-1]}"
        kept.append(Captioned(path, label["label"], keywords, short, group))
    return kept


def emoji_names(folder: Path) -> dict[str, list[str]]:
    """What emoji are called, per language of `LANGUAGES`, in one order: of those named in all, one in `EVERY`."""
    below = _below(folder, "cldr-annotations-full") / "package/annotations"
    named = {}
    for language in LANGUAGES:
        read = json.loads((below / language / "annotations.json").read_text())["annotations"]["annotations"]
        named[language] = {sign: row["tts"][0] for sign, row in read.items() if row.get("tts")}
    signs = sorted(set.intersection(*(set(names) for names in named.values())))[::EVERY]
    return {language: [names[sign] for sign in signs] for language, names in named.items()}


def gcompris_sounds(folder: Path) -> list[Captioned]:
    """The sounds of GCompris that are named after what makes them: animals, instruments, everyday noises."""
    kept = []
    for activity in ("memory-sound", "instruments", "explore_farm_animals"):
        for path in _unpacked(folder, activity, (".ogg", ".wav")):
            stem = re.sub(r"^LR|_?LA(_?[cC]ut)?$", "", path.stem)
            name = words_of(re.sub(r"_son$", "", re.sub(r"\d+$", "", stem)).removesuffix("_son"))
            name = name.replace("flute traversiere", "flute")
            if name and not name.startswith(("weird", "la pause")):
                kept.append(Captioned(path, name, (), name, f"gcompris/{name}"))
    return kept


def gcompris_pictures(folder: Path) -> list[Captioned]:
    """The pictures of GCompris that are named after what they show, most of them photographs."""
    kept, names = [], set()
    for activity in ("lang", "categorization", "explore_farm_animals", "explore_world_animals", "instruments"):
        for path in _unpacked(folder, activity, (".webp",)):
            name = words_of(re.sub(r"[_-]?\d+$", "", path.stem))
            if len(name) > 2 and name != "background" and name not in names:
                names.add(name)
                kept.append(Captioned(path, name, (), name, f"gcompris/{name}"))
    return kept


def words_of(name: str) -> str:
    """A file's name in words: "redApple_02" → "red apple"."""
    spaced = re.sub(r"([a-z])([A-Z])", r"\1 \2", re.sub(r"\d+", " ", name))
    return re.sub(r"[\s_-]+", " ", spaced).strip().lower()


def _unpacked(folder: Path, activity: str, suffixes: tuple[str, ...]) -> list[Path]:
    """Files of a GCompris activity, unpacked from its Qt resource beside it."""
    source = _below(folder, "gcompris-qt-data") / f"usr/share/gcompris-qt/rcc/{activity}.rcc"
    target = folder / "gcompris-unpacked" / activity
    if not target.is_dir():
        for name, body in read_rcc(source.read_bytes()):
            if name.endswith((".ogg", ".wav", ".webp")):
                path = target / Path(name).name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(body)
    return sorted(path for path in target.iterdir() if path.suffix in suffixes)


def read_rcc(data: bytes) -> Iterator[tuple[str, bytes]]:
    """The files of a Qt resource (https://doc.qt.io/qt-6/resources.html), with their names.

    Entries that are compressed with Zstandard are left out.
    """
    if data[:4] != b"qres":
        raise SpaceError("file is no Qt resource", "unpack gcompris-qt-data again")
    version, tree, bodies, names = struct.unpack(">4I", data[4:20])
    size = 22 if version >= 2 else 14
    waiting = [0]
    while waiting:
        at = tree + waiting.pop() * size
        name_at, flags = struct.unpack(">IH", data[at : at + 6])
        if flags & 2:  # a folder: how many children, the first of them
            count, first = struct.unpack(">2I", data[at + 6 : at + 14])
            waiting.extend(range(first, first + count))
            continue
        place = bodies + struct.unpack(">I", data[at + 10 : at + 14])[0]
        length = struct.unpack(">I", data[place : place + 4])[0]
        body = data[place + 4 : place + 4 + length]
        if flags & 4:
            continue
        letters = struct.unpack(">H", data[names + name_at : names + name_at + 2])[0]
        name = data[names + name_at + 6 : names + name_at + 6 + 2 * letters].decode("utf-16-be")
        yield name, zlib.decompress(body[4:]) if flags & 1 else body
