"""How the threads of a server share Python's lock."""

import asyncio
import gc
import sys
import threading
from collections.abc import Iterator

import pytest

from engine.core.threads import prompt_event_loop, short_collections


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Leave the process as it was."""
    interval = sys.getswitchinterval()
    yield
    sys.setswitchinterval(interval)
    gc.unfreeze()


def test_the_lock_is_demanded_sooner_while_the_loop_waits_than_while_it_runs() -> None:
    waiting, looked = list[float](), threading.Event()

    def look() -> None:
        while not looked.wait(0.01):
            waiting.append(sys.getswitchinterval())

    async def main() -> float:
        running = sys.getswitchinterval()
        other = threading.Thread(target=look)
        other.start()
        await asyncio.sleep(0.2)
        looked.set()
        await asyncio.to_thread(other.join)
        return running

    with asyncio.Runner(loop_factory=prompt_event_loop) as runner:
        running = runner.run(main())
    assert waiting
    assert max(waiting) * 10 < running


def test_collections_pass_over_what_is_there_and_not_over_what_comes() -> None:
    short_collections()
    assert gc.get_freeze_count() > 10_000
    loop: list[object] = []
    loop.append(loop)
    mark = id(loop)
    assert any(id(one) == mark for one in gc.get_objects())
    del loop
    assert gc.collect() >= 1
