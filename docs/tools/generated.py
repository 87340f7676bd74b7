"""A hook of mkdocs: pages that are made from the code when the site is built, and llms.txt from the pages."""

from pathlib import Path

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

_lines: list[str] = []


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages."""
    for place, make in PAGES.items():
        files.append(File.generated(config, place, content=make()))
    return files


def on_nav(nav: Navigation, config: MkDocsConfig, files: Files) -> Navigation:
    """Begin llms.txt."""
    _lines[:] = [f"# {config.site_name}", "", f"> {config.site_description}", ""]
    return nav


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """Give the page its line in llms.txt: title, link, first sentence."""
    _lines.append(f"- [{page.title}]({page.url}): {first_sentence(page.markdown or '')}")
    return output


def on_post_build(config: MkDocsConfig) -> None:
    """Write llms.txt (https://llmstxt.org)."""
    (Path(config.site_dir) / "llms.txt").write_text("\n".join(_lines) + "\n", encoding="utf-8")


def first_sentence(markdown: str) -> str:
    """Of the first paragraph of a page."""
    for paragraph in markdown.split("\n\n"):
        text = " ".join(paragraph.split())
        if text and text[0] not in "#<!|-`:[":
            end = min((at + 1 for stop in (". ", "。", ": ") if (at := text.find(stop)) > 0), default=len(text))
            return text[:end].rstrip(":")
    return ""
