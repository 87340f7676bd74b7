"""All that is fuzzed, by name."""

from collections.abc import Mapping

from tests.fuzz.target import Target
from tests.fuzz.targets import catalogues, decoders, texts, wire

TARGETS: Mapping[str, Target] = {
    **decoders.TARGETS,
    **catalogues.TARGETS,
    **texts.TARGETS,
    **wire.TARGETS,
}
