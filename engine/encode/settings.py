"""Settings of the space and of what its encoders decode."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from encoders.decoding.limits import DEFAULT_LIMITS
from encoders.types import Modality
from engine.core.section import Section


class SpaceSettings(Section):
    """The shared space and where it runs."""

    name: str = "starter"
    """`starter`, `starter-multilingual`, `openclip:<model>/<pretrained>`, the path of a folder that `triveni space
    build` wrote, or the name of a space that another distribution adds."""
    options: Mapping[str, Any] = Field(default_factory=dict)
    """Settings of a space that another distribution adds."""
    cache: Path = Path("var/models")
    """Where converted networks are kept."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """`auto` takes a GPU where there is one."""
    threads: int = Field(default=0, ge=0)
    """Threads of a network on the CPU; 0 takes all cores."""
    sources: Mapping[Modality, str] = Field(default_factory=dict)
    """Where the weights of a starter space's networks are, if not in the installed packages: a folder, or
    `hf-hub:<org>/<repository>`. They must be the same files: checksums are compared."""


class LimitSettings(Section):
    """The largest content that is decoded; see `encoders.decoding.limits`."""

    max_bytes: int = Field(default=DEFAULT_LIMITS.max_bytes, gt=0)
    """Bytes of a file."""
    max_pixels: int = Field(default=DEFAULT_LIMITS.max_pixels, gt=0)
    """Pixels of a picture: width times height."""
    max_seconds: float = Field(default=DEFAULT_LIMITS.max_seconds, gt=0)
    """Seconds of a sound."""
    max_characters: int = Field(default=DEFAULT_LIMITS.max_characters, gt=0)
    """Characters of a text."""
    max_decoding_bytes: int = Field(default=DEFAULT_LIMITS.max_decoding_bytes, gt=0)
    """Memory that large pictures and sounds take at once while they are decoded; more wait."""
    max_side: int = Field(default=DEFAULT_LIMITS.max_side, gt=0)
    """The longer side of a picture, in pixels."""
    max_ratio: float = Field(default=DEFAULT_LIMITS.max_ratio, ge=1)
    """The longer side of a picture over the shorter one."""
    max_decoding_seconds: float = Field(default=DEFAULT_LIMITS.max_decoding_seconds, gt=0)
    """A picture or sound that takes longer to decode is given up."""
    decoders: int = Field(default=DEFAULT_LIMITS.decoders, ge=0)
    """Processes that decode pictures and sounds at once; 0 takes one per core, and four at least."""
    quarantine: Path = Path("var/quarantine.jsonl")
    """The file of contents that killed two of these processes and are refused since."""
