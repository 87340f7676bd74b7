"""The card of a model version: where it comes from, what it can do, and what its files are."""

import json
import secrets
import subprocess
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue, ValidationError

from encoders.networks.weights import sha256_of
from engine.models.errors import CheckpointError
from engine.models.verdict import Verdict

CARD = "card.json"
FORMAT = 1
"""Of the folder of a version. A change that this release could not read raises it."""

VERSION = r"^[a-z0-9][a-z0-9._-]{0,63}$"
"""What the name of a version looks like."""

Number = Annotated[float, Field(allow_inf_nan=False)]


class Privacy(BaseModel):
    """How little a version tells of any one person: (ε, δ) differential privacy of its network."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    unit: str
    """Whose presence is hidden: a "person", with all that they did."""
    epsilon: Number
    """What the training spent, as the accountant has it."""
    delta: Number
    accountant: str
    """How it was accounted for: "rdp", by Rényi differential privacy."""
    noise_multiplier: Number
    max_grad_norm: Number
    sample_rate: Number
    """The probability with which a step sees a person."""
    steps: int
    people: int


class CardDraft(BaseModel):
    """What the maker of a version says of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str
    """The kind of model: it chooses what loads the files."""
    fingerprint: str
    """The space whose vectors it reads."""
    data_from: AwareDatetime | None = None
    """The events that it was trained on: from; None means from the first."""
    data_until: AwareDatetime | None = None
    """The events that it was trained on: until."""
    read_from: AwareDatetime | None = None
    """It knows nothing of events and served lists before; None means that it may know the first."""
    read_until: AwareDatetime | None = None
    """Nor of those of this time or later; None means that it may know all that there were."""
    read_at: AwareDatetime | None = None
    """When it began to read them; None in cards of earlier releases."""
    counts: Mapping[str, int] = Field(default_factory=dict)
    """How much it was trained on: events, people, items, cases."""
    metrics: Mapping[str, Number] = Field(default_factory=dict)
    """Its figures on held-out time, such as `ndcg_at_10`."""
    baseline_metrics: Mapping[str, Number] = Field(default_factory=dict)
    """The same figures of what it was held against."""
    intervals: Mapping[str, tuple[Number, Number]] = Field(default_factory=dict)
    """Confidence intervals of `metrics`."""
    seed: int = 0
    git_commit: str = ""
    """The commit of the code that trained it; "" where it is not known."""
    settings: Mapping[str, JsonValue] = Field(default_factory=dict)
    """The settings that it was trained with."""
    parent: str = ""
    """The version that served when it was judged; "" if none did."""
    privacy: Privacy | None = None
    """Of a version that was trained privately; None of any other."""
    gate: Verdict | None = None
    """What the gate said of it; None if it was not asked."""


class ModelCard(CardDraft):
    """A version's card, as it lies in `card.json` beside its files."""

    format: int = Field(default=FORMAT, strict=True, ge=1)
    version: str = Field(pattern=VERSION)
    created: AwareDatetime
    files: Mapping[str, str] = Field(default_factory=dict)
    """SHA-256 of each file."""

    def may_know(self, first: datetime, last: datetime) -> bool:
        """Whether it may have learned from somebody, who is known to it for all that the card says.

        Args:
            first: the time of their oldest event or served list.
            last: of their newest.
        """
        until = self.read_until or self.read_at or self.created
        return first < until and (self.read_from is None or last >= self.read_from)

    @property
    def order(self) -> str:
        """A key that sorts versions by age."""
        return f"{self.created.astimezone(UTC).isoformat(timespec='microseconds')} {self.version}"

    def to_json(self) -> str:
        """As it is written."""
        return self.model_dump_json(indent=1)


def read_card(folder: Path, version: str = "") -> ModelCard:
    """The card of the version in a folder.

    Args:
        folder: of the version.
        version: its name; "" is that of the folder.

    Raises:
        CheckpointError: if it is missing or broken, of a newer format, or names another version.
    """
    version, path = version or folder.name, folder / CARD
    try:
        if not is_plain(path):
            raise FileNotFoundError(f"no file {path}")
        raw = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(
            f"the card of model version {version} cannot be read ({error})", f"retire it, or put {CARD} back"
        ) from None
    found = raw.get("format") if isinstance(raw, dict) else None
    if isinstance(found, int) and found > FORMAT:
        raise CheckpointError(
            f"model version {version} is of format {found}, this release reads formats up to {FORMAT}",
            "update triveni, or train again with this release",
        )
    try:
        card = ModelCard.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(step) for step in first["loc"])
        raise CheckpointError(
            f"the card of model version {version} is broken at {key or 'its top'}: {first['msg'].lower()}",
            "retire it, or put the card back",
        ) from None
    if card.version != version:
        raise CheckpointError(
            f"the folder of model version {version} holds the card of {card.version}", "name the folder as its card"
        )
    return card


def compare_files(folder: Path, card: ModelCard) -> None:
    """Compare the files of a version with their checksums.

    Raises:
        CheckpointError: if they are others than the card names.
    """
    there = {path.name for path in folder.iterdir()} - {CARD}
    if not there or there != card.files.keys():
        raise CheckpointError(
            f"model version {card.version} holds {_listed(there)}, its card names {_listed(card.files)}",
            "retire the version, or put back what it was made of",
        )
    for name, wanted in card.files.items():
        try:
            found = sha256_of(folder / name) if is_plain(folder / name) else "missing, as it is no plain file"
        except OSError as error:
            found = f"missing ({error.strerror})"
        if found != wanted:
            raise CheckpointError(
                f"{name} of model version {card.version} is corrupt: its checksum is {found}, its card says {wanted}",
                "retire the version, or put the file back",
            )


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))[:400] or "no files"


def is_plain(path: Path) -> bool:
    """Whether there is a file: no link, which may lead out of its folder, and no pipe, whose reader would wait."""
    return path.is_file() and not path.is_symlink()


def version_name(created: datetime) -> str:
    """A name for a version made at a time: it sorts by time, and no other has it."""
    return f"{created:%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"


def git_commit(folder: Path) -> str:
    """The commit of the checkout of a folder, with `-dirty` behind it if files differ; "" outside of one."""
    try:
        done = subprocess.run(  # nosec B607
            ["git", "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
