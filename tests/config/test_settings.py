"""The settings: the sample file, the environment, and refusals."""

import tomllib
from pathlib import Path

import pytest
from pydantic import BaseModel

from engine import opening
from engine.config.settings import Settings, load_settings
from engine.config.tenants import TenantSettings
from engine.core.errors import SettingsError
from engine.core.kinds import STANDARD_KINDS
from engine.core.types import EventKind

SAMPLE = Path(__file__).parents[2] / "triveni.example.toml"


def write(folder: Path, text: str) -> Path:
    path = folder / "settings.toml"
    path.write_text(text)
    return path


def test_sample_file_states_the_defaults():
    assert load_settings(SAMPLE) == Settings()


def test_sample_file_explains_every_key():
    table = tomllib.loads(SAMPLE.read_text())
    text = SAMPLE.read_text()
    for section, field in Settings.model_fields.items():
        kind = TenantSettings if section == "tenants" else field.annotation
        assert isinstance(kind, type)
        assert issubclass(kind, BaseModel)
        for key in kind.model_fields:
            named = key in table[section] or f"# {key} =" in text
            assert named, f"{section}.{key} is not in triveni.example.toml"


def test_environment_wins_over_the_file(tmp_path, monkeypatch):
    path = write(tmp_path, '[store]\npath = "from-file"\ncollection = "films"\n')
    monkeypatch.setenv("TRIVENI_STORE__PATH", "from-env")
    settings = load_settings(path)
    assert settings.store.path == Path("from-env")
    assert settings.store.collection == "films"


def test_the_addresses_of_a_cluster_are_a_list_or_have_commas_between(tmp_path, monkeypatch):
    path = write(tmp_path, '[store]\nurl = ["grpc://a:6334", "grpc://b"]\n')
    assert load_settings(path).store.url == "grpc://a:6334,grpc://b"
    monkeypatch.setenv("TRIVENI_STORE__URL", "grpc://c,grpc://d")
    assert load_settings(path).store.url == "grpc://c,grpc://d"


def test_event_weights_that_are_not_named_keep_their_default(tmp_path):
    settings = load_settings(write(tmp_path, "[fuse.weights]\nclick = 7.0\n"))
    assert settings.fuse.weights == {**STANDARD_KINDS.weights, EventKind.CLICK: 7.0}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[store]\npathh = 'x'\n", "no setting store.pathh: did you mean store.path?"),
        ("[leran]\nepochs = 1\n", "no setting leran: did you mean learn?"),
        ("[policy]\ndiversity = 1.5\n", "1.5"),
        ('[index]\nwords = "sku"\n', "index.words is wrong: input should be a list, such as"),
        ("[fuse.weights]\nadore = 1.0\n", "adore"),
        ("[store\n", "not valid TOML"),
        ("[store]\nwrite_consistency = 3\n", "write_consistency is above replicas, which is 2"),
    ],
)
def test_wrong_settings_are_refused_by_name(tmp_path, text, says):
    with pytest.raises(SettingsError, match=says) as refusal:
        load_settings(write(tmp_path, text))
    assert refusal.value.remedy


def test_a_file_that_cannot_be_read_is_refused():
    with pytest.raises(SettingsError, match=r"/proc/self/mem cannot be read .*: name a file that may be read"):
        load_settings(Path("/proc/self/mem"))


def test_names_of_the_release_before_are_read_with_a_warning(tmp_path, monkeypatch):
    path = tmp_path / "t.toml"
    path.write_text("[learn]\nrate = 0.5\nnegative_worth = -2\n")
    monkeypatch.setenv("TRIVENI_LEARN__POSITIVE_WORTH", "3")
    with pytest.warns(FutureWarning, match=r"setting learn\.rate is called learn\.learning_rate now: rename it"):
        learn = load_settings(path).learn
    assert (learn.learning_rate, learn.positive_utility, learn.negative_utility) == (0.5, 3, -2)
    path.write_text("[learn]\nlearning_rate = 0.4\n")
    monkeypatch.setenv("TRIVENI_LEARN__RATE", "0.3")
    with pytest.warns(FutureWarning, match=r"setting learn\.rate is called learn\.learning_rate now"):
        assert load_settings(path).learn.learning_rate == 0.3  # the environment wins by whichever name
    monkeypatch.delenv("TRIVENI_LEARN__RATE")
    monkeypatch.setenv("TRIVENI_LEARN__LEARNING_RATE", "0.2")
    path.write_text("[learn]\nrate = 0.5\n")
    with pytest.warns(FutureWarning, match="rename it"):
        assert load_settings(path).learn.learning_rate == 0.2
    path.write_text("[learn]\nrate = 0.5\nlearning_rate = 0.4\n")
    with pytest.raises(SettingsError, match=r"there is no setting learn\.rate"):
        load_settings(path)


def test_missing_file_is_refused(tmp_path):
    with pytest.raises(SettingsError, match="no settings file"):
        load_settings(tmp_path / "absent.toml")


@pytest.mark.parametrize(
    ("name", "right"),
    [
        ("TRIVENI_LERAN__EPOCHS", "did you mean TRIVENI_LEARN__EPOCHS?"),
        ("TRIVENI_LEARN__EPOCS", "did you mean TRIVENI_LEARN__EPOCHS?"),
        ("triveni_leran__epochs", "did you mean TRIVENI_LEARN__EPOCHS?"),
        ("TRIVENI_FUSEE__WEIGHTS__CLICK", "did you mean TRIVENI_FUSE__WEIGHTS?"),
        ("TRIVENI_STORE_PATH", "write TRIVENI_STORE__PATH"),
        ("TRIVENI_QQQQ__ZZZZ", "correct or unset it"),
    ],
)
def test_a_variable_that_sets_nothing_is_refused_and_the_nearest_named(monkeypatch, name, right):
    monkeypatch.setenv(name, "1")
    with pytest.raises(SettingsError, match=f"environment variable {name} sets nothing") as refusal:
        load_settings()
    assert right in refusal.value.remedy


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TRIVENI_FUSE__WEIGHTS__CLICK", "2"),
        ("TRIVENI_STORE", '{"collection": "films"}'),
        ("triveni_store__collection", "films"),
        ("TRIVENI_SERVICE_HOST", "10.0.0.1"),  # set by Kubernetes for a service named triveni
        ("TRIVENI_PORT_50051_TCP", "tcp://10.0.0.1:50051"),
    ],
)
def test_variables_that_are_settings_and_those_of_others_are_let_be(monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    assert load_settings().learn == Settings().learn


CART = '[events.kinds.add_to_cart]\nweight = 1.5\nsign = "positive"\nexplicit = false\n'


def test_a_kind_of_events_is_declared_with_its_weight(tmp_path, monkeypatch):
    settings = load_settings(write(tmp_path, f"{CART}[events.kinds.like]\nweight = 4\n[fuse.weights]\nview = 0.5\n"))
    weights = {**STANDARD_KINDS.weights, "like": 4.0, "view": 0.5, "add_to_cart": 1.5}
    assert settings.fuse.weights == opening.event_kinds(settings).weights == weights
    assert opening.event_kinds(settings).positive == {*STANDARD_KINDS.positive, "add_to_cart"}
    assert opening.event_limits(settings).kinds == opening.event_kinds(settings)
    assert opening.event_kinds(Settings()) == STANDARD_KINDS
    monkeypatch.setenv("TRIVENI_EVENTS__KINDS__ADD_TO_CART__WEIGHT", "2.5")
    assert load_settings(write(tmp_path, CART)).fuse.weights["add_to_cart"] == 2.5


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[events.kinds.Cart]\nweight = 1\n", "Cart"),
        ('[events.kinds.cart]\nweight = 1\nsign = "good"\n', "events.kinds.cart.sign"),
        ("[events.kinds.cart]\nwaight = 1\n", "no setting events.kinds.cart.waight"),
        ("[events.kinds.cart]\nweight = nan\n", "events.kinds.cart.weight"),
        ("[fuse.weights]\nclick = nan\n", "fuse.weights.click"),
        ("[fuse.weights]\nclick = inf\n", "fuse.weights.click"),
        ("[events.kinds.cart]\n", "events.kinds.cart has no weight"),
        (f"{CART}[fuse.weights]\nadd_to_cart = 3\n", "events.kinds.add_to_cart.weight is 1.5, fuse.weights"),
        ("[events.kinds.click]\nexplicit = true\n", "events.kinds.click is standard"),
    ],
)
def test_a_kind_that_is_declared_wrongly_is_refused_by_name(tmp_path, text, says):
    with pytest.raises(SettingsError, match=says) as refusal:
        load_settings(write(tmp_path, text))
    assert refusal.value.remedy


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a = " + "[" * 100_000, "is nested too deeply: write it plainer"),
        ("[store]\nx = " + "{a=" * 50_000, "is nested too deeply"),
        ("#" * (1 << 20) + "\n", "has 1048577 bytes, the limit is 1048576"),
        ("[index]\nbatch = " + "9" * 100_000, "is wrong|is not valid TOML"),
        ('[index]\nbatch = "' + "9" * 100_000 + '"', "setting index.batch is wrong"),
        ("[a]\n" * 1000, "is not valid TOML"),
        ("\ud800", "is not valid TOML"),
    ],
    ids=lambda text: text[:20],
)
def test_files_that_were_made_to_cost_much(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "x.toml"
    path.write_bytes(text.encode(errors="surrogatepass"))
    with pytest.raises(SettingsError, match=reason) as caught:
        load_settings(path)
    assert len(str(caught.value)) < 2000


@pytest.mark.parametrize(
    "text",
    [
        '[quotas]\nurl = "reddis://:sekret@h"', '[store]\napi_key = ["sekret"]', '[log]\nuser_key = ["sekret"]',
        '[log]\nuser_kee = "sekret"', '[events]\nurl = ["postgresql://u:sekret@h"]',
        '[tenants.a]\nevents = ["sekret"]',
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_secret_is_said_without_it(tmp_path: Path, text: str) -> None:
    with pytest.raises(SettingsError) as wrong:
        load_settings(write(tmp_path, text))
    assert "sekret" not in str(wrong.value)
