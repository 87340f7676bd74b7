"""Settings for another machine: what was set, read back the same, and no secret."""

from pathlib import Path

import pytest

from engine.config.portable import portable_toml
from engine.config.settings import Settings, load_settings

SET = Settings.model_validate(
    {
        "store": {"api_key": "sekret", "url": "grpc://a:1,http://me:sekret@b:2", "reserve_mb": 3},
        "events": {
            "url": "postgresql://me:s/ek@ret@db/x?options=-csearch_path=y&sslpassword=sekret",
            "kinds": {"share": {"weight": 1.0}},
        },
        "policy": {"max_per_value": {"seller": 2}},
    }
)


def test_no_secret_is_in_it() -> None:
    text = portable_toml(SET)
    assert "sekret" not in text and "s/ek" not in text and "ret@" not in text
    first = text.splitlines()[0]
    assert first.startswith("# Set these again, no backup keeps them: ")
    assert set(first.partition(": ")[2].split(", ")) == {
        "store.api_key", "the password in store.url", "the password in events.url"
    }  # fmt: skip
    assert not portable_toml(Settings()).startswith("#")


def test_all_else_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIVENI_SERVICE__THREADS", "3")
    (tmp_path / "a.toml").write_text("[policy]\ndiversity = 0.4\n")
    (tmp_path / "b.toml").write_text(portable_toml(load_settings(tmp_path / "a.toml")))
    monkeypatch.delenv("TRIVENI_SERVICE__THREADS")
    again = load_settings(tmp_path / "b.toml")
    assert (again.policy.diversity, again.service.threads, again.service.max_queue) == (0.4, 3, 256)
    (tmp_path / "c.toml").write_text(portable_toml(SET))
    whole = load_settings(tmp_path / "c.toml")
    assert (whole.policy, whole.events.kinds, whole.fuse) == (SET.policy, SET.events.kinds, SET.fuse)
    assert whole.events.url == "postgresql://me@db/x?options=-csearch_path=y&"


def test_a_space_that_was_built_is_found_from_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    assert f'name = "{tmp_path}/mine"' in portable_toml(Settings(space={"name": "mine"}))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "url",
    ["postgresql://u:sek,ret@h/d", "postgresql://u@h/d?password=sek,ret", "grpc://u:sek,ret@a,grpc://u:x,ret@b"],
)
def test_a_password_may_hold_a_comma(url: str) -> None:
    assert ",ret" not in portable_toml(Settings(events={"url": url}))  # type: ignore[arg-type]
