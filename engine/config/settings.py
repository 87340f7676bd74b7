"""The settings: one frozen model, from a TOML file, then environment variables.

A variable is named TRIVENI_ + section + __ + key: `TRIVENI_STORE__PATH=/data/items`. Each room declares its own
section; they are put together here. `engine.compose`, `engine.opening` and the command line hand them on.
"""

import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from engine.catalog.settings import IndexSettings
from engine.config.tenants import TenantName, TenantSettings, check_apart, own_sections
from engine.config.variables import ANY, NESTED, PREFIX, check_variables, nearest
from engine.core.errors import SettingsError
from engine.encode.settings import LimitSettings, SpaceSettings
from engine.events.settings import EventSettings, all_kinds
from engine.http.settings import HttpSettings
from engine.learn.settings import LearnSettings
from engine.models.settings import ModelSettings
from engine.query.settings import FuseSettings, PolicySettings, RetrieveSettings
from engine.service.access.settings import AccessSettings
from engine.service.quotas.settings import QuotaSettings
from engine.service.settings import LogSettings, MetricsSettings, ServiceSettings, TracingSettings
from engine.store.settings import StoreSettings
from engine.studio.settings import StudioSettings

MAX_BYTES = 1 << 20
"""Of a settings file."""
_LONG = 200


class Settings(BaseSettings):
    """All settings."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", env_prefix=PREFIX, env_nested_delimiter=NESTED)

    space: SpaceSettings = SpaceSettings()
    limits: LimitSettings = LimitSettings()
    store: StoreSettings = StoreSettings()
    index: IndexSettings = IndexSettings()
    fuse: FuseSettings = FuseSettings()
    retrieve: RetrieveSettings = RetrieveSettings()
    policy: PolicySettings = PolicySettings()
    events: EventSettings = EventSettings()
    learn: LearnSettings = LearnSettings()
    models: ModelSettings = ModelSettings()
    service: ServiceSettings = ServiceSettings()
    http: HttpSettings = HttpSettings()
    access: AccessSettings = AccessSettings()
    studio: StudioSettings = StudioSettings()
    metrics: MetricsSettings = MetricsSettings()
    tracing: TracingSettings = TracingSettings()
    log: LogSettings = LogSettings()
    quotas: QuotaSettings = QuotaSettings()
    tenants: Mapping[TenantName, TenantSettings] = {}

    @model_validator(mode="after")
    def _weigh_all_kinds(self) -> Self:
        """Let `fuse.weights` have the weights of all kinds of events, wherever they are said."""
        weights = all_kinds(self.events.kinds, self.fuse.weights).weights
        self.__dict__["fuse"] = self.fuse.model_copy(update={"weights": weights})
        return self

    @model_validator(mode="after")
    def _keep_tenants_apart(self) -> Self:
        if self.tenants:
            check_apart(self.by_tenant())
        return self

    def by_tenant(self) -> dict[str, "Settings"]:
        """The settings of each tenant by its name; where there are none, all of these under the name ""."""
        return {name: self.of_tenant(name) for name in self.tenants} or {"": self}

    def of_tenant(self, name: str) -> "Settings":
        """The settings of one tenant: as if there were no other.

        Raises:
            SettingsError: if there is no such tenant.
        """
        own = self.tenants.get(name)
        if own is None:
            there = ", ".join(self.tenants) or "none"
            raise SettingsError(
                f"there is no tenant {name[:100]!r}, there is {there}", "name one, or add [tenants.NAME]"
            )
        return self.model_copy(update={**own_sections(self, name, own), "tenants": {}})

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Environment variables before the file (which comes as arguments) before the defaults."""
        return lambda: with_new_names(env_settings()), init_settings  # type: ignore[return-value]


def load_settings(path: Path | None = None) -> Settings:
    """Read the settings from a TOML file, if one is named or `triveni.toml` is here, then the environment.

    Raises:
        SettingsError: if the file cannot be read, or a key is unknown or out of range.
    """
    if path is None and Path("triveni.toml").is_file():
        path = Path("triveni.toml")
    if path is not None and not path.is_file():
        raise SettingsError(f"no settings file at {path}", "name one that is there, or none for the defaults")
    check_variables(os.environ, [*_keys(), *_old_keys()])
    try:
        if path is not None and path.stat().st_size > MAX_BYTES:
            raise SettingsError(
                f"{path} has {path.stat().st_size} bytes, the limit is {MAX_BYTES}", "name another file"
            )
        table = with_new_names(TomlConfigSettingsSource(Settings, toml_file=path)()) if path else {}
        return Settings(**table)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(step) for step in first["loc"])
        place = path or "the environment"
        if first["type"] == "extra_forbidden":
            remedy = f"{nearest(key, _keys())}correct it in {place}; triveni.example.toml explains every key"
            raise SettingsError(f"there is no setting {key}", remedy) from None
        said = (
            first["msg"].lower().removeprefix("value error, ").replace("a valid tuple", 'a list, such as ["title"]')
        )
        raise SettingsError(
            f"setting {key} is wrong: {said}{_found(first['loc'], first.get('input'))}",
            f"correct it in {place}; triveni.example.toml explains every key",
        ) from None
    except RecursionError:
        raise SettingsError(f"{path} is nested too deeply", "write it plainer") from None
    except ValueError as error:
        raise SettingsError(f"{path} is not valid TOML: {error}", "correct that line") from None
    except OSError as error:
        raise SettingsError(f"{path} cannot be read ({error})", "name a file that may be read") from None


def _found(place: Sequence[str | int], value: object) -> str:
    """The beginning of a wrong value, unless it is, or may hold, a secret."""
    if isinstance(value, Mapping) or _secret_keys().intersection(place[1:]):
        return ""
    text = repr(value)
    return f" (found {text if len(text) <= _LONG else text[:_LONG] + '…'})"


def _secret_keys() -> set[str | int]:
    """Keys, in whichever section, whose values no message shows."""
    sections = [TenantSettings, *(field.annotation for field in Settings.model_fields.values())]
    return {
        key
        for section in sections
        for key, field in getattr(section, "model_fields", {}).items()
        if not field.repr or field.annotation is SecretStr
    }


def _keys() -> list[str]:
    """`section` and `section.key` of all settings; `section.*` where keys are names."""
    found: list[str] = []
    for section, one in Settings.model_fields.items():
        keys = one.annotation.model_fields if isinstance(one.annotation, type(BaseModel)) else [ANY]
        found += [section, *(f"{section}.{key}" for key in keys)]
    return found


def _old_keys() -> dict[str, str]:
    """By `section.key` of the release before, the key of now."""
    return {
        f"{section}.{old}": new
        for section, one in Settings.model_fields.items()
        for old, new in getattr(one.annotation, "renamed", {}).items()
    }


def with_new_names(values: dict[str, Any]) -> dict[str, Any]:
    """Settings of one source, by section; keys that have another name by now get it, with a warning."""
    renamed = dict(values)
    for name, new in _old_keys().items():
        section, _, old = name.partition(".")
        keys = renamed.get(section)
        if isinstance(keys, dict) and old in keys and new not in keys:
            warnings.warn(f"setting {name} is called {section}.{new} now: rename it", FutureWarning, stacklevel=3)
            renamed[section] = {new if key == old else key: value for key, value in keys.items()}
    return renamed
