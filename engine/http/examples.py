"""What the page shows of requests: examples by RPC, which a catalogue of stamps or shoes would answer."""

from collections.abc import Mapping
from typing import Any

EXAMPLES: Mapping[str, Any] = {
    "Recommend": {
        "user_id": "ann",
        "history": [
            {"kind": "EVENT_KIND_SEARCH", "content": {"text": "running"}},
            {"kind": "EVENT_KIND_LIKE", "item_id": "42"},
        ],
        "limit": 5,
    },
    "Search": {"parts": [{"content": {"text": "a red shoe"}}], "limit": 5},
    "UpsertItems": [
        {"item": {"id": "42", "contents": [{"text": "Red running shoe"}], "payload": {"category": "shoes"}}},
        {"item": {"id": "43", "contents": [{"text": "Blackbird at dawn"}], "payload": {"category": "sounds"}}},
    ],
    "DeleteItems": {"item_ids": ["42"]},
    "Encode": {"contents": [{"text": "a red shoe"}]},
    "RecordEvents": {
        "events": [{"user_id": "ann", "event": {"kind": "EVENT_KIND_CLICK", "item_id": "42", "id": "click-1"}}]
    },
    "StreamEvents": [
        {"event": {"user_id": "ann", "event": {"kind": "EVENT_KIND_VIEW", "item_id": "42"}}},
        {"event": {"user_id": "ann", "event": {"kind": "EVENT_KIND_LIKE", "item_id": "43"}}},
    ],
    "TrainModel": {"promote": True},
}
"""A request as JSON; of a stream, the lines."""
