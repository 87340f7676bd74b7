"""Suites that every implementation of a protocol has to pass; pytest runs them.

Subclass the suite of a part as `class TestMine(EncoderContract)` and say which one it is. `small` has data to run on.
May import: everything; nothing imports it.
"""

from engine.testing.encoders import EncoderContract, SpaceContract
from engine.testing.models import ServedModelContract
from engine.testing.rankers import RankerContract
from engine.testing.readers import ReaderContract
from engine.testing.rules import PolicyRuleContract
from engine.testing.sources import CandidateSourceContract

__all__ = [
    "CandidateSourceContract",
    "EncoderContract",
    "PolicyRuleContract",
    "RankerContract",
    "ReaderContract",
    "ServedModelContract",
    "SpaceContract",
]
