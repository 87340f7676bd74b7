"""Stores and catalogues for the tests of the indexers."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from encoders.spaces.space import Space
from engine.store.base import VectorStore
from engine.store.edge import EdgeStore
from engine.store.memory import MemoryStore
from tests.tiny import tiny_space

MakeStore = Callable[[], VectorStore]


@pytest.fixture
def space() -> Space:
    return tiny_space()


@pytest.fixture
def edge(space: Space, tmp_path: Path) -> Iterator[VectorStore]:
    store = EdgeStore(
        tmp_path / "store", fingerprint=space.fingerprint, dimension=space.dimension, modalities=space.modalities
    )
    yield store
    store.close()


@pytest.fixture
def memory(space: Space) -> VectorStore:
    return MemoryStore(fingerprint=space.fingerprint, dimension=space.dimension, modalities=space.modalities)


@pytest.fixture(params=["memory", "edge"])
def store(request: pytest.FixtureRequest) -> VectorStore:
    """Every test of the pipeline runs on both."""
    chosen: VectorStore = request.getfixturevalue(request.param)
    return chosen


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The folder of a catalogue's files."""
    folder = tmp_path / "root"
    folder.mkdir()
    return folder
