"""ModelService over the wire, and Recommend while versions change."""

import itertools
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from grpc_health.v1 import health_pb2, health_pb2_grpc

from engine.events.sql import SqlEventStore
from engine.learn.jobs.training_list import Training
from engine.learn.jobs.trainings import Trainings
from engine.learn.jobs.worker import Train
from engine.learn.window import TimeWindow
from engine.models.card import ModelCard
from engine.models.pointer import Pointer
from engine.models.registry import Registry
from engine.models.serving import Serving
from engine.query.models import ServedModel
from engine.service.convert.models import training_message
from engine.store.base import VectorStore
from tests.learn.training_jobs import hungry, patient, quick
from tests.models.versions import FILE, KIND, LOADERS, DirectionModel, load_untaught, make
from tests.service.running import Running, failure, item, open_edge, open_events, running
from tests.tiny import concept_space, concept_text, tiny_space
from triveni.v1 import catalog_pb2, content_pb2, event_pb2, model_pb2, recommendation_pb2

ROOT = Path(__file__).parents[2]
M, R = model_pb2, recommendation_pb2
CLIENTS = 8


class Models:
    """A server with a registry, and short ways to call it."""

    def __init__(self, run: Running, registry: Registry, serving: Serving) -> None:
        self.run, self.registry, self.serving = run, registry, serving

    def call(self, method: str, **fields: object):  # type: ignore[no-untyped-def]
        return getattr(self.run.models, method)(getattr(M, f"{method}Request")(**fields), timeout=30)

    def fails(self, method: str, **fields: object) -> tuple[str, str, str]:
        found = failure(lambda: self.call(method, **fields))
        assert found.request_id
        return found.code, found.reason, found.message

    def recommend(self, user: str = "ann") -> R.RecommendResponse:
        parts = [
            R.QueryPart(content=content_pb2.Content(text=concept_text(concept, 3).text))
            for concept in ("bird", "car", "cat")
        ]
        return self.run.recommendations.Recommend(R.RecommendRequest(user_id=user, parts=parts, limit=3), timeout=30)

    def training(self, training_id: str) -> M.Training:
        return self.call("GetTraining", training_id=training_id).training

    def ended(self, training_id: str) -> M.Training:
        until(lambda: self.training(training_id).HasField("end_time"))
        return self.training(training_id)


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def first(response: R.RecommendResponse) -> str:
    return response.results[0].item_id.split("/")[0]


@contextmanager
def server_with(
    path: Path, train: Train | None = None, load: Callable[[Path, ModelCard, VectorStore], ServedModel] | None = None
) -> Iterator[Models]:
    space = concept_space()
    store = open_edge(path / "items", space)
    events = open_events(path)
    times = (datetime(2026, 6, 1, tzinfo=UTC) + timedelta(minutes=row) for row in itertools.count())
    registry = Registry(path / "models", clock=lambda: next(times))
    loaders = {KIND: lambda folder, card: load(folder, card, store)} if load else LOADERS
    serving = Serving(registry, loaders, space.fingerprint)
    serving.start()
    trainings = Trainings(registry.path / ".trainings", train, serving, keep=5)
    try:
        with running(space, store, events, serving=serving, trainings=trainings) as run:
            run.upsert(
                [
                    item(f"{concept}/{row}", text=concept_text(concept, row).text)
                    for concept in ("bird", "car", "cat")
                    for row in range(3)
                ]
            )
            yield Models(run, registry, serving)
    finally:
        trainings.close()
        serving.close()
        events.close()
        store.close()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Models]:
    with server_with(Path(tmp_path_factory.mktemp("models"))) as made:
        yield made


@pytest.fixture
def models(shared: Models) -> Models:
    """A server with an empty registry."""
    shared.registry.change(lambda pointer: Pointer())
    shared.serving.refresh()
    for version in shared.registry.versions():
        shared.registry.retire(version)
    return shared


def test_the_service_says_that_it_serves(models: Models) -> None:
    health = health_pb2_grpc.HealthStub(models.run.channel)
    found = health.Check(health_pb2.HealthCheckRequest(service="triveni.v1.ModelService"), timeout=10)
    assert found.status == health_pb2.HealthCheckResponse.SERVING


def test_an_empty_registry(models: Models) -> None:
    assert models.call("ListModels") == M.ListModelsResponse()
    assert models.call("ListTrainings") == M.ListTrainingsResponse()
    assert models.fails("GetModel")[:2] == ("NOT_FOUND", "NOT_FOUND")
    assert models.fails("RollbackModel")[:2] == ("FAILED_PRECONDITION", "MODEL")
    answer = models.recommend()
    assert (answer.model, answer.tier, answer.compared_model) == ("untrained", "retrieval", "")


def test_a_version_with_all_that_its_card_says(models: Models) -> None:
    begin, end = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 5, 1, 12, tzinfo=UTC)
    card = make(
        models.registry,
        "bird",
        data_from=begin,
        data_until=end,
        metrics={"ndcg_at_10": 0.14, "recall_at_10": 0.3},
        baseline_metrics={"ndcg_at_10": 0.12},
    )
    found = models.call("GetModel", version=card.version).model
    assert found == M.Model(
        version=card.version,
        serving=False,
        create_time=stamp(card.created),
        fingerprint=concept_space().fingerprint,
        data_start_time=stamp(begin),
        data_end_time=stamp(end),
        metrics={"ndcg_at_10": 0.14, "recall_at_10": 0.3},
        baseline_metrics={"ndcg_at_10": 0.12},
    )
    promoted = models.call("PromoteModel", version=card.version)
    assert (promoted.model.version, promoted.model.serving, promoted.previous_version) == (card.version, True, "")
    assert models.call("GetModel").model == promoted.model


def stamp(time: datetime) -> Timestamp:
    message = Timestamp()
    message.FromDatetime(time)
    return message


def test_versions_come_in_pages_newest_first(models: Models) -> None:
    names = [make(models.registry, "bird").version for _ in range(5)][::-1]
    models.call("PromoteModel", version=names[2])
    token, pages = "", []
    while True:
        page = models.call("ListModels", page_size=2, page_token=token)
        pages.append([(one.version, one.serving) for one in page.models])
        token = page.next_page_token
        if not token:
            break
    assert [len(page) for page in pages] == [2, 2, 1]
    assert [one for page in pages for one in page] == [(name, name == names[2]) for name in names]
    whole = models.call("ListModels")
    assert [one.version for one in whole.models] == names
    assert whole.next_page_token == ""
    token = models.call("ListModels", page_size=2).next_page_token
    make(models.registry, "car")  # what is made meanwhile moves nothing
    assert [one.version for one in models.call("ListModels", page_size=2, page_token=token).models] == names[2:4]
    for wrong in ({"page_size": -1}, {"page_size": 1001}, {"page_token": "x"}, {"page_token": token[:-4]}):
        for method in ("ListModels", "ListTrainings"):
            assert models.fails(method, **wrong)[:2] == ("INVALID_ARGUMENT", "INVALID_QUERY")
    assert models.fails("ListTrainings", page_token=token)[0] == "INVALID_ARGUMENT"


def test_promote_and_roll_back_change_the_very_next_answer(models: Models) -> None:
    names = {concept: make(models.registry, concept).version for concept in ("bird", "car")}
    for concept, version in names.items():
        models.call("PromoteModel", version=version)
        answer = models.recommend()
        assert (first(answer), answer.model, answer.tier) == (concept, version, "full")
    back = models.call("RollbackModel")
    assert (back.model.version, back.model.serving, back.previous_version) == (names["bird"], True, names["car"])
    answer = models.recommend()
    assert (first(answer), answer.model) == ("bird", names["bird"])
    back = models.call("RollbackModel")
    assert not back.HasField("model")
    assert back.previous_version == names["bird"]
    assert models.recommend().model == "untrained"


def test_what_cannot_serve_is_refused_and_what_serves_goes_on(models: Models) -> None:
    good, corrupt, newer = (make(models.registry, concept).version for concept in ("bird", "car", "car"))
    foreign = make(models.registry, "car", fingerprint=tiny_space().fingerprint).version
    (models.registry.path / corrupt / FILE).write_bytes(b"\0" * 100)
    path = models.registry.path / newer / "card.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 2}))
    models.call("PromoteModel", version=good)
    for version, says in (
        (corrupt, "is corrupt"),
        (newer, "is of format 2, this release reads formats up to 1"),
        (foreign, f"{tiny_space().fingerprint}, this engine's space is {concept_space().fingerprint}"),
    ):
        code, reason, message = models.fails("PromoteModel", version=version)
        assert (code, reason) == ("FAILED_PRECONDITION", "CHECKPOINT")
        assert says in message
        assert version in message
        assert models.recommend().model == good
    for version in ("gone", "", "../items", "\n"):
        assert models.fails("PromoteModel", version=version)[0] == "NOT_FOUND"
    for version in ("x" * 10_000, "a\0b"):
        for method in ("PromoteModel", "GetModel"):
            assert models.fails(method, version=version)[:2] == ("INVALID_ARGUMENT", "INVALID_QUERY")
    assert models.fails("GetModel", version="../items")[0] == "NOT_FOUND"
    assert models.fails("GetModel", version=newer)[0] == "FAILED_PRECONDITION"
    assert {one.version for one in models.call("ListModels").models} == {good, corrupt, foreign}


def test_versions_change_under_load_and_no_call_fails(models: Models) -> None:
    """Eight clients ask all the time. The versions in their answers change, and each answer is whole."""
    concept_of = {make(models.registry, concept).version: concept for concept in ("bird", "car", "cat")}
    names = list(concept_of)
    models.call("PromoteModel", version=names[0])
    done = threading.Event()
    latest = [""] * CLIENTS

    def ask(number: int) -> set[str]:
        seen = set()
        while not done.is_set():
            answer = models.recommend(f"person-{number}")
            assert answer.tier == "full"
            assert first(answer) == concept_of[answer.model]
            seen.add(answer.model)
            latest[number] = answer.model
        return seen

    def all_get(version: str) -> None:
        until(lambda: set(latest) == {version})

    with ThreadPoolExecutor(CLIENTS) as pool:
        asking = [pool.submit(ask, number) for number in range(CLIENTS)]
        try:
            all_get(names[0])
            for version in (names[1], names[2], names[0]):
                models.call("PromoteModel", version=version)
                all_get(version)
            models.call("RollbackModel")
            all_get(names[2])
            triveni(models, "rollback")  # by another process
            all_get(names[1])
            triveni(models, "promote", names[0])
            all_get(names[0])
        finally:
            done.set()
        assert [one.result(30) for one in asking] == [set(names)] * CLIENTS


def triveni(models: Models, *arguments: str) -> str:
    """`triveni model` in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "engine.cli", "model", *arguments],
        cwd=ROOT,
        env={**os.environ, "TRIVENI_MODELS__PATH": str(models.registry.path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout


def test_a_trial_names_both_versions_in_answers_and_in_what_was_served(models: Models) -> None:
    old, new = (make(models.registry, concept).version for concept in ("bird", "car"))
    models.call("PromoteModel", version=old)
    assert "30.0% of users" in triveni(models, "candidate", new, "--share", "0.3")
    until(lambda: models.serving.candidate == new)
    answers = {user: models.recommend(user) for user in (f"person-{row}" for row in range(30))}
    assert {(one.model, one.compared_model, first(one)) for one in answers.values()} == {
        (old, new, "bird"),
        (new, old, "car"),
    }
    search = R.SearchRequest(parts=[R.QueryPart(content=content_pb2.Content(text="bird"))])
    found = models.run.recommendations.Search(search, timeout=10)
    assert (found.model, found.compared_model) == (old, new)
    events = models.run.event_store
    assert isinstance(events, SqlEventStore)
    models.run.server.services[""].impressions.flush(20)
    served = {shown.impression.request_id: shown.impression.model for shown in events.impressions()}
    assert {one.request_id: one.model for one in answers.values()}.items() <= served.items()
    triveni(models, "candidate", "--stop")
    until(lambda: models.serving.candidate == "")
    assert {models.recommend(user).model for user in answers} == {old}


def test_what_is_written_of_an_item_is_seen_by_the_next_recommend(tmp_path: Path) -> None:
    """By the real reranker, which remembers what items carry."""
    with server_with(tmp_path, load=load_untaught) as models:

        def price(value: float) -> None:
            (done,) = models.run.upsert([item("car/1", text=concept_text("car", 1).text, price=value)])
            assert done.outcome == catalog_pb2.UPSERT_OUTCOME_STORED

        def score() -> float:
            like = event_pb2.Event(kind=event_pb2.EVENT_KIND_LIKE, item_id="car/0")
            answer = models.run.recommendations.Recommend(R.RecommendRequest(history=[like], limit=9), timeout=30)
            assert answer.tier == "full"
            return {result.item_id: result.score for result in answer.results}.get("car/1", 0.0)

        price(1)
        models.call("PromoteModel", version=make(models.registry, "bird").version)
        cheap = score()
        assert score() == pytest.approx(cheap, abs=1e-4)
        price(9)
        assert abs(score() - cheap) > 0.01
        models.run.catalog.DeleteItems(catalog_pb2.DeleteItemsRequest(item_ids=["car/1"]), timeout=10)
        assert score() == 0.0
        price(1)
        assert score() == pytest.approx(cheap, abs=1e-4)


def test_a_price_beyond_all_bounds_does_not_keep_the_model_from_answering(tmp_path: Path) -> None:
    with server_with(tmp_path, load=load_untaught) as models:
        models.call("PromoteModel", version=make(models.registry, "bird").version)
        for price in (1e9, 1e30, 1e300):
            bought = event_pb2.Event(kind=event_pb2.EVENT_KIND_PURCHASE, item_id="car/0", value=price)
            answer = models.run.recommendations.Recommend(R.RecommendRequest(history=[bought]), timeout=30)
            assert answer.tier == "full"


def test_models_are_told_of_what_was_written_and_of_nothing_else(models: Models) -> None:
    models.call("PromoteModel", version=make(models.registry, "bird").version)
    with models.serving.use("ann") as lease:
        told = lease.model
    assert isinstance(told, DirectionModel)
    known = item("cat/0", text=concept_text("cat", 0).text)
    models.run.upsert([known, item("new", text="cat"), item("new", text="cat"), item("")])
    assert told.told == ["new"]
    models.run.catalog.DeleteItems(catalog_pb2.DeleteItemsRequest(item_ids=["new"]), timeout=10)
    assert told.told == ["new", "new"]


# Trainings ---------------------------------------------------------------------------------------------------


def test_a_server_without_a_trainer_says_what_to_do(models: Models) -> None:
    code, reason, message = models.fails("TrainModel")
    assert (code, reason) == ("FAILED_PRECONDITION", "TRAINING")
    assert "triveni train" in message
    assert models.fails("GetTraining", training_id="gone")[:2] == ("NOT_FOUND", "NOT_FOUND")
    assert models.fails("CancelTraining", training_id="")[0] == "NOT_FOUND"


def test_a_training_that_is_promoted_serves(tmp_path: Path) -> None:
    with server_with(tmp_path, partial(quick, tmp_path / "models", "cat", True)) as models:
        begin = Timestamp(seconds=1_750_000_000)
        asked = models.call("TrainModel", data_start_time=begin, promote=True, seed=5).training
        assert asked.state in (M.TRAINING_STATE_QUEUED, M.TRAINING_STATE_RUNNING)
        done = models.ended(asked.id)
        assert (done.state, done.progress) == (M.TRAINING_STATE_SUCCEEDED, 1.0)
        assert done.start_time.seconds <= done.end_time.seconds
        until(lambda: models.recommend().model == done.model_version)
        assert first(models.recommend()) == "cat"
        model = models.call("GetModel").model
        assert (model.version, model.serving) == (done.model_version, True)
        assert model.data_start_time == begin
        later = M.TrainModelRequest(data_start_time=Timestamp(seconds=2), data_end_time=Timestamp(seconds=1))
        found = failure(lambda: models.run.models.TrainModel(later, timeout=10))
        assert (found.code, list(found.fields)) == ("INVALID_ARGUMENT", ["data_start_time"])
        assert models.fails("TrainModel", seed=-5)[:2] == ("INVALID_ARGUMENT", "INVALID_QUERY")


def test_the_time_left_of_a_training_is_told() -> None:
    training = Training("a", TimeWindow(None, datetime.now(UTC)), promote=False, seed=1, progress=0.5, left=90.4)
    assert training_message(training).time_left.seconds == 90
    assert not training_message(replace(training, left=None)).HasField("time_left")


def test_too_little_data_is_said_and_makes_no_version(tmp_path: Path) -> None:
    with server_with(tmp_path, hungry) as models:
        done = models.ended(models.call("TrainModel").training.id)
        assert (done.state, done.model_version) == (M.TRAINING_STATE_FAILED, "")
        assert (done.problem.status, done.problem.reason) == ("FAILED_PRECONDITION", "TOO_LITTLE_DATA")
        assert "12 events of 3 people" in done.problem.message
        assert done.problem.remedy
        assert len(models.call("ListModels").models) == 0


def test_a_training_is_watched_and_cancelled_while_the_server_answers(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    with server_with(tmp_path, partial(patient, tmp_path / "models")) as models:
        first_one, second = (models.call("TrainModel").training.id for _ in range(2))
        until(lambda: models.training(first_one).stage == "epoch 1 of 4")
        assert models.training(first_one).progress == 0.25
        listed = models.call("ListTrainings", page_size=1)
        assert [one.id for one in listed.trainings] == [second]
        rest = models.call("ListTrainings", page_size=1, page_token=listed.next_page_token)
        assert [(one.id, one.state) for one in rest.trainings] == [(first_one, M.TRAINING_STATE_RUNNING)]
        assert rest.next_page_token == ""
        assert models.recommend().results
        assert models.call("CancelTraining", training_id=second).training.state == M.TRAINING_STATE_CANCELLED
        models.call("CancelTraining", training_id=first_one)
        done = models.ended(first_one)
        assert done.state == M.TRAINING_STATE_CANCELLED
        assert models.call("CancelTraining", training_id=first_one).training == done


def test_a_server_without_a_registry_refuses(server: Running) -> None:
    for method in (method.name for method in M.DESCRIPTOR.services_by_name["ModelService"].methods):
        found = failure(lambda name=method: getattr(server.models, name)(getattr(M, f"{name}Request")(), timeout=10))
        assert (found.code, found.reason) == (grpc.StatusCode.FAILED_PRECONDITION.name, "MODEL")
        assert "triveni serve" in found.message
