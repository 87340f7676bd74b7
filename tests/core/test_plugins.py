"""Parts of other distributions: found by name, loaded when named, and told apart where they are broken."""

import sys
from pathlib import Path
from typing import Protocol, runtime_checkable

import pytest
from pydantic import Field

from engine.core.errors import PluginError, SettingsError
from engine.core.plugins import Parts, Plugins
from engine.core.section import Section
from tests.distributions import add_distribution

GROUP = "triveni.greeters"


@runtime_checkable
class Greeter(Protocol):
    def greet(self) -> str: ...


class PoliteSettings(Section):
    name: str
    times: int = Field(default=1, gt=0)


class Polite:
    Settings = PoliteSettings

    def __init__(self, settings: PoliteSettings) -> None:
        self._settings = settings

    def greet(self) -> str:
        return f"hello {self._settings.name}! " * self._settings.times


class Mute:
    def __init__(self, settings: Section) -> None: ...


class Angry(Mute):
    def __init__(self, settings: Section) -> None:
        raise KeyError("no")


class Odd(Polite):
    Settings = dict


GREETERS: Parts[Greeter] = Parts(GROUP, "greeter", Greeter, {"polite": f"{__name__}:Polite"})


@pytest.fixture
def distribute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Installs a distribution with entry points: only its metadata."""

    def install(name: str, **points: str) -> None:
        add_distribution(monkeypatch, tmp_path, GROUP, points, name)

    return install


def test_own_parts_and_those_of_others_are_made_from_their_settings(distribute) -> None:
    distribute("others", kind=f"{__name__}:Polite")
    assert GREETERS.names() == ("polite", "kind")
    assert GREETERS.added() == ("kind",)
    assert "kind" in GREETERS
    assert "unkind" not in GREETERS
    made = GREETERS.make_all({"kind": {"name": "ann"}, "polite": {"name": "bob", "times": 2}}, "greeters")
    assert [one.greet() for one in made.values()] == ["hello ann! ", "hello bob! hello bob! "]


def test_an_own_name_cannot_be_taken(distribute) -> None:
    distribute("thief", polite="nowhere:Nothing")
    assert GREETERS.names() == ("polite",)
    assert GREETERS.make("polite", {"name": "ann"}, "greeters.polite").greet() == "hello ann! "


def test_a_name_that_nobody_has_is_refused_and_the_nearest_named() -> None:
    with pytest.raises(SettingsError, match=r"there is no greeter 'polit': did you mean polite\? .*\(polite\)"):
        GREETERS.load("polit")


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("a_module_that_is_not_there:Part", "cannot be loaded .*ModuleNotFoundError"),
        (f"{__name__}:Nothing", "cannot be loaded .*AttributeError"),
        (f"{__name__}:Angry", "cannot be made .*KeyError"),
        (f"{__name__}:Mute", "makes a Mute, which is no Greeter"),
        (f"{__name__}:Odd", "has Settings that are no Section"),
    ],
)
def test_a_broken_part_is_told_with_its_distribution_when_it_is_named(distribute, value: str, says: str) -> None:
    distribute("broken", rude=value)
    assert "rude" in GREETERS.names()  # nothing is loaded for that
    with pytest.raises(PluginError, match=says) as refusal:
        GREETERS.make("rude", {}, "greeters.rude")
    assert f"entry point {GROUP}:rude = {value} of distribution broken 1.2" in str(refusal.value)


def test_two_distributions_of_one_name_are_both_named(distribute) -> None:
    distribute("one", kind=f"{__name__}:Polite")
    distribute("two", kind=f"{__name__}:Polite")
    with pytest.raises(PluginError, match=r"'kind' is added by distribution one 1\.2 and by distribution two 1\.2"):
        GREETERS.load("kind")


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({}, r"setting greeters\.polite\.name is wrong: field required"),
        ({"name": "ann", "times": 0}, r"greeters\.polite\.times is wrong: .*\(found 0\)"),
        ({"name": "ann", "age": 3}, r"greeters\.polite\.age is wrong: .*: its settings are name, times"),
    ],
)
def test_a_wrong_setting_is_refused_by_name(table, says) -> None:
    with pytest.raises(SettingsError, match=says):
        GREETERS.make("polite", table, "greeters.polite")


def test_own_parts_are_imported_when_they_are_loaded() -> None:
    lazy: Plugins[object] = Plugins(GROUP, "poem", {"zen": "xml.dom.pulldom:START_ELEMENT"})
    sys.modules.pop("xml.dom.pulldom", None)
    assert "zen" in lazy
    assert "xml.dom.pulldom" not in sys.modules
    assert lazy.load("zen") == "START_ELEMENT"
