"""Digests of the settings that shape answers, so that two processes can compare theirs."""

import json
from hashlib import blake2b

from engine.config.settings import Settings

SHAPING = (
    "space.name",
    "space.options",
    "store.backend",
    "store.path",
    "store.url",
    "store.collection",
    "fuse",
    "retrieve",
    "policy",
    "models.path",
)
"""Sections and keys of the settings that shape the answer to a search."""


def settings_digests(settings: Settings) -> dict[str, str]:
    """Per setting that shapes answers a digest of its value.

    Returns:
        By `section.key` 8 hex digits.
    """
    values = {
        f"{section}.{key}": value
        for section, keys in settings.model_dump(mode="json").items()
        for key, value in keys.items()
        if section in SHAPING or f"{section}.{key}" in SHAPING
    }
    return {
        name: blake2b(json.dumps(value, sort_keys=name != "policy.rules").encode(), digest_size=4).hexdigest()
        for name, value in values.items()
    }
