"""The processes that decode: they may fail or hang, and the next content is decoded all the same."""

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil
import pytest
from structlog.testing import capture_logs

from encoders.decoding import processes
from encoders.decoding.decode import decode_audio, decode_image
from encoders.decoding.limits import DecodeLimits
from encoders.errors import ContentError, DecoderError, LimitError
from encoders.types import Audio, Image
from tests.encoders.media import LIMITS, RED, SVG, black_png, sine, sound
from tests.tiny import png_bytes, wav_bytes

SLOW = (
    SVG + '<defs><pattern id="p" width="1" height="1"><path d="M0 0h1"/></pattern></defs>'
    '<filter id="f" x="-9" y="-9" width="19" height="19"><feGaussianBlur stdDeviation="40"/></filter>'
    + '<g filter="url(#f)"><rect width="40" height="20" fill="url(#p)"/></g>' * 90
    + "</svg>"
).encode()
FINE = Image(png_bytes(RED))


def fine() -> None:
    assert decode_image(FINE).getpixel((3, 3)) == RED


def idle() -> processes.Process:
    """The process that the next content gets."""
    fine()
    return processes._idle[-1]


@pytest.fixture
def alone() -> Iterator[None]:
    """No process is kept from earlier, nor for later."""
    processes._end_all()
    yield
    processes._end_all()


def test_a_process_is_kept_for_pictures_and_sounds() -> None:
    kept = idle()
    decode_audio(Audio(wav_bytes()), LIMITS, 16_000)
    with pytest.raises(ContentError):
        decode_image(Image(b"no picture"), LIMITS)
    assert idle() is kept


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT])
def test_a_codec_that_crashes_costs_its_content_only(number: signal.Signals, alone: None) -> None:
    process = idle()
    process.begin("image", 20)
    os.kill(process.pid, signal.SIGSTOP)
    answers: list[Exception] = []

    def ask() -> None:
        try:
            process.ask(kind="image", bytes=0, size=None, seconds=20, max_bytes=1, limits={})
        except ContentError as error:
            answers.append(error)

    asking = threading.Thread(target=ask)
    asking.start()
    os.kill(process.pid, number)
    os.kill(process.pid, signal.SIGCONT)
    asking.join(30)
    assert str(answers[0]) == (
        f"image cannot be decoded (the decoder was ended by {number.name}): open it in an editor and save it again"
    )
    assert not process.between_contents
    fine()
    assert idle() is not process


def test_a_process_that_the_system_kills_is_not_blamed_on_its_content(alone: None) -> None:
    process = idle()
    os.kill(process.pid, signal.SIGSTOP)
    with ThreadPoolExecutor(1) as pool:
        decoding = pool.submit(decode_image, FINE, LIMITS)
        while process in processes._idle:
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
        assert decoding.result(30).getpixel((3, 3)) == RED


def test_a_content_that_gets_every_process_killed_costs_itself_only(
    alone: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As where the system has no memory for it: asked for, waited for, and killed, twice."""
    tries = tmp_path / "tries"
    die = (
        "import encoders.decoding.worker as worker, os; "
        f"worker._Job._picture = lambda job: (job._take({1 << 24}), open({str(tries)!r}, 'a').write('.'), "
        "os.kill(os.getpid(), 9)); "
    )
    monkeypatch.setattr(processes, "_PROGRAM", processes._PROGRAM.replace("from encoders", die + "from encoders"))
    limits = DecodeLimits(max_decoding_bytes=1 << 24)
    with pytest.raises(processes.EndedError) as caught:
        decode_image(FINE, limits)
    assert str(caught.value) == "image cannot be decoded (the decoder was killed): free some memory, try again"
    assert tries.read_text() == ".."
    with limits.budget.lease() as lease:
        lease.take(1 << 24)  # all of it is there again
    monkeypatch.undo()
    processes._end_all()
    fine()


@pytest.mark.parametrize("call", ["encoders.decoding.processes.shared_memory", "socket.socketpair", "os.pipe"])
def test_no_descriptors_are_left_for_a_process(alone: None, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    before = len([*Path("/proc/self/fd").iterdir()])

    def none() -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(call, none)
    with pytest.raises(DecoderError, match=r"decoder cannot be started \(Too many open files\): raise ulimit -n"):
        fine()
    assert len([*Path("/proc/self/fd").iterdir()]) == before
    monkeypatch.undo()
    fine()


def test_a_process_that_ended_while_it_waited_is_replaced(alone: None) -> None:
    process = idle()
    os.kill(process.pid, signal.SIGKILL)
    psutil.wait_procs([psutil.Process(process.pid)], timeout=10)
    fine()
    assert processes._idle[-1] is not process


def test_a_process_is_replaced_after_many_contents(alone: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "CONTENTS", 2)
    first = idle()
    assert idle() is first
    assert idle() is not first


@pytest.mark.timeout(60)
def test_a_content_that_takes_too_long_is_given_up(alone: None) -> None:
    process = idle()
    limits = DecodeLimits(max_decoding_seconds=0.2, decoders=1)
    with pytest.raises(ContentError) as caught:
        decode_image(Image(SLOW), limits, 4000)
    assert str(caught.value) in {
        "image takes more than 0.2 seconds to decode: "
        "raise limits.max_decoding_seconds, or open it in an editor and save it again",
        # on a fast machine it meets the limit of its memory first
        "image cannot be decoded (the decoder was ended by SIGABRT): open it in an editor and save it again",
    }
    assert not psutil.pid_exists(process.pid)
    fine()


@pytest.mark.timeout(60)
def test_a_process_that_does_not_listen_is_given_up(alone: None) -> None:
    deaf = idle()
    os.kill(deaf.pid, signal.SIGSTOP)
    with pytest.raises(LimitError, match=r"audio takes more than 0\.2 seconds"):
        decode_audio(Audio(wav_bytes(seconds=60)), DecodeLimits(max_decoding_seconds=0.2), 16_000)
    assert not psutil.pid_exists(deaf.pid)
    fine()


def test_waiting_for_the_budget_is_no_time_of_decoding() -> None:
    limits = DecodeLimits(max_decoding_bytes=1 << 24, max_decoding_seconds=5)
    fine()
    with ThreadPoolExecutor(1) as pool:
        with limits.budget.lease() as lease:
            lease.take(1 << 24)
            waiting = pool.submit(decode_image, Image(black_png(3000, 3000)), limits, 100)
            time.sleep(6)
            assert not waiting.done()
        assert min(waiting.result(60).size) >= 100


def test_the_memory_of_a_large_content_is_given_back(alone: None) -> None:
    process = idle()
    decode_image(Image(black_png(3000, 3000)), LIMITS)
    assert processes._idle[-1] is process
    assert os.fstat(process._channel._memory).st_size == 0


def test_threads_get_their_own_answers() -> None:
    colours = [(number * 8, 0, 255 - number * 8) for number in range(24)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda one: decode_image(Image(png_bytes(one)), LIMITS).getpixel((1, 1)), colours))
    assert found == colours


def test_no_more_than_the_setting_decode_at_once(alone: None) -> None:
    limits = DecodeLimits(decoders=2)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda seed: decode_image(Image(png_bytes(seed)), limits), range(24)))
    assert 1 <= len(processes._idle) <= 2


def test_memory_beyond_what_was_asked_for_is_refused(alone: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A document of a million elements takes a hundred times its bytes as a tree."""
    drawing = (SVG + "<g/>" * 900_000 + "</svg>").encode()
    begin = "import encoders.decoding.worker as worker; worker.SLACK = 32 << 20; "
    monkeypatch.setattr(processes, "_PROGRAM", processes._PROGRAM.replace("from encoders", begin + "from encoders"))
    with pytest.raises(LimitError, match="image takes more memory to decode than its size lets expect: shrink"):
        decode_image(Image(drawing), LIMITS)
    fine()


def test_what_a_codec_says_goes_into_the_log_with_the_name_of_the_file(tmp_path: Path) -> None:
    whole = sound("MP3", sine(440, 44_100, 2.0), 44_100)
    path = tmp_path / "half.mp3"
    path.write_bytes(whole[: len(whole) // 2])
    for content, name in (
        (Audio(path), str(path)),
        (Audio(path.read_bytes(), "sounds/half.mp3"), "sounds/half.mp3"),
        (Audio(path.read_bytes()), f"audio of {len(whole) // 2} bytes"),
    ):
        with capture_logs() as logs, pytest.raises(ContentError, match="truncated"):
            decode_audio(content, LIMITS, 16_000)
        assert [(entry["event"], entry["source"]) for entry in logs] == [("decoder", name)]
        assert "Xing stream size off" in logs[0]["said"]


def test_a_codec_that_says_too_much_is_cut_short(alone: None) -> None:
    process = idle()
    with open(f"/proc/{process.pid}/fd/2", "w") as noise:  # noqa: PTH123
        os.set_blocking(noise.fileno(), False)
        noise.write("x" * 1000 + "\n" + "again\n" * 4000)
        noise.flush()
    with capture_logs() as logs:
        fine()
    assert len(logs) == processes.MAX_LINES + 1
    assert len(logs[0]["said"]) == processes.MAX_LINE
    assert logs[-1]["more_lines"] == 4001 - processes.MAX_LINES


def children(pid: int) -> list[psutil.Process]:
    return psutil.Process(pid).children(recursive=True)


SCRIPT = """
import sys, threading
from encoders.decoding.decode import decode_image
from encoders.decoding.limits import DecodeLimits
from encoders.types import Image
limits = DecodeLimits(max_decoding_seconds=600)
data = sys.stdin.buffer.read()
decode_image(Image(b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>"))
print("ready", flush=True)
decode_image(Image(data), limits, 500)
"""


@pytest.mark.timeout(60)
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_no_process_survives_us_even_in_the_middle_of_a_drawing(how: signal.Signals) -> None:
    with subprocess.Popen([sys.executable, "-c", SCRIPT], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdin and parent.stdout
        parent.stdin.write(SLOW)
        parent.stdin.close()
        assert parent.stdout.readline() == b"ready\n"
        (decoder,) = children(parent.pid)
        before = decoder.cpu_times().user
        while decoder.cpu_times().user < before + 0.3:  # it renders
            time.sleep(0.01)
        parent.send_signal(how)
        parent.wait(30)
    psutil.wait_procs([decoder], timeout=30)
    assert not decoder.is_running() or decoder.status() == psutil.STATUS_ZOMBIE


def test_they_end_with_us_without_a_word() -> None:
    script = (
        "from encoders.decoding import processes\nfrom encoders.decoding.decode import decode_image\n"
        "from encoders.types import Image\n"
        f"decode_image(Image({png_bytes(RED)!r}))\nprint(processes._idle[0].pid)"
    )
    run = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=True)
    assert not run.stderr
    assert not psutil.pid_exists(int(run.stdout))


def test_an_interruption_is_not_for_them(alone: None) -> None:
    process = idle()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(process.pid, number)
    fine()
    assert processes._idle[-1] is process
    assert os.getpgid(process.pid) != os.getpgid(0)


def test_they_are_light(alone: None) -> None:
    decode_audio(Audio(wav_bytes()), LIMITS, 16_000)
    decode_image(Image((SVG + "</svg>").encode()), LIMITS)
    process = idle()
    maps = Path(f"/proc/{process.pid}/maps").read_text()
    assert "/torch/" not in maps
    assert "/scipy/" not in maps


def test_a_process_that_cannot_be_started(alone: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_PROGRAM", "raise SystemExit('no such codec')")
    with pytest.raises(DecoderError, match=r"decoder does not start \(no such codec\)"):
        fine()
    monkeypatch.undo()
    fine()


def test_samples_come_whole_through_many_blocks() -> None:
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, 700_001).astype(np.float32)
    found = decode_audio(Audio(sound("WAV", samples, 16_000, "FLOAT")), LIMITS, 16_000)
    np.testing.assert_array_equal(found, samples)
