"""Catalogues as they come: each differently shaped, with what its columns are."""

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.indexers.catalogs import write_dataset, write_jsonl, write_tar
from tests.tiny import make_png, make_wav, png_bytes, wav_bytes

WORDS = (
    "river", "stone", "lamp", "winter", "garden", "old", "blue", "small", "travel", "morning", "paper", "quiet",
    "boat", "forest", "silver",
)  # fmt: skip
CITIES = ("Berlin", "Paris", "Oslo", "Rome")


@dataclass(frozen=True, slots=True)
class Shape:
    """A catalogue, and what has to be found out about it."""

    path: str
    """Of the catalogue, below the folder."""
    columns: Mapping[str, str | tuple[str, ...]]
    """Per role its columns."""
    fields: Mapping[str, str]
    """The payload that can be filtered on, and its kinds."""
    delimiter: str = ""
    encoding: str = "utf-8"
    split: Mapping[str, str] = field(default_factory=dict)
    root: str = ""
    """Where the media are, below the folder, if not beside the catalogue."""
    ignore: tuple[str, ...] = ()
    conventions: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """By key of the settings how its columns are written."""
    doubts: tuple[str, ...] = ()
    """What has to be told."""


def sentence(number: int, words: int = 6) -> str:
    chosen = np.random.default_rng(number).choice(WORDS, words)
    return f"{' '.join(chosen)} {number}"


def table(path: Path, rows: Sequence[Mapping[str, Any]], delimiter: str = ",", encoding: str = "utf-8") -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    path.write_bytes(text.getvalue().encode(encoding))


def shop(folder: Path) -> Shape:
    (folder / "photos").mkdir()
    rows = []
    for n in range(30):
        make_png(folder / f"photos/{n}.png", n, 8)
        rows.append(
            {
                "": n,
                "sku": f"SH-{n:04d}",
                "category_id": n % 3,
                "title": sentence(n, 3),
                "description": sentence(n + 99, 20),
                "photo": f"{n}.png",
                "photo_url": f"https://shop.example/photos/{n}.png",
                "price": n + 0.5,
                "stock": n % 7,
                "on_sale": str(n % 2 == 0).lower(),
            }
        )
    table(folder / "shop.csv", rows)
    return Shape(
        "shop.csv",
        {"id": "sku", "text": ("title", "description"), "image": "photo"},
        {"category_id": "integer", "photo_url": "keyword", "price": "float", "stock": "integer", "on_sale": "bool"},
        root="photos",
        ignore=("",),
        doubts=("photo_url holds addresses of the web, which are not fetched", "the files are below", "--root"),
    )


def semicolons(folder: Path) -> Shape:
    rows = [
        {
            "Artikelnummer": f"{n:05d}",
            "Bezeichnung": f"Größe {n}, für {sentence(n, 2)}",
            "Farbe": ("grün", "weiß", "rot")[n % 3],
            "Preis in €": f"{n % 3}.{n:03d},90" if n % 3 else f"{n},90",
            "Seit": f"{n % 28 + 1:02d}.03.2024",
            "Stichworte": "neu|schön" if n % 2 else "alt",
            "updated": 1_700_000_000 + n,
        }
        for n in range(25)
    ]
    table(folder / "artikel.csv", rows, ";", "cp1252")
    return Shape(
        "artikel.csv",
        {"id": "Artikelnummer", "text": "Bezeichnung"},
        {"Farbe": "keyword", "Preis_in": "float", "Seit": "datetime", "updated": "datetime"},
        delimiter=";",
        encoding="cp1252",
        split={"Stichworte": "|"},
        doubts=("not UTF-8: read as cp1252", "'€'", "separated by semicolons"),
        conventions={
            "decimals": {"Preis in €": ","},
            "times": {"Seit": "%d.%m.%Y", "updated": "seconds"},
            "rename": {"Preis in €": "Preis_in"},
        },
    )


def nested(folder: Path) -> Shape:
    (folder / "img").mkdir()
    rows = []
    for n in range(20):
        make_png(folder / f"img/{n}.png", n, 8)
        product = {"title": sentence(n, 3), "pictures": [f"img/{n}.png", "img/0.png"]}
        price = {"amount": n / 4, "currency": "EUR" if n % 2 else "USD"}
        rows.append({"meta": {"uuid": f"00000000-0000-4000-8000-{n:012d}"}, "product": product, "price": price})
    write_jsonl(folder / "nested.jsonl", rows)
    return Shape(
        "nested.jsonl",
        {"id": "meta.uuid", "text": "product.title", "image": "product.pictures"},
        {"price.amount": "float", "price.currency": "keyword"},
    )


def several(folder: Path) -> Shape:
    """Lists of texts and pictures are parts of items; those of single words are keywords."""
    rows = []
    for n in range(12):
        for side in ("front", "back"):
            make_png(folder / f"{n}-{side}.png", n, 8)
        paragraphs = [sentence(n, 12), sentence(n + 100, 9)][: 1 + n % 2]
        rows.append({"sku": f"k-{n}", "paragraphs": paragraphs, "photos": [f"{n}-front.png", f"{n}-back.png"]})
        rows[-1]["tags"] = ["red", "wool"] if n % 3 else ["blue"]
    write_jsonl(folder / "several.jsonl", rows)
    return Shape(
        "several.jsonl",
        {"id": "sku", "text": "paragraphs", "image": "photos"},
        {"tags": "keyword"},
        doubts=("of lists: each is a part",),
    )


def parquet(folder: Path) -> Shape:
    rows = {
        "item_id": list(range(100, 115)),
        "caption": [sentence(n) for n in range(15)],
        "img": [png_bytes(n, 8) for n in range(15)],
        "thumb": [png_bytes(n, 4) for n in range(15)],
        "added": pa.array([1_700_000_000_000 + 86_400_000 * n for n in range(15)], pa.timestamp("ms", "UTC")),
        "score": [n / 3 for n in range(15)],
    }
    pq.write_table(pa.table(rows), folder / "pictures.parquet")
    return Shape(
        "pictures.parquet",
        {"id": "item_id", "text": "caption", "image": "img"},
        {"added": "datetime", "score": "float"},
        ignore=("thumb",),
    )


def music(folder: Path) -> Shape:
    for artist in ("Ann", "Bob"):
        (folder / "music" / artist).mkdir(parents=True)
        for n in range(5):
            make_wav(folder / f"music/{artist}/{n:02d}-quiet_river.wav", 200 + 40 * n, 0.05)
    make_png(folder / "music/Ann/cover.png")
    return Shape("music", {"id": "id", "text": "text", "image": "image", "audio": "audio"}, {"category": "keyword"})


def articles(folder: Path) -> Shape:
    rows = [
        {
            "slug": f"{WORDS[n % 15]}-{WORDS[n % 7]}-{n}",
            "headline": sentence(n),
            "body": f"<p>{sentence(n, 300)}</p><br>" + f"<div>{sentence(n + 1, 200)}</div>",
            "author": f"Author {n % 4}",
            "published_at": f"2024-{n % 12 + 1:02d}-05T10:00:00Z",
            "views": n * n,
        }
        for n in range(20)
    ]
    write_jsonl(folder / "articles.jsonl", rows)
    return Shape(
        "articles.jsonl",
        {"id": "slug", "text": ("headline", "body")},
        {"author": "keyword", "published_at": "datetime", "views": "integer"},
        doubts=("body holds HTML", "body is long (501 words on average)"),
    )


def jobs(folder: Path) -> Shape:
    rows = [
        {
            "job_id": f"J{n}",
            "company_id": f"C{n % 4}",
            "job_title": sentence(n, 3),
            "description": sentence(n, 40),
            "posted": f"2025-01-{n % 28 + 1:02d}",
            "location": {"lat": 50 + n / 10, "lon": 8 + n / 10},
            "city": CITIES[n % 4],
            "remote": n % 3 == 0,
            "created": 1_700_000_000 + 86_400 * n,
        }
        for n in range(24)
    ]
    write_jsonl(folder / "jobs.jsonl", rows)
    return Shape(
        "jobs.jsonl",
        {"id": "job_id", "text": ("job_title", "description")},
        {"company_id": "keyword", "posted": "datetime", "location": "geo", "city": "keyword", "remote": "bool",
         "created": "datetime"},
        conventions={"times": {"created": "seconds"}},
    )  # fmt: skip


def numeric(folder: Path) -> Shape:
    rows = [
        {"id": n + 1, "name": sentence(n, 2), "lat": 50 + n, "lng": n / 3, "year": 1990 + n % 9} for n in range(12)
    ]
    table(folder / "places.tsv", rows, "\t")
    return Shape(
        "places.tsv",
        {"id": "id", "text": "name"},
        {"lat": "integer", "lng": "float", "year": "integer"},
        doubts=("lat and lng of the row are two numbers",),
    )


def tags(folder: Path) -> Shape:
    rows = [
        {
            "key": f"film{n}",
            "title": sentence(n, 3),
            "genres": ["drama", "comedy"][: n % 3],
            "cast": [f"Person {n}", f"Person {n + 1}"],
            "ratings": [n % 5, 3],
        }
        for n in range(15)
    ]
    write_jsonl(folder / "films.jsonl", rows)
    return Shape(
        "films.jsonl",
        {"id": "key", "text": "title"},
        {"genres": "keyword", "cast": "keyword", "ratings": "integer"},
    )


def tar(folder: Path) -> Shape:
    files: dict[str, bytes] = {}
    for n in range(8):
        files[f"{n:04d}.png"] = png_bytes(n, 8)
        files[f"{n:04d}.wav"] = wav_bytes(200 + 50 * n, 0.05)
        files[f"{n:04d}.json"] = json.dumps({"caption": sentence(n), "width": 8, "licence": "CC0"}).encode()
    write_tar(folder / "shard-000.tar", files)
    return Shape(
        "shard-000.tar",
        {"id": "id", "text": "caption", "image": "image", "audio": "audio"},
        {"width": "integer", "licence": "keyword"},
    )


def dataset(folder: Path) -> Shape:
    media = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    made = pa.table(
        {
            "image": pa.array([{"bytes": png_bytes(n, 8), "path": None} for n in range(10)], media),
            "label": [n % 2 for n in range(10)],
            "text": [sentence(n) for n in range(10)],
        }
    )
    features = {"label": {"names": ["cat", "dog"], "_type": "ClassLabel"}}
    write_dataset(folder / "pets", {"train": made}, features)
    return Shape(
        "pets",
        {"id": "@hash", "text": "text", "image": "image"},
        {"label": "keyword"},
        doubts=("no column names the items: a digest of the row is taken",),
    )


def nameless(folder: Path) -> Shape:
    rows = [
        {"title": sentence(n // 2, 2), "city": CITIES[n % 4], "text": sentence(n, 20), "price": n % 5}
        for n in range(16)
    ]
    table(folder / "flats.csv", rows)
    return Shape(
        "flats.csv",
        {"id": "@hash", "text": ("title", "text")},
        {"city": "keyword", "price": "integer"},
        doubts=("no column names the items", 'id = ["title", "city"]'),
    )


SHAPES: tuple[Callable[[Path], Shape], ...] = (
    shop, semicolons, nested, several, parquet, music, articles, jobs, numeric, tags, tar, dataset, nameless,
)  # fmt: skip
