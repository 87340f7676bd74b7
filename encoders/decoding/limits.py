"""How large a content may be, and what decoding may take. Light to import: settings take their defaults from here."""

import os
import threading
from dataclasses import dataclass, field, fields
from pathlib import Path

from encoders.decoding.budget import ByteBudget
from encoders.decoding.quarantine import Quarantine

_LEAST = 4
"""Processes, where the setting leaves it open."""


@dataclass(frozen=True, slots=True)
class DecodeLimits:
    """How large a content may be, and what decoding may take. All limits are above zero.

    Raises:
        ValueError: if a limit is zero, negative or NaN.
    """

    max_bytes: int = 64 * 1024 * 1024
    """Bytes of a file, and of a gzipped drawing after unpacking."""
    max_pixels: int = 67_108_864
    """Width times height of a picture."""
    max_side: int = 32_768
    """The longer side of a picture, in pixels."""
    max_ratio: float = 200
    """The longer side of a picture over the shorter one."""
    max_seconds: float = 600
    """Length of a sound."""
    max_characters: int = 100_000
    """Length of a text, in code points."""
    max_decoding_bytes: int = 1 << 30
    """Memory that large pictures and sounds take at once while they are decoded, over all threads that share these
    limits; more wait. One that takes more by itself is decoded alone."""
    max_decoding_seconds: float = 20
    """A picture or sound that takes longer to decode is given up."""
    decoders: int = 0
    """Processes that decode at once, at most, over all threads that share these limits; 0 takes one per core, four at
    least: a content that hangs keeps its process until its time is up."""
    quarantine: Path | None = None
    """Where it is kept which contents killed the processes that decoded them; None forgets it with these limits."""
    quarantined: Quarantine = field(init=False, repr=False, compare=False)
    """Keeps `quarantine`."""
    budget: ByteBudget = field(init=False, repr=False, compare=False)
    """Keeps `max_decoding_bytes`."""
    slots: threading.Semaphore = field(init=False, repr=False, compare=False)
    """Keeps `decoders`."""

    def __post_init__(self) -> None:
        for limit in fields(self):
            if limit.name.startswith("max_") and not getattr(self, limit.name) > 0:
                raise ValueError(f"limits.{limit.name} is {getattr(self, limit.name)}: set a value above 0")
        if self.decoders < 0:
            raise ValueError(f"limits.decoders is {self.decoders}: set a value above 0, or 0 for one per core")
        object.__setattr__(self, "slots", threading.Semaphore(self.decoders or max(_LEAST, os.cpu_count() or 1)))
        object.__setattr__(self, "quarantined", Quarantine(self.quarantine, self.max_decoding_seconds))
        object.__setattr__(self, "budget", ByteBudget(self.max_decoding_bytes))


DEFAULT_LIMITS = DecodeLimits()
