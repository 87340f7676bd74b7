"""`triveni serve --http`: both doors, opened and closed together."""

import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.service.test_serve_command import serve, told_until_ready


def test_serve_over_http_until_a_signal(tmp_path: Path) -> None:
    """While it stops, what was begun is answered, what comes then is told to come again, and nothing else happens."""
    process = serve(tmp_path / "store", "127.0.0.1:0", "--http", "127.0.0.1:0")
    try:
        (told,) = [line for line in told_until_ready(process) if line["event"] == "http"]
        url = f"http://127.0.0.1:{told['port']}"
        line = '{"item": {"id": "a/b", "contents": [{"text": "a bird"}]}}'
        kind = {"content-type": "application/x-ndjson"}
        answer = httpx.post(f"{url}/v1/items:upsert", content=line, headers=kind, timeout=20)
        assert answer.json()["outcome"] == "UPSERT_OUTCOME_STORED"
        assert httpx.get(f"{url}/v1/items/a/b", timeout=20).json()["item"]["text"] == "a bird"

        stopping = threading.Event()
        search = {"parts": [{"content": {"text": "bird"}}]}

        def ask() -> set[int]:
            statuses = set()
            with httpx.Client(base_url=url, timeout=20) as http:
                while True:
                    try:
                        statuses.add(http.post("/v1/search", json=search).status_code)
                    except httpx.TransportError:
                        assert stopping.is_set()
                        return statuses

        with ThreadPoolExecutor() as pool:
            asking = [pool.submit(ask) for _ in range(4)]
            time.sleep(0.5)
            stopping.set()
            process.send_signal(signal.SIGTERM)
            statuses = [one.result(30) for one in asking]
        assert statuses == [{200, 503}] * 4
        process.communicate(timeout=30)
        assert process.returncode == 0
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("address", ["nowhere", "127.0.0.1:99999"])
def test_an_address_that_is_none_ends_with_an_error(tmp_path: Path, address: str) -> None:
    process = serve(tmp_path / "store", "127.0.0.1:0", "--http", address)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert f"error: cannot listen on {address}" in errors
    assert "choose another http.address" in errors
    assert "Traceback" not in errors
