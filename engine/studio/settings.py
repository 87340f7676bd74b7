"""Settings of Triveni Studio."""

from pathlib import Path

from pydantic import Field

from engine.core.section import Section


class StudioSettings(Section):
    """The page to see and try the engine."""

    serve: bool = False
    """Whether `triveni serve` serves the page, too; `triveni studio` and `serve --studio` do whatever this says."""
    media: Path | None = None
    """The folder that the paths of pictures and sounds begin in; None takes the root that the last `triveni index` of
    the collection had."""
    reports: Path = Path("var")
    """The folder in which, and below which, reports of `triveni evaluate` are looked for."""
    cache: Path = Path("var/studio")
    """Where thumbnails are kept."""
    cache_mb: int = Field(default=256, gt=0)
    """Megabytes that they may take; the ones that were not looked at for longest go first."""
