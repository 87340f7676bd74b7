"""From what people did to a version of the model: rows, training, calibration."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import numpy as np

from encoders.types import Bools, Doubles
from engine.catalog.items import ItemTable
from engine.core.errors import SettingsError
from engine.core.types import Event, UserId
from engine.events.types import Impression, UserEvent
from engine.learn.calibration import calibrate
from engine.learn.log import EventLog, event_log
from engine.learn.network.cross_fitted_towers import CrossFittedTowers
from engine.learn.network.distil import DistilSettings, SmallFigures, distil
from engine.learn.network.private import PrivateSettings, train_privately
from engine.learn.network.processes import processes
from engine.learn.network.train import TrainSettings, held_out, logits_of, train
from engine.learn.network.train_towers import TwoTowerSettings
from engine.learn.network.trainer import HERE, Run
from engine.learn.rows.dataset import (
    CrossFit,
    Example,
    RowSettings,
    TowersOf,
    check_rows,
    next_step_rows,
    nothing_known,
)
from engine.learn.rows.point_in_time import PointInTimeFeatures
from engine.learn.rows.shown import shown_rows, silent_positions
from engine.learn.settings import LearnSettings
from engine.learn.splits import ALL_POSITIVES, Positives, table_rows
from engine.models.card import Privacy
from engine.rerank.content import ContentScorer
from engine.rerank.drift import history_mean, reference_of
from engine.rerank.fields import FieldScales, FieldUse, fit_scales
from engine.rerank.learned import expected_utility
from engine.rerank.model import CrossAttentionReranker, ModelConfig
from engine.rerank.small import SmallNetwork
from engine.rerank.table import STANDARD_TOKENS, TokenKinds
from engine.rerank.two_towers import TwoTowerConfig, TwoTowerModel
from engine.rerank.version import Utility, Version

_DEFAULT = LearnSettings()
_UTILITY = Utility(_DEFAULT.positive_utility, _DEFAULT.negative_utility, _DEFAULT.new_share)

_TOWERS = 0.65
"""The share of the time of rows in which the learned query vector is trained, if it is."""
_ROWS, _NETWORK = 0.35, 0.7
"""The share of the time after which the rows are made, and of the rest that after which the network is trained."""


@dataclass(frozen=True, slots=True)
class FitSettings:
    """What is learned, and how."""

    fields: Mapping[str, FieldUse] = field(default_factory=dict)
    """Payload fields that are features: "category" (one value or a list) or "number"."""
    positives: Positives = ALL_POSITIVES
    """Which events speak for an item."""
    kinds: TokenKinds = STANDARD_TOKENS
    """The kinds of events that are read."""
    rows: RowSettings = field(default_factory=RowSettings)
    training: TrainSettings = field(default_factory=TrainSettings)
    width: int = _DEFAULT.width
    history_layers: int = 1
    candidate_layers: int = 1
    dropout: float = _DEFAULT.dropout
    id_dropout: float = _DEFAULT.id_dropout
    towers: TwoTowerSettings | None = None
    """How the learned query vector is trained; None leaves it out."""
    content: ContentScorer | None = None
    """Gives the engine's own opinion of items."""
    utility: Utility = _UTILITY
    small: DistilSettings | None = None
    """How the small network is made of the full one; None makes none."""
    counted: bool = True
    """Whether anything is counted over people. Else each is known by what they did alone, and no item by its id."""
    private: PrivateSettings | None = None
    """How little it may tell of any one person; None does not ask. It needs that nothing is counted."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """A version, and how its training went."""

    version: Version
    rows: int
    epochs: tuple[dict[str, float], ...]
    small: SmallFigures | None = None
    """What became of the small network; None where none was made."""
    privacy: Privacy | None = None
    """What a private training spent."""


@dataclass(frozen=True, slots=True)
class TrainingRows:
    """What a network is trained on. m items."""

    examples: tuple[Example, ...]
    point_in_time: PointInTimeFeatures
    scales: FieldScales
    """Of the payload fields."""
    acted: Bools
    """(m,): the items that somebody acted on; the network has an id of them."""
    towers: TwoTowerModel | None
    """The learned query vector; None where it is left out, or there is too little for it."""
    silent: Doubles
    """(n,): when each position of a list without a reaction was shown, seconds since 1970."""


def training_rows(
    log: EventLog,
    items: ItemTable,
    settings: FitSettings,
    run: Run = HERE,
    *,
    impressions: Sequence[Impression] = (),
    cross_fit: CrossFit | None = None,
) -> TrainingRows:
    """Make the rows that a network is trained on, and train the query vector that they know; see `fit`.

    Raises:
        LeakError: if a row knows the future.
        Stop: if the run is stopped.
    """
    rows_as = settings.rows if cross_fit is None else replace(settings.rows, cross_fit=cross_fit)
    run.stage("laying out histories")
    scales = fit_scales(items.payloads, settings.fields)
    rows, acted = table_rows(log, items), np.zeros(len(items), np.bool_)
    if settings.counted:
        acted[rows[settings.positives.of(log) & (rows >= 0)]] = True
    known = acted, settings.positives, settings.content
    point_in_time = PointInTimeFeatures(
        log, items, scales, *known, impressions, kinds=settings.kinds, counted=settings.counted
    )
    towers_of: TowersOf = nothing_known
    towers: TwoTowerModel | None = None
    making = run
    if settings.towers is not None and items.vectors:
        kinds = len(settings.kinds.names)
        config = TwoTowerConfig(*_vectors_of(point_in_time), int(acted.sum()), kinds=kinds)
        crossed = CrossFittedTowers(point_in_time, rows_as, config, settings.towers, run.part(0.0, _TOWERS))
        towers_of, towers = crossed.towers_of(), crossed.whole()
        making = run.part(_TOWERS, 1.0)
    steps = int(point_in_time.positive.sum())
    middle = steps / max(steps + len(impressions), 1)
    told = making.part(0.0, middle).stage("making training rows")
    examples = list(next_step_rows(point_in_time, rows_as, towers_of, told))
    told = making.part(middle, 1.0).stage("making training rows of served lists")
    examples += shown_rows(point_in_time, impressions, rows_as, towers_of, told)
    check_rows(examples, rows_as.cross_fit)
    silent = silent_positions(point_in_time, impressions)
    return TrainingRows(tuple(examples), point_in_time, scales, acted, towers, silent)


def network_of(rows: TrainingRows, settings: FitSettings) -> ModelConfig:
    """The network for these rows."""
    modalities, dimension = _vectors_of(rows.point_in_time)
    return ModelConfig(
        modalities,
        dimension,
        int(rows.acted.sum()),
        len(rows.point_in_time.features),
        width=settings.width,
        history_layers=settings.history_layers,
        candidate_layers=settings.candidate_layers,
        dropout=settings.dropout,
        id_dropout=settings.id_dropout,
        kinds=len(settings.kinds.names),
    )


def fit(
    log: EventLog,
    items: ItemTable,
    settings: FitSettings,
    run: Run = HERE,
    *,
    impressions: Sequence[Impression] = (),
    cross_fit: CrossFit | None = None,
) -> Fitted:
    """Train a version. Of several processes the first makes the small network, the others leave it out.

    Args:
        log: what people did; searched texts as vectors, see `encode_texts`.
        items: the catalogue.
        settings: what and how.
        run: where, who hears of it and who may stop it.
        impressions: lists that were served to people of the log.
        cross_fit: overrides the settings'.

    Raises:
        TooLittleDataError: if there is too little to learn from.
        LeakError: if a row knows the future.
        Stop: if the run is stopped.
    """
    if settings.private is not None and (settings.counted or settings.towers is not None):
        problem = "a private version counts nothing over people, and has no learned query vector"
        raise SettingsError(problem, "set learn.tower_epochs = 0")
    rows = training_rows(log, items, settings, run.part(0.0, _ROWS), impressions=impressions, cross_fit=cross_fit)
    return fit_rows(rows, items, settings, run.part(_ROWS, 1.0))


def fit_rows(rows: TrainingRows, items: ItemTable, settings: FitSettings, run: Run = HERE) -> Fitted:
    """The second part of `fit`: what is made of the rows."""
    if settings.private is not None:
        return _fit_privately(rows, items, settings, settings.private, run)
    table, training = rows.point_in_time.table, settings.training
    trained = train(rows.examples, table, network_of(rows, settings), training, run.part(0.0, _NETWORK))
    distilling = run.part(_NETWORK, 1.0)
    distilling.stage("calibrating")
    learn, check = held_out(rows.examples, training.held_out)
    logits = logits_of(trained.model, check, table)
    certain = calibrate(check, logits, rows.silent)
    small: SmallNetwork | None = None
    figures: SmallFigures | None = None
    if settings.small is not None and processes().first:
        small, figures = distil(trained.model, learn, check, table, settings.small, distilling, seed=training.seed)
    version = _version(trained.model, rows, items, settings, certain, small)
    histories = [history_mean(one.request.tokens, table) for one in check]
    best = [float(expected_utility(one, version).max()) for one in logits]
    version = replace(version, reference=reference_of(histories, best))
    return Fitted(version, len(rows.examples), trained.history, figures)


def _fit_privately(
    rows: TrainingRows, items: ItemTable, settings: FitSettings, private: PrivateSettings, run: Run
) -> Fitted:
    """A version that tells little of any one person: nothing but its network is made of what people did."""
    made_up = random_rows(items, settings)
    of_network = rows.point_in_time.table, network_of(rows, settings), settings.training
    trained, privacy = train_privately(rows.examples, made_up, *of_network, private, run)
    version = _version(trained.model, rows, items, settings, ((1.0, 0.0), (1.0, 0.0)), None)
    return Fitted(version, len(rows.examples), trained.history, privacy=privacy)


def random_rows(items: ItemTable, settings: FitSettings, people: int = 100, steps: int = 4) -> tuple[Example, ...]:
    """Rows of made-up people who act at random on what is in the catalogue: they tell of nobody."""
    random = np.random.default_rng(0)
    kind = sorted(settings.positives.kinds)[0]
    start = datetime.fromtimestamp(float(np.nanmax(items.indexed_at, initial=0.0)), UTC)
    events = [
        UserEvent(
            UserId(f"{person}"),
            Event(
                kind,
                items.ids[int(random.integers(len(items)))],
                time=start + timedelta(minutes=float(random.uniform(0, 60 * 24 * 30))),
                value=settings.positives.least.get(kind),
            ),
        )
        for person in range(people)
        for _ in range(steps)
    ]
    plain = replace(settings, private=None)
    return training_rows(event_log(events), items, plain).examples


def _version(
    network: CrossAttentionReranker,
    rows: TrainingRows,
    items: ItemTable,
    settings: FitSettings,
    calibration: tuple[tuple[float, float], ...],
    small: SmallNetwork | None,
) -> Version:
    return Version(
        network,
        rows.point_in_time.counts(),
        items.ids,
        rows.acted,
        rows.scales,
        settings.utility,
        calibration,
        settings.positives.kinds,
        settings.positives.least,
        rows.point_in_time.features,
        rows.towers,
        small,
        settings.kinds,
    )


def _vectors_of(point_in_time: PointInTimeFeatures) -> tuple[tuple[str, ...], int]:
    """The modalities of the vectors, and their dimension."""
    vectors = point_in_time.table.vectors
    return tuple(modality.value for modality in vectors), next((one.shape[1] for one in vectors.values()), 0)
