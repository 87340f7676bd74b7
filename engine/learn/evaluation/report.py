"""An evaluation for people: tables for the terminal, JSON, and one HTML page that needs nothing else."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader
from rich.table import Table

from engine.core.types import Json
from engine.learn.evaluation.options import Evaluation, Result
from engine.learn.evaluation.report_tables import ReportTable, number, plain, sheet_table
from engine.learn.evaluation.stats import Difference, Interval

LONGEST_NAME = 30
"""Characters of a ranker's name in a plot, at most."""
OTHERS = ("hr", "mrr", "recall", "coverage", "novelty", "diversity")
"""The other metrics that the terminal shows; JSON and the page have all."""


def as_document(done: Evaluation) -> dict[str, Json]:
    """The evaluation as plain data; NaN becomes null."""
    return {
        "split": done.split,
        "events": done.events,
        "users": done.users,
        "items": done.items,
        "cases": done.cases,
        "dropped": done.dropped,
        "ks": list(done.options.ks),
        "leave_seen_out": done.options.leave_seen_out,
        "reference": done.options.reference or None,
        "level": done.options.draws.level,
        "seed": done.options.draws.seed,
        "slices": dict(done.slice_sizes),
        "left_out": dict(done.left_out),
        "rankers": [
            {
                "name": result.name,
                "note": done.notes.get(result.name),
                "fit_seconds": round(result.fit_seconds, 3),
                "score_seconds": round(result.score_seconds, 3),
                "metrics": plain(result.metrics),
                "against_reference": plain(result.against),
                "slices": {group: plain(values) for group, values in result.slices.items()},
                "slices_against_reference": plain(result.slices_against),
                "without": {
                    str(one.modality): {"metrics": plain(one.metrics), "loss": plain(one.difference)}
                    for one in result.ablations
                },
            }
            for result in done.results
        ],
    }


def as_tables(done: Evaluation) -> list[Table]:
    """The evaluation as tables for a terminal of 80 columns: the rankers, best first, then the groups of cases."""
    best, reference = done.options.main, done.options.reference
    table = Table(title=_title(done), title_justify="left", caption=_caption(done), caption_justify="left")
    table.add_column("ranker", overflow="fold")
    for heading in (
        best,
        f"{done.options.draws.level:.0%}",
        *((f"less {reference}", "p") if reference else ()),
        "seconds",
    ):
        table.add_column(heading, justify="right", min_width=16 if heading.endswith("%") else None)
    for result in _ordered(done):
        interval, apart = result.metrics[best], result.against.get(best)
        cells = [number(interval.mean), f"{number(interval.low)} to {number(interval.high)}"]
        if reference:
            cells += [f"{apart.mean:+.4f}", f"{apart.p_value:.4f}"] if apart else ["", ""]
        table.add_row(result.name, *cells, f"{result.fit_seconds + result.score_seconds:.1f}")
    return [table, *map(sheet_table, [_others(done), *_groups(done), *_losses(done)])]


def _others(done: Evaluation) -> ReportTable:
    k = max(done.options.ks)
    names = [name for name in OTHERS if any(f"{name}@{k}" in result.metrics for result in done.results)]
    rows = ((one.name, *(number(one.metrics[f"{name}@{k}"].mean) for name in names)) for one in _ordered(done))
    return ReportTable(f"At {k} positions", ("ranker", *names), tuple(rows))


def _groups(done: Evaluation) -> list[ReportTable]:
    groups = [name for name, size in done.slice_sizes.items() if name != "all" and size]
    if not groups:
        return []
    best, told = done.options.main, any(result.slices_against for result in done.results)
    headings = ("ranker", *(f"{group} ({done.slice_sizes[group]:,})" for group in groups))
    rows = (
        (one.name, *(number(one.slices[group][best].mean) + _sign(one.slices_against.get(group)) for group in groups))
        for one in _ordered(done)
    )
    caption = f"+ and -: the interval of the difference from {done.options.reference} lies above or below zero"
    return [ReportTable(f"{best} by group of cases", headings, tuple(rows), caption if told else "")]


def _sign(apart: Difference | None) -> str:
    """Whether a difference can be told from chance, and which way it is."""
    if apart is None:
        return "  "
    return " +" if apart.low > 0 else " -" if apart.high < 0 else "  "


def _losses(done: Evaluation) -> list[ReportTable]:
    best = done.options.main
    rows = tuple(
        (
            result.name,
            str(one.modality),
            number(one.metrics[best].mean),
            f"{one.difference[best].mean:+.4f}",
            f"{one.difference[best].p_value:.4f}",
        )
        for result in _ordered(done)
        for one in result.ablations
    )
    title = f"{best} without a modality, scored by what learned with all"
    return [ReportTable(title, ("ranker", "without", best, "change", "p"), rows)] if rows else []


def write_html(path: Path, done: Evaluation, tables: Sequence[ReportTable] = ()) -> None:
    """Write the page, atomically: no scripts, no files beside it.

    Args:
        path: the page; its folder is made.
        done: the evaluation.
        tables: more tables, below its own.
    """
    best, k = done.options.main, max(done.options.ks)
    groups = [name for name, size in done.slice_sizes.items() if name != "all" and size]
    plotted = ("ndcg", "hr", "recall", "mrr") if k > 1 else ("ndcg",)  # at one position they are all the same
    plots = [_plot(f"{name}@{k}", "", done, {}) for name in plotted]
    plots += [
        _plot(
            best, f"{group}: {done.slice_sizes[group]:,} cases", done, {r.name: r.slices[group] for r in done.results}
        )
        for group in groups
    ]
    names = list(dict.fromkeys(name for result in done.results for name in result.metrics))
    _write(
        path,
        title=_title(done),
        caption=_caption(done),
        about=_about(done),
        plots=plots,
        names=names,
        results=_ordered(done),
        reference=done.options.reference,
        best=best,
        tables=tables,
    )


def write_tables(path: Path, title: str, tables: Sequence[ReportTable]) -> None:
    """Write a page of tables, as `write_html` does."""
    _write(path, title=title, caption="", about={}, plots=[], results=[], reference="", tables=tables)


def _write(path: Path, **said: object) -> None:
    template = Environment(loader=PackageLoader("engine.learn.evaluation", ""), autoescape=True).get_template(
        "report.html.jinja"
    )
    page = template.render(number=number, longest=LONGEST_NAME, **said)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.write_text(page, encoding="utf-8")
    part.replace(path)


@dataclass(frozen=True, slots=True)
class ReportBar:
    """A bar of a plot; lengths are shares of its width."""

    name: str
    label: str
    length: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Plot:
    """A plot of bars with intervals, one per ranker."""

    metric: str
    group: str
    bars: tuple[ReportBar, ...]

    @property
    def left(self) -> int:
        """Where the bars begin: the names of rankers stand before them, cut if they are very long."""
        return 12 + 7 * min(max(len(bar.name) for bar in self.bars), LONGEST_NAME)


def _plot(metric: str, group: str, done: Evaluation, values: Mapping[str, Mapping[str, Interval]]) -> Plot:
    found = [(result.name, (values.get(result.name) or result.metrics)[metric]) for result in _ordered(done)]
    widest = max((one.high for _, one in found if math.isfinite(one.high)), default=0.0) or 1.0
    bars = tuple(
        ReportBar(name, number(one.mean), *(_share(value, widest) for value in (one.mean, one.low, one.high)))
        for name, one in found
    )
    return Plot(metric, group, bars)


def _share(value: float, widest: float) -> float:
    return round(min(max(value / widest, 0.0), 1.0), 4) if math.isfinite(value) else 0.0


def _ordered(done: Evaluation) -> Sequence[Result]:
    best = done.options.main
    return sorted(done.results, key=lambda result: -result.metrics[best].mean)


def _title(done: Evaluation) -> str:
    return f"Evaluation: {done.split}, {done.cases:,} cases, all {done.items:,} items ranked"


def _about(done: Evaluation) -> dict[str, str]:
    return {
        "events learned from": f"{done.events:,}",
        "users": f"{done.users:,}",
        "items": f"{done.items:,}",
        "cases": f"{done.cases:,}",
        "seen items": "left out" if done.options.leave_seen_out else "ranked too",
        "seed": str(done.options.draws.seed),
    }


def _caption(done: Evaluation) -> str:
    said = [f"seen items {'left out' if done.options.leave_seen_out else 'ranked too'}"]
    if done.dropped:
        said.append(f"{done.dropped:,} cases without a target that can be ranked are not counted")
    said.extend(f"{name} left out: {reason}" for name, reason in done.left_out)
    said.extend(f"{name}: {note}" for name, note in done.notes.items())
    return "; ".join(said)
