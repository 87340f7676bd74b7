"""Trainings: one at a time, in processes of their own; they can be stopped, and the list survives."""

import errno
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from engine.core.errors import DiskError, InvalidQueryError, NotFoundError, OverloadedError
from engine.learn.jobs import trainings as trainings_module
from engine.learn.jobs.training_list import MAX_KEPT, Training, TrainingState
from engine.learn.jobs.trainings import MAX_WAITING, Trainings
from engine.learn.jobs.worker import Train
from engine.models.errors import TrainingError
from engine.models.registry import Registry
from engine.models.serving import Serving
from tests.learn.training_jobs import crashing, deaf, hungry, patient, quick, wandering, wrong
from tests.models.versions import LOADERS, make
from tests.tiny import concept_space

ROOT = Path(__file__).parents[2]
S = TrainingState


@contextmanager
def opened(
    path: Path, train: Train | None, keep: int = 5, prepare: Callable[[], None] = lambda: None
) -> Iterator[Trainings]:
    serving = Serving(Registry(path), LOADERS, concept_space().fingerprint, poll_seconds=0.02)
    serving.start()
    trainings = Trainings(path / ".trainings", train, serving, keep=keep, prepare=prepare)
    try:
        yield trainings
    finally:
        trainings.close()
        serving.close()


def until(condition: Callable[[], object], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def start(trainings: Trainings, *, promote: bool = False, seed: int | None = 1) -> Training:
    return trainings.start(None, None, promote=promote, seed=seed)


def ended(trainings: Trainings, training: Training) -> Training:
    until(lambda: trainings.get(training.id).ended)
    return trainings.get(training.id)


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] == "Z"


def test_a_training_makes_a_version(tmp_path: Path) -> None:
    with opened(tmp_path, partial(quick, tmp_path, "bird", None)) as trainings:
        begin, end = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)
        asked = trainings.start(begin, end, promote=False, seed=7)
        assert (asked.state, asked.progress) == (S.QUEUED, 0.0)
        done = ended(trainings, asked)
    assert (done.state, done.progress, done.stage, done.failure) == (S.SUCCEEDED, 1.0, "done", None)
    card = Registry(tmp_path).card(done.version)
    assert (card.seed, card.data_from, card.data_until) == (7, begin, end)
    assert done.started is not None
    assert done.ended is not None
    assert done.started <= card.created <= done.ended
    assert Registry(tmp_path).pointer().serving == ""


@pytest.mark.parametrize(
    ("better", "promote", "state", "serves"),
    [
        (True, True, S.SUCCEEDED, True),
        (True, False, S.SUCCEEDED, False),
        (False, True, S.FAILED, False),
        (None, True, S.SUCCEEDED, False),
    ],
)
def test_only_what_passes_the_gate_is_promoted(
    tmp_path: Path, better: bool | None, promote: bool, state: S, serves: bool
) -> None:
    with opened(tmp_path, partial(quick, tmp_path, "bird", better)) as trainings:
        done = ended(trainings, start(trainings, promote=promote))
        assert done.state is state
        assert (trainings._serving.version == done.version) is serves
    assert Registry(tmp_path).versions() == [done.version]
    if state is S.FAILED:
        assert done.failure is not None
        assert (done.failure.kind, done.failure.status) == ("NotBetterError", "FAILED_PRECONDITION")
        assert "is not promoted: as told" in done.failure.problem


def test_stages_are_told_from_the_start_and_to_every_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trainings_module, "WRITTEN_SECONDS", 0.0)
    prepare = threading.Event()
    with (
        opened(tmp_path, partial(wandering, tmp_path), prepare=lambda: bool(prepare.wait(60))) as trainings,
        opened(tmp_path, None) as reader,
    ):
        asked = start(trainings)
        until(lambda: trainings.get(asked.id).stage == "reading the catalogue")
        prepare.set()
        until(lambda: trainings.get(asked.id).stage == "epoch 1 of 4")
        now = trainings.get(asked.id)
        assert now.progress == 0.5  # it never falls
        assert reader.get(asked.id) == now
        (tmp_path / "go").touch()
        done = ended(trainings, asked)
        assert (done.progress, done.left) == (1.0, None)
        assert reader.get(asked.id) == done


@pytest.mark.parametrize(
    ("train", "kind", "status", "says"),
    [
        (hungry, "TooLittleDataError", "FAILED_PRECONDITION", "12 events of 3 people"),
        (wrong, "UnexpectedError", "INTERNAL", "ZeroDivisionError: a defect"),
        (crashing, "TrainingError", "INTERNAL", "exit code 7"),
    ],
)
def test_a_training_that_fails_says_why_and_makes_nothing(
    tmp_path: Path, train: Train, kind: str, status: str, says: str
) -> None:
    with opened(tmp_path, train) as trainings:
        done = ended(trainings, start(trainings))
    assert (done.state, done.version) == (S.FAILED, "")
    assert done.failure is not None
    assert (done.failure.kind, done.failure.status) == (kind, status)
    assert says in done.failure.problem
    assert done.failure.remedy
    assert Registry(tmp_path).versions() == []


def test_one_runs_and_the_others_wait_their_turn(tmp_path: Path) -> None:
    with opened(tmp_path, partial(patient, tmp_path)) as trainings:
        first, second, third = (start(trainings) for _ in range(3))
        until(lambda: trainings.get(first.id).stage == "epoch 1 of 4")
        running = trainings.get(first.id)
        assert (running.state, running.progress) == (S.RUNNING, 0.25)
        assert [one.state for one in trainings.all()] == [S.QUEUED, S.QUEUED, S.RUNNING]
        assert [one.id for one in trainings.all()] == [third.id, second.id, first.id]
        assert trainings.cancel(second.id).state is S.CANCELLED
        (tmp_path / "go").touch()
        assert ended(trainings, third).state is S.SUCCEEDED
        assert trainings.get(first.id).state is S.SUCCEEDED
        assert trainings.get(second.id).started is None


@pytest.mark.parametrize("train", [patient, deaf])
def test_a_running_training_is_stopped_whether_it_listens_or_not(
    tmp_path: Path, train: Callable[..., object]
) -> None:
    with opened(tmp_path, partial(train, tmp_path)) as trainings:  # type: ignore[arg-type]
        training = start(trainings)
        until(lambda: trainings.get(training.id).stage == "epoch 1 of 4")
        pid = int((tmp_path / "pid").read_text())
        assert trainings.cancel(training.id).stage == "stopping"
        done = ended(trainings, training)
        assert (done.state, done.version) == (S.CANCELLED, "")
        assert gone(pid)
        assert trainings.cancel(training.id) == done


def test_a_server_that_stops_says_so_and_what_waited_begins_later(tmp_path: Path) -> None:
    with opened(tmp_path, partial(patient, tmp_path)) as trainings:
        first, second = start(trainings), start(trainings, seed=2)
        until(lambda: trainings.get(first.id).stage == "epoch 1 of 4")
    (tmp_path / "go").touch()
    with opened(tmp_path, partial(patient, tmp_path)) as trainings:
        failed = trainings.get(first.id)
        assert failed.state is S.FAILED
        assert failed.failure is not None
        assert failed.failure.problem == "the server stopped"
        assert ended(trainings, second).state is S.SUCCEEDED
        assert Registry(tmp_path).card(trainings.get(second.id).version).seed == 2


def test_kill_9_of_the_server_ends_the_training_and_keeps_the_list(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.learn.serve_trainings", str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        names = [process.stdout.readline().strip() for _ in range(2)]
        until((tmp_path / "pid").exists)
        until((tmp_path / "pid").read_text)
        pid = int((tmp_path / "pid").read_text())
        with opened(tmp_path, hungry) as other:  # another process trains here: it can be seen, not touched
            assert [one.state for one in other.all()] == [S.QUEUED, S.RUNNING]
            with pytest.raises(TrainingError, match="another process"):
                start(other)
            with pytest.raises(TrainingError, match="another process"):
                other.cancel(names[0])
        assert not gone(pid)
        process.kill()
    until(lambda: gone(pid))
    with opened(tmp_path, hungry) as trainings:
        first = trainings.get(names[0])
        assert first.state is S.FAILED
        assert first.failure is not None
        assert first.failure.problem == "the server stopped"
        second = ended(trainings, trainings.get(names[1]))
        assert second.failure is not None
        assert second.failure.kind == "TooLittleDataError"


def test_a_version_judged_against_another_is_not_promoted(tmp_path: Path) -> None:
    with opened(tmp_path, partial(quick, tmp_path, "bird", True)) as trainings:
        judged = start(trainings)
        card = Registry(tmp_path).card(ended(trainings, judged).version)
        trainings._serving.promote(make(Registry(tmp_path), "car").version)
        assert trainings._promote(card).startswith("done, not promoted:")
        assert trainings._serving.version != card.version


def test_old_versions_are_retired_when_new_ones_are_made(tmp_path: Path) -> None:
    with opened(tmp_path, partial(quick, tmp_path, "bird", None), keep=1) as trainings:
        names = [ended(trainings, start(trainings)).version for _ in range(2)]
        until(lambda: Registry(tmp_path).versions() == names[1:])


def test_what_cannot_begin_is_refused(tmp_path: Path) -> None:
    with opened(tmp_path / "a", None) as trainings:
        with pytest.raises(TrainingError, match="does not train"):
            start(trainings)
        assert trainings.all() == []
        for call in (trainings.get, trainings.cancel):
            with pytest.raises(NotFoundError, match="no training 'x"):
                call("x" * 10_000)
    with opened(tmp_path / "b", partial(patient, tmp_path)) as trainings:
        late, early = datetime(2026, 2, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)
        with pytest.raises(InvalidQueryError, match="no time lies between 2026-02-01"):
            trainings.start(late, early, promote=False, seed=None)
        with pytest.raises(InvalidQueryError, match="seed is -1: send 0 or more"):
            start(trainings, seed=-1)
        running = start(trainings)
        until(lambda: trainings.get(running.id).state is S.RUNNING)
        waiting = [start(trainings) for _ in range(MAX_WAITING)]
        with pytest.raises(OverloadedError):
            start(trainings)
        for one in waiting:
            trainings.cancel(one.id)
        assert start(trainings).state is S.QUEUED


def test_a_full_disk_is_said_and_the_next_training_runs(tmp_path: Path) -> None:
    """The folder of the list is replaced by a file: what is written into it fails, for root as well."""
    full = False

    def prepare() -> None:
        if full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with opened(tmp_path, partial(quick, tmp_path, "bird", None), prepare=prepare) as trainings:
        full = True
        failed = ended(trainings, start(trainings))
        assert failed.failure is not None
        assert (failed.failure.kind, failed.failure.status) == ("DiskFullError", "RESOURCE_EXHAUSTED")
        assert "No space left on device" in failed.failure.problem
        full = False
        folder = tmp_path / ".trainings"
        folder.rename(tmp_path / ".away")
        folder.write_text("")
        with pytest.raises(DiskError, match="cannot write"):
            start(trainings)
        assert [one.id for one in trainings.all()] == [failed.id]
        folder.unlink()
        (tmp_path / ".away").rename(folder)
        going = start(trainings)
        assert ended(trainings, going).state is S.SUCCEEDED


def test_what_happened_is_remembered_where_it_cannot_be_written(tmp_path: Path) -> None:
    with opened(tmp_path, partial(patient, tmp_path)) as trainings:
        training = start(trainings)
        until(lambda: trainings.get(training.id).stage == "epoch 1 of 4")
        folder = tmp_path / ".trainings"
        folder.rename(tmp_path / ".away")
        folder.write_text("")
        (tmp_path / "go").touch()
        assert ended(trainings, training).state is S.SUCCEEDED
        folder.unlink()
        (tmp_path / ".away").rename(folder)
        assert ended(trainings, start(trainings)).state is S.SUCCEEDED


def test_the_list_is_bounded_and_bad_files_are_passed_over(tmp_path: Path) -> None:
    with opened(tmp_path, None) as trainings:
        folder = trainings._folder
    (folder / "bad.json").write_text("{")
    with opened(tmp_path, partial(patient, tmp_path)) as trainings:
        running = start(trainings)
        until(lambda: trainings.get(running.id).state is S.RUNNING)
        for _ in range(MAX_KEPT + 5):
            trainings.cancel(start(trainings).id)
        assert len(trainings.all()) <= MAX_KEPT + 1
        assert trainings.get(running.id).state is S.RUNNING
        assert len(list(folder.glob("2*.json"))) == len(trainings.all())
