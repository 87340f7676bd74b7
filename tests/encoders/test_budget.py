"""The memory that decoding takes stays bounded, whatever is decoded at once."""

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from scipy.signal import resample_poly

from encoders.decoding import resample
from encoders.decoding.budget import SMALL, ByteBudget
from encoders.decoding.decode import decode_audio, decode_image, decoding_audio, decoding_image
from encoders.decoding.limits import DecodeLimits
from encoders.errors import ContentError
from encoders.networks.audio import LOUDNESS, level
from encoders.types import Audio, Image
from tests.encoders.media import black_png, sine, sound
from tests.tiny import png_bytes, wav_bytes

MIB = 1 << 20


def test_what_is_taken_stays_within_the_budget_and_is_given_back() -> None:
    budget = ByteBudget(100 * MIB)
    random = np.random.default_rng(0)
    held: list[int] = []
    most: list[int] = []
    guard = threading.Lock()

    def decode(size: int) -> None:
        with budget.lease() as lease:
            lease.take(size)
            with guard:
                held.append(size)
                most.append(sum(held))
            with guard:
                held.remove(size)

    sizes = [int(size) * MIB for size in random.integers(SMALL // MIB, 90, 400)]
    with ThreadPoolExecutor(20) as pool:
        list(pool.map(decode, sizes))
    assert max(most) <= 100 * MIB
    assert len(most) == 400
    budget.take(100 * MIB)  # all of it is free again


def test_what_is_larger_than_the_budget_is_let_through_alone_and_small_things_do_not_wait() -> None:
    budget = ByteBudget(10 * MIB)
    entered = threading.Event()
    with budget.lease() as large:
        large.take(50 * MIB)
        with budget.lease() as small:
            small.take(SMALL - 1)

        def second() -> None:
            with budget.lease() as lease:
                lease.take(SMALL)
                entered.set()

        waiting = threading.Thread(target=second)
        waiting.start()
        assert not entered.wait(0.05)
    waiting.join(10)
    assert entered.is_set()


def test_a_large_one_is_not_overtaken_by_later_ones() -> None:
    budget = ByteBudget(10 * MIB)
    budget.take(5 * MIB)
    order: list[str] = []
    started = [threading.Event(), threading.Event()]

    def take(name: str, size: int, began: threading.Event) -> None:
        began.set()
        budget.take(size)
        order.append(name)
        budget.give(size)

    threads = [
        threading.Thread(target=take, args=("large", 10 * MIB, started[0])),
        threading.Thread(target=take, args=("later", 5 * MIB, started[1])),
    ]
    for thread, began in zip(threads, started, strict=True):
        thread.start()
        began.wait(10)
        while len(budget._waiting) < threads.index(thread) + 1:
            time.sleep(0.001)
    budget.give(5 * MIB)
    for thread in threads:
        thread.join(10)
    assert order == ["large", "later"]


def test_pictures_and_sounds_count_while_they_are_used_and_not_after() -> None:
    limits = DecodeLimits(max_decoding_bytes=1)
    picture, tone = Image(black_png(3000, 3000)), Audio(wav_bytes(seconds=60))
    with decoding_image(picture, limits, 100):
        assert limits.budget._used >= 9_000_000
    with decoding_audio(tone, limits, 16_000) as samples:
        assert limits.budget._used >= samples.nbytes
    assert limits.budget._used == 0
    damaged = Image(black_png(3000, 3000)[:-2000])
    with pytest.raises(ContentError):
        decode_image(damaged, limits)
    assert limits.budget._used == 0
    with decoding_image(Image(png_bytes(3)), limits), decoding_audio(Audio(wav_bytes()), limits, 8000):
        assert limits.budget._used == 0


PEAK = """
import contextlib, psutil, resource, sys, threading, time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from encoders.networks.audio import level
from encoders.decoding import processes
from encoders.decoding.budget import give_back_memory
from encoders.decoding.decode import decoding_audio, decoding_image
from encoders.decoding.limits import DecodeLimits
from encoders.types import Audio, Image
import scipy.signal
give_back_memory()
limits = DecodeLimits(max_decoding_bytes=64 << 20, decoders=20)
data = {kind: Path(sys.argv[1], kind).read_bytes() for kind in ("sound", "picture", "small")}
def decode(number):
    if number % 2:
        with decoding_audio(Audio(data["sound"]), limits, 16_000) as samples:
            time.sleep(0.1)
            return len(level(samples))
    with decoding_image(Image(data["picture"]), limits) as picture:
        time.sleep(0.1)
        return picture.width
with decoding_image(Image(data["small"]), limits):
    pass
small = psutil.Process(processes._idle[0].pid).memory_info().rss
largest, done = 0, threading.Event()
def watch():
    global largest
    while not done.wait(0.005):
        held = 0
        for child in psutil.Process().children():
            with contextlib.suppress(psutil.Error):
                if child.cmdline()[1:2] == ["-I"]:  # else it is still a copy of us
                    held += max(0, child.memory_info().rss - small)
        largest = max(largest, held)
watching = threading.Thread(target=watch)
watching.start()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
with ThreadPoolExecutor(20) as pool:
    assert all(pool.map(decode, range(20)))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
done.set()
watching.join()
print(largest // 1024)
"""


def test_twenty_threads_stay_within_the_budget(tmp_path) -> None:
    # One sound takes 19 MB and the copies that level makes, one picture 90 MB; without a budget twenty take 1000.
    # What a decoder has given back may still be counted while the next one takes its own.
    (tmp_path / "sound").write_bytes(sound("FLAC", np.tile(sine(440, 8000), 300), 8000))
    (tmp_path / "small").write_bytes(png_bytes(3))
    (tmp_path / "picture").write_bytes(black_png(3000, 3000))
    done = subprocess.run([sys.executable, "-c", PEAK, str(tmp_path)], capture_output=True, text=True, check=True)
    ours, theirs = map(int, done.stdout.split())
    assert ours * 1024 < 700 * MIB
    assert 50 * MIB < theirs * 1024 < 700 * MIB


@pytest.mark.parametrize(("rate", "wanted"), [(384_000, 16_000), (44_100, 16_000), (11_025, 16_000), (8000, 44_100)])
@pytest.mark.parametrize("seconds", [0.003, 1.7, 9.3])
def test_resampling_by_blocks_is_resampling_of_the_whole(rate: int, wanted: int, seconds: float) -> None:
    samples = np.random.default_rng(1).uniform(-0.3, 0.3, round(seconds * rate)).astype(np.float32)
    got = decode_audio(Audio(sound("WAV", samples, rate, "FLOAT")), DecodeLimits(), wanted)
    divisor = np.gcd(rate, wanted)
    expected = resample_poly(samples, wanted // divisor, rate // divisor)
    assert got.shape == expected.shape
    assert np.abs(got - np.clip(expected, -1, 1)).max() < 1e-6


def test_a_sound_is_never_held_at_its_own_rate(monkeypatch) -> None:
    longest = 0
    made = resample.Resampler._made

    def watched(self: resample.Resampler, samples: np.ndarray) -> np.ndarray:
        nonlocal longest
        longest = max(longest, len(samples))
        return made(self, samples)

    monkeypatch.setattr(resample.Resampler, "_made", watched)
    decode_audio(Audio(sound("FLAC", np.tile(sine(440, 96_000), 20), 96_000)), DecodeLimits(), 16_000)
    assert 0 < longest < 3 * resample.BLOCK


def test_levelling_cuts_silence_and_sets_the_loudness() -> None:
    quiet = np.zeros(100_000, np.float32)
    quiet[30_000:70_000] = 0.01 * sine(440, 16_000, 2.5)
    levelled = level(quiet)
    assert 39_900 <= len(levelled) <= 40_000
    assert np.sqrt(np.mean(levelled**2)) == pytest.approx(LOUDNESS, rel=1e-4)
    assert len(level(np.zeros(500, np.float32))) == 500
