"""The site is built without a warning, has what the code has, and asks nothing of the network."""

import json
import logging
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from mkdocs.commands.build import build
from mkdocs.config import load_config

from engine.config.settings import Settings
from tests.docs.pages import PAGES, ROOT
from triveni.client.sync import Client
from triveni.v1 import catalog_pb2, content_pb2, encoder_pb2, event_pb2, filter_pb2, item_pb2, model_pb2
from triveni.v1 import recommendation_pb2 as recommendation

LOADS = {("link", "href"), ("script", "src"), ("img", "src"), ("iframe", "src"), ("source", "src"), ("use", "href")}
"""Attributes that make a browser ask for something."""


class Loads(HTMLParser):
    """Collects what a page loads by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag == "link" and values.get("rel") in {"canonical", "prev", "next", "edit"}:
            return
        self.found += [value or "" for name, value in attrs if (tag, name) in LOADS]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `make docs` does; a warning is an error."""
    folder = tmp_path_factory.mktemp("site")
    warnings: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: warnings.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger("mkdocs").addHandler(handler)
    try:
        build(load_config(str(ROOT / "mkdocs.yml"), strict=True, site_dir=str(folder)))
    finally:
        logging.getLogger("mkdocs").removeHandler(handler)
    assert warnings == []
    return folder


def test_nothing_is_asked_of_the_network(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > len(PAGES)
    outside = {}
    for page in pages:
        loads = Loads()
        loads.feed(page.read_text())
        assert loads.found
        outside[page.name] = [url for url in loads.found if re.match(r"(?:https?:)?//", url)]
    assert {name: urls for name, urls in outside.items() if urls} == {}
    styles = {
        path.name: found
        for path in site.rglob("*.css")
        if (found := re.findall(r"""(?:url\(|@import\s+)["']?((?:https?:)?//[^"')]+)""", path.read_text()))
    }
    assert styles == {}


def test_the_search_has_its_index_in_the_site(site: Path) -> None:
    index = (site / "search" / "search_index.js").read_text().removeprefix("var __index = ")
    pages = json.loads(index)["docs"]
    assert any("modality gap" in page["text"] for page in pages)
    assert any("召回" in page["text"].split("\u200b") for page in pages)  # a word by itself
    assert (site / "assets" / "iframe-worker.js").is_file()


def test_the_pages_of_the_code_have_all_of_it(site: Path) -> None:
    settings = (site / "reference" / "settings.html").read_text()
    for name, section in Settings.model_fields.items():
        assert f'id="{name}"' in settings
        keys = getattr(section.annotation, "model_fields", {})
        assert [key for key in keys if f"<code>{key}</code>" not in settings] == []
    contract = (site / "reference" / "proto.html").read_text()
    for file in (catalog_pb2, content_pb2, encoder_pb2, event_pb2, filter_pb2, item_pb2, model_pb2, recommendation):
        for message in file.DESCRIPTOR.message_types_by_name.values():
            assert f'id="{message.name}"' in contract
            assert [one for one in message.fields_by_name if f"<code>{one}</code>" not in contract] == []
    client = (site / "reference" / "client.html").read_text()
    methods = [name for name in vars(Client) if not name.startswith("_")]
    assert len(methods) > 15
    assert [name for name in methods if f'id="triveni.client.sync.Client.{name}"' not in client] == []
    commands = (site / "reference" / "cli.html").read_text()
    assert all(f"triveni {name}" in commands for name in ("index", "events import", "model rollback", "evaluate"))
    assert "--max-errors" in commands


def test_every_setting_is_explained(site: Path) -> None:
    rows = re.findall(r"<tr>(.*?)</tr>", (site / "reference" / "settings.html").read_text(), re.DOTALL)
    cells = [re.findall(r"<td[^>]*>(.*?)</td>", row, re.DOTALL) for row in rows]
    assert len(cells) > 60
    assert [row[0] for row in cells if row and not row[-1].strip()] == []


def test_llms_txt_names_every_page(site: Path) -> None:
    lines = (site / "llms.txt").read_text().splitlines()
    links = {found[1]: found[2] for line in lines if (found := re.match(r"- \[.+?\]\((.+?)\): ?(.*)", line))}
    assert len(links) >= len(PAGES)
    assert [link for link in links if not (site / link).is_file()] == []
    assert [link for link, words in links.items() if not words] == []


def test_the_figures_say_what_their_sources_say() -> None:
    for source in (ROOT / "docs" / "figures").glob("*.dot"):
        labels = re.findall(r'label="([^"]+)"', source.read_text())
        drawn = source.with_suffix(".svg").read_text().replace("&#45;", "-").replace("&#160;", " ")
        assert labels
        assert [line for label in labels for line in label.split("\\n") if line not in drawn] == [], source
