"""The registry: whole versions or none, and a pointer that many may change."""

import json
import os
import resource
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.errors import DiskError, NotFoundError, SettingsError
from engine.models.card import CARD, git_commit
from engine.models.errors import CheckpointError, ModelError
from engine.models.pointer import HISTORY, NO_VERSION, Pointer, pointer_json, read_pointer
from engine.models.registry import POINTER, Registry
from engine.models.verdict import Verdict
from tests.models.versions import FILE, draft, make, write_direction
from tests.tiny import concept_space, tiny_space

ROOT = Path(__file__).parents[2]


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    times = (datetime(2026, 6, 1, tzinfo=UTC) + timedelta(minutes=row) for row in range(1000))
    return Registry(tmp_path / "models", clock=lambda: next(times))


def promote(registry: Registry, version: str) -> None:
    registry.change(lambda pointer: pointer.promoted(version))


def test_a_card_is_read_as_it_was_written(registry: Registry) -> None:
    verdict = Verdict(True, "better", "ndcg_at_10", 500, 0.02, 0.01, 0.03)
    made = make(
        registry,
        "bird",
        data_from=datetime(2026, 1, 1, tzinfo=UTC),
        data_until=datetime(2026, 5, 1, tzinfo=UTC),
        counts={"events": 7},
        metrics={"ndcg_at_10": 0.1},
        baseline_metrics={"ndcg_at_10": 0.08},
        intervals={"ndcg_at_10": (0.09, 0.11)},
        seed=3,
        git_commit=git_commit(ROOT),
        settings={"width": 64, "losses": ["gbce"]},
        gate=verdict,
    )
    folder, read = registry.verified(made.version, concept_space().fingerprint)
    assert read == made
    assert read.gate == verdict
    assert read.created == datetime(2026, 6, 1, tzinfo=UTC)
    assert set(read.files) == {FILE}
    assert {path.name for path in folder.iterdir()} == {FILE, CARD}


def test_versions_are_named_by_time_and_listed_newest_first(registry: Registry) -> None:
    names = [make(registry, concept).version for concept in ("bird", "car", "bird")]
    assert names[0].startswith("20260601-000000-")
    assert sorted(names) == names
    assert [card.version for card in registry.scan()[0]] == names[::-1]


def test_a_version_is_not_promoted_over_one_that_it_was_not_held_against(registry: Registry) -> None:
    first, second, third = (make(registry, concept).version for concept in ("bird", "car", "bird"))
    registry.change(lambda pointer: pointer.promoted(first, over=NO_VERSION))
    registry.change(lambda pointer: pointer.promoted(second, over=first))
    with pytest.raises(ModelError, match=f"held against {first}, but {second} serves by now"):
        registry.change(lambda pointer: pointer.promoted(third, over=first))
    with pytest.raises(ModelError, match=f"held against the untrained engine, but {second} serves by now"):
        registry.change(lambda pointer: pointer.promoted(third, over=NO_VERSION))
    assert registry.pointer().serving == second


def test_what_cannot_be_a_version_leaves_nothing(registry: Registry) -> None:
    make(registry, "bird", "one")

    def pickled(folder: Path) -> None:
        (folder / "model.pt").write_bytes(b"")

    def broken(folder: Path) -> None:
        (folder / FILE).write_bytes(b"half")
        raise OSError("disk full")

    with pytest.raises(SettingsError, match=r"model\.pt"):
        registry.create(draft(), pickled)
    with pytest.raises(SettingsError, match="missing"):
        registry.create(draft(), lambda folder: None)
    with pytest.raises(DiskError, match=r"cannot write .*: disk full: free space"):
        registry.create(draft(), broken)
    with pytest.raises(DiskError, match="No such file"):  # as safetensors says it
        registry.create(draft(), lambda folder: write_direction("bird")(folder / "nowhere"))
    with pytest.raises(SettingsError, match="no name"):
        make(registry, "bird", "../out")
    with pytest.raises(CheckpointError, match="there already"):
        make(registry, "car", "one")
    assert {path.name for path in registry.path.iterdir() if not path.name.endswith(".lock")} == {"one"}


def test_a_corrupt_file_is_refused_by_name(registry: Registry) -> None:
    version = make(registry, "bird").version
    path = registry.path / version / FILE
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)
    with pytest.raises(CheckpointError, match=f"{FILE} of model version {version} is corrupt"):
        registry.verified(version)
    path.unlink()
    with pytest.raises(CheckpointError, match=f"version {version} holds no files, its card names {FILE}"):
        registry.verified(version)


def test_only_plain_files_that_the_card_names_are_trusted(registry: Registry, tmp_path: Path) -> None:
    """A file without a checksum would be loaded unseen; a link may be turned elsewhere after the comparison."""
    extra = make(registry, "bird").version
    (registry.path / extra / "more.json").write_text("{}")
    with pytest.raises(CheckpointError, match=rf"holds {FILE}, more\.json, its card names {FILE}"):
        registry.verified(extra)
    outside = tmp_path / FILE
    for make_odd in (lambda path: path.symlink_to(outside), os.mkfifo, Path.mkdir):
        version = make(registry, "bird").version
        path = registry.path / version / FILE
        path.replace(outside)
        make_odd(path)
        with pytest.raises(CheckpointError, match="no plain file"):
            registry.verified(version)
        card = registry.path / version / CARD
        card.replace(tmp_path / "card.json")
        card.symlink_to(tmp_path / "card.json")
        with pytest.raises(CheckpointError, match=f"the card of model version {version} cannot be read"):
            registry.card(version)
    whole = make(registry, "bird").version
    (registry.path / whole).rename(tmp_path / whole)
    (registry.path / whole).symlink_to(tmp_path / whole)
    assert whole not in registry.versions()
    with pytest.raises(NotFoundError):
        registry.verified(whole)


def test_another_space_is_refused_naming_both(registry: Registry) -> None:
    version = make(registry, "bird").version
    other = tiny_space().fingerprint
    with pytest.raises(CheckpointError) as refused:
        registry.verified(version, other)
    assert other in str(refused.value)
    assert concept_space().fingerprint in str(refused.value)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"format": 7}, "of format 7, this release reads formats up to 1"),
        ({"format": 7, "new_key": 1}, "of format 7"),
        ({"version": "other"}, "holds the card of other"),
        ({"metrics": {"ndcg_at_10": "NaN"}}, "metrics.ndcg_at_10"),
        ({"unknown": 1}, "unknown"),
        ({"format": "7"}, "broken at format"),
        ({"format": 0}, "broken at format"),
        ({"files": {"../../secret": "0"}}, r"holds model\.safetensors, its card names \.\./\.\./secret"),
        ({"files": {}}, r"holds model\.safetensors, its card names no files"),
        ({"files": {FILE: None}}, "files"),
    ],
)
def test_a_card_that_cannot_be_trusted_is_refused(registry: Registry, change: dict[str, object], says: str) -> None:
    version, good = make(registry, "bird").version, make(registry, "car").version
    path = registry.path / version / CARD
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(CheckpointError, match=says):
        registry.verified(version)
    if "files" not in change or change["files"] == {FILE: None}:
        cards, wrong = registry.scan()
        assert [card.version for card in cards] == [good]
        assert len(wrong) == 1


@pytest.mark.parametrize("raw", [b"", b"[]", b"{", b"\xff\xfe", b"null", pytest.param(b"[" * 200_000, id="deep")])
def test_a_card_that_is_none_is_refused(registry: Registry, raw: bytes) -> None:
    version = make(registry, "bird").version
    (registry.path / version / CARD).write_bytes(raw)
    with pytest.raises(CheckpointError, match=version):
        registry.card(version)


def test_promote_rollback_and_retire(registry: Registry) -> None:
    a, b, c = (make(registry, concept).version for concept in ("bird", "car", "cat"))
    for version in (a, b, a):
        promote(registry, version)
    assert registry.pointer() == Pointer(a, ("", a, b))
    promote(registry, a)
    assert registry.pointer().previous == ("", a, b)
    for before, after in ((a, b), (b, a), (a, "")):
        states = registry.change(Pointer.rolled_back)
        assert (states[0].serving, states[1].serving) == (before, after)
    with pytest.raises(ModelError, match="no version served before the untrained engine"):
        registry.change(Pointer.rolled_back)
    promote(registry, a)
    promote(registry, b)
    with pytest.raises(ModelError, match="serves"):
        registry.retire(b)
    registry.change(lambda pointer: pointer.tried(c, 0.2))
    with pytest.raises(ModelError, match="tried on 20%"):
        registry.retire(c)
    registry.retire(a)
    assert registry.pointer() == Pointer(b, ("",), c, 0.2)
    assert registry.versions() == sorted([b, c])
    for wrong in ("gone", "..", "", "a/b", "x" * 10_000):
        for call in (registry.card, registry.retire, lambda name: promote(registry, name or "no")):
            with pytest.raises(NotFoundError):
                call(wrong)
    assert registry.pointer().serving == b


def test_a_trial_ends_when_its_version_serves(registry: Registry) -> None:
    a, b = (make(registry, concept).version for concept in ("bird", "car"))
    promote(registry, a)
    for share in (0, -0.1, 1.1, float("nan")):
        with pytest.raises(SettingsError, match="share"):
            registry.change(lambda pointer, share=share: pointer.tried(b, share))
    with pytest.raises(ModelError, match="serves already"):
        registry.change(lambda pointer: pointer.tried(a, 0.5))
    registry.change(lambda pointer: pointer.tried(b, 0.5))
    promote(registry, b)
    assert registry.pointer() == Pointer(b, ("", a))


def test_a_candidate_that_is_not_there_any_more_is_not_promoted(registry: Registry) -> None:
    version = make(registry, "bird").version
    registry.change(lambda pointer: pointer.tried(version, 0.5))
    shutil.rmtree(registry.path / version)
    with pytest.raises(NotFoundError):
        promote(registry, version)
    assert registry.pointer() == Pointer(candidate=version, share=0.5)
    registry.change(lambda pointer: pointer.untried())
    assert registry.pointer() == Pointer()


def test_old_versions_go_and_those_that_are_needed_stay(registry: Registry) -> None:
    names = [make(registry, "bird", f"v{row}").version for row in range(7)]
    for version in ("v0", "v2", "v1"):
        promote(registry, version)
    registry.change(lambda pointer: pointer.tried("v3", 0.1))
    assert registry.prune(2) == ["v4", "v0"]
    assert registry.versions() == ["v1", "v2", "v3", "v5", "v6"]
    assert registry.pointer() == Pointer("v1", ("", "v2"), "v3", 0.1)
    assert len(names) == 7


def test_a_broken_pointer_is_said(registry: Registry) -> None:
    make(registry, "bird")
    for raw in ("", "{}x", '{"serving": 3}', '{"format": 2}', '{"share": 2}'):
        (registry.path / POINTER).write_text(raw)
        with pytest.raises(CheckpointError, match=POINTER):
            registry.pointer()
    (registry.path / POINTER).write_text('{"format": 2}')
    with pytest.raises(CheckpointError, match="of format 2, this release reads format 1: update triveni"):
        registry.pointer()


def test_a_pointer_that_cannot_be_written_stays(registry: Registry) -> None:
    first, second = (make(registry, concept).version for concept in ("bird", "car"))
    promote(registry, first)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        with pytest.raises(DiskError, match=f"cannot write {registry.path / POINTER}: File too large"):
            promote(registry, second)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert registry.pointer().serving == first


def test_a_folder_that_is_not_there_is_an_empty_registry(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "none")
    assert (registry.versions(), registry.scan(), registry.pointer()) == ([], ([], []), Pointer())
    assert registry.clean() == 0
    with pytest.raises(NotFoundError):
        registry.retire("a")
    assert not registry.path.exists()


def test_many_may_change_the_pointer_at_once(registry: Registry) -> None:
    names = [make(registry, "bird", f"v{row}").version for row in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: promote(registry, name), names))
    pointer = registry.pointer()
    assert sorted([*pointer.previous, pointer.serving]) == ["", *names]


def test_leftovers_go_but_not_what_is_being_written(registry: Registry) -> None:
    begun, go = threading.Event(), threading.Event()

    def slowly(folder: Path) -> None:
        begun.set()
        assert go.wait(20)
        write_direction("bird")(folder)

    make(registry, "car", "other")
    left = registry.path / ".new-0123"
    left.mkdir()
    with ThreadPoolExecutor(1) as pool:
        making = pool.submit(registry.create, draft(), slowly, version="slow")
        assert begun.wait(20)
        assert registry.clean() == 0
        go.set()
        assert making.result(20).version == "slow"
    assert registry.clean() == 1
    assert not left.exists()
    assert registry.versions() == ["other", "slow"]


# The pointer by itself ---------------------------------------------------------------------------------------


@given(st.lists(st.sampled_from("abc"), max_size=50))
def test_going_back_undoes_promotions(steps: list[str]) -> None:
    states = [Pointer()]
    for step in steps:
        after = states[-1].promoted(step)
        if after != states[-1]:
            states.append(after)
    pointer = states[-1]
    for before in states[-2 : -HISTORY - 2 : -1]:
        pointer = pointer.rolled_back()
        assert pointer.serving == before.serving
    assert read_pointer(pointer_json(states[-1]), "here") == states[-1]


def test_a_share_of_people_gets_the_candidate_and_always_the_same_ones() -> None:
    users = [f"person-{row}" for row in range(4000)]
    trial = Pointer("old", (), "new", 0.25)
    chosen = {user for user in users if trial.version_of(user) == "new"}
    assert abs(len(chosen) / len(users) - 0.25) < 5 * (0.25 * 0.75 / len(users)) ** 0.5
    assert chosen == {user for user in users if Pointer("older", (), "new", 0.25).version_of(user) == "new"}
    more = {user for user in users if Pointer("old", (), "new", 0.5).version_of(user) == "new"}
    assert chosen < more
    other = {user for user in users if Pointer("old", (), "next", 0.25).version_of(user) == "next"}
    assert abs(len(chosen & other) / len(chosen) - 0.25) < 0.1
    assert trial.version_of("") == "old"
    assert Pointer("old", (), "new", 1.0).version_of("\ud800") == "new"
    assert all(Pointer("old").version_of(user) == "old" for user in users[:10])
