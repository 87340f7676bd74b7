"""A program that makes versions and promotes them until it is killed. `python -m … FOLDER`; says what it has done."""

import sys
from pathlib import Path

from engine.models.registry import Registry
from tests.models.versions import make

if __name__ == "__main__":
    registry = Registry(Path(sys.argv[1]))
    number = 0
    while True:
        number += 1
        card = make(registry, "bird", f"v{number:06d}")
        registry.change(lambda pointer, version=card.version: pointer.promoted(version))
        print(card.version, flush=True)
