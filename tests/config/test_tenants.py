"""Where the things of tenants lie: apart from each other, and where nothing else is said, beside those of all."""

from pathlib import Path

import pytest

from engine.config.digests import settings_digests
from engine.config.settings import Settings, load_settings
from engine.core.errors import SettingsError


def read(folder: Path, text: str) -> Settings:
    path = folder / "settings.toml"
    path.write_text(text)
    return load_settings(path)


def test_without_tenants_there_is_one_by_itself() -> None:
    assert Settings().by_tenant() == {"": Settings()}
    with pytest.raises(SettingsError, match="there is no tenant 'acme', there is none"):
        Settings().of_tenant("acme")


def test_places_that_are_not_given_lie_beside_those_of_all(tmp_path: Path) -> None:
    acme, other = read(tmp_path, "[tenants.acme]\n[tenants.other]\n").by_tenant().values()
    assert (acme.store.path, acme.store.collection) == (Path("var/tenants/acme/store"), "items")
    assert acme.events.url == "sqlite:///var/tenants/acme/events.db"
    assert acme.models.path == Path("var/tenants/acme/trained")
    assert (acme.studio.cache, acme.studio.reports) == (Path("var/tenants/acme/studio"), Path("var/tenants/acme"))
    assert acme.studio.media is None
    assert other.store.path == Path("var/tenants/other/store")
    assert (acme.tenants, acme.space, acme.fuse) == ({}, Settings().space, Settings().fuse)
    assert settings_digests(acme) != settings_digests(other)


def test_servers_have_a_collection_and_a_schema_for_each(tmp_path: Path) -> None:
    text = '[store]\nbackend = "server"\n[events]\nurl = "postgresql://u:p@h/d"\n[tenants.acme]\n[tenants.b-2]\n'
    acme, other = read(tmp_path, text).by_tenant().values()
    assert (acme.store.collection, other.store.collection) == ("items-acme", "items-b-2")
    assert acme.events.url == "postgresql://u:p@h/d?schema=tenant_acme"
    text = text.replace("h/d", "h/d?connect_timeout=2")
    assert read(tmp_path, text).of_tenant("b-2").events.url.endswith("?connect_timeout=2&schema=tenant_b-2")


def test_places_that_are_given_are_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIVENI_TENANTS__ACME__MODELS", "/srv/models")
    text = (
        '[tenants.acme]\nstore = "/srv/acme"\ncollection = "shop"\nevents = "sqlite:///x.db"\nmedia = "/srv/media"\n'
    )
    acme = read(tmp_path, text).of_tenant("acme")
    assert (acme.store.path, acme.store.collection) == (Path("/srv/acme"), "shop")
    assert (acme.events.url, acme.models.path) == ("sqlite:///x.db", Path("/srv/models"))
    assert acme.studio.media == Path("/srv/media")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[tenants.Acme]\n", "tenants.Acme"),
        ('[tenants."../b"]\n', "tenants"),
        (f"[tenants.{'a' * 32}]\n", "tenants"),
        ("[tenants.acme]\nstor = 1\n", "no setting tenants.acme.stor"),
        ('[tenants.a]\n[tenants.b]\nstore = "var/tenants/a/store"\n', "tenants a and b have .*: set tenants.b.store"),
        ('[tenants.a]\nmodels = "x"\n[tenants.b]\nmodels = "x"\n', "tenants a and b have .*: set tenants.b.models"),
        (
            '[tenants.a]\nevents = "postgresql://u:secret@h/d"\n[tenants.b]\nevents = "postgresql://u:secret@h/d"\n',
            "tenants a and b have the same database: set tenants.b.events",
        ),
        (
            '[tenants.a]\nevents = "postgresql://u:secret@h/d"\n[tenants.b]\nevents = "postgresql://v@H:5432/d"\n',
            "tenants a and b have the same database: set tenants.b.events",
        ),
        (
            '[tenants.a]\nevents = "sqlite:///x/a.db"\n[tenants.b]\nevents = "sqlite:///./x/b/../a.db"\n',
            "tenants a and b have the same database: set tenants.b.events",
        ),
        (
            '[tenants.a]\nstore = "/s/a"\n[tenants.b]\nstore = "/s/b"\n',
            "a and b have files in /s: set tenants.b.store",
        ),
        ('[tenants.a]\nstore = "x"\n[tenants.b]\nstore = "y/../x"\n', "tenants a and b have .*: set tenants.b.store"),
        (
            '[tenants.a]\nmodels = "x"\n[tenants.b]\nmodels = "y/../x"\n',
            "tenants a and b have .*: set tenants.b.models",
        ),
        (
            '[store]\nbackend = "server"\n[tenants.a]\n[tenants.b]\ncollection = "items-a"\n',
            "tenants a and b have items-a: set tenants.b.collection",
        ),
    ],
)
def test_tenants_that_would_meet_or_are_named_wrongly_are_refused(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(SettingsError, match=says) as refused:
        read(tmp_path, text)
    assert refused.value.remedy
    assert "secret" not in str(refused.value)
