"""One small content of each modality, made here: to prove that an encoder works."""

import io
import math
import struct
import wave

from PIL import Image as Pillow

from encoders.types import Audio, Content, Image, Modality, Text


def sample(modality: Modality) -> Content:
    """A short text, a grey gradient, or a second of a 440 Hz tone."""
    match modality:
        case Modality.TEXT:
            return Text("a small red bird sings")
        case Modality.IMAGE:
            buffer = io.BytesIO()
            Pillow.linear_gradient("L").convert("RGB").save(buffer, "PNG")
            return Image(buffer.getvalue())
        case Modality.AUDIO:
            return Audio(_tone())


def _tone(seconds: float = 1.0, rate: int = 16_000, hertz: float = 440.0) -> bytes:
    samples = (int(9000 * math.sin(2 * math.pi * hertz * step / rate)) for step in range(int(seconds * rate)))
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(b"".join(struct.pack("<h", sample) for sample in samples))
    return buffer.getvalue()
