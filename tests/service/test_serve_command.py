"""`triveni serve` itself, with its settings and its store; only the space is the tiny one."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import grpc

from engine import opening
from engine.config.settings import Settings
from engine.core.errors import StoreInUseError
from engine.core.types import Event, ItemId, UserId
from engine.events.settings import EventSettings, KindSettings
from engine.events.types import UserEvent
from engine.store.settings import StoreSettings
from tests.service.running import item
from triveni.v1 import catalog_pb2, catalog_pb2_grpc, content_pb2, recommendation_pb2, recommendation_pb2_grpc

PROGRAM = """
from engine import opening
from tests.tiny import concept_space
opening.open_space = lambda settings, limits=None: concept_space()
from engine.cli import main
main()
"""
ROOT = Path(__file__).parents[2]


def serve(folder: Path, address: str, *more: str, **settings: str) -> subprocess.Popen[str]:
    environment = {
        **os.environ,
        **settings,
        "TRIVENI_STORE__PATH": str(folder),
        "TRIVENI_EVENTS__URL": f"sqlite:///{folder}.db",
        "TRIVENI_LOG__JSON_LINES": "true",
    }
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "serve", "--address", address, *more],
        cwd=ROOT,
        env=environment,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def told_until_ready(process: subprocess.Popen[str]) -> list[dict[str, object]]:
    assert process.stderr
    lines, told = [], []
    for line in process.stderr:
        lines.append(line)
        if line.startswith("{"):
            told.append(json.loads(line))
            if told[-1]["event"] == "ready":
                return told
    raise AssertionError("".join(lines))


def port_of(process: subprocess.Popen[str]) -> int:
    return int(str(told_until_ready(process)[-1]["port"]))


def test_what_is_loaded_is_told_from_the_start(tmp_path: Path) -> None:
    declared = {"share": KindSettings(weight=1.0), "add_to_cart": KindSettings(weight=1.0)}
    with closing(
        opening.open_events(Settings(events=EventSettings(url=f"sqlite:///{tmp_path / 'store'}.db", kinds=declared)))
    ) as events:
        events.record([UserEvent(UserId("ann"), Event(kind, ItemId("a"))) for kind in ("share", "like")])
    process = serve(tmp_path / "store", "127.0.0.1:0")
    try:
        told = told_until_ready(process)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    finally:
        process.kill()
        process.communicate()
    parts = ["program", "encoders", "catalogue", "events", "model version", "first answers"]
    told = [one for one in told if one["event"] in ("loading", "loaded")]
    assert [(one["event"], one["what"]) for one in told] == [
        (event, part) for part in parts for event in ("loading", "loaded")
    ]
    assert all(float(str(one["seconds"])) >= 0 for one in told if one["event"] == "loaded")
    assert told[5]["items"] == 0
    assert told[7]["left_out"] == "those of kinds that events.kinds does not declare: share"


def test_serve_an_empty_store_fill_it_stop_and_serve_again(tmp_path: Path) -> None:
    search = recommendation_pb2.SearchRequest(
        parts=[recommendation_pb2.QueryPart(content=content_pb2.Content(text="bird"))]
    )
    for turn in range(2):
        process = serve(tmp_path / "store", "127.0.0.1:0")
        try:
            with grpc.insecure_channel(f"127.0.0.1:{port_of(process)}") as channel:
                if turn == 0:
                    requests = [catalog_pb2.UpsertItemsRequest(item=item("a", text="a bird"))]
                    catalog = catalog_pb2_grpc.CatalogServiceStub(channel)
                    (result,) = catalog.UpsertItems(iter(requests), timeout=20)
                    assert result.outcome == catalog_pb2.UPSERT_OUTCOME_STORED
                stub = recommendation_pb2_grpc.RecommendationServiceStub(channel)
                assert [found.item_id for found in stub.Search(search, timeout=20).results] == ["a"]
                assert len(stub.Recommend(recommendation_pb2.RecommendRequest(), timeout=20).results) == 1
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=30)
            assert process.returncode == 0
        finally:
            process.kill()
            process.communicate()


def test_others_find_the_server_that_has_the_store_open(tmp_path: Path) -> None:
    settings = Settings(store=StoreSettings(path=tmp_path / "store"))
    assert opening.running_server(settings) == ""
    process = serve(tmp_path / "store", "0.0.0.0:0", TRIVENI_SERVICE__INSECURE="true")
    try:
        port = port_of(process)
        until = time.monotonic() + 20
        while (address := address_of(settings)) == "" and time.monotonic() < until:
            time.sleep(0.01)  # it says so right after it is ready
        assert address == f"127.0.0.1:{port}"
        process.kill()
        process.wait()
        assert opening.running_server(settings) == ""
    finally:
        process.kill()
        process.communicate()


def address_of(settings: Settings) -> str:
    try:
        return opening.running_server(settings)
    except StoreInUseError:
        return ""


def test_an_address_that_is_none_ends_with_an_error(tmp_path: Path) -> None:
    process = serve(tmp_path / "store", "no such host:5", TRIVENI_SERVICE__INSECURE="true")
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "error: cannot listen on no such host:5: choose another service.address" in errors
    assert "Traceback" not in errors
