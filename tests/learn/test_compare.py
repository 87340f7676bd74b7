"""Engines compared on made-up people: the same chance for all, and nobody in the log who is to be new."""

import numpy as np
import pytest

from engine.learn.simulate.compare import FIGURES, KNOWN, NEW, ORACLE, compare, log_without, newcomers
from engine.learn.simulate.config import WorldConfig
from engine.learn.simulate.serving import OracleServe, RandomServe
from engine.learn.simulate.world import World
from tests.learn.world import catalogue


@pytest.fixture(scope="module")
def world() -> World:
    return World(catalogue(), WorldConfig(users=40, positions=5, seed=4), "f" * 32)


def test_people_who_are_to_be_new_are_not_in_the_log(world: World) -> None:
    new = newcomers(world, 0.3)
    assert len(new) == 12
    assert new.tolist() == newcomers(world, 0.3).tolist()
    diary = log_without(world, OracleServe(world), 400, new, explore=0.2)
    names = {world.users[number] for number in new.tolist()}
    assert {one.user for one in (*diary.impressions, *diary.events)}.isdisjoint(names)
    assert 200 < len(diary.impressions) < 400
    assert {one for shown in diary.impressions for one in shown.propensities} != {1.0}


def test_equal_servers_do_not_differ_and_the_oracle_is_best(world: World) -> None:
    new = newcomers(world, 0.3)
    same, diaries = compare(world, {"one": OracleServe(world), "two": OracleServe(world)}, 2, {}, new)
    assert {(line.group, line.users, line.figure) for line in same} == {
        (group, count, figure) for group, count in ((KNOWN, 28), (NEW, 12)) for figure in FIGURES
    }
    assert all((line.change.mean, line.change.low, line.change.high) == (0, 0, 0) for line in same)
    assert set(diaries) == {"one", "two", ORACLE}
    apart, _ = compare(world, {"random": RandomServe(world), "best": OracleServe(world)}, 2, {}, new)
    for line in apart:
        assert line.values["best"].mean == pytest.approx(line.values[ORACLE].mean)
        assert line.change.mean == pytest.approx(line.values["best"].mean - line.values["random"].mean)
        if line.figure == "ndcg":
            assert line.change.low > 0
    assert np.isin(new, diaries[ORACLE].measured.user).all()
