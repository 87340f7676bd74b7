"""What a table of the settings file is. Each room declares its own; `engine.config` puts them together."""

import warnings
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

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
