"""What other machines would reach is refused before anything is loaded."""

from contextlib import ExitStack

import pytest
import structlog

from engine import opening
from engine.cli.serving import open_server
from engine.config.settings import Settings
from engine.core.errors import SettingsError


class LoadedError(Exception):
    """The encoders would be loaded now."""


@pytest.mark.parametrize("section", ["service", "http", "metrics"])
def test_it_is_refused_or_warned_of_before_the_encoders_load(section: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def loads(*_: object, **__: object) -> None:
        raise LoadedError

    monkeypatch.setattr(opening, "open_space", loads)
    with ExitStack() as opened, structlog.testing.capture_logs() as said:
        with pytest.raises(SettingsError, match=f"{section}.address is 0.0.0.0:1, which other machines reach"):
            open_server(Settings(**{section: {"address": "0.0.0.0:1"}}), opened)
        with pytest.raises(LoadedError):
            open_server(Settings(**{section: {"address": "0.0.0.0:1", "insecure": True}}), opened)
        with pytest.raises(LoadedError):
            open_server(Settings(**{section: {"address": "127.0.0.1:1"}}), opened)
    assert [line["what"] for line in said if line["log_level"] == "warning"] == [section]
