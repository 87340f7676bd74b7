"""The settings: one frozen model, from a TOML file, then environment variables.

A variable is named TRIVENI_ + section + __ + key: `TRIVENI_STORE__PATH=/data/items`. Only the command line and
`engine.compose` read settings; everything else takes plain arguments.
"""

import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from encoders.types import Modality
from engine.config.variables import NESTED, PREFIX, check_variables, nearest
from engine.core.errors import SettingsError
from engine.core.filters import FieldKind
from engine.core.types import EventKind

Share = Annotated[float, Field(ge=0, le=1)]


class Section(BaseModel):
    """A table of the settings file. Unknown keys are refused; those of the release before are read with a warning."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    renamed: ClassVar[Mapping[str, str]] = {}
    """By the name of the release before, the name of now."""

    @model_validator(mode="before")
    @classmethod
    def _accept_old_names(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        for old, new in cls.renamed.items():
            if old in values and new not in values:
                warnings.warn(f"setting {old} is called {new} now: rename it", FutureWarning, stacklevel=2)
                values = {new if key == old else key: value for key, value in values.items()}
        return values


class SpaceSettings(Section):
    """The shared space and where it runs."""

    name: str = "starter"
    """`starter`, `openclip:<model>/<pretrained>`, or the path of a folder that `triveni space build` wrote."""
    cache: Path = Path("var/models")
    """Where converted networks are kept."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: int = Field(default=0, ge=0)
    """Threads of a network on the CPU; 0 takes all cores."""
    sources: Mapping[Modality, str] = Field(default_factory=dict)
    """Where the weights of the starter space's networks are, if not in the installed packages: a folder, or
    `hf-hub:<org>/<repository>`. They must be the same files: checksums are compared."""


class LimitSettings(Section):
    """The largest content that is decoded."""

    max_bytes: int = Field(default=64 << 20, gt=0)
    max_pixels: int = Field(default=1 << 26, gt=0)
    max_seconds: float = Field(default=600.0, gt=0)
    max_characters: int = Field(default=100_000, gt=0)
    max_decoding_bytes: int = Field(default=1 << 30, gt=0)
    """Memory that large pictures and sounds take at once while they are decoded; more wait."""
    max_side: int = Field(default=32_768, gt=0)
    """The longer side of a picture, in pixels."""
    max_ratio: float = Field(default=200.0, ge=1)
    """The longer side of a picture over the shorter one."""
    max_decoding_seconds: float = Field(default=20.0, gt=0)
    """A picture or sound that takes longer to decode is given up."""
    decoders: int = Field(default=0, ge=0)
    """Processes that decode pictures and sounds at once; 0 takes one per core, and four at least."""


class StoreSettings(Section):
    """Where item vectors are kept."""

    backend: Literal["edge", "server"] = "edge"
    """`edge` is Qdrant embedded in the process, on disk; `server` is a Qdrant server or cluster."""
    path: Path = Path("var/store")
    """The folder of the embedded store."""
    reserve_mb: int = Field(default=256, ge=0)
    """Megabytes of the embedded store's disk that stay free: writes are refused before it is full."""
    url: str = "grpc://127.0.0.1:6334"
    """The address of the server, or those of some nodes of one cluster, with commas between or as a list."""
    api_key: str = Field(default="", repr=False)
    collection: str = Field(default="items", pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")
    timeout_seconds: float = Field(default=30.0, gt=0)
    shards: int = Field(default=0, ge=0)
    """The parts that a new collection is cut into on a cluster; 0 makes one for each node."""
    replicas: int = Field(default=2, gt=0)
    """The nodes that keep each part of a new collection, so that one may be lost; at most as many as there are."""
    write_consistency: int = Field(default=1, gt=0)
    """The replicas that must have taken a write before it counts."""
    cache_mb: int = Field(default=128, ge=0)
    """Megabytes of a server's vectors that a process keeps once it has read them, while they are the same."""

    @field_validator("url", mode="before")
    @classmethod
    def _with_commas(cls, url: object) -> object:
        return ",".join(map(str, url)) if isinstance(url, list) else url

    @model_validator(mode="after")
    def _no_more_than_there_are(self) -> "StoreSettings":
        if self.write_consistency > self.replicas:
            raise ValueError(f"write_consistency is above replicas, which is {self.replicas}")
        return self


class IndexSettings(Section):
    """Bulk indexing."""

    batch: int = Field(default=64, gt=0)
    """Items per batch of the networks and of the store."""
    decoders: int = Field(default=0, ge=0)
    """Threads that read and decode files; 0 takes one per core."""
    strict: bool = False
    """Whether an item is refused if one of its contents cannot be read; else it is indexed without it."""
    fields: Mapping[str, FieldKind] = Field(default_factory=dict)
    """Payload fields that can be filtered on; those not named are found in the catalogue's first rows."""


EVENT_WEIGHTS: Mapping[EventKind, float] = {
    EventKind.IMPRESSION: 0.0,
    EventKind.VIEW: 0.3,
    EventKind.CLICK: 1.0,
    EventKind.LIKE: 2.0,
    EventKind.PURCHASE: 3.0,
    EventKind.RATE: 1.0,
    EventKind.SKIP: -0.3,
    EventKind.DISLIKE: -2.0,
    EventKind.SEARCH: 1.0,
    EventKind.UPLOAD: 1.5,
}
"""The default weight of each kind of event."""


class FuseSettings(Section):
    """How a history becomes query vectors, without training."""

    weights: Mapping[EventKind, float] = EVENT_WEIGHTS
    """The weight of each kind of event; negative ones push away. Kinds that are not named keep their default."""

    @field_validator("weights", mode="after")
    @classmethod
    def _keep_defaults(cls, weights: Mapping[EventKind, float]) -> Mapping[EventKind, float]:
        return {**EVENT_WEIGHTS, **weights}

    half_life_days: float = Field(default=30.0, gt=0)
    """An event this old counts half."""
    max_interests: int = Field(default=4, gt=0)
    """At most so many query vectors for one person."""
    query_weight: Share = 0.75
    """The part of the explicit query, beside a history."""
    max_events: int = Field(default=200, gt=0)
    """Only the newest events are used."""
    related: float = Field(default=1.0, ge=0)
    """Two things are related from this evidence on, in standard deviations above unrelated ones: interests are
    grouped by it, and only what is more related than this to something disliked is pushed away."""
    correlation: Share = 0.5
    """How much several signs for one item (its text and its picture, two events of one interest) say the same:
    0 counts them as independent, 1 as repetitions."""


class RetrieveSettings(Section):
    """How many candidates are fetched."""

    candidates: int = Field(default=100, gt=0)
    """Per query vector and modality, at least; more where the limit asks for it."""
    overfetch: float = Field(default=2.0, ge=1)
    """Candidates per result asked for."""
    max_limit: int = Field(default=1000, gt=0)
    """The largest limit of a request."""
    popularity_field: str = "popularity"
    """A payload number that orders items for a person without history; newest first where no item has it."""


class PolicySettings(Section):
    """What may be shown."""

    diversity: Share = 0.1
    explore: Share = 0.0
    """How probably a place of a recommendation shows another candidate at random: the log then tells what the order
    never shows. Searches, and lists with caps, do not explore."""
    max_per_value: Mapping[str, int] = Field(default_factory=dict)
    min_score: float | None = None


class EventSettings(Section):
    """What people did, and what they were shown."""

    url: str = Field(default="sqlite:///var/events.db", repr=False)
    """`sqlite:///FILE`, or `postgresql://USER:PASSWORD@HOST/DATABASE`."""
    check_items: bool = True
    """Whether events on items that are not in the catalogue are refused."""


class LearnSettings(Section):
    """How a version of the model is trained from what people did."""

    renamed: ClassVar[Mapping[str, str]] = {
        "rate": "learning_rate",
        "positive_worth": "positive_utility",
        "negative_worth": "negative_utility",
    }

    fields: Mapping[str, Literal["category", "number"]] = Field(default_factory=dict)
    """Payload fields that are features of the ranking."""
    min_rating: float = 0.0
    """A rating below this many stars does not speak for an item."""
    held_out: float = Field(default=0.1, gt=0, lt=0.5)
    """The share of the events, the youngest, that a new version is judged on."""
    epochs: int = Field(default=6, gt=0)
    """The most passes over the training rows; it stops earlier when it gets no better."""
    taste_epochs: int = Field(default=0, ge=0)
    """The most passes over the histories for the learned query vector, 12 say; 0 leaves it out."""
    steps: int = Field(default=27, gt=0)
    """The newest so many steps of each person become training rows."""
    first_steps: int = Field(default=3, ge=0)
    """The first so many become training rows too: they teach what to show to people who have just come."""
    width: int = Field(default=64, gt=0, multiple_of=4)
    """Of the network."""
    learning_rate: float = Field(default=2e-3, gt=0)
    """The highest learning rate."""
    batch: int = Field(default=64, gt=0)
    """Training rows of a step."""
    dropout: float = Field(default=0.2, ge=0, lt=1)
    """How often a part of the network is left out in training."""
    id_dropout: float = Field(default=0.5, ge=0, lt=1)
    """How often an item's id is left out in training, so that its contents have to do."""
    positive_utility: float = 1.0
    """What a click, like, purchase or rating is worth to the order of a list, times its probability."""
    negative_utility: float = -1.0
    """The same of a skip or dislike."""
    new_share: Share = 0.0
    """The part of a list's places that items which nobody had acted on get at least, while there are any."""
    seed: int = Field(default=0, ge=0)


class ModelSettings(Section):
    """The versions of the trained model."""

    path: Path = Path("var/trained")
    """The folder of the registry."""
    keep: int = Field(default=5, ge=0)
    """Versions that are kept beside the one that serves, the one before it and the candidate; older ones are retired
    when a new one is made."""
    standby: bool = True
    """Whether the version that served before stays loaded, so that going back takes no loading."""
    candidate_share: float = Field(default=0.1, gt=0, le=1)
    """The share of people who get a candidate that is tried, unless the command says another."""
    deadline_share: float = Field(default=0.5, gt=0, le=1)
    """A reranker is asked if it typically takes at most this part of the time that a request has left."""
    min_cases: int = Field(default=100, gt=0)
    """The gate judges on at least so many people."""
    confidence: float = Field(default=0.95, gt=0, lt=1)
    """Of the interval that has to lie above zero for a version to be promoted."""


class ServiceSettings(Section):
    """The gRPC server."""

    address: str = "127.0.0.1:50051"
    threads: int = Field(default=16, gt=0)
    """Requests that are worked on at once."""
    max_queue: int = Field(default=256, gt=0)
    """Requests that may wait; more are refused with RESOURCE_EXHAUSTED."""
    max_message_bytes: int = Field(default=16 << 20, gt=0)
    max_batch: int = Field(default=32, gt=0)
    """Contents of different calls that are encoded together."""
    drain_seconds: float = Field(default=20.0, ge=0)
    """How long running calls may go on after SIGTERM."""
    reflection: bool = True


class LogSettings(Section):
    """Logs, on standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    json_lines: bool = False


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
