"""All code of the documents runs, over a real store and, where a page serves, a real server."""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from tests.docs.pages import PAGES, ROOT, blocks

RUN = [page for page in PAGES if any(one.language in {"bash", "python"} for one in blocks((ROOT / page).read_text()))]
MOST_NOT_RUN = 10
"""Blocks of all pages that are not run; each says why."""


@pytest.fixture(scope="session")
def runs(
    reader: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mapping[str, Future[subprocess.CompletedProcess[str]]]]:
    """The runs of all pages, two at a time, each in a folder of its own."""

    def run(page: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "tests.docs.run_page", str(ROOT / page)]
        folder = tmp_path_factory.mktemp("page")
        return subprocess.run(command, cwd=folder, env=reader, capture_output=True, text=True, timeout=200)

    with ThreadPoolExecutor(2) as threads:
        yield {page: threads.submit(run, page) for page in RUN}


@pytest.mark.parametrize("page", RUN)
def test_the_code_of_a_page_runs(page: str, runs: Mapping[str, Future[subprocess.CompletedProcess[str]]]) -> None:
    done = runs[page].result()
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"


def test_few_blocks_are_not_run() -> None:
    reasons = [one.reason for page in PAGES for one in blocks((ROOT / page).read_text()) if one.reason]
    assert 0 < len(reasons) <= MOST_NOT_RUN
    assert all(len(reason.split()) >= 4 for reason in reasons)


def test_every_fence_is_a_block() -> None:
    """A fence that the parser does not see would never be run."""
    for page in PAGES:
        text = (ROOT / page).read_text()
        fences = sum(line.startswith("```") for line in text.splitlines())
        assert fences == 2 * len(blocks(text)), page
