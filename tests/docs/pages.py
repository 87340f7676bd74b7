"""The code of the documents' pages, block by block."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md"))

_BLOCK = re.compile(
    r"(?:^<!-- not run: (?P<reason>[^\n]+?) -->\n)?"
    r"^```(?P<language>[a-z]*)(?P<options>[^\n]*)\n(?P<code>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """A fenced block: `bash` and `python` are run, one with a title is the file of that name; others are shown."""

    line: int
    language: str
    title: str
    code: str
    reason: str
    """Why it is not run, or nothing."""


def blocks(text: str) -> list[Block]:
    """The blocks of a page, in their order."""
    return [
        Block(
            text.count("\n", 0, found.start("language")) + 1,
            found["language"],
            title[1] if (title := re.search(r'title="([^"]+)"', found["options"])) else "",
            found["code"],
            found["reason"] or "",
        )
        for found in _BLOCK.finditer(text)
    ]
