"""The example distribution: its parts pass the suites, and work together through the settings."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from encoders.decoding.limits import DEFAULT_LIMITS
from encoders.encoder import Encoder
from encoders.spaces.space import Space
from encoders.types import Content, Modality, Text
from engine.core.errors import SettingsError
from engine.encode.settings import SpaceSettings
from engine.encode.spaces import SPACES, SpaceSetup, load_space
from engine.query.policy.rules import RULES, PolicyRule
from engine.query.sources import SOURCES, CandidateSource
from engine.testing import (
    CandidateSourceContract,
    EncoderContract,
    PolicyRuleContract,
    ReaderContract,
    SpaceContract,
)
from engine.testing.small import small_queries
from indexers.errors import CatalogError
from indexers.readers import READERS, Reader, open_catalog
from indexers.readers.base import Value

CATALOGUE = """
[[items]]
id = "1"
text = "a red kite on the wind"
status = "sold out"

[[items]]
id = "2"
text = "a kite with a red tail"
status = ["on sale", "sold out"]

[[items]]
id = "3"
text = "a teapot of blue china"
status = "on sale"
made = 2026-01-31
"""
ROWS: list[dict[str, Value]] = [
    {"id": "1", "text": "a red kite on the wind", "status": "sold out"},
    {"id": "2", "text": "a kite with a red tail", "status": ["on sale", "sold out"]},
    {"id": "3", "text": "a teapot of blue china", "status": "on sale", "made": "2026-01-31"},
]


def hashed(**options: object) -> Space:
    return load_space(SpaceSetup(SpaceSettings(name="hashed", options=options), DEFAULT_LIMITS))


@pytest.mark.usefixtures("example")
class TestHashedSpace(SpaceContract):
    def space(self) -> Space:
        return hashed(dimension=64)

    def test_texts_that_share_words_are_near(self) -> None:
        query, near, far = hashed().encode([Text("red kite"), Text("a kite that is red"), Text("a blue teapot")])
        assert query @ near > 0.5 > 0.2 > query @ far

    def test_a_wrong_option_or_argument_is_refused(self) -> None:
        with pytest.raises(SettingsError, match=r"setting space\.options\.dimension is wrong: .*\(found 3\)"):
            hashed(dimension=3)
        with pytest.raises(SettingsError, match=r"space\.options\.size .*: its settings are dimension"):
            hashed(size=3)


@pytest.mark.usefixtures("example")
class TestHashedEncoder(EncoderContract):
    def encoder(self) -> Encoder:
        return hashed(dimension=64).encoder(Modality.TEXT)

    def contents(self) -> Sequence[Content]:
        return [Text("red kite"), Text("a"), Text("a blue teapot of china"), Text("日本語"), Text("red kites")]


@pytest.mark.usefixtures("example")
class TestNewest(CandidateSourceContract):
    def source(self) -> CandidateSource:
        return SOURCES.make("newest", {"count": 3}, "retrieve.sources.newest")

    def test_the_newest_come_first(self) -> None:
        assert self._named(self.source(), small_queries()["of nobody"], self.store()) == [
            "item-23",
            "item-22",
            "item-21",
        ]


@pytest.mark.usefixtures("example")
class TestLeaveOut(PolicyRuleContract):
    def rule(self) -> PolicyRule:
        table = {"field": "colour", "values": ["red", "green"]}
        return RULES.make("leave-out", table, "policy.rules.leave-out")

    def test_only_the_others_are_left(self) -> None:
        left = self.rule().apply(small_queries()["of nobody"], self.scored()).candidates
        assert {payload["colour"] for payload in left.payloads} == {"blue"}


@pytest.mark.usefixtures("example")
class TestToml(ReaderContract):
    def reader(self, folder: Path) -> Reader:
        path = folder / "items.toml"
        path.write_text(CATALOGUE)
        return open_catalog(path)

    def expected(self) -> Sequence[Mapping[str, Value]]:
        return ROWS

    def test_what_is_no_catalogue_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "items.toml"
        for text, says in (("items = 3", r"no tables \[\[items\]\]"), ("[[items", "is not TOML")):
            path.write_text(text)
            with pytest.raises(CatalogError, match=says):
                open_catalog(path).check()


def test_names_are_known_before_anything_is_loaded(example: Path) -> None:
    names = [plugins.added() for plugins in (SPACES, SOURCES, RULES, READERS)]
    assert names == [("hashed",), ("newest",), ("leave-out",), ("toml",)]


def test_without_it_the_refusal_tells_what_there_is() -> None:
    with pytest.raises(
        SettingsError, match=r"no space 'hashed': set space\.name to starter, starter-multilingual, openclip:"
    ):
        hashed()
    with pytest.raises(SettingsError, match=r"no candidate source 'newest': .*\(none\)"):
        SOURCES.make("newest", {}, "retrieve.sources.newest")


def test_all_parts_through_the_settings(installed: Path, tmp_path: Path) -> None:
    """The search finds two kites; the rule leaves both out, and the source fills their places."""
    (tmp_path / "items.toml").write_text(CATALOGUE)
    plain = '[space]\nname = "hashed"\noptions = { dimension = 128 }\n[retrieve]\ncandidates = 1\noverfetch = 1.0\n'
    rule = '[policy.rules]\nleave-out = { field = "status", values = ["sold out"] }\n'
    source = "[retrieve.sources]\nnewest = { count = 5 }\n"
    _triveni(installed, tmp_path, plain, "index", "items.toml")
    assert _found(installed, tmp_path, plain) == ["1", "2"]
    assert _found(installed, tmp_path, plain + rule) == []
    assert _found(installed, tmp_path, plain + rule + source) == ["3"]
    refused = _triveni(installed, tmp_path, plain + "[policy.rules]\nleave-uot = {}\n", "search", "kite", code=1)
    assert "there is no policy rule 'leave-uot': did you mean leave-out?" in refused.stderr


def _found(installed: Path, folder: Path, settings: str) -> list[str]:
    answer = _triveni(installed, folder, settings, "search", "red kite", "--limit", "2", "--json")
    return sorted(result["item_id"] for result in json.loads(answer.stdout).get("results", []))


def _triveni(
    installed: Path, folder: Path, settings: str, *arguments: str, code: int = 0
) -> subprocess.CompletedProcess[str]:
    (folder / "triveni.toml").write_text(settings)
    root = Path(__file__).parents[2]
    path = os.pathsep.join(map(str, (root, root / "proto", installed)))
    done = subprocess.run(
        [sys.executable, "-m", "engine.cli", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == code, done.stderr
    return done
