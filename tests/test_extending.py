"""The recipes of docs/EXTENDING.md: short, and their code runs."""

import re
import tomllib
from pathlib import Path

import pytest

from encoders.encoder import Encoder
from encoders.types import Content, Text
from engine.config.settings import Settings
from engine.core.kinds import KindTraits, Sign
from engine.core.plugins import Plugins
from engine.core.types import EventKind, Query
from engine.encode.encoding import DirectEncoder
from engine.encode.spaces import SPACES
from engine.learn.evaluation.baselines.built_in import Baseline, BaselineOptions
from engine.learn.evaluation.baselines.names import ADDED
from engine.learn.ranker import Ranker
from engine.opening import event_kinds
from engine.query.pipeline import Engine
from engine.query.policy.rules import RULES, PolicyRule
from engine.query.sources import SOURCES, CandidateSource
from engine.query.stages import Stages
from engine.rerank.loaders import MODELS
from engine.testing import (
    CandidateSourceContract,
    EncoderContract,
    PolicyRuleContract,
    RankerContract,
    ReaderContract,
)
from engine.testing.small import small_items
from indexers.readers import READERS, Reader, ReadOptions
from tests.query.scene import NOW, likes, scene
from tests.tiny import concept_space

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "EXTENDING.md").read_text(encoding="utf-8")
RECIPES = dict(part.split("\n", 1) for part in re.split(r"^## ", TEXT, flags=re.MULTILINE)[1:])
CODE = {
    title: found.group(1)
    for title, text in RECIPES.items()
    if (found := re.search(r"```python\n(.*?)```", text, re.S))
}


def run(title: str) -> dict[str, object]:
    names: dict[str, object] = {"__name__": "extending"}
    exec(compile(CODE[title], f"docs/EXTENDING.md, {title}", "exec"), names)
    return names


@pytest.mark.parametrize("title", CODE)
def test_the_code_runs(title: str) -> None:
    assert run(title)


@pytest.mark.parametrize("title", RECIPES)
def test_a_recipe_is_short_and_names_files_that_are_there(title: str) -> None:
    lines = [line for line in RECIPES[title].splitlines() if line.strip() and not line.startswith("```")]
    assert len(lines) <= 15, f"{len(lines)} lines"
    for path in re.findall(r"`((?:engine|indexers|encoders|tests|proto|examples|docs)/[\w./]+)`", RECIPES[title]):
        assert (ROOT / path).exists(), path


def test_every_kind_of_part_has_a_recipe() -> None:
    own = "An encoder, A store, A feature, An event kind, A stage, An RPC, A setting, A view of Studio, An HTTP path"
    added = "A candidate source, A policy rule, A baseline"
    assert set(own.split(", ")) | set(added.split(", ")) <= RECIPES.keys()
    every: tuple[Plugins, ...] = (SPACES, SOURCES, RULES, MODELS, ADDED, READERS)
    assert all(f"`{plugins.group}`" in TEXT for plugins in every)


def test_the_stage_of_the_recipe_serves() -> None:
    shop, space = scene(each=3), concept_space()
    stages = run("A stage")["STAGES"]
    assert isinstance(stages, Stages)
    engine = Engine(DirectEncoder(space), space.manifest, shop.store, clock=lambda: NOW, stages=stages)
    query = Query(history=likes("cat", [0]) + likes("car", [1]), limit=9)
    own, plain = ([result.score for result in one.recommend(query).results] for one in (engine, shop.engine))
    assert len(own) == 9
    assert own == sorted(own, reverse=True) != plain


def test_the_event_kind_is_declared_by_its_settings() -> None:
    (declared,) = re.findall(r"```toml\n(.*?)```", RECIPES["An event kind"], re.S)
    kinds = event_kinds(Settings(**tomllib.loads(declared)))
    assert kinds.names == (*EventKind, "add_to_cart")
    assert kinds.table["add_to_cart"] == KindTraits(1.5, Sign.POSITIVE, explicit=False)


class TestLetters(EncoderContract):
    def encoder(self) -> Encoder:
        return run("An encoder")["Letters"]()  # type: ignore[operator]

    def contents(self) -> list[Content]:
        return [Text("owl"), Text("a bird of the night"), Text("Zebra")]


class TestPicks(CandidateSourceContract):
    def source(self) -> CandidateSource:
        return run("A candidate source")["part"]  # type: ignore[return-value]


class TestCheap(PolicyRuleContract):
    def rule(self) -> PolicyRule:
        return run("A policy rule")["part"]  # type: ignore[return-value]


class TestAtRandom(RankerContract):
    def ranker(self) -> Ranker:
        made = run("A baseline")["AT_RANDOM"]
        assert isinstance(made, Baseline)
        return made.make(BaselineOptions(), small_items())


class TestLines(ReaderContract):
    def reader(self, folder: Path) -> Reader:
        (folder / "items.lines").write_text("a\nb\n")
        return run("A catalogue reader")["Lines"](ReadOptions(folder / "items.lines", folder))  # type: ignore[operator]

    def expected(self) -> list[dict[str, str]]:
        return [{"id": "1", "text": "a"}, {"id": "2", "text": "b"}]
