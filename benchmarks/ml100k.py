"""MovieLens-100K: what was learned, the untrained engine and the baselines, on one split, in one run.

    python -m benchmarks.ml100k                     each person's last rating, from all earlier ones, among all films
    python -m benchmarks.ml100k --hidden 0.1        only films that training never saw, among all films; and what a
                                                    share of places for these costs those who rate others
    python -m benchmarks.ml100k --split time        all ratings of the last fifth of them, from the first four fifths;
                                                    most people are new then, and popularity is the reference
    python -m benchmarks.ml100k --untrained         without what is learned
        [--rankers ease markov …] [--min-value 4 --ease-l2 50] [--share 0.1 0.3] [--seed 0] [--report out.html]
        [--json] [--ablate]                                 also without each modality's vectors
        [--scores sasrec.npz] [--write-train train.csv]     scores made elsewhere: see benchmarks/sasrec.py

Titles, plots and posters are encoded by the starter space, once: the vectors stay in var/ml100k.

The data is not part of the project: it is looked for in ../shared/data/ml100k, or in the folder that TRIVENI_DATA
names (with ml100k/ratings.csv and ml100k/items.jsonl in it).
"""

import argparse
import json
import os
import sys
from dataclasses import replace
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.csv as pacsv

from encoders.types import Content, Floats, Image, Modality, Text
from engine.catalog.items import ItemTable
from engine.core.types import Event, EventKind, ItemId, UserId
from engine.events.types import UserEvent
from engine.learn.fit import FitSettings
from engine.learn.learned import LearnedRanker, VersionRanker
from engine.learn.log import EventLog, event_log, user_events
from engine.learn.network.train import TrainSettings
from engine.learn.network.trainer import Progress
from engine.learn.ranker import Cases, Ranker, Split
from engine.learn.rows.dataset import CrossFit, RowSettings


def data_folder() -> Path | None:
    """Where the data is; None where it is missing."""
    root = Path(os.environ.get("TRIVENI_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")
    folder = root / "ml100k"
    return folder if (folder / "ratings.csv").is_file() and (folder / "items.jsonl").is_file() else None


def read_ratings(folder: Path) -> EventLog:
    """All ratings as events of kind `rate`, by time; of one time, in the file's order."""
    table = pacsv.read_csv(folder / "ratings.csv").to_pydict()
    rows = zip(table["user_id"], table["item_id"], table["rating"], table["timestamp"], strict=True)
    return event_log(
        UserEvent(
            UserId(str(user)),
            Event(EventKind.RATE, ItemId(str(item)), time=datetime.fromtimestamp(time, UTC), value=float(stars)),
        )
        for user, item, stars, time in rows
    )


def read_films(folder: Path, vectors: Path | None = None) -> ItemTable:
    """All films with their titles, genres, plots and years.

    Args:
        folder: where items.jsonl is.
        vectors: the file that keeps the vectors of texts and posters; made if it is not there. None leaves them out.
    """
    with (folder / "items.jsonl").open(encoding="utf-8") as file:
        films = [json.loads(line) for line in file]
    payloads, since = [], []
    for film in films:
        released = _released(film.get("released"))
        payload = {key: film[key] for key in ("title", "genres", "overview") if film.get(key)}
        payloads.append(payload if released is None else {**payload, "year": released.year})
        since.append(float("nan") if released is None else released.timestamp())
    ids = tuple(ItemId(film["id"]) for film in films)
    table = ItemTable(ids, {}, {}, tuple(payloads), np.array(since))
    if vectors is None:
        return table
    if not vectors.is_file():
        _encode(folder, films, vectors)
    with np.load(vectors) as kept:
        columns = {modality: kept[modality.value] for modality in (Modality.TEXT, Modality.IMAGE)}
    return replace(table, vectors=columns, present={m: np.any(matrix != 0, axis=1) for m, matrix in columns.items()})


def _released(text: str | None) -> datetime | None:
    try:
        return datetime.strptime(text or "", "%d-%b-%Y").replace(tzinfo=UTC)
    except ValueError:
        return None


def _encode(folder: Path, films: list[dict[str, Any]], path: Path) -> None:
    """Encode titles with plots, and posters; a row of zeros is a content that is missing or unreadable."""
    from engine.config.settings import load_settings
    from engine.opening import open_space

    space = open_space(load_settings())
    columns: dict[str, np.ndarray] = {}
    for modality in (Modality.TEXT, Modality.IMAGE):
        contents: dict[int, Content] = {}
        for row, film in enumerate(films):
            if modality is Modality.TEXT:
                contents[row] = Text(f"{film['title']}. {film.get('overview') or ''}")
            elif film.get("poster"):
                contents[row] = Image(folder / film["poster"])
        found = np.zeros((len(films), space.dimension), np.float32)
        rows = list(contents)
        for start in range(0, len(rows), 64):
            some = rows[start : start + 64]
            for row, vector in zip(some, space.encode([contents[row] for row in some]), strict=True):
                if isinstance(vector, np.ndarray):
                    found[row] = vector
        columns[modality.value] = found
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **columns)


LEARNED = FitSettings(
    fields={"genres": "category", "year": "number"},
    rows=RowSettings(),
    training=TrainSettings(epochs=4, held_out=0.05),
)
"""What the figures were measured with."""
LAST = 0.2
"""The share of the ratings that a split by time predicts."""


def untrained() -> Ranker:
    """The engine before it learned."""
    from engine.config.settings import load_settings
    from engine.encode.encoding import DirectEncoder
    from engine.learn.untrained import UntrainedRanker
    from engine.opening import open_space

    space = open_space(load_settings())
    return UntrainedRanker(space.manifest, DirectEncoder(space))


def learned(seed: int, cross_fit: CrossFit = "users") -> LearnedRanker:
    """The whole pipeline, trained. Leave-last-out knows other people's later ratings, and its rows do too."""
    from engine.config.settings import load_settings
    from engine.opening import open_space
    from engine.query.settings import FuseSettings
    from engine.rerank.content import ContentScorer

    training, rows = replace(LEARNED.training, seed=seed), replace(LEARNED.rows, seed=seed)
    manifest = open_space(load_settings()).manifest
    content = ContentScorer(manifest.calibration, FuseSettings())
    settings = replace(LEARNED, training=training, rows=rows, content=content)
    return LearnedRanker(settings, cross_fit=cross_fit, report=_report)


class Sharing:
    """What was trained already, with a share of the places for new items."""

    def __init__(self, trained: LearnedRanker, share: float) -> None:
        self._trained, self._share, self.name = trained, share, f"{trained.name}, new {share:g}"

    def fit(self, log: EventLog, items: ItemTable) -> None:
        """Nothing is trained again."""
        version = self._trained.ranker.version
        sharing = replace(version, utility=replace(version.utility, new_share=self._share))
        self._ranker = VersionRanker(sharing, LEARNED.positives, self._trained.settings.content)
        self._ranker.fit(log, items)

    def score(self, cases: Cases) -> Floats:
        """(b, m)."""
        return self._ranker.score(cases)


def last_known(known: Split, hidden: Split, items: ItemTable) -> Split:
    """People's last ratings of films that are not hidden, from what the training with hidden films knows of them.

    Args:
        known: people's last ratings are to be predicted.
        hidden: of what `known` may learn from, with the hidden films taken out.
        items: all films.
    """
    seen = np.zeros(len(items), np.bool_)
    rows = items.rows(hidden.train.items)[hidden.train.item]
    seen[rows[rows >= 0]] = True
    mine, cases = hidden.train.of_user(), known.cases
    kept = [row for row in range(len(cases)) if seen[cases.targets[row]].all() and len(mine[int(cases.user[row])])]
    some = cases.take(np.array(kept, np.intp))
    history = tuple(mine[user] for user in some.user.tolist())
    return Split("known films beside hidden ones", hidden.train, replace(some, history=history))


def _report(progress: Progress) -> None:
    if "ndcg_at_10" in progress.figures:
        figures = " ".join(f"{name} {value:.4f}" for name, value in progress.figures.items())
        _say(f"{progress.stage}: {figures}")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def parsed() -> argparse.Namespace:
    """What is asked for on the command line."""
    from engine.learn.evaluation.baselines.names import BASELINES

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rankers", nargs="*", choices=BASELINES, default=None)
    parser.add_argument("--min-value", type=float, default=1.0, help="only ratings of so many stars are events")
    parser.add_argument("--ease-l2", type=float, default=500.0, help="the penalty of EASE")
    parser.add_argument("--untrained", action="store_true", help="leave out what is learned")
    parser.add_argument("--split", choices=("leave-last-out", "time"), default="leave-last-out")
    parser.add_argument("--hidden", type=float, default=0.0, help="the share of films that training never sees")
    parser.add_argument("--share", type=float, nargs="*", default=[], help="also with these shares of new items")
    parser.add_argument("--ablate", action="store_true", help="also score without each modality's vectors")
    parser.add_argument("--scores", type=Path, nargs="*", default=[], help="scores made elsewhere, .npz")
    parser.add_argument("--write-train", type=Path, help="only write the events that may be learned from")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--report", type=Path, help="an HTML page to write")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if arguments.hidden and arguments.split == "time":
        parser.error("--hidden hides films from leave-last-out: give no --split time with it")
    return arguments


def main() -> int:
    """Evaluate the baselines and print the table."""
    from engine.cli.common import console
    from engine.events.files import export_events
    from engine.learn.evaluation.baselines.built_in import BaselineOptions, baselines
    from engine.learn.evaluation.baselines.combined import Scores
    from engine.learn.evaluation.evaluate import evaluate
    from engine.learn.evaluation.options import EvaluateOptions
    from engine.learn.evaluation.report import as_document, as_tables, write_html
    from engine.learn.splits import Positives, by_time, hide_items, leave_last_out

    arguments = parsed()
    folder = data_folder()
    if folder is None:
        print(
            "ml100k/ratings.csv and ml100k/items.jsonl are neither in ../shared/data nor where TRIVENI_DATA points: "
            "set TRIVENI_DATA to the folder that holds ml100k",
            file=sys.stderr,
        )
        return 1
    log, films = read_ratings(folder), read_films(folder, Path("var/ml100k/vectors.npz"))
    log = log.take(np.flatnonzero(Positives(least={EventKind.RATE: arguments.min_value}).of(log)))
    hidden, by_moment = arguments.hidden, arguments.split == "time"
    cross_fit: CrossFit = "time" if by_moment else "users"
    last = by_time(log, films, share=LAST) if by_moment else leave_last_out(log, films)
    split = hide_items(last.train, films, hidden, arguments.seed) if hidden else last
    if arguments.write_train:
        export_events(arguments.write_train, user_events(split.train))
        return 0
    chosen = baselines(
        films,
        arguments.rankers,
        BaselineOptions(
            regularization=arguments.ease_l2, fields=LEARNED.fields, cross_fit=cross_fit, seed=arguments.seed
        ),
    )
    rankers: list[Ranker] = [*chosen.rankers, *(Scores(path) for path in arguments.scores)]
    if not arguments.untrained:
        trained = learned(arguments.seed, cross_fit)
        rankers += [untrained(), trained, *(Sharing(trained, share) for share in arguments.share)]
    names = [ranker.name for ranker in rankers]
    preferred = ("popularity",) if by_moment else ("mean-vector",) if hidden else ("lambdamart", "ease-markov")
    reference = next((name for name in preferred if name in names), names[0])
    options = EvaluateOptions(ks=(1, 10), reference=reference)
    done = [evaluate(split, films, rankers, options, ablate=arguments.ablate, left_out=chosen.left_out, on_step=_say)]
    if hidden and not arguments.untrained:
        beside: list[Ranker] = [Sharing(trained, share) for share in (0.0, *arguments.share)]
        cost = replace(options, reference=beside[0].name)
        done.append(evaluate(last_known(last, split, films), films, beside, cost, on_step=_say))
    if arguments.json:
        print(json.dumps([as_document(one) for one in done], indent=2))
    else:
        for table in chain.from_iterable(map(as_tables, done)):
            console.print(table)
    if arguments.report:
        write_html(arguments.report, done[0])
    return 0


if __name__ == "__main__":
    sys.exit(main())
