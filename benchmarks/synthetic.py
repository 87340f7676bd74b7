"""A synthetic catalogue with the traits that make retrieval hard: no easy clusters, a modality gap, gaps in the data.

Items have a latent vector of `LATENT` dimensions, so the vectors' intrinsic dimension is about that, as of real
embeddings. A modality shows the latent through its own rotation of the same map, adds noise of its own, and lies in a
cone of its own.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt

from encoders.spaces.space import PairCalibration, SpaceManifest, unit
from encoders.types import Floats, Modality
from engine.core.types import ItemId, Json
from engine.store.base import Point

LATENT = 48
SHARE = {Modality.TEXT: 1.0, Modality.IMAGE: 0.8, Modality.AUDIO: 0.4}
"""How many of the items have the modality."""
_NOISE, _GAP = 0.5, 0.6


@dataclass(frozen=True)
class Catalogue:
    """n items: latents (n, LATENT), vectors per modality (n, d), and masks (n,)."""

    manifest: SpaceManifest
    latents: Floats
    vectors: dict[Modality, Floats]
    present: dict[Modality, npt.NDArray[np.bool_]]

    def points(self, start: int, stop: int) -> list[Point]:
        """The items from `start` to `stop` as points."""
        return [
            Point(
                item_id(row),
                {m: self.vectors[m][row] for m in Modality if self.present[m][row]},
                payload(row),
            )
            for row in range(start, stop)
        ]

    def batches(self, size: int) -> Iterator[list[Point]]:
        """All items as points, in batches."""
        for start in range(0, len(self.latents), size):
            yield self.points(start, min(start + size, len(self.latents)))


def item_id(row: int) -> ItemId:
    """The id of an item."""
    return ItemId(f"item-{row:07d}")


def payload(row: int) -> dict[str, Json]:
    """The payload of an item: of realistic size, with fields of three kinds."""
    return {
        "title": f"the item of number {row}, with a title as long as titles are",
        "category": f"category-{row % 40}",
        "price": round(1 + (row * 7919 % 10_000) / 100, 2),
        "popularity": row * 104_729 % 100_003,
        "_indexed_at": f"2026-{1 + row % 12:02d}-{1 + row % 28:02d}T00:00:00.000Z",
        "_digest": f"{row:032x}.{row:032x}",
    }


def catalogue(size: int, dimension: int = 384, seed: int = 0) -> Catalogue:
    """Draw a catalogue, and measure its calibration as a real space's is measured."""
    random = np.random.default_rng(seed)
    latents = random.standard_normal((size, LATENT)).astype(np.float32)
    map_ = random.standard_normal((LATENT, dimension)).astype(np.float32)
    vectors = {}
    present = {}
    for modality in Modality:
        gap = unit(random.standard_normal((1, dimension)).astype(np.float32)) * _GAP
        noise = random.standard_normal((LATENT, dimension)).astype(np.float32)
        own = unit(random.standard_normal((size, LATENT)).astype(np.float32) @ noise)
        vectors[modality] = unit(unit(latents @ map_) + _NOISE * own + gap)
        present[modality] = random.random(size) < SHARE[modality]
    calibration = {(a, m): _calibrate(vectors[a][:2000], vectors[m][:2000]) for a, m in product(vectors, vectors)}
    encoders = {m: {"name": f"synthetic-{m}", "revision": str(seed)} for m in Modality}
    return Catalogue(SpaceManifest("synthetic", dimension, encoders, calibration), latents, vectors, present)


def _calibrate(query: Floats, item: Floats) -> PairCalibration:
    cosines = query @ item.T
    apart = cosines[~np.eye(len(query), dtype=bool)]
    mean, std = float(apart.mean()), float(apart.std())
    near = float(np.diag(cosines).mean()) if query is not item else mean + 0.8 * (1 - mean)
    return PairCalibration(mean, std, (near - mean) / std)
