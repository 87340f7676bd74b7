"""The settings: one frozen model, from a TOML file, then environment variables.

A variable is named TRIVENI_ + section + __ + key: `TRIVENI_STORE__PATH=/data/items`. Each room declares its own
section; they are put together here. `engine.compose`, `engine.opening` and the command line hand them on.
"""

import os
from pathlib import Path

from pydantic import BaseModel, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from engine.catalog.settings import IndexSettings
from engine.config.variables import NESTED, PREFIX, check_variables, nearest
from engine.core.errors import SettingsError
from engine.encode.settings import LimitSettings, SpaceSettings
from engine.events.settings import EventSettings
from engine.learn.settings import LearnSettings
from engine.models.settings import ModelSettings
from engine.query.settings import FuseSettings, PolicySettings, RetrieveSettings
from engine.service.settings import LogSettings, ServiceSettings
from engine.store.settings import StoreSettings


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
    log: LogSettings = LogSettings()

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
        return env_settings, init_settings


def load_settings(path: Path | None = None) -> Settings:
    """Read the settings from a TOML file, if one is named or `triveni.toml` is here, then the environment.

    Raises:
        SettingsError: if the file cannot be read, or a key is unknown or out of range.
    """
    if path is None and Path("triveni.toml").is_file():
        path = Path("triveni.toml")
    if path is not None and not path.is_file():
        raise SettingsError(f"no settings file at {path}", "name one that is there, or none for the defaults")
    check_variables(os.environ, _keys())
    try:
        table = TomlConfigSettingsSource(Settings, toml_file=path)() if path else {}
        return Settings(**table)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(step) for step in first["loc"])
        place = path or "the environment"
        if first["type"] == "extra_forbidden":
            remedy = f"{nearest(key, _keys())}correct it in {place}; triveni.example.toml explains every key"
            raise SettingsError(f"there is no setting {key} (found {first.get('input')!r})", remedy) from None
        raise SettingsError(
            f"setting {key} is wrong: {first['msg'].lower()} (found {first.get('input')!r})",
            f"correct it in {place}; triveni.example.toml explains every key",
        ) from None
    except ValueError as error:
        raise SettingsError(f"{path} is not valid TOML: {error}", "correct that line") from None
    except OSError as error:
        raise SettingsError(f"{path} cannot be read ({error})", "name a file that may be read") from None


def _keys() -> list[str]:
    """`section` and `section.key` of all settings."""
    found: list[str] = []
    for section, one in Settings.model_fields.items():
        keys = one.annotation.model_fields if isinstance(one.annotation, type(BaseModel)) else {}
        found += [section, *(f"{section}.{key}" for key in [*keys, *getattr(one.annotation, "renamed", ())])]
    return found
