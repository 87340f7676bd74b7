"""Sounds: every format and rate; lengths decided by what is there."""

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from encoders.decode import DecodeLimits, decode_audio
from encoders.errors import ContentError, LimitError
from encoders.types import Audio
from tests.encoders.media import LIMITS, sine, sound
from tests.tiny import wav_bytes


def pitch(samples: np.ndarray, rate: int) -> float:
    """The loudest frequency in Hz, between bins by a parabola."""
    power = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    top = int(np.argmax(power[1:-1])) + 1
    left, middle, right = np.log(power[top - 1 : top + 2] + 1e-12)
    return (top + 0.5 * (left - right) / (left - 2 * middle + right)) * rate / len(samples)


@pytest.mark.parametrize("rate", [8000, 16_000, 22_050, 44_100, 48_000])
@pytest.mark.parametrize("kind", ["WAV", "FLAC", "OGG", "MP3"])
@pytest.mark.parametrize("channels", [1, 2])
def test_sound_formats(kind: str, rate: int, channels: int) -> None:
    signal = sine(440, rate)
    data = sound(kind, np.stack([signal] * channels, axis=1), rate)
    samples = decode_audio(Audio(data), LIMITS, 16_000)
    assert samples.dtype == np.float32
    assert samples.ndim == 1
    assert abs(len(samples) - 16_000) < (2500 if kind == "MP3" else 2)  # MP3 comes in whole frames
    middle = samples[3000:13_000]
    assert abs(pitch(middle, 16_000) - 440) < 1
    assert abs(np.sqrt(np.mean(middle**2)) - 0.5 / np.sqrt(2)) < 0.02


@given(
    rate=st.integers(8000, 192_000),
    wanted=st.sampled_from([8000, 16_000, 32_000, 48_000]),
    frequency=st.floats(60, 3000),
)
@settings(max_examples=60, deadline=None)
def test_resampling_keeps_the_frequency_and_level_of_a_sine(rate: int, wanted: int, frequency: float) -> None:
    signal = sine(frequency, rate, 0.5)
    samples = decode_audio(Audio(sound("WAV", signal, rate, "FLOAT")), LIMITS, wanted)
    expected = len(signal) * wanted / rate  # the ratio of the rates is kept to 1e-3 of itself
    assert abs(len(samples) - expected) <= 2 + 1e-3 * expected
    middle = samples[len(samples) // 10 : -len(samples) // 10]
    assert abs(pitch(middle, wanted) - frequency) < 1 + 1e-3 * frequency
    assert abs(np.sqrt(np.mean(middle**2)) - 0.5 / np.sqrt(2)) < 0.02


@given(rate=st.sampled_from([44_100, 48_000, 96_000, 192_000]))
@settings(deadline=None)
def test_resampling_removes_what_the_new_rate_cannot_hold(rate: int) -> None:
    samples = decode_audio(Audio(sound("WAV", sine(12_000, rate), rate, "FLOAT")), LIMITS, 16_000)
    assert np.abs(samples[500:-500]).max() < 0.01


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "MS_ADPCM"])
def test_wav_encodings(subtype: str) -> None:
    samples = decode_audio(Audio(sound("WAV", sine(440, 16_000), 16_000, subtype)), LIMITS, 16_000)
    assert abs(pitch(samples[1000:15_000], 16_000) - 440) < 1
    assert abs(np.abs(samples).max() - 0.5) < 0.02


def test_channels_are_averaged_and_values_kept_in_range() -> None:
    opposite = np.stack([sine(440, 16_000), -sine(440, 16_000)], axis=1)
    assert np.abs(decode_audio(Audio(sound("WAV", opposite, 16_000)), LIMITS, 16_000)).max() < 1e-3
    loud = decode_audio(Audio(sound("WAV", 8 * sine(440, 48_000), 48_000, "FLOAT")), LIMITS, 16_000)
    assert loud.min() >= -1
    assert loud.max() <= 1


def lying_wav(seconds_claimed: float, seconds: float = 1.0, rate: int = 16_000) -> bytes:
    data = bytearray(wav_bytes(seconds=seconds, sample_rate=rate))
    length = int(seconds_claimed * rate * 2)
    data[4:8], data[40:44] = struct.pack("<I", length + 36), struct.pack("<I", length)
    return bytes(data)


def test_a_wav_that_claims_ten_hours_is_refused_for_what_it_holds() -> None:
    message = (
        r"audio is truncated \(its header claims 1152000000 bytes of samples, 32000 are there\): send the whole file"
    )
    with pytest.raises(ContentError, match=message):
        decode_audio(Audio(lying_wav(36_000)), LIMITS, 16_000)


@pytest.mark.parametrize("length", [0xFFFF_FFFF, 0x7FFF_FFFF])
def test_a_wav_from_a_pipe_is_read_to_its_end(length: int) -> None:
    data = bytearray(wav_bytes(seconds=1.0))
    data[4:8] = data[40:44] = struct.pack("<I", length)
    assert len(decode_audio(Audio(bytes(data)), LIMITS, 16_000)) == 16_000


def test_a_sound_over_the_limit_of_seconds() -> None:
    limits = DecodeLimits(max_seconds=2)
    assert len(decode_audio(Audio(wav_bytes(seconds=2)), limits, 16_000)) == 32_000
    for kind in ("WAV", "FLAC", "OGG", "MP3"):
        with pytest.raises(LimitError, match=r"audio is longer than 2 seconds .*raise limits.max_seconds"):
            decode_audio(Audio(sound(kind, sine(440, 16_000, 3), 16_000)), limits, 16_000)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE"])
def test_samples_that_are_not_finite(value: float, subtype: str) -> None:
    signal = sine(440, 16_000)
    signal[7000] = value
    with pytest.raises(ContentError, match="audio holds samples that are NaN or infinite"):
        decode_audio(Audio(sound("WAV", signal, 16_000, subtype)), LIMITS, 8000)


def test_sounds_without_samples_or_with_an_odd_header() -> None:
    with pytest.raises(ContentError, match="audio has no samples: send a sound that is not empty"):
        decode_audio(Audio(wav_bytes(seconds=0)), LIMITS, 16_000)
    with pytest.raises(ContentError, match="audio has a sample rate of 50 Hz"):
        decode_audio(Audio(wav_bytes(sample_rate=50, seconds=1)), LIMITS, 16_000)
    with pytest.raises(ContentError, match=r"audio has no known format.*send one of wav, flac, ogg and mp3"):
        decode_audio(Audio(b"\x00\x01 this is no sound" * 50), LIMITS, 16_000)
    with pytest.raises(ContentError, match="audio is truncated"):
        decode_audio(Audio(wav_bytes()[:30]), LIMITS, 16_000)


def test_silence_is_a_sound() -> None:
    assert not decode_audio(Audio(sound("WAV", np.zeros(1000), 8000)), LIMITS, 16_000).any()
