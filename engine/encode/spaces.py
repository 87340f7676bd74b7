"""Spaces by the name that the settings say: those of Triveni, and those that other distributions add.

Imports are inside the functions: each space loads libraries of its own, and PyTorch alone takes seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from encoders.errors import SpaceError
from encoders.types import Modality
from engine.core.errors import SettingsError
from engine.core.plugins import Parts
from engine.core.section import Section
from engine.encode.settings import SpaceSettings

if TYPE_CHECKING:
    from encoders.decoding.limits import DecodeLimits
    from encoders.spaces.folder import Extractors
    from encoders.spaces.space import Space

STARTERS = ("starter", "starter-multilingual")
"""Names that mean these spaces even where a folder is called so."""


@dataclass(frozen=True, slots=True)
class SpaceSetup:
    """Which space, and where and how its networks run."""

    space: SpaceSettings
    limits: DecodeLimits
    """Shared by all encoders of the space, so that they share one budget of memory."""

    @property
    def threads(self) -> int | None:
        """Of a network on the CPU; None takes all cores."""
        return self.space.threads or None

    @property
    def torch_device(self) -> str:
        """The device that PyTorch runs on: "auto" is a GPU where there is one."""
        if self.space.device != "auto":
            return self.space.device
        import torch

        return "cuda" if torch.cuda.is_available() else "cpu"


@runtime_checkable
class SpaceOpener(Protocol):
    """Loads the encoders of a space."""

    def open(self, argument: str, setup: SpaceSetup) -> Space:
        """The space.

        Args:
            argument: what stands after the colon in `space.name`, "" if nothing does.
            setup: where and how its networks run.

        Raises:
            WeightsError: if weights are missing, or not the ones that the space was built with.
            SpaceError: if the argument names no space.
        """


SPACES: Parts[SpaceOpener] = Parts(
    "triveni.spaces",
    "space",
    SpaceOpener,
    {
        "starter": "engine.encode.spaces:Starter",
        "starter-multilingual": "engine.encode.spaces:StarterMultilingual",
        "openclip": "engine.encode.spaces:OpenClip",
    },
)
"""What opens the spaces of a name, or of the names that begin with it and a colon."""


class Starter:
    """The starter space."""

    name = "starter"

    def __init__(self, settings: Section) -> None: ...

    def open(self, argument: str, setup: SpaceSetup) -> Space:
        """See `SpaceOpener.open`; it takes no argument."""
        from encoders.spaces.starter import load_starter

        if argument:
            raise SpaceError(f"there is no space '{self.name}:{argument}'", f"set space.name to {self.name}")
        space = setup.space
        return load_starter(
            space.cache, setup.limits, space.device, setup.threads, name=self.name, sources=space.sources
        )


class StarterMultilingual(Starter):
    """The starter space for texts of a hundred languages."""

    name = "starter-multilingual"


class OpenClip:
    """OpenCLIP models as they were published; the argument is `<model>/<pretrained>`."""

    def __init__(self, settings: Section) -> None: ...

    def open(self, argument: str, setup: SpaceSetup) -> Space:
        """See `SpaceOpener.open`."""
        from encoders.fitting.build_openclip import plain_openclip_space

        return plain_openclip_space(argument, device=setup.torch_device, limits=setup.limits)


def load_space(setup: SpaceSetup) -> Space:
    """Load the encoders of a space.

    Args:
        setup: its name is that of an opener, `opener:argument`, or the path of a folder that `triveni space build`
            wrote.

    Raises:
        WeightsError: if weights are missing, or not the ones that the space was built with.
        SpaceError: if a folder holds no readable space.
        SettingsError: if the name is neither of a known kind nor a folder, or an option is wrong.
        PluginError: if the distribution that adds it is broken.
    """
    name = setup.space.name
    kind, colon, argument = name.partition(":")
    if kind in SPACES and (colon or not Path(name).is_dir() or name in STARTERS):
        return SPACES.make(kind, setup.space.options, "space.options").open(argument, setup)
    if Path(name).is_dir():
        from encoders.spaces.folder import load_space_folder

        return load_space_folder(Path(name), pivot_extractors(setup), device=setup.torch_device, limits=setup.limits)
    known = ", ".join([*STARTERS, "openclip:<model>/<pretrained>", *SPACES.added()])
    raise SettingsError(f"there is no space {name!r}", f"set space.name to {known} or a folder")


def pivot_extractors(setup: SpaceSetup) -> Extractors:
    """The networks that bring long texts and sounds into an OpenCLIP space: those of the starter space."""
    from encoders.networks.audio import SoundEncoder
    from encoders.networks.text import SentenceEncoder
    from encoders.spaces.folder import AUDIO, LONG_TEXT

    space, limits, threads = setup.space, setup.limits, setup.threads
    text, audio = space.sources.get(Modality.TEXT), space.sources.get(Modality.AUDIO)
    return {
        LONG_TEXT: lambda: SentenceEncoder(space.cache, limits, space.device, threads, text),
        AUDIO: lambda: SoundEncoder(space.cache, limits, threads, audio),
    }
