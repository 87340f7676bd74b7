"""The two towers: what a person's vector may depend on, and what it may not."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from encoders.types import Modality
from engine.core.types import EventKind
from engine.learn.network.taste_steps import examples, people_of, windows_of
from engine.learn.rows.point_in_time import PointInTimeFeatures
from engine.learn.splits import ALL_POSITIVES
from engine.rerank.fields import fit_scales
from engine.rerank.table import KINDS, MAX_TOKENS, Table, Tokens
from engine.rerank.taste import Taste, TasteConfig, TasteModel, TwoTowers
from engine.rerank.taste_collate import gather, histories
from tests.learn.world import catalogue, older_steps, walks

CONFIG = TasteConfig(("text", "image"), 16, items=96, taste=8, width=16)
CLICK = KINDS.index(EventKind.CLICK)


@pytest.fixture(scope="module")
def point_in_time() -> PointInTimeFeatures:
    """People with histories longer and shorter than a window."""
    items = catalogue()
    log = walks(items, people=12, steps=130)
    short = np.flatnonzero((log.user % 3 > 0) | (np.arange(len(log)) % 9 == 0))
    known = np.arange(len(items)) % 8 != 0  # every eighth is new
    return PointInTimeFeatures(log.take(short), items, fit_scales(items.payloads, {}), known, ALL_POSITIVES)


@pytest.fixture(scope="module")
def model(point_in_time: PointInTimeFeatures) -> TasteModel:
    torch.manual_seed(0)
    network = TwoTowers(CONFIG)
    for parameter in network.parameters():  # away from zeros, so that nothing hides behind them
        torch.nn.init.normal_(parameter, std=0.3)
    for tower in (network.contents, network.item_contents):
        tower.fit(*gather(point_in_time.table, np.arange(point_in_time.size)))
    return TasteModel(network)


def did(rows: list[int], values: float = float("nan"), gaps: list[float] | None = None) -> Tokens:
    size = len(rows)
    seconds = np.array(gaps or range(size, 0, -1), np.float64) * 60
    return Tokens(np.array(rows, np.intp), np.full(size, CLICK), np.full(size, values, np.float32), seconds)


def test_vectors_have_unit_length_and_do_not_depend_on_company(
    point_in_time: PointInTimeFeatures, model: TasteModel
) -> None:
    people = [did([3]), did(list(range(40))), did([]), did([5, 9, 5])]
    together = model.people(people, point_in_time.table)
    assert np.allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    for one, vector in zip(people, together, strict=True):
        assert np.allclose(model.person(one, point_in_time.table), vector, atol=1e-5)
    items = model.items(point_in_time.table)
    assert items.shape == (96, 8) and np.allclose(np.linalg.norm(items, axis=1), 1, atol=1e-5)
    assert np.allclose(model.items(point_in_time.table, np.array([7, 3]), batch=1), items[[7, 3]], atol=1e-5)
    assert model.people([], point_in_time.table).shape == (0, 8)


def test_a_moment_knows_nothing_of_what_follows(point_in_time: PointInTimeFeatures, model: TasteModel) -> None:
    with torch.inference_mode():
        first, other = (
            model.network.people(histories([did([1, 2, 3, end])], point_in_time.table)) for end in (4, 50)
        )
    assert torch.allclose(first[0, :4], other[0, :4], atol=1e-6)
    assert not torch.allclose(first[0, 4], other[0, 4], atol=1e-2)


def test_order_kind_value_and_time_count(point_in_time: PointInTimeFeatures, model: TasteModel) -> None:
    table, plain = point_in_time.table, did([1, 2, 3])
    changed = {
        "order": did([2, 1, 3]),
        "value": did([1, 2, 3], 4.0),
        "time until the request": did([1, 2, 3], gaps=[900, 890, 880]),
        "kind": replace(plain, kinds=np.full(3, KINDS.index(EventKind.SKIP))),
    }
    vector = model.person(plain, table)
    for what, tokens in changed.items():
        assert not np.allclose(model.person(tokens, table), vector, atol=1e-3), what


def test_a_missing_modality_is_left_out_whatever_its_row_holds(
    point_in_time: PointInTimeFeatures, model: TasteModel
) -> None:
    table = point_in_time.table
    vectors = {modality: matrix.copy() for modality, matrix in table.vectors.items()}
    vectors[Modality.IMAGE][~table.present[Modality.IMAGE]] = np.nan
    spoilt = replace(table, vectors=vectors)
    tokens = did([0, 1, 3])  # 0 and 3 have no picture
    assert np.array_equal(model.person(tokens, table), model.person(tokens, spoilt))
    assert np.array_equal(model.items(table), model.items(spoilt))
    nothing = replace(table, present={name: np.zeros_like(mask) for name, mask in table.present.items()})
    assert np.isfinite(model.items(nothing)).all()


def test_a_new_item_is_placed_by_its_contents(point_in_time: PointInTimeFeatures, model: TasteModel) -> None:
    table = point_in_time.table
    assert table.identity[8] == 0 and table.identity[9] > 0
    vectors = {modality: matrix.copy() for modality, matrix in table.vectors.items()}
    for matrix in vectors.values():
        matrix[[9, 16]] = matrix[8]
    present = {modality: mask.copy() for modality, mask in table.present.items()}
    for mask in present.values():
        mask[[9, 16]] = mask[8]
    new, known, other_new = model.items(replace(table, vectors=vectors, present=present))[[8, 9, 16]]
    assert np.allclose(new, other_new, atol=1e-6)
    assert not np.allclose(new, known, atol=1e-3)
    assert np.allclose(model.items(table, np.array([8]), new=True), model.items(table, np.array([8])), atol=1e-6)
    same = replace(table, vectors=vectors, present=present)
    assert np.allclose(model.items(same, np.array([9]), new=True)[0], new, atol=1e-6)


def test_uploads_are_tokens(point_in_time: PointInTimeFeatures, model: TasteModel) -> None:
    table: Table = point_in_time.table
    behind = len(table.identity)
    more = replace(
        table,
        vectors={name: np.concatenate([matrix, matrix[5:6]]) for name, matrix in table.vectors.items()},
        present={name: np.append(mask, name is Modality.IMAGE) for name, mask in table.present.items()},
        identity=np.append(table.identity, 0),
    )
    upload = Tokens(
        np.array([1, behind]),
        np.array([CLICK, KINDS.index(EventKind.UPLOAD)]),
        np.full(2, np.nan),
        np.array([60.0, 0]),
    )
    vector = model.person(upload, more)
    assert np.isfinite(vector).all()
    assert not np.allclose(vector, model.person(did([1]), more), atol=1e-3)


def known_of(point_in_time: PointInTimeFeatures) -> np.ndarray:
    return point_in_time.table.identity[: point_in_time.size] > 0


def test_scores_are_dot_products_over_the_temperature(point_in_time: PointInTimeFeatures, model: TasteModel) -> None:
    size, tokens = point_in_time.size, did([4, 10])
    person, taste = (
        model.person(tokens, point_in_time.table),
        Taste(model, point_in_time.table, known_of(point_in_time)),
    )
    rows = np.arange(size)
    known = model.items(point_in_time.table, rows) @ person / model.temperature
    known[~known_of(point_in_time)] = 0
    assert np.allclose(taste.scores(person), known, atol=1e-5)
    found = taste.scores(person, np.array([3, 8]))
    assert (found[[3, 8]] == 0).all()
    assert np.allclose(np.delete(found, [3, 8]), np.delete(known, [3, 8]), atol=1e-5)


def test_files_give_the_same_model(point_in_time: PointInTimeFeatures, model: TasteModel, tmp_path: Path) -> None:
    model.save(tmp_path)
    again = TasteModel.load(tmp_path)
    assert again.network.config == CONFIG
    assert np.array_equal(again.items(point_in_time.table), model.items(point_in_time.table))
    assert np.array_equal(
        again.person(did([1, 2]), point_in_time.table), model.person(did([1, 2]), point_in_time.table)
    )


@pytest.mark.parametrize("seed", range(5))
def test_windows_hold_every_position_once_with_enough_before_it(
    point_in_time: PointInTimeFeatures, seed: int
) -> None:
    people = people_of(point_in_time, point_in_time.positive)
    covered: dict[int, list[int]] = {number: [] for number in range(len(people))}
    for window in windows_of(people, np.random.default_rng(seed)):
        positions = range(window.first, window.end)
        covered[window.person] += positions
        assert len(positions) > 0 and window.end - 1 - window.start <= MAX_TOKENS
        assert window.start == 0 or window.first - window.start >= MAX_TOKENS // 2
    assert all(places == list(range(len(people[number].rows))) for number, places in covered.items())


def test_every_label_is_allowed_and_younger_than_what_is_known(point_in_time: PointInTimeFeatures) -> None:
    allowed = older_steps(point_in_time, 4)
    assert all(allowed[rows].sum() == len(rows) - 4 for rows in point_in_time.of_user)
    people = people_of(point_in_time, allowed)
    windows = windows_of(people, np.random.default_rng(0))
    tokens, which, position, wanted = examples(point_in_time, people, windows)
    assert len(wanted) == sum(len(person.rows) for person in people)
    for place, known, item in zip(which.tolist(), position.tolist(), wanted.tolist(), strict=True):
        person, start = people[windows[place].person], windows[place].start
        following = person.rows[start + known :]
        assert item == point_in_time.item[following[allowed[following]][0]]
        assert np.array_equal(point_in_time.item[person.rows[start : start + known]], tokens[place].rows[:known])


def test_training_sees_each_moment_as_serving_does(point_in_time: PointInTimeFeatures, model: TasteModel) -> None:
    """The vector at a position of a window is that of a request at the moment of the event behind it."""
    people = people_of(point_in_time, point_in_time.positive)
    windows = windows_of(people, np.random.default_rng(3))
    tokens, which, position, _ = examples(point_in_time, people, windows)
    with torch.inference_mode():
        trained = model.network.people(histories(tokens, point_in_time.table)).numpy()
    for number in range(0, len(which), 37):
        place, known = int(which[number]), int(position[number])
        person, start = people[windows[place].person], windows[place].start
        now = float(point_in_time.log.time[person.rows[start + known]])
        served = point_in_time.tokens(person.rows[start : start + known], now)
        assert np.allclose(model.person(served, point_in_time.table), trained[place, known], atol=1e-5)
