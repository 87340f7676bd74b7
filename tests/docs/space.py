"""The concept space of `tests.tiny` as a space that a distribution adds: what the code of the documents runs in."""

from encoders.spaces.space import Space
from engine.core.section import Section
from engine.encode.spaces import SpaceSetup
from tests.tiny import concept_space


class Concepts:
    """Opens it."""

    Settings = Section

    def __init__(self, settings: Section) -> None:
        self._settings = settings

    def open(self, argument: str, setup: SpaceSetup) -> Space:
        return concept_space(limits=setup.limits)
