"""The view Learning, and its endpoints, over a real registry."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import optuna
import pytest
import torch
from optuna.distributions import CategoricalDistribution, FloatDistribution

from engine.core.errors import TriveniError
from engine.core.kinds import STANDARD_KINDS
from engine.learn.network.resume import save_state
from engine.learn.tuning.tried import WHOLE, storage_of
from engine.models.pointer import Pointer
from engine.models.verdict import Verdict
from engine.studio.learning import Learning
from tests.models.versions import make
from tests.service.test_models import until
from tests.studio.browsing import Visit, expect
from tests.studio.running import Opened
from triveni.v1 import model_pb2, recommendation_pb2

BETTER = Verdict(True, "better: ndcg_at_10 +0.2 on 500 cases", "ndcg_at_10", 500, 0.2, 0.1, 0.3)
WORSE = Verdict(False, "not better: ndcg_at_10 -0.1 on 500 cases", "ndcg_at_10", 500, -0.1, -0.2, 0.0)


@pytest.fixture
def models(studio: Opened) -> Iterator[Opened]:
    """Two versions, the older of which serves; afterwards there are none again."""
    said = {
        "metrics": {"ndcg_at_10": 0.5},
        "baseline_metrics": {"ndcg_at_10": 0.3},
        "intervals": {"ndcg_at_10": (0.4, 0.6)},
        "counts": {"events": 1234},
    }
    make(studio.registry, "bird", "older", gate=BETTER, **said)
    epochs = [{"loss": 2.0, "ndcg_at_10": 0.4}, {"loss": 1.0, "ndcg_at_10": 0.5}]
    make(studio.registry, "piano", "newer", gate=WORSE, settings={"epochs": epochs}, **said)
    studio.run.models.PromoteModel(model_pb2.PromoteModelRequest(version="older"), timeout=30)
    yield studio
    studio.registry.change(lambda _: Pointer())
    until(lambda: not serving(studio))
    for version in studio.registry.versions():
        studio.registry.retire(version)


def serving(studio: Opened) -> str:
    found = studio.run.models.ListModels(model_pb2.ListModelsRequest(), timeout=30).models
    return next((one.version for one in found if one.serving), "")


def test_whole_cards_and_the_pointer(models: Opened, http: httpx.Client) -> None:
    models.registry.change(lambda pointer: pointer.tried("newer", 0.25))
    (models.registry.path / "broken").mkdir()
    told = http.get("/studio/learning/versions").json()
    (models.registry.path / "broken").rmdir()
    assert told["cards"].keys() == {"older", "newer"}
    assert told["cards"]["newer"]["gate"]["reason"] == WORSE.reason
    assert told["cards"]["older"]["intervals"] == {"ndcg_at_10": [0.4, 0.6]}
    assert (told["serving"], told["previous"], told["candidate"], told["share"]) == ("older", "", "newer", 0.25)
    assert told["candidate_share"] == 0.1
    assert [problem["remedy"] for problem in told["broken"]] == ["retire it, or put card.json back"]


def test_the_arms_of_a_trial_by_what_followed_their_lists(models: Opened, http: httpx.Client) -> None:
    assert http.get("/studio/learning/trial").json()["code"] == "NOT_FOUND"
    models.registry.change(lambda pointer: pointer.tried("newer", 0.5))
    until(lambda: models.run.server.services[""].tenant.serving.candidate == "newer")
    assert "was logged" in http.get("/studio/learning/trial").json()["too_little"]
    for _ in range(2):
        for user in range(16):
            request = recommendation_pb2.RecommendRequest(user_id=f"trial{user}", limit=3)
            models.run.recommendations.Recommend(request, timeout=30)
    until(lambda: "ours" in http.get("/studio/learning/trial").json())
    told = http.get("/studio/learning/trial").json()
    arms = told["ours"], told["theirs"]
    assert [arm["version"] for arm in arms] == ["newer", "older"]
    assert sum(arm["users"] for arm in arms) <= 16
    assert min(arm["lists"] for arm in arms) > 0
    assert told["apart"]["click-through rate"]["mean"] is None, "nothing followed, so nothing is told apart"


def test_the_curve_of_the_training_that_ran_last(studio: Opened, http: httpx.Client) -> None:
    assert http.get("/studio/learning/curve").json() == {"epochs": [], "written": 0.0}
    network = torch.nn.Linear(2, 1)
    optimizer = torch.optim.AdamW(network.parameters())
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda _: 1.0)
    weights, folder = network.state_dict(), studio.registry.path / ".runs" / "0123"
    history = [{"loss": 2.0, "ndcg_at_10": 0.4}]
    save_state(folder, 1, 0.4, history, weights, weights, optimizer, schedule, {}, {})
    assert http.get("/studio/learning/curve").json()["epochs"] == history


def test_what_a_search_tried(studio: Opened, http: httpx.Client) -> None:
    assert http.get("/studio/learning/tuning").json() == {"tried": []}
    study = optuna.create_study(
        study_name="one", storage=storage_of(studio.registry.path / ".tuning"), direction="maximize"
    )
    for name, value in (("until", datetime(2026, 1, 1, tzinfo=UTC).isoformat()), ("people", [0, 1]), (WHOLE, True)):
        study.set_user_attr(name, value)
    ranges = {"learning_rate": FloatDistribution(1e-4, 1e-1), "batch": CategoricalDistribution([32, 64])}
    ranges |= {"width": CategoricalDistribution([32]), "dropout": FloatDistribution(0, 1)}
    ranges["id_dropout"] = FloatDistribution(0, 1)
    for figure, batch in ((0.4, 32), (0.5, 64)):
        setting = {"learning_rate": 0.01, "batch": batch, "width": 32, "dropout": 0.1, "id_dropout": 0.5}
        about = {"values": [figure, figure], "epochs": 3, "seconds": 1.0, "now": batch == 32}
        study.add_trial(optuna.create_trial(params=setting, distributions=ranges, value=figure, user_attrs=about))
    told = http.get("/studio/learning/tuning").json()
    assert [(one["figure"], one["setting"]["batch"], one["as_it_was"]) for one in told["tried"]] == [
        (0.5, 64, False), (0.4, 32, True),
    ]  # fmt: skip
    assert told["gain"]["mean"] == pytest.approx(0.1)


def test_reports_are_found_by_their_mark_and_shown_in_a_sandbox(
    studio: Opened, http: httpx.Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    page = "<!doctype html>\n<html lang=en>\n<meta charset=utf-8>\n{}<title>How good</title><script>alert(1)</script>"
    report = page.format('<meta name="generator" content="triveni evaluate">\n')
    (tmp_path / "var" / "deep").mkdir(parents=True)
    (tmp_path / "var" / "deep" / "a b.html").write_text(report)
    (tmp_path / "var" / "other.html").write_text(page.format(""))
    (tmp_path / "secret.html").write_text(report)
    (tmp_path / "var" / "link.html").symlink_to(tmp_path / "secret.html")
    told = http.get("/studio/learning/reports").json()["reports"]
    assert [(one["name"], one["title"]) for one in told] == [("deep/a b.html", "How good")]
    shown = http.get("/studio/learning/reports/deep/a%20b.html")
    assert shown.text == report
    assert shown.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
    for name in ("other.html", "link.html", "%2e%2e/secret.html", "gone.html"):
        assert http.get(f"/studio/learning/reports/{name}").status_code == 404


def test_reports_that_evaluate_writes_have_the_mark(tmp_path: Path, studio: Opened) -> None:
    template = Path(__file__).parents[2] / "engine" / "learn" / "evaluation" / "report.html.jinja"
    (tmp_path / "report.html").write_text(template.read_text())
    learning = Learning(studio.registry, studio.run.event_store, STANDARD_KINDS, 0.1, tmp_path)
    assert [one.name for one in learning.reports()] == ["report.html"]
    with pytest.raises(TriveniError, match="there is no report"):
        learning.report("../report.html")


def test_a_version_is_promoted_and_rolled_back_after_a_confirmation(visit: Visit, models: Opened) -> None:
    visit.go("/learning")
    cards = visit.page.locator(".version")
    expect(cards).to_have_count(2)
    newer = visit.page.locator('.version[data-version="newer"]')
    expect(newer).to_contain_text("The gate keeps it back: ndcg_at_10 -0.1 on 500 cases")
    newer.get_by_role("button", name="Promote").click()
    dialog = visit.page.locator("dialog[open]")
    expect(dialog).to_contain_text("newer answers all requests from the next one on, in place of older")
    expect(dialog).to_contain_text("The gate said no")
    assert visit.findings() == []
    dialog.get_by_role("button", name="Leave it").click()
    assert serving(models) == "older", "it was promoted without a confirmation"
    newer.get_by_role("button", name="Promote").click()
    dialog.get_by_role("button", name="Promote", exact=True).click()
    expect(newer.locator(".tag")).to_have_text("serves")
    assert serving(models) == "newer"
    visit.page.get_by_role("button", name="Roll back").click()
    expect(dialog).to_contain_text("older answers all requests from the next one on, in place of newer")
    dialog.get_by_role("button", name="Roll back", exact=True).click()
    expect(visit.page.locator('.version[data-version="older"] .tag')).to_have_text("serves")
    assert serving(models) == "older"


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("version=gone&share=0.1", "no model version 'gone'"),
        ("version=newer&share=0", "share is 0.0"),
        ("version=newer&share=much", "share is 0.0"),
        ("version=older&share=0.1", "model version older serves already"),
    ],
)
def test_a_trial_that_cannot_be_is_refused(models: Opened, http: httpx.Client, asked: str, said: str) -> None:
    answer = http.post(f"/studio/learning/trial?{asked}")
    assert answer.status_code >= 400
    assert said in answer.text
    assert models.registry.pointer().candidate == ""


def test_a_version_is_tried_on_a_share_and_the_trial_ended_after_a_confirmation(visit: Visit, models: Opened) -> None:
    visit.go("/learning")
    newer = visit.page.locator('.version[data-version="newer"]')
    newer.get_by_role("button", name="Try…").click()
    dialog = visit.page.locator("dialog[open]")
    dialog.get_by_label("Share of users").fill("0.25")
    expect(dialog).to_contain_text("newer answers 25% of users")
    expect(dialog).to_contain_text("The gate said no")
    assert visit.findings() == []
    assert models.registry.pointer().candidate == "", "it was tried without a confirmation"
    dialog.get_by_role("button", name="Try", exact=True).click()
    expect(newer.locator(".tag")).to_have_text("on trial, 25% of users")
    assert (models.registry.pointer().candidate, models.registry.pointer().share) == ("newer", 0.25)
    visit.page.get_by_role("button", name="End the trial…").click()
    expect(dialog).to_contain_text("All users get older")
    dialog.get_by_role("button", name="End", exact=True).click()
    expect(newer.locator(".tag")).to_have_count(0)
    assert models.registry.pointer().candidate == ""


def test_all_of_a_card_has_an_address_and_a_curve(visit: Visit, models: Opened) -> None:
    visit.page.emulate_media(color_scheme="dark")
    models.registry.change(lambda pointer: pointer.tried("newer", 0.25))
    visit.go("/learning")
    newer = visit.page.locator('.version[data-version="newer"]')
    expect(newer.locator(".tag")).to_have_text("on trial, 25% of users")
    expect(visit.page.get_by_role("region", name="Trial")).to_contain_text("25% of users get newer")
    newer.get_by_role("button", name="All of its card").click()
    expect(visit.page).to_have_url(re.compile(r"open=newer"))
    expect(visit.page.locator("aside .chart canvas")).to_be_visible()
    expect(visit.page.locator("aside")).to_contain_text("1,234")
    assert visit.findings() == []


def test_a_training_is_begun_followed_and_cancelled(visit: Visit, studio: Opened) -> None:
    visit.go("/learning")
    visit.page.get_by_role("button", name="Train…").click()
    dialog = visit.page.locator("dialog[open]")
    assert visit.findings() == []
    dialog.get_by_label("Seed").fill("7")
    dialog.get_by_role("button", name="Train", exact=True).click()
    running = visit.page.locator(".running")
    expect(running).to_contain_text("epoch 1 of 4", timeout=30_000)
    expect(running).to_contain_text("25%")
    running.get_by_role("button", name="Cancel").click()
    expect(running).to_have_count(0, timeout=20_000)
    expect(visit.page.get_by_role("region", name="Trainings")).to_contain_text("cancelled")
