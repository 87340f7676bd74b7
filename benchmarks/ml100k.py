"""The baselines on MovieLens-100K: each person's last rating is foretold from all earlier ones, among all films.

    python -m benchmarks.ml100k [--rankers ease markov …] [--min-value 4 --ease-l2 50]
        [--report out.html] [--json]

The data is not part of the project: it is looked for in ../shared/data/ml100k, or in the folder that TRIVENI_DATA
names (with ml100k/ratings.csv and ml100k/items.jsonl in it).
"""

import argparse
import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow.csv as pacsv

from engine.events.types import UserEvent
from engine.items import ItemTable
from engine.learn.log import EventLog, event_log
from engine.types import Event, EventKind, ItemId, UserId


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


def read_films(folder: Path) -> ItemTable:
    """All films with their titles, genres and plots, without vectors."""
    with (folder / "items.jsonl").open(encoding="utf-8") as file:
        films = [json.loads(line) for line in file]
    payloads = tuple({key: film[key] for key in ("title", "genres", "overview") if film.get(key)} for film in films)
    return ItemTable(tuple(ItemId(film["id"]) for film in films), {}, {}, payloads, np.full(len(films), np.nan))


def main() -> int:
    """Evaluate the baselines and print the table."""
    from engine.cli.common import console
    from engine.learn.baselines.choose import BASELINES, baselines
    from engine.learn.evaluate import EvaluateOptions, evaluate
    from engine.learn.report import as_document, as_tables, write_html
    from engine.learn.splits import Positives, leave_last_out

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rankers", nargs="*", choices=BASELINES, default=None)
    parser.add_argument("--min-value", type=float, default=1.0, help="only ratings of so many stars are events")
    parser.add_argument("--ease-l2", type=float, default=500.0, help="the penalty of EASE")
    parser.add_argument("--report", type=Path, help="an HTML page to write")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    folder = data_folder()
    if folder is None:
        print(
            "ml100k/ratings.csv and ml100k/items.jsonl are neither in ../shared/data nor where TRIVENI_DATA points: "
            "set TRIVENI_DATA to the folder that holds ml100k",
            file=sys.stderr,
        )
        return 1
    log, films = read_ratings(folder), read_films(folder)
    log = log.take(np.flatnonzero(Positives(least={EventKind.RATE: arguments.min_value}).of(log)))
    split = leave_last_out(log, films)
    chosen = baselines(films, arguments.rankers, l2=arguments.ease_l2)
    names = [ranker.name for ranker in chosen.rankers]
    reference = "ease + markov" if "ease + markov" in names else names[0]
    done = evaluate(
        split, films, chosen.rankers, EvaluateOptions(ks=(1, 10), reference=reference), left_out=chosen.left_out
    )
    if arguments.json:
        print(json.dumps(as_document(done), indent=2))
    else:
        for table in as_tables(done):
            console.print(table)
    if arguments.report:
        write_html(arguments.report, done)
    return 0


if __name__ == "__main__":
    sys.exit(main())
