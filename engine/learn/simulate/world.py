"""Who likes what at which time: the truth of a simulated world."""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.special import expit

from encoders.types import Doubles, Rows
from engine.catalog.items import ItemTable
from engine.core.types import UserId
from engine.learn.dcg import discounts
from engine.learn.simulate.config import MIN_ITEMS, WorldConfig
from engine.learn.simulate.errors import SimulationError
from engine.learn.simulate.tastes import Field, Tastes

_TASTES, _APPEAL, _ARRIVALS, _ACTIVITY = range(4)  # streams of chance, so that one number does not move all others
_CELLS = 2_000_000  # of (b, K, m) that are held at once
_SAMPLE = 64
SIMULATED = re.compile(r"sim-[0-9a-f]{8}-[0-9]{5,}")
"""The ids of simulated people: their world's name and their number."""


@dataclass(frozen=True, slots=True)
class Truth:
    """How b people feel about all m items, each at a time of their own."""

    click: Doubles
    """(b, m): the probability of a click on an item that is looked at."""
    affinity: Doubles
    """(b, m): how near the item is to the nearest taste, in standard deviations."""
    disliked: Doubles
    """(b, m): how near it is to what is disliked, in standard deviations."""


class World:
    """People with tastes over a catalogue.

    A person has several tastes, each a direction per modality. An item's nearness to a taste is the cosine in each
    modality over its standard deviation, weighted by how much the person cares about the modality; a modality that
    the item lacks says nothing. The log-odds of a click, given that the person looks, are

        affinity · (nearest taste) + quality · (base appeal) - dislike · max(0, what is disliked - 1) + constant

    where the constant makes `WorldConfig.base_rate` true at the middle of the period.

    Args:
        items: the catalogue.
        config: the numbers.
        fingerprint: the space of the items' vectors, which uploads are stamped with.

    Raises:
        SimulationError: if the catalogue has fewer than `MIN_ITEMS` items, or no vectors.
    """

    def __init__(self, items: ItemTable, config: WorldConfig, fingerprint: str) -> None:
        if len(items) < MIN_ITEMS:
            raise SimulationError(
                f"the catalogue has {len(items)} items, a simulation needs {MIN_ITEMS}", "index more items"
            )
        if not any(mask.any() for mask in items.present.values()):
            raise SimulationError("the catalogue has no vectors", "index its contents first")
        self.config, self.fingerprint = config, fingerprint
        said = f"{config.said()} {fingerprint}\0" + "\0".join(items.ids)
        self.name = f"sim-{hashlib.blake2b(said.encode(), digest_size=4).hexdigest()}"
        """Begins the ids of people, requests and events: different worlds can share an event store."""
        self.users = tuple(UserId(f"{self.name}-{number:05d}") for number in range(config.users))
        self.number_of = {user: number for number, user in enumerate(self.users)}
        """The number of each person."""

        random = self.random(_TASTES)
        self.field = Field.of(items, config.topics, random)
        self.tastes = Tastes.draw(self.field, config, random)
        self.appeal = self.random(_APPEAL).standard_normal(len(items))
        """(m,): the base appeal of each item, which its contents do not show."""
        random = self.random(_ARRIVALS)
        self.user_from = _arrivals(config.users, config.new_users, config, random)
        """(P,): when each person first comes, seconds since 1970."""
        self.item_from = _arrivals(len(items), config.new_items, config, random)
        """(m,): when each item comes into the catalogue, seconds since 1970."""
        self.activity = self.random(_ACTIVITY).lognormal(0.0, 0.7, config.users)
        """(P,): how often each person comes, beside others."""
        self.items = replace(items, indexed_at=self.item_from)
        """The catalogue; its items are as old as they are in this world."""
        self._constant = 0.0
        self._constant = self._find_constant()

    def random(self, *stream: int) -> np.random.Generator:
        """Chance for one purpose: the same for the same world and stream."""
        return np.random.default_rng([self.config.seed, *stream])

    def truth(self, users: Rows, times: Doubles) -> Truth:
        """How people feel about all items.

        Args:
            users: (b,), numbers of people.
            times: (b,), seconds since 1970.
        """
        logits, nearest, disliked = self._logits(users, times)
        return Truth(np.asarray(expit(logits), np.float64), nearest, disliked)

    def parts(self, count: int) -> Iterator[slice]:
        """Parts of `count` people and times whose truth fits into memory at once."""
        step = max(1, _CELLS // (len(self.items) * (self.config.max_tastes + 1)))
        for start in range(0, count, step):
            yield slice(start, min(start + step, count))

    def oracle(self, user: UserId, time: datetime) -> Doubles:
        """What the best possible ranker would know: (m,), the probability of a click on each item if looked at.

        It is 0 for items that are not in the catalogue at that time. What the person has acted on already is not
        taken out: that is their history's affair.

        Raises:
            SimulationError: if there is no such person.
        """
        number = self.number_of.get(user)
        if number is None:
            raise SimulationError(f"there is nobody {user!r} in this world", "name one of its people", field="user")
        seconds = time.timestamp()
        click = self.truth(np.array([number]), np.array([seconds])).click[0]
        return np.where(self.there(seconds), click, 0.0)

    def there(self, seconds: float) -> npt.NDArray[np.bool_]:
        """(m,): which items are in the catalogue at a time, in seconds since 1970."""
        return self.item_from <= seconds

    def examination(self, positions: int) -> Doubles:
        """(positions,): the probability that each position is looked at, from the first on.

        Places are looked at independently of what they show and of each other: the examination hypothesis (Craswell
        et al., *An experimental comparison of click position-bias models*, WSDM 2008).
        """
        position = np.arange(1, positions + 1, dtype=np.float64)
        match self.config.look:
            case "power":
                return np.asarray(position**-self.config.eta, np.float64)
            case "log":
                return discounts(positions)
            case _:
                return np.ones(positions)

    def _logits(self, users: Rows, times: Doubles) -> tuple[Doubles, Doubles, Doubles]:
        config, tastes = self.config, self.tastes
        near = np.zeros((len(users), tastes.topic.shape[1], len(self.items)), np.float32)  # (b, K, m)
        for column, (modality, vectors) in enumerate(self.field.vectors.items()):
            directions = tastes.directions(self.field, modality, users, times - config.start)
            weight = tastes.focus[users, column] / np.float32(self.field.scale[modality])
            near += (directions.reshape(-1, vectors.shape[1]) @ vectors.T).reshape(near.shape) * weight[:, None, None]
        disliked = near[:, -1].astype(np.float64)
        nearest = (near[:, :-1] - tastes.handicap[users, :-1, None]).max(axis=1)
        logits = config.affinity * nearest + config.quality * self.appeal + self._constant
        logits -= config.dislike * np.maximum(disliked - 1, 0)
        return logits, nearest, disliked

    def _find_constant(self) -> float:
        users = np.arange(min(_SAMPLE, self.config.users))
        middle = np.full(len(users), (self.config.start + self.config.end) / 2)
        parts = [self._logits(users[[one]], middle[[one]])[0].astype(np.float32) for one in users.tolist()]
        logits = np.concatenate(parts)
        rate = self.config.base_rate
        return float(brentq(lambda constant: float(expit(logits + constant).mean()) - rate, -100, 100))


def _arrivals(count: int, share: float, config: WorldConfig, random: np.random.Generator) -> Doubles:
    """(count,): the start of the period, but for a share that comes at a random time in its first nine tenths."""
    late = random.permutation(count) < round(share * count)
    when = config.start + random.uniform(0, 0.9, count) * (config.end - config.start)
    return np.where(late, when, config.start)
