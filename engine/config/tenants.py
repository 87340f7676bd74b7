"""Several tenants in one server: where the things of each lie, and how much it may ask for."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Protocol

from pydantic import Field, StringConstraints

from engine.core.errors import SettingsError
from engine.core.section import Section
from engine.events.settings import EventSettings
from engine.models.settings import ModelSettings
from engine.service.quotas.settings import QuotaSettings
from engine.store.settings import StoreSettings
from engine.studio.settings import StudioSettings

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


class Shared(Protocol):
    """The settings that a tenant has its own of."""

    @property
    def store(self) -> StoreSettings:
        """Of the vector store."""

    @property
    def events(self) -> EventSettings:
        """Of the event store."""

    @property
    def models(self) -> ModelSettings:
        """Of model versions."""

    @property
    def studio(self) -> StudioSettings:
        """Of the page."""

    @property
    def quotas(self) -> QuotaSettings:
        """Of what may be asked for."""


def own_sections(shared: Shared, name: str, own: TenantSettings) -> dict[str, Section]:
    """The sections of the settings that are a tenant's own, by their names.

    Args:
        shared: those of all.
        name: its name.
        own: what is said of it.
    """

    def beside(path: Path) -> Path:
        return path.parent / "tenants" / name / path.name

    store, studio = shared.store, shared.studio
    collection = store.collection if store.backend == "edge" else f"{store.collection}-{name}"
    quota = own.model_dump(include=set(QuotaSettings.model_fields), exclude_none=True)
    return {
        "store": store.model_copy(
            update={"path": own.store or beside(store.path), "collection": own.collection or collection}
        ),
        "events": shared.events.model_copy(
            update={"url": own.events or _events_url(shared.events.url, name, beside)}
        ),
        "models": shared.models.model_copy(update={"path": own.models or beside(shared.models.path)}),
        "studio": studio.model_copy(
            update={
                "media": own.media or (beside(studio.media) if studio.media else None),
                "cache": beside(studio.cache),
                "reports": studio.reports / "tenants" / name,
            }
        ),
        "quotas": shared.quotas.model_copy(update=quota),
    }


def check_apart(tenants: Mapping[str, Shared]) -> None:
    """See that no two tenants have anything in one place.

    Args:
        tenants: their own settings, by name.

    Raises:
        SettingsError: if two have; it names them.
    """
    taken: dict[tuple[str, object], str] = {}
    for name, own in tenants.items():
        alone = own.store.backend == "edge"
        for key, place in (
            ("store", own.store.path.resolve().parent),  # where indexing leaves the rows that it refused
            ("store" if alone else "collection", own.store.path.resolve() if alone else own.store.collection),
            ("events", _database(own.events.url)),
            ("models", own.models.path.resolve()),
        ):
            other = taken.setdefault((key, place), name)
            if other != name:
                shown = "the same database" if key == "events" else f"files in {place}" if key == "store" else place
                raise SettingsError(
                    f"tenants {other} and {name} have {shown}", f"set tenants.{name}.{key} to a place of its own"
                )


def _database(url: str) -> object:
    """What tells databases apart, however their URLs are written and whoever asks."""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        said = make_url(url)
    except (ArgumentError, ValueError):
        return url  # none, which is said when it is opened
    if said.drivername.startswith("sqlite"):
        return Path(said.database or "").resolve()
    return (said.host or "").lower(), said.port or 5432, said.database, said.query.get("schema")


def _events_url(url: str, name: str, beside: Callable[[Path], Path]) -> str:
    if not url.startswith(_SQLITE):
        return f"{url}{'&' if '?' in url else '?'}schema=tenant_{name}"
    file, question, options = url.removeprefix(_SQLITE).partition("?")
    return f"{_SQLITE}{beside(Path(file))}{question}{options}"
