"""How high contents score that have nothing to do with each other: the tail of their distribution."""

from dataclasses import dataclass

import numpy as np

from encoders.types import Doubles, Floats


@dataclass(frozen=True, slots=True)
class Tail:
    """An exponential tail through two scores: each `hundredth - tenth` further, a tenth as many unrelated ones come.

    That is the generalised Pareto distribution of shape 0 over the score that one in ten reaches (Pickands, Annals of
    Statistics 3, 1975). Both scores lie where nearly all pairs are unrelated indeed; further out, related pairs that
    nobody marked as such (synonyms, copies) are most of what is found, and a fit there would be one of these.
    """

    tenth: float
    """The score that one in ten unrelated contents reaches, in standard deviations; see `PairCalibration.z`."""
    hundredth: float
    """The score that one in a hundred reaches; larger."""

    def probability(self, scores: Floats) -> Doubles:
        """How probably an unrelated content scores at least so; any shape."""
        decades = (np.asarray(scores, np.float64) - self.tenth) / (self.hundredth - self.tenth)
        return np.asarray(10.0 ** -np.clip(decades + 1, 0, 300), np.float64)

    def cutoff(self, probability: float) -> float:
        """The score that an unrelated content reaches with a probability of 0.1 or less."""
        return float(self.tenth + (self.hundredth - self.tenth) * -np.log10(10 * probability))

    @classmethod
    def of(cls, scores: Floats) -> "Tail":
        """The tail of the scores (n,) of pairs of which most, but perhaps not nine in ten, are unrelated.

        Where a tenth of all pairs are related, as in a catalogue of few categories, the scores that one in ten and
        one in a hundred reach are those of related pairs. The lower half is hardly touched by that, and bounds them.
        """
        quarter, half, tenth, hundredth = np.quantile(scores, (0.25, 0.5, 0.9, 0.99)).tolist()
        width = (half - quarter) / _QUARTER
        tenth = min(tenth, half + _TENTH * width)
        return cls(tenth, max(min(hundredth, half + _HUNDREDTH * width), tenth + 0.1))


_QUARTER = 0.6745
"""Standard deviations of a normal distribution from its lower quarter to its half."""
_TENTH, _HUNDREDTH = 1.7, 4.0
"""So many of them above the half, at most, lie the scores that one in ten and one in a hundred reach. Measured on Tux
Paint, openclipart and plots of films, between texts, pictures and both, without pairs of like titles: 1.4 to 1.6 and
2.6 to 4.0; of a normal distribution 1.3 and 2.3."""

TYPICAL = Tail(1.0, 2.3)
"""What is taken where a catalogue does not tell: the middle of the tails measured on these (0.65 to 2.0, 1.7 to
3.2); one in two hundred, from which the standard deviations of the starter space are read off, lies near its 2.58."""
