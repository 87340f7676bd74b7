"""Calls over HTTP, against a real server."""

import httpx


def test_a_search(http: httpx.Client) -> None:
    answer = http.post("/v1/search", json={"parts": [{"content": {"text": "piano"}}], "limit": 3})
    assert answer.status_code == 200, answer.text
    assert {result["item_id"].split("/")[0] for result in answer.json()["results"]} == {"piano"}


def test_an_item_whose_id_holds_a_slash(http: httpx.Client) -> None:
    for path in ("/v1/items/bird/text", "/v1/items/bird%2Ftext"):
        assert http.get(path).json()["item"]["id"] == "bird/text"
