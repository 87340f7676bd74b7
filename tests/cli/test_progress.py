"""Lines of a long run where there is no terminal."""

import json
import time

import pytest
import structlog

from engine.cli.progress import _lines, told
from engine.config.settings import Settings


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_each_stage_is_told_and_the_share_never_falls(capsys: pytest.CaptureFixture[str]) -> None:
    settings = Settings(log={"json_lines": True})
    try:
        with told(settings, "training") as tell:
            for share, stage in ((0.1, "a"), (0.2, "a"), (0.1, "b"), (1.0, "done")):
                tell(share, stage)
        with told(settings, "training", shown=False) as tell:
            tell(0.5, "another process")
        found = lines(capsys)
    finally:
        structlog.reset_defaults()
    assert [(one["event"], one["stage"], one["done"]) for one in found] == [
        ("training", "starting", 0.0),
        ("training", "a", 0.1),
        ("training", "b", 0.2),
        ("training", "done", 1.0),
    ]


def test_a_stage_that_tells_nothing_is_told_again_and_again() -> None:
    with structlog.testing.capture_logs() as logs, _lines("training", every=0.01) as tell:
        tell(0.3, "a long one")
        until = time.monotonic() + 60
        while sum(one["stage"] == "a long one" for one in logs) < 4:
            assert time.monotonic() < until
            time.sleep(0.01)
    assert {one["done"] for one in logs if one["stage"] == "a long one"} == {0.3}
