"""Figures of served lists and of trials as sheets: one form for the terminal, JSON and the page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, is_dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rich.table import Table

from engine.core.types import Json
from engine.learn.evaluation.stats import Difference, Interval
from engine.learn.evaluation.trial import Trial

if TYPE_CHECKING:
    from engine.learn.evaluation.served_lists import ServedFigures

FEW = 100
"""An estimate from fewer effective positions than this is not to be believed."""


@dataclass(frozen=True, slots=True)
class ReportTable:
    """A table with a title and what has to be known to read it."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str = ""


def served_tables(figures: ServedFigures) -> list[ReportTable]:
    """What served lists say of a version."""
    rows = []
    for name, observed in figures.observed.items():
        if not observed.mean:
            rows.append((name, "as served", "-", "none followed any list"))
            continue
        rows.append((name, "as served", *_interval(observed)))
        if found := figures.estimates.get(name):
            estimates = {"IPS": found.ips, "SNIPS": found.snips, "DR": found.dr}
            rows += [("", way, *_interval(one)) for way, one in estimates.items() if one is not None]
    since = f"served after {_moment(figures.since)}, until when it learned; " if figures.since else ""
    caption = (
        f"{figures.lists:,} lists with {figures.positions:,} positions, {since}"
        f"{figures.left_out:,} lists are left out. "
    )
    least = min((one.effective for one in figures.estimates.values()), default=0.0)
    if figures.estimates:
        caption += f"The estimates weigh as {least:,.0f} positions"
        caption += ": too few to believe them." if least < FEW else "."
    else:
        caption += (
            "Every propensity is 1: the lists were made without exploration, so nothing can be said of lists that "
            "were not shown. Set policy.explore above 0, or compare versions by a trial (triveni model candidate)."
        )
    earned = ReportTable(
        f"What {figures.version} would get, per position",
        ("", "", "mean", "interval"),
        tuple(rows),
        caption,
    )
    replayed = figures.replayed
    predicts = ReportTable(
        f"What {figures.version} predicts of these lists",
        ("", "figure", "interval"),
        (
            ("calibration error (ECE)", f"{figures.calibration_error:.4f}", ""),
            ("mean probability of a favourable answer", f"{figures.predicted:.4f}", ""),
            ("share of positions with one", f"{figures.happened:.4f}", ""),
            (f"NDCG of choices, less as served ({replayed.count:,} lists)", *_difference(replayed)[:2]),
        ),
        "The order that was served had the advantage of being looked at from the top.",
    )
    return [earned, predicts]


def trial_tables(trial: Trial) -> list[ReportTable]:
    """Two versions of a trial, side by side."""
    arms = (trial.ours, trial.theirs)
    rows = []
    for name, apart in trial.apart.items():
        for label, arm in zip((name, ""), arms, strict=True):
            rows.append((label, arm.version, *_interval(arm.rates[name]), ""))
        if not any(arm.rates[name].mean for arm in arms):
            rows.append(("", "difference", "-", "none followed any list", ""))
            continue
        rows.append(("", "difference", *_difference(apart)))
        if trial.within:
            rows.append(("", "the same users", *_difference(trial.within[name])))
    about = tuple((f"{arm.version}", f"{arm.lists:,}", f"{arm.users:,}", f"{arm.positions:,}") for arm in arms)
    caption = (
        f"Lists from {_moment(trial.since)} to {_moment(trial.until)}, when both served. "
        f"{trial.nobody:,} lists of nobody named and {trial.both:,} users who got both are not compared as groups."
    )
    return [
        ReportTable("The trial", ("version", "lists", "users", "positions"), about, caption),
        ReportTable(
            "Per position shown",
            ("", "", "mean", "interval", "p"),
            tuple(rows),
            "A difference whose interval holds zero cannot be told from chance.",
        ),
    ]


def sheet_table(sheet: ReportTable) -> Table:
    """A sheet for the terminal."""
    table = Table(title=sheet.title, title_justify="left", caption=sheet.caption, caption_justify="left")
    for position, heading in enumerate(sheet.headings):
        table.add_column(heading, justify="right" if position else "left", no_wrap=not position, overflow="fold")
    for row in sheet.rows:
        table.add_row(*row)
    return table


def plain(value: Any) -> Json:
    """Dataclasses, intervals and times as plain data; NaN becomes null."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain(one) for one in value]
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value  # type: ignore[no-any-return]


def _interval(one: Interval) -> tuple[str, str]:
    return number(one.mean), f"{number(one.low)} to {number(one.high)}"


def _difference(one: Difference) -> tuple[str, str, str]:
    if not math.isfinite(one.mean):
        return "-", "", ""
    return f"{one.mean:+.4f}", f"{one.low:+.4f} to {one.high:+.4f}", f"{one.p_value:.4f}"


def number(value: float) -> str:
    """A figure with four digits that count."""
    if not math.isfinite(value):
        return "-"
    return f"{value:.4f}" if abs(value) < 2 else f"{value:.2f}"


def _moment(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M} UTC"
