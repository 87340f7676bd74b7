"""The files of a version of the model: the network's weights, the counts, and what the features need.

network.json            the network's shape, the names of the features and kinds of events that it reads, the payload
                        fields' scales, the utility, the calibration
network.safetensors     the weights
statistics.safetensors  the counts, the ids of the items that they are of, and what requests were like in training
taste.json              the shape of the learned query vector's towers, where there are any
taste.safetensors       their weights
small.onnx              the small network, see engine/rerank/small.py; versions of before have none
network.onnx            the full network for ONNX Runtime, see engine/rerank/compiled.py; versions of before have none
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors.numpy import load_file, save_file
from safetensors.torch import load_file as load_weights
from safetensors.torch import save_file as save_weights
from scipy import sparse

from encoders.types import Modality
from engine.core.types import Event, ItemId
from engine.rerank.compiled import COMPILED, CompiledNetwork, load_compiled
from engine.rerank.drift import Reference
from engine.rerank.features import feature_names
from engine.rerank.fields import FieldScales
from engine.rerank.model import CrossAttentionReranker, ModelConfig
from engine.rerank.names import EVENT_KINDS_BEFORE, check_names, features_before, names_of_now
from engine.rerank.small import SMALL, SmallNetwork, load_small
from engine.rerank.statistics import Statistics
from engine.rerank.table import STANDARD_TOKENS, TokenKinds
from engine.rerank.two_towers import SHAPE, TwoTowerModel

NETWORK, WEIGHTS, STATISTICS = "network.json", "network.safetensors", "statistics.safetensors"
KIND = "reranker"
"""The kind that the card of such a version says."""

_BOUNDS = "reference.bounds."
_MATRICES = {"near": "near", "far": "far", "together": "cooccurrences"}
"""By its name in the file, the field of `Statistics` that a matrix is."""


@dataclass(frozen=True, slots=True)
class Utility:
    """What the outcomes are worth: the score is the sum of their probabilities, each times its worth."""

    positive: float
    negative: float
    new_share: float
    """The part of a list's positions that items which nobody had acted on get at least; see `promote_new`."""


@dataclass(frozen=True, slots=True)
class Version:
    """A version of the model in memory."""

    network: CrossAttentionReranker
    statistics: Statistics
    items: tuple[ItemId, ...]
    """(m,): what the counts are of, in their order."""
    known: npt.NDArray[np.bool_]
    """(m,): the items that the network has an id of; the counts may be younger and know more."""
    scales: FieldScales
    utility: Utility
    calibration: tuple[tuple[float, float], ...]
    """Per outcome (slope, intercept): the probability is sigmoid(slope * logit + intercept)."""
    positive_kinds: frozenset[str]
    """The kinds of events that speak for an item; what training counted."""
    min_values: Mapping[str, float]
    """Per kind the smallest value that counts."""
    features: tuple[str, ...]
    """The names of the features that the networks read, in the order of their columns."""
    towers: TwoTowerModel | None = None
    """The learned query vector; None where there was too little to learn it from."""
    small: SmallNetwork | None = None
    """What the small tier scores with; None where none was made."""
    token_kinds: TokenKinds = STANDARD_TOKENS
    """The kinds of events that the networks read."""
    reference: Reference | None = None
    """What requests were like in training; None where there were too few rows, and for versions of before."""
    compiled: CompiledNetwork | None = None
    """The network for serving; None where it has no such form: then PyTorch runs it."""

    def favours(self, event: Event) -> bool:
        """Whether an event speaks for its item, as the version learned it."""
        if event.kind not in self.positive_kinds:
            return False
        smallest = self.min_values.get(event.kind)
        return smallest is None or (event.value is not None and event.value >= smallest)


def save_version(version: Version, folder: Path) -> None:
    """Write the files into an empty folder."""
    about = {
        "config": {name: value for name, value in asdict(version.network.config).items() if name != "kinds"},
        "categories": dict(version.scales.categories),
        "numbers": dict(version.scales.numbers),
        "utility": asdict(version.utility),
        "calibration": version.calibration,
        "until": version.statistics.until,
        "kinds": sorted(version.positive_kinds),
        "least": dict(version.min_values),
        "features": version.features,
        "event_kinds": version.token_kinds.names,
        "negative_kinds": sorted(version.token_kinds.negative),
    }
    (folder / NETWORK).write_text(json.dumps(about), encoding="utf-8")
    weights = {
        name: value.detach().cpu().contiguous().clone() for name, value in version.network.state_dict().items()
    }
    save_weights(weights, folder / WEIGHTS)
    counts = version.statistics
    text = "\0".join(version.items).encode()
    columns: dict[str, np.ndarray] = {
        "items": np.frombuffer(text, np.uint8).copy() if text else np.zeros(0, np.uint8),
        "known": version.known.astype(np.uint8),
        "popularity": counts.popularity,
        "linear_items": counts.linear_items.astype(np.int64),
        "linear": counts.linear,
        "event_times": counts.event_times,
        "event_items": counts.event_items.astype(np.int64),
        "attraction": counts.attractiveness,
    }
    for name, field in _MATRICES.items():
        matrix: sparse.csr_matrix = getattr(counts, field)
        columns[f"{name}.data"] = matrix.data.astype(np.float32)
        columns[f"{name}.indices"] = matrix.indices.astype(np.int32)
        columns[f"{name}.indptr"] = matrix.indptr.astype(np.int64)
    if version.reference is not None:
        columns["reference.centre"] = version.reference.centre
        columns |= {f"{_BOUNDS}{name}": bounds for name, bounds in version.reference.bounds.items()}
    save_file(columns, folder / STATISTICS)
    if version.towers is not None:
        version.towers.save(folder)
    if version.small is not None:
        (folder / SMALL).write_bytes(version.small.graph)
    if version.compiled is not None:
        (folder / COMPILED).write_bytes(version.compiled.graph)


def load_version(folder: Path) -> Version:
    """Read the files. What the networks read is found by its names, whatever order this release has them in.

    A kind of events that is no longer declared stays a row that nothing asks for: no event of it gets here.

    Raises:
        CheckpointError: if the version reads features that this release does not know.
        Exception: of any kind, if they are not what `save_version` wrote; whoever loads says which version it is.
    """
    about: dict[str, Any] = json.loads((folder / NETWORK).read_text(encoding="utf-8"))
    shape = {**about["config"], "modalities": tuple(about["config"]["modalities"])}
    scales = FieldScales(
        {name: tuple(values) for name, values in about["categories"].items()},
        {name: (float(mean), float(deviation)) for name, (mean, deviation) in about["numbers"].items()},
    )
    features, kinds = _features(about, folder.name, scales), tuple(about.get("event_kinds", EVENT_KINDS_BEFORE))
    network = CrossAttentionReranker(ModelConfig(**shape, kinds=len(kinds)))
    network.load_state_dict(load_weights(folder / WEIGHTS))
    if not all(torch.isfinite(weights).all() for weights in network.state_dict().values()):
        raise ValueError("a weight is not finite")
    network.eval()
    columns = load_file(folder / STATISTICS)
    text = columns["items"].tobytes().decode()
    size = len(columns["popularity"])
    statistics = Statistics(
        columns["popularity"],
        _matrix(columns, "near", size),
        _matrix(columns, "far", size),
        _matrix(columns, "together", size),
        columns["linear_items"].astype(np.intp),
        columns["linear"],
        columns["event_times"],
        columns["event_items"].astype(np.intp),
        columns["attraction"],
        float(about["until"]),
    )
    items = tuple(ItemId(name) for name in text.split("\0")) if text else ()
    calibration = tuple((float(slope), float(intercept)) for slope, intercept in about["calibration"])
    return Version(
        network,
        statistics,
        items,
        columns["known"].astype(np.bool_),
        scales,
        Utility(**{name: about["utility"][name] for name in ("positive", "negative", "new_share")}),
        calibration,
        frozenset(about["kinds"]),
        {kind: float(value) for kind, value in about["least"].items()},
        features,
        TwoTowerModel.load(folder, len(kinds)) if (folder / SHAPE).is_file() else None,
        load_small(folder, network.config.dense),
        TokenKinds(kinds, frozenset(about.get("negative_kinds", STANDARD_TOKENS.negative))),
        _reference(columns),
        load_compiled(folder, network),
    )


def _reference(columns: Mapping[str, np.ndarray]) -> Reference | None:
    if "reference.centre" not in columns:
        return None
    bounds = {name.removeprefix(_BOUNDS): column for name, column in columns.items() if name.startswith(_BOUNDS)}
    return Reference(columns["reference.centre"], bounds)


def _features(about: Mapping[str, Any], version: str, scales: FieldScales) -> tuple[str, ...]:
    """The names of the features that a version reads, which this release knows.

    Raises:
        CheckpointError: if it does not know some.
        ValueError: if there are not as many features as the network has columns.
    """
    modalities = [Modality(name) for name in about["config"]["modalities"]]
    before = features_before(modalities, scales.categories, scales.numbers)
    features = names_of_now(about.get("features", before))
    check_names(version, features, feature_names(modalities, scales))
    if len(features) != (columns := about["config"]["dense"]):
        raise ValueError(f"the network reads {columns} features, and {len(features)} have names")
    return features


def _matrix(columns: Mapping[str, np.ndarray], name: str, size: int) -> sparse.csr_matrix:
    parts = (columns[f"{name}.data"], columns[f"{name}.indices"], columns[f"{name}.indptr"])
    return sparse.csr_matrix(parts, shape=(size, size))
