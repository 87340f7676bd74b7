"""Sounds: every format and rate; lengths decided by what is there."""

import io
import struct

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from encoders.decoding.decode import decode_audio
from encoders.decoding.limits import DecodeLimits
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


def mpeg_frames(data: bytes) -> list[bytes]:
    """The frames of an MPEG-1 layer III file without tags."""
    rates = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
    frames, at = [], 0
    while at + 4 <= len(data):
        assert data[at] == 0xFF
        assert data[at + 1] >> 1 == 0b1111101
        size = 144_000 * rates[data[at + 2] >> 4] // (44_100, 48_000, 32_000)[data[at + 2] >> 2 & 3]
        size += data[at + 2] >> 1 & 1
        frames.append(data[at : at + size])
        at += size
    return frames


def bare_mp3(samples: np.ndarray, rate: int = 44_100, level: float = 0.5) -> list[bytes]:
    """Its frames without the one that says how many there are."""
    buffer = io.BytesIO()
    with soundfile.SoundFile(
        buffer, "w", rate, 1, format="MP3", bitrate_mode="CONSTANT", compression_level=level
    ) as file:
        file.write(samples)
    frames = mpeg_frames(buffer.getvalue())
    return [frame for frame in frames if b"Xing" not in frame[:64] and b"Info" not in frame[:64]]


def id3(size: int) -> bytes:
    """An ID3v2 tag of so many bytes."""
    return b"ID3\x03\0\0" + bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0)) + b"a" * size


APE = b"APETAGEX" + struct.pack("<IIII", 2000, 32, 0, 0x8000_0000) + bytes(8)
ID3V1 = b"TAG" + bytes(125)


@pytest.mark.parametrize(
    "before", [b"", id3(4000), id3(300_000), id3(50) + id3(9000)], ids=["none", "id3", "large", "two"]
)
@pytest.mark.parametrize("behind", [b"", ID3V1, APE, APE + ID3V1], ids=["none", "id3v1", "ape", "both"])
def test_an_mp3_whose_length_no_header_says(before: bytes, behind: bytes) -> None:
    frames = bare_mp3(sine(440, 44_100, 1.0))
    samples = decode_audio(Audio(before + b"".join(frames) + behind), LIMITS, 16_000)
    assert abs(len(samples) - len(frames) * 1152 * 16_000 / 44_100) <= 2 * 1152
    assert abs(pitch(samples[3000:13_000], 16_000) - 440) < 1


@pytest.mark.parametrize("padding", [1, 500, 3000])
def test_padding_between_the_tag_and_the_first_frame_of_an_mp3(padding: int) -> None:
    frames = bare_mp3(sine(440, 44_100, 1.0))
    samples = decode_audio(Audio(id3(4000) + bytes(padding) + b"".join(frames)), LIMITS, 16_000)
    assert abs(len(samples) - len(frames) * 1152 * 16_000 / 44_100) <= 2 * 1152


@pytest.mark.parametrize("order", [1, -1])
def test_an_mp3_of_changing_bit_rates_is_read_to_its_end(order: int) -> None:
    """The first frame says nothing about the length of the others."""
    parts = [bare_mp3(sine(440, 44_100, 2.0), level=level) for level in (0.0, 0.9)][::order]
    assert len({len(part[5]) // 10 for part in parts}) == 2
    samples = decode_audio(Audio(b"".join(parts[0] + parts[1])), LIMITS, 16_000)
    assert abs(len(samples) - sum(map(len, parts)) * 1152 * 16_000 / 44_100) <= 2 * 1152


def test_an_mp3_without_a_claim_may_end_anywhere_and_one_with_a_claim_may_not() -> None:
    data = b"".join(bare_mp3(sine(440, 44_100, 2.0)))
    samples = decode_audio(Audio(data[: len(data) // 2]), LIMITS, 16_000)
    assert 0.8 < len(samples) / 16_000 < 1.2
    whole = sound("MP3", sine(440, 44_100, 2.0), 44_100)
    with pytest.raises(ContentError, match=r"audio is truncated"):
        decode_audio(Audio(whole[: len(whole) // 2]), LIMITS, 16_000)
    with pytest.raises(ContentError, match=r"audio is truncated or corrupt|no known format"):
        decode_audio(Audio(data[:3000] + b"\x55" * 5000 + data[3000:]), LIMITS, 16_000)
    with pytest.raises(ContentError):
        decode_audio(Audio(id3(4000)), LIMITS, 16_000)


def test_an_mp3_without_a_claim_over_the_limit_of_seconds() -> None:
    data = b"".join(bare_mp3(sine(440, 44_100, 3.0)))
    with pytest.raises(LimitError, match=r"audio is longer than 2 seconds: raise limits\.max_seconds"):
        decode_audio(Audio(id3(4000) + data), DecodeLimits(max_seconds=2), 16_000)


def test_a_flac_that_was_written_to_a_pipe_says_no_length() -> None:
    data = bytearray(sound("FLAC", sine(440, 16_000), 16_000))
    assert data[:4] == b"fLaC"
    data[21] &= 0xF0  # the 36 bits of the number of samples
    data[22:26] = bytes(4)
    assert len(decode_audio(Audio(bytes(data)), LIMITS, 16_000)) == 16_000


def test_a_flac_that_claims_more_than_it_holds() -> None:
    data = bytearray(sound("FLAC", sine(440, 16_000), 16_000))
    data[22:26] = struct.pack(">I", 160_000)
    with pytest.raises(ContentError, match=r"audio is truncated \(its header claims 10.0 seconds, 1.0 are there\)"):
        decode_audio(Audio(bytes(data)), LIMITS, 16_000)


@pytest.mark.parametrize("channels", [3, 8])
def test_flac_of_many_channels(channels: int) -> None:
    data = sound("FLAC", np.stack([sine(440, 48_000)] * channels, axis=1), 48_000)
    samples = decode_audio(Audio(data), LIMITS, 16_000)
    assert abs(pitch(samples[3000:13_000], 16_000) - 440) < 1


@pytest.mark.parametrize(("rate", "channels"), [(1, 1), (0, 1), (0xEE6B_2800, 1), (16_000, 0), (16_000, 65_535)])
def test_headers_of_absurd_rates_and_channels(rate: int, channels: int) -> None:
    data = bytearray(wav_bytes(seconds=1.0))
    data[22:28] = struct.pack("<HI", channels, rate)
    with pytest.raises(ContentError) as caught:
        decode_audio(Audio(bytes(data)), LIMITS, 16_000)
    assert caught.value.remedy
