"""The other endpoints below /studio/, the page's document and its files."""

import base64
import re
from hashlib import sha256
from pathlib import Path

import httpx
import pytest

from encoders.types import Modality
from engine.core.filters import FieldKind
from engine.store.edge import EdgeStore
from engine.studio import facets
from engine.studio.api.page import version_of, views
from engine.studio.present import Present
from engine.studio.studio import STATIC
from tests.studio.running import Opened
from tests.tiny import CONCEPTS


def test_about_says_what_runs(studio: Opened, http: httpx.Client) -> None:
    about = http.get("/studio/about").json()
    assert about["items"] == studio.store.count() == 3 * len(CONCEPTS)
    assert (about["space"], about["fingerprint"]) == ("concepts-64", studio.store.fingerprint)
    assert (about["modalities"], about["media"]) == (["text", "image", "audio"], True)


def test_about_offers_only_modalities_that_an_item_has(studio: Opened, tmp_path: Path) -> None:
    full = studio.store
    silent = EdgeStore(tmp_path, fingerprint=full.fingerprint, dimension=full.dimension, modalities=full.modalities)
    present = Present(silent, keep_seconds=0)
    assert present.read() == ()
    points = full.scroll(with_vectors=True, with_payload=False).points
    silent.upsert([point for point in points if Modality.AUDIO not in point.vectors])
    assert present.read() == (Modality.TEXT, Modality.IMAGE)
    remembering = Present(silent, keep_seconds=3600)
    seen = remembering.read()
    silent.upsert(points)
    assert present.read() == (Modality.TEXT, Modality.IMAGE, Modality.AUDIO)
    assert remembering.read() is seen
    silent.close()


def test_facets_tell_kinds_counts_and_bounds(http: httpx.Client) -> None:
    told = http.get("/studio/facets").json()
    assert told["sample"] == 3 * len(CONCEPTS)
    by_name = {facet["field"]: facet for facet in told["facets"]}
    assert by_name["category"]["kind"] == FieldKind.KEYWORD
    assert by_name["category"]["distinct"] == len(CONCEPTS)
    assert {"value": "bird", "count": 3} in by_name["category"]["values"]
    assert (by_name["price"]["least"], by_name["price"]["most"]) == (0.0, 10.5 * (len(CONCEPTS) - 1))
    assert by_name["made"]["least"] == 1272672000.0  # 2010-05-01
    assert by_name["new"]["values"] == [{"value": True, "count": 6}, {"value": False, "count": 6}]
    assert not any(name.startswith("_") for name in by_name)


def test_facets_look_at_a_part_only_and_remember(studio: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facets, "SAMPLE", 10)
    monkeypatch.setattr(facets, "VALUES", 2)
    looking = facets.Facets(studio.store)
    found, sample = looking.read()
    assert sample == 10
    assert max(len(facet.values) for facet in found) == 2
    assert looking.read()[0] is found
    assert facets.Facets(studio.store, keep_seconds=0).read()[0] is not found


def test_the_document_lets_the_page_ask_its_own_origin_only(http: httpx.Client) -> None:
    document = http.get("/", headers={"accept": "text/html"})
    policy = dict(part.split(" ", 1) for part in document.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["connect-src"] == "'self'"
    assert not re.search(r"https?:|\*|unsafe", document.headers["content-security-policy"])
    (inline,) = re.findall(r'<script type="importmap">(.*?)</script>', document.text, re.DOTALL)
    digest = base64.b64encode(sha256(inline.encode()).digest()).decode()
    assert f"'sha256-{digest}'" in policy["script-src"], "the browser would not take the import map"
    assert views()[:2] == ["/", "/person"]
    assert [http.get(view).text == document.text for view in views()] == [True] * len(views())
    assert http.get("/anything").json()["code"] == "NOT_FOUND"
    assert http.get("/openapi.json").status_code == 200, "the page hides what the HTTP door has"


def test_files_of_the_page_come_with_their_types_and_are_kept(http: httpx.Client) -> None:
    document = http.get("/", headers={"accept": "text/html"}).text
    (main,) = re.findall(r'src="(/studio/static/[0-9a-f]{12}/main\.js)"', document)
    first = http.get(main)
    assert first.headers["content-type"].startswith("text/javascript")
    assert "immutable" in first.headers["cache-control"]
    assert http.get("/studio/static/before/main.js").headers["cache-control"] == "no-store"
    preloaded = re.findall(r'modulepreload" href="([^"]+)"', document)
    assert main in preloaded
    assert [name for name in preloaded if http.get(name).status_code != 200] == []
    climbing = ("%2e%2e%2fstudio.py", "css/%2e%2e%2f%2e%2e%2fstudio.py")
    for name in (*climbing, "index.html", "vendor/README.md", "types.d.ts", "gone.js", ""):
        assert http.get(f"/studio/static/x/{name}").status_code == 404


def test_the_version_of_the_files_changes_with_each_of_them(tmp_path: Path) -> None:
    (tmp_path / "main.js").write_text("1")
    before = version_of(tmp_path)
    assert version_of(tmp_path) == before
    (tmp_path / "main.js").write_text("12")
    assert version_of(tmp_path) != before


def test_all_that_the_page_names_is_there() -> None:
    """Imports, style sheets and the import map."""
    document = (STATIC / "index.html").read_text()
    named = re.findall(r'"/studio/static/([^"]+)"', document)
    assert len(named) > 8
    for path in STATIC.rglob("*.js"):
        if "vendor" not in path.parts:
            found = re.findall(r"(?:from|import\()\s*'(\.[^']+\.js)'", path.read_text())
            named += [(path.parent / one).resolve().relative_to(STATIC).as_posix() for one in found]
    assert [name for name in named if not (STATIC / name).is_file()] == []
