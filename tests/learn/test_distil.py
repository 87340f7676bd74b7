"""The small network: what it learns from the full one, how it is rounded, and its file."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from engine.learn.fit import FitSettings, Fitted, TrainingRows, fit, training_rows
from engine.learn.network.distil import DistilSettings, Student, distil, distilled, export, quantised, small_logits
from engine.learn.network.train import TrainSettings, held_out, logits_of, ndcg
from engine.learn.network.trainer import Run, Stop
from engine.learn.rows.dataset import RowSettings
from engine.rerank.model import OUTCOMES
from engine.rerank.small import SMALL, SmallNetwork
from engine.rerank.version import load_version, save_version
from tests.learn.world import catalogue, walks

SMALLER = DistilSettings(width=32, epochs=20, batch=16)
SETTINGS = FitSettings(
    fields={"group": "category", "price": "number"},
    rows=RowSettings("time", steps=6, folds=4),
    training=TrainSettings(epochs=3, batch=32),
    towers=None,
    width=16,
    small=SMALLER,
)


@pytest.fixture(scope="module")
def rows() -> TrainingRows:
    items = catalogue()
    return training_rows(walks(items), items, SETTINGS)


@pytest.fixture(scope="module")
def fitted() -> Fitted:
    items = catalogue()
    return fit(walks(items), items, SETTINGS)


def student(features: int, seed: int, width: int = 16) -> Student:
    torch.manual_seed(seed)
    return Student(torch.randn(features), torch.rand(features) + 0.5, width)


def weights(graph: bytes) -> set[int]:
    """The types of the matrices that are multiplied with."""
    made = onnx.load_from_string(graph).graph
    types = {one.name: one.data_type for one in made.initializer}
    nodes = [node for node in made.node if node.op_type in {"Gemm", "MatMul", "MatMulInteger"}]
    return {types[node.input[1]] for node in nodes}


def test_it_ranks_as_the_full_one_does(fitted: Fitted, rows: TrainingRows) -> None:
    small, figures = fitted.version.small, fitted.small
    assert small is not None
    assert figures is not None
    _, check = held_out(rows.examples, SETTINGS.training.held_out)
    full = logits_of(fitted.version.network, check, rows.point_in_time.table)
    own = small_logits(small, check)
    alike = [np.corrcoef(one[:, 0], two[:, 0])[0, 1] for one, two in zip(own, full, strict=True)]
    assert np.mean(alike) > 0.9
    assert figures.full > 0.5  # by chance about .1
    assert figures.int8 > figures.full - 0.05
    likely = [1 / (1 + np.exp(-np.concatenate(logits)[:, 0])) for logits in (own, full)]
    assert likely[0].sum() == pytest.approx(likely[1].sum(), rel=0.25)  # so one calibration fits both
    assert figures.rows == len(check)
    assert figures.full == pytest.approx(ndcg(check, full))
    assert getattr(figures, figures.precision) == ndcg(check, own)


@pytest.mark.parametrize(
    ("rounding", "precision", "kind"),
    [(1.0, "int8", onnx.TensorProto.INT8), (-1.0, "float32", onnx.TensorProto.FLOAT)],
)
def test_rounding_that_costs_too_much_is_left(
    fitted: Fitted, rows: TrainingRows, rounding: float, precision: str, kind: int
) -> None:
    learn, check = held_out(rows.examples, SETTINGS.training.held_out)
    made = replace(SMALLER, epochs=1, rounding=rounding)
    small, figures = distil(fitted.version.network, learn, check, rows.point_in_time.table, made)
    assert figures.precision == precision
    assert weights(small.graph) == {kind}


def test_the_same_seed_gives_the_same_file(fitted: Fitted, rows: TrainingRows) -> None:
    learn, check = held_out(rows.examples, SETTINGS.training.held_out)
    made = replace(SMALLER, epochs=1, rows=100)
    one, two, other = (
        distil(fitted.version.network, learn, check, rows.point_in_time.table, made, seed=seed)[0].graph
        for seed in (0, 0, 1)
    )
    assert one == two
    assert one != other


def test_it_stops_when_told(fitted: Fitted, rows: TrainingRows) -> None:
    said: list[str] = []
    with pytest.raises(Stop):
        run = Run(report=lambda one: said.append(one.stage), stopped=lambda: "training the small network" in said)
        distil(fitted.version.network, rows.examples, rows.examples, rows.point_in_time.table, SMALLER, run)
    assert said.index("training the small network") == len(said) - 1


@settings(max_examples=20, deadline=None)
@given(
    features=st.integers(1, 40),
    count=st.integers(1, 300),
    seed=st.integers(0, 2**31),
    scale=st.sampled_from([0.1, 1.0, 100.0]),
)
def test_the_file_computes_what_the_network_does(features: int, count: int, seed: int, scale: float) -> None:
    network = student(features, seed)
    dense = torch.randn(count, features) * scale
    with torch.inference_mode():
        wanted = network(dense).numpy()
    exact = export(network)
    np.testing.assert_allclose(SmallNetwork(exact, features).logits(dense.numpy()), wanted, rtol=1e-4, atol=1e-4)


def test_the_rounded_file_is_small_and_near() -> None:
    network = student(90, 0, width=128)
    dense = np.random.default_rng(0).normal(size=(200, 90)).astype(np.float32) * 2
    exact = export(network)
    rounded = quantised(exact)
    assert weights(rounded) == {onnx.TensorProto.INT8}
    assert len(rounded) < len(exact) / 2.5
    one, two = (SmallNetwork(graph, 90).logits(dense) for graph in (exact, rounded))
    assert np.abs(one - two).max() < 0.1 * one.std()
    assert str(Path.cwd()).encode() not in exact + rounded


@st.composite
def batches(draw: st.DrawFn) -> tuple[Tensor, Tensor, Tensor]:
    """Logits, the full network's, and which candidates there are."""
    count, most = draw(st.integers(1, 4)), draw(st.integers(1, 9))
    torch.manual_seed(draw(st.integers(0, 2**31)))
    there = torch.arange(most)[None] < torch.randint(1, most + 1, (count, 1))
    return torch.randn(count, most, len(OUTCOMES)) * 3, torch.randn(count, most, len(OUTCOMES)) * 3, there


@settings(max_examples=50, deadline=None)
@given(batches())
def test_nothing_is_nearer_than_the_full_networks_own_logits(batch: tuple[Tensor, Tensor, Tensor]) -> None:
    logits, wanted, there = batch
    assert distilled(wanted, wanted, there, 0.1) < distilled(logits, wanted, there, 0.1)


@settings(max_examples=50, deadline=None)
@given(batches())
def test_what_is_no_candidate_does_not_count(batch: tuple[Tensor, Tensor, Tensor]) -> None:
    logits, wanted, there = batch
    other = torch.where(there[..., None], logits, torch.full_like(logits, 50.0))
    assert torch.equal(distilled(logits, wanted, there, 0.1), distilled(other, wanted, there, 0.1))


def test_it_comes_back_from_disk(fitted: Fitted, tmp_path: Path) -> None:
    save_version(fitted.version, tmp_path)
    loaded = load_version(tmp_path).small
    assert loaded is not None
    assert fitted.version.small is not None
    dense = np.random.default_rng(0).normal(size=(9, fitted.version.network.config.dense)).astype(np.float32)
    np.testing.assert_array_equal(loaded.logits(dense), fitted.version.small.logits(dense))


def test_a_version_of_before_has_none(fitted: Fitted, tmp_path: Path) -> None:
    save_version(replace(fitted.version, small=None), tmp_path)
    assert not (tmp_path / SMALL).exists()
    assert load_version(tmp_path).small is None


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        (b"", r"small\.onnx is not a network that can be run"),
        (b"no network", r"small\.onnx is not a network that can be run"),
        (export(student(3, 0)), r"small\.onnx maps .* not \d+ features"),
    ],
)
def test_a_file_that_is_something_else_is_named(fitted: Fitted, tmp_path: Path, graph: bytes, message: str) -> None:
    save_version(fitted.version, tmp_path)
    (tmp_path / SMALL).write_bytes(graph)
    with pytest.raises(ValueError, match=message):
        load_version(tmp_path)
