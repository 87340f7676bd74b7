"""The short run: sound inputs are read, what was found stays mended, and some thousand new inputs do no harm."""

import random
from collections.abc import Iterator

import pytest

from tests.fuzz.mutate import mutated
from tests.fuzz.target import OK, REGRESSIONS
from tests.fuzz.targets import TARGETS, wire

FEW, MANY = 25, 100
"""New inputs of a target: of those with a small share, and of the others."""
REFUSED = {"text": {"half", "nul", "blank"}, "tsv": {"bom"}}
"""Seeds that are not sound, by target; the wire's are for methods, and an empty message may be refused."""


@pytest.fixture(scope="module", autouse=True)
def _ends() -> Iterator[None]:
    yield
    wire.stop()


@pytest.mark.parametrize("name", TARGETS)
def test_sound_inputs_are_read(name: str) -> None:
    target = TARGETS[name]
    outcomes = {seed: target.read(data) for seed, data in target.seeds().items()}
    if name in ("wire", "requests", "http", "json"):
        assert list(outcomes.values()).count(OK) * 2 >= len(outcomes)
    else:
        assert {seed for seed, said in outcomes.items() if said != OK} == REFUSED.get(name, set())


@pytest.mark.parametrize("name", TARGETS)
def test_what_was_found_stays_mended(name: str) -> None:
    for path in sorted((REGRESSIONS / name).glob("*")):
        assert TARGETS[name].read(path.read_bytes()), path


@pytest.mark.parametrize("name", TARGETS)
def test_new_inputs_do_no_harm(name: str) -> None:
    target, chance = TARGETS[name], random.Random(0)
    seeds = list(target.seeds().values())
    for _ in range(MANY if target.share > 20 else FEW):
        data = mutated(seeds, chance, target.max_bytes)
        assert target.read(data), data
