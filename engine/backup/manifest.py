"""What an archive says of itself."""

from collections.abc import Mapping
from datetime import datetime

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from engine.backup.errors import BackupError

FORMAT = 1
"""Of the archive. A change that this release could not read raises it."""


class FileSum(BaseModel):
    """A file of an archive."""

    model_config = ConfigDict(frozen=True)

    size: int = Field(ge=0)
    """In bytes."""
    sha256: str


class Manifest(BaseModel):
    """The last file of an archive."""

    model_config = ConfigDict(frozen=True)

    format: int = Field(default=FORMAT, strict=True, ge=1)
    triveni: str
    """The release that took it."""
    created: AwareDatetime
    """When it was begun: what was acknowledged before is in it."""
    space: str
    """The name of the space, as the settings had it."""
    fingerprint: str
    """The space's."""
    media_root: str | None = None
    """Where the paths of pictures and sounds began."""
    counts: Mapping[str, int]
    """How much it holds: `items`, `versions` of the model, and rows by table of the event store."""
    left_out: tuple[str, ...] = ()
    """What was damaged when it was taken, and is not in it."""
    files: Mapping[str, FileSum]
    """All others of the archive, by name."""


class Taken(BaseModel):
    """What is said of a deployment when a backup of it is taken; see `Manifest`."""

    model_config = ConfigDict(frozen=True)

    triveni: str
    created: datetime
    space: str
    media_root: str | None
    settings: str
    """The settings file, as TOML without secrets."""


def read_manifest(raw: bytes, path: object) -> Manifest:
    """The manifest of the archive at `path`.

    Raises:
        BackupError: if it is broken, or of a newer format.
    """
    try:
        manifest = Manifest.model_validate_json(raw)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"])) or "its top"
        problem = f"the manifest of {path} is broken at {key}: {first['msg'].lower()}"
        raise BackupError(problem, "take another backup") from None
    if manifest.format > FORMAT:
        raise BackupError(
            f"{path} is of format {manifest.format}, this release reads formats up to {FORMAT}", "update triveni"
        )
    return manifest
