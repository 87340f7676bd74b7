"""A hook of mkdocs: pages that are made from the code when the site is built, and llms.txt from the pages."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cli_page import cli_page
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.nav import Navigation
from mkdocs.structure.pages import Page
from proto_page import proto_page
from settings_page import settings_page

ROOT = Path(__file__).parents[2]

PAGES = {
    "reference/cli.md": cli_page,
    "reference/settings.md": settings_page,
    "reference/proto.md": lambda: proto_page(ROOT / "proto"),
    "changelog.md": lambda: (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"),
}
"""By their place in the site."""

_nav: list[Navigation] = []


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages."""
    for place, make in PAGES.items():
        files.append(File.generated(config, place, content=make()))
    return files


def on_nav(nav: Navigation, config: MkDocsConfig, files: Files) -> Navigation:
    """Keep the order of the pages for llms.txt."""
    _nav[:] = [nav]
    return nav


def on_post_build(config: MkDocsConfig) -> None:
    """Write llms.txt (https://llmstxt.org): of each page the title, the link and the first sentence."""
    lines = [f"# {config.site_name}", "", f"> {config.site_description}", "", *_list(_nav[0].items)]
    (Path(config.site_dir) / "llms.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _list(items: list[Any]) -> Iterator[str]:
    for item in items:
        if isinstance(item, Page):
            yield f"- [{item.title}]({item.url}): {first_sentence(item.markdown or '')}"
        else:
            yield f"\n## {item.title}\n"
            yield from _list(item.children)
            yield ""


def first_sentence(markdown: str) -> str:
    """Of the first paragraph of a page."""
    for paragraph in markdown.split("\n\n"):
        text = " ".join(paragraph.split())
        if text and text[0] not in "#<!|-`:[":
            end = min((at + 1 for stop in (". ", "。") if (at := text.find(stop)) > 0), default=len(text))
            return text[:end]
    return ""
