"""Several tenants in one server: where the things of each lie, and how much it may ask for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import Field, StringConstraints

from engine.core.errors import SettingsError
from engine.core.section import Section

if TYPE_CHECKING:
    from engine.config.settings import Settings

TenantName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,30}$")]
"""Becomes the name of folders, of a database schema and of collections."""

_SQLITE = "sqlite:///"


class TenantSettings(Section):
    """One tenant. Places that are not given lie in a folder `tenants/NAME` beside those of the other settings."""

    store: Path | None = None
    """The folder of its embedded store: var/tenants/NAME/store if `store.path` is var/store."""
    collection: str = Field(default="", pattern=r"^([a-z0-9][a-z0-9_-]{0,63})?$")
    """Its collection on a Qdrant server; items-NAME if `store.collection` is items."""
    events: str = Field(default="", repr=False)
    """The URL of its events; var/tenants/NAME/events.db if all others are in var/events.db, and with PostgreSQL the
    schema tenant_NAME of the same database."""
    models: Path | None = None
    """The folder of its versions; var/tenants/NAME/trained if `models.path` is var/trained."""
    media: Path | None = None
    """The folder that the paths of its pictures and sounds begin in, as in `studio.media`."""
    calls_per_second: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    """That it may make; `quotas.calls_per_second` if not given."""
    encoded_bytes_per_second: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    """Of messages with contents; `quotas.encoded_bytes_per_second` if not given."""
    burst_seconds: float | None = Field(default=None, gt=0, le=3600)
    """For which it may save; `quotas.burst_seconds` if not given."""


def of_tenant(settings: Settings, name: str) -> Settings:
    """The settings of one tenant: as if there were no other.

    Raises:
        SettingsError: if there is no such tenant.
    """
    own = settings.tenants.get(name)
    if own is None:
        there = ", ".join(settings.tenants) or "none"
        raise SettingsError(f"there is no tenant {name[:100]!r}, there is {there}", "name one, or add [tenants.NAME]")

    def beside(path: Path) -> Path:
        return path.parent / "tenants" / name / path.name

    store, studio = settings.store, settings.studio
    alone = store.backend == "edge"
    quota = {
        key: getattr(own, key) for key in type(settings.quotas).model_fields if getattr(own, key, None) is not None
    }
    places: dict[str, dict[str, object]] = {
        "store": {
            "path": own.store or beside(store.path),
            "collection": own.collection or (store.collection if alone else f"{store.collection}-{name}"),
        },
        "events": {"url": own.events or _events_url(settings.events.url, name, beside)},
        "quotas": quota,
        "models": {"path": own.models or beside(settings.models.path)},
        "studio": {
            "media": own.media or (beside(studio.media) if studio.media else None),
            "cache": beside(studio.cache),
            "reports": studio.reports / "tenants" / name,
        },
    }
    changed = {section: getattr(settings, section).model_copy(update=change) for section, change in places.items()}
    return settings.model_copy(update={**changed, "tenants": {}})


def by_tenant(settings: Settings) -> dict[str, Settings]:
    """The settings of each tenant by its name; where there are none, all settings under the name ""."""
    return {name: of_tenant(settings, name) for name in settings.tenants} or {"": settings}


def check_apart(settings: Settings) -> None:
    """See that no two tenants have anything in one place.

    Raises:
        SettingsError: if two have; it names them.
    """
    taken: dict[tuple[str, object], str] = {}
    for name in settings.tenants:
        own = of_tenant(settings, name)
        alone = own.store.backend == "edge"
        for key, place in (
            ("store" if alone else "collection", own.store.path.absolute() if alone else own.store.collection),
            ("events", own.events.url),
            ("models", own.models.path.absolute()),
        ):
            other = taken.setdefault((key, place), name)
            if other != name:
                shown = "the same database" if key == "events" else place
                raise SettingsError(
                    f"tenants {other} and {name} have {shown}", f"set tenants.{name}.{key} to a place of its own"
                )


def _events_url(url: str, name: str, beside: Callable[[Path], Path]) -> str:
    if not url.startswith(_SQLITE):
        return f"{url}{'&' if '?' in url else '?'}schema=tenant_{name}"
    file, question, options = url.removeprefix(_SQLITE).partition("?")
    return f"{_SQLITE}{beside(Path(file))}{question}{options}"
