"""A content that kills two of the processes that decode it is refused from then on, undecoded."""

import json
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import pytest

from encoders.decoding import processes, quarantine
from encoders.decoding.decode import decode_audio, decode_image
from encoders.decoding.limits import DecodeLimits
from encoders.decoding.quarantine import Quarantine
from encoders.errors import ContentError, LimitError, QuarantineError
from encoders.types import Audio, Image
from tests.encoders.media import RED
from tests.encoders.test_processes import SLOW
from tests.tiny import png_bytes, wav_bytes

DRAWING = Image(SLOW, "slow.svg")


def limits_with(path: Path | None, seconds: float = 0.1) -> DecodeLimits:
    return DecodeLimits(max_decoding_seconds=seconds, quarantine=path)


def lose(limits: DecodeLimits) -> None:
    """A drawing that kills its process: it takes too much time or, on a fast machine, too much memory first."""
    with pytest.raises(ContentError) as caught:
        decode_image(DRAWING, limits, 4000)
    assert isinstance(caught.value, processes.LostError)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "var" / "quarantine.jsonl"


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The processes that contents were given to."""
    given: list[int] = []
    begin = processes.Process.begin

    def noted(process: processes.Process, kind: str, seconds: float) -> None:
        given.append(process.pid)
        begin(process, kind, seconds)

    monkeypatch.setattr(processes.Process, "begin", noted)
    return given


def test_what_kills_two_processes_is_refused_and_not_decoded(path: Path, started: list[int]) -> None:
    limits = limits_with(path)
    lose(limits)
    lose(limits)
    assert len(set(started)) == 2
    for again in (limits, limits_with(path)):  # also after a start, or in another process
        with pytest.raises(QuarantineError) as caught:
            decode_image(DRAWING, again, 4000)
        assert caught.value.problem.startswith("image is in quarantine, it cost 2 decoders: image ")
        name = sha256(SLOW).hexdigest()
        assert caught.value.remedy.endswith(f"once more remove the lines with {name[:16]} from {path}")
        assert caught.value.status == "INVALID_ARGUMENT"
    assert len(started) == 2
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(line["name"], line["sha256"], line["bytes"]) for line in lines] == [("slow.svg", name, len(SLOW))] * 2
    assert decode_image(Image(png_bytes(RED)), limits).getpixel((3, 3)) == RED


def test_it_is_lifted_by_removing_its_lines_from_the_file(path: Path, started: list[int]) -> None:
    limits = limits_with(path)
    lose(limits)
    lose(limits)
    path.write_text("")
    lose(limits)
    assert len(started) == 3


def test_one_death_is_remembered_and_one_process_sees_what_another_adds(path: Path) -> None:
    lose(limits_with(path))
    lose(limits_with(path))
    with pytest.raises(QuarantineError):
        decode_image(DRAWING, limits_with(path), 4000)


def test_without_a_file_it_holds_as_long_as_the_limits(started: list[int]) -> None:
    limits = limits_with(None)
    lose(limits)
    lose(limits)
    with pytest.raises(QuarantineError, match="to have it tried once more start again"):
        decode_image(DRAWING, limits, 4000)
    lose(limits_with(None))
    assert len(started) == 3


def test_what_took_too_long_gets_another_try_when_it_may_take_longer(path: Path) -> None:
    sound = Audio(wav_bytes())
    for _ in range(2):
        decode_audio(Audio(wav_bytes(220)), limits_with(path, 20), 16_000)  # leaves a process that waits
        os.kill(processes._idle[-1].pid, signal.SIGSTOP)
        with pytest.raises(LimitError, match=r"audio takes more than 0\.1 seconds"):
            decode_audio(sound, limits_with(path), 16_000)
    with pytest.raises(QuarantineError, match=r"it cost 2 decoders: audio takes more than 0\.1 seconds"):
        decode_audio(sound, limits_with(path), 16_000)
    assert len(decode_audio(sound, limits_with(path, 20), 16_000)) == 4000


def crash(limits: DecodeLimits, number: signal.Signals) -> ContentError:
    """Decode a sound in a process that gets a signal meanwhile, as a codec that crashes does."""
    decode_audio(Audio(wav_bytes(220)), limits, 16_000)
    process = processes._idle[-1]
    os.kill(process.pid, signal.SIGSTOP)
    with ThreadPoolExecutor(1) as pool:
        decoding = pool.submit(decode_audio, Audio(wav_bytes()), limits, 16_000)
        while process in processes._idle:
            time.sleep(0.01)
        os.kill(process.pid, number)
        os.kill(process.pid, signal.SIGCONT)
        error = decoding.exception(30)
    assert isinstance(error, ContentError)
    return error


def test_a_crash_counts_and_a_refusal_does_not(path: Path) -> None:
    limits = limits_with(path, 20)
    for _ in range(3):
        with pytest.raises(ContentError):
            decode_image(Image(b"no picture"), limits)
    assert not path.exists()
    for _ in range(2):
        assert "was ended by SIGSEGV" in str(crash(limits, signal.SIGSEGV))
    with pytest.raises(QuarantineError, match="it cost 2 decoders: audio cannot be decoded"):
        decode_audio(Audio(wav_bytes()), limits, 16_000)


def test_one_process_that_is_killed_from_outside_does_not_count(path: Path) -> None:
    decode_audio(Audio(wav_bytes(220)), limits_with(path, 20), 16_000)
    process = processes._idle[-1]
    os.kill(process.pid, signal.SIGSTOP)
    with ThreadPoolExecutor(1) as pool:
        decoding = pool.submit(decode_audio, Audio(wav_bytes()), limits_with(path, 20), 16_000)
        while process in processes._idle:
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
        assert len(decoding.result(30)) == 4000
    assert not path.exists()


# The file ---------------------------------------------------------------------------------------------------


def test_many_may_write_and_the_file_stays_small(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quarantine, "MAX_BYTES", 8000)

    def add(number: int) -> None:
        ours = Quarantine(path, 20)
        for row in range(25):
            ours.add(b"%d %d" % (number, row), "name", "crashed")

    threads = [threading.Thread(target=add, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 2000 < path.stat().st_size <= 8000
    assert all(json.loads(line)["said"] == "crashed" for line in path.read_text().splitlines())
    assert os.listdir(path.parent) == [path.name]  # noqa: PTH208
    last = Quarantine(path, 20)
    last.add(b"last", "name", "crashed")
    last.add(b"last", "name", "crashed")
    with pytest.raises(QuarantineError):
        last.check("image", b"last")


@pytest.mark.parametrize("rest", ["half of a li", "[1, 2]\n", '{"sha256": 1}\n', "\0\xff\n"])
def test_lines_that_are_none_are_passed_over(path: Path, rest: str) -> None:
    ours = Quarantine(path, 20)
    ours.add(b"x", "name", "crashed")
    with path.open("a") as file:
        file.write(rest)
    ours.add(b"x", "name", "crashed")
    with pytest.raises(QuarantineError):
        Quarantine(path, 20).check("image", b"x")


def test_where_it_cannot_be_written_it_is_remembered(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    limits = limits_with(tmp_path / "file" / "quarantine.jsonl")
    lose(limits)
    lose(limits)
    with pytest.raises(QuarantineError):
        decode_image(DRAWING, limits, 4000)
