"""What pages of other sites must not do; the headers of all answers."""

from pathlib import Path

import httpx
import pytest

from engine.http.guard import HEADERS
from engine.http.settings import HttpSettings
from tests.http.doors import opened


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:8080", "LOCALHOST", "127.0.0.1:1", "[::1]", "[::1]:8080", "10.0.0.7:80"]
)
def test_hosts_that_are_answered(http: httpx.Client, host: str) -> None:
    assert http.get("/v1/health", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8080", "localhost.evil.example", "127.0.0.1.nip.io", ""]
)
def test_hosts_that_are_not(http: httpx.Client, host: str) -> None:
    """A page whose name is pointed here must not read what is here (DNS rebinding)."""
    for path in ("/v1/items", "/docs"):
        answer = http.get(path, headers={"host": host})
        assert (answer.status_code, answer.json()["reason"]) == (421, "WRONG_HOST")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"origin": "SELF"}, 200),
        ({"origin": "SELF", "sec-fetch-site": "same-origin"}, 200),
        ({"sec-fetch-site": "none"}, 200),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://localhost:1"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
    ],
)
def test_changes_that_pages_ask_for(http: httpx.Client, headers: dict[str, str], status: int) -> None:
    own = str(http.base_url).rstrip("/")
    sent = {name: own if value == "SELF" else value for name, value in headers.items()}
    answer = http.delete("/v1/users/nobody", headers=sent)
    assert answer.status_code == status, answer.text
    assert status == 200 or answer.json()["reason"] == "WRONG_ORIGIN"


@pytest.mark.parametrize("path", ["/v1/health", "/v1/items/nothing", "/nothing", "/docs", "/openapi.json"])
def test_headers_of_all_answers(http: httpx.Client, path: str) -> None:
    answer = http.get(path)
    assert {name: answer.headers[name] for name in HEADERS} == HEADERS
    assert "server" not in answer.headers
    assert "access-control-allow-origin" not in answer.headers
    assert "'unsafe" not in answer.headers["content-security-policy"]


def test_the_page_asks_nothing_of_other_machines(http: httpx.Client) -> None:
    page = http.get("/docs").text
    assert "://" not in page
    for path in page.split('src="')[1:] + page.split('stylesheet" href="')[1:]:
        assert http.get(path.partition('"')[0]).status_code == 200


def test_origins_and_hosts_of_the_settings(tmp_path: Path) -> None:
    shop = "https://shop.example"
    settings = HttpSettings(address="127.0.0.1:0", cors_origins=(shop,), allowed_hosts=("api.example",))
    with opened(tmp_path, settings) as door, httpx.Client(base_url=door.url) as http:
        asked = {"origin": shop, "access-control-request-method": "POST"}
        before = http.options("/v1/search", headers={**asked, "access-control-request-headers": "content-type"})
        assert (before.status_code, before.headers["access-control-allow-origin"]) == (200, shop)
        answer = http.post("/v1/search", json={"parts": [{"item_id": "bird/text"}]}, headers={"origin": shop})
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, shop)
        other = http.post("/v1/search", json={}, headers={"origin": "https://evil.example"})
        assert (other.status_code, other.headers.get("access-control-allow-origin")) == (403, None)
        for host, status in (("api.example:443", 200), ("other.example", 421)):
            assert http.get("/v1/health", headers={"host": host}).status_code == status
