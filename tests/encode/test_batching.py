"""Batches over many threads: the same vectors as alone, and no call pays for another's mistake."""

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from encoders.errors import ContentError, SpaceError
from encoders.spaces.space import Space
from encoders.types import Audio, Content, Floats, Image, Modality, Prepared, Text
from engine.core.deadline import Deadline
from engine.core.errors import CancelledError, DeadlineError, OverloadedError
from engine.encode.batching import Batcher, MicroBatcher, gather
from engine.encode.encoding import ContentEncoder, DirectEncoder
from tests.query.scene import I, T
from tests.tiny import CONCEPTS, concept_audio, concept_image, concept_space, concept_text

SPACE = concept_space()
LONG = 10.0  # seconds; nothing waits this long unless it hangs


class Gate:
    """A function whose batches wait until the gate opens; it says when one has come, and keeps them all."""

    def __init__(self) -> None:
        self.open, self.came = threading.Event(), threading.Event()
        self.batches: list[list[int]] = []

    def __call__(self, batch: Sequence[int]) -> list[int]:
        self.batches.append(list(batch))
        self.came.set()
        assert self.open.wait(LONG)
        if -1 in batch:
            raise ContentError("minus one")
        return [value * 2 for value in batch]


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
def batcher(gate: Gate) -> Iterator[Batcher[int, int]]:
    made = Batcher(gate, name="doubling", max_batch=4, max_queue=6)
    yield made
    gate.open.set()
    made.close()


@pytest.fixture(params=["direct", "batched"])
def encoder(request) -> Iterator[ContentEncoder]:
    """Both implementations of the protocol."""
    if request.param == "direct":
        yield DirectEncoder(SPACE)
        return
    made = MicroBatcher(SPACE, max_batch=8, max_queue=500)
    yield made
    made.close()


class TestContentEncoder:
    def test_gives_what_the_space_gives(self, encoder):
        contents: list[Content] = [
            concept_text("cat"),
            concept_audio("dog"),
            concept_image("car"),
            concept_text("bell"),
        ]
        found = encoder.encode(contents, Deadline())
        assert np.stack(found) == pytest.approx(SPACE.encode(contents), abs=1e-5)
        assert encoder.encode([], Deadline()) == []

    def test_a_bad_content_fails_alone(self, encoder):
        contents = [concept_text("cat"), Image(b"broken"), concept_image("car"), Audio(b"")]
        found = encoder.encode(contents, Deadline())
        assert [isinstance(result, ContentError) for result in found] == [False, True, False, True]
        assert found[2] == pytest.approx(SPACE.encode([contents[2]])[0], abs=1e-5)

    def test_no_time_left(self, encoder):
        with pytest.raises(DeadlineError):
            encoder.encode([concept_text("cat")], Deadline(-1))

    def test_a_caller_who_went_away(self, encoder):
        gone = Deadline()
        gone.cancel()
        with pytest.raises(CancelledError):
            encoder.encode([concept_text("cat")], gone)

    def test_a_modality_that_the_space_lacks(self):
        silent = Space("silent", {m: SPACE.encoder(m) for m in (T, I)}, SPACE.calibration)
        batched = MicroBatcher(silent)
        for one in (DirectEncoder(silent), batched):
            found = one.encode([concept_audio("cat"), concept_text("cat")], Deadline())
            assert isinstance(found[0], SpaceError)
            assert not isinstance(found[1], Exception)
        batched.close()

    def test_many_threads_get_their_own(self, encoder):
        def ask(number: int) -> bool:
            concept = CONCEPTS[number % len(CONCEPTS)]
            contents: list[Content] = [concept_text(concept, number), concept_image(concept, number), Text("")]
            contents = contents[number % 3 :] + contents[: number % 3]
            found = encoder.encode(contents, Deadline())
            for content, result in zip(contents, found, strict=True):
                if content == Text(""):
                    assert isinstance(result, ContentError)
                else:
                    assert result == pytest.approx(SPACE.encode([content])[0], abs=1e-5)
            return True

        with ThreadPoolExecutor(16) as threads:
            assert all(threads.map(ask, range(96)))


class TestBatcher:
    def test_what_waits_goes_together(self, batcher, gate):
        first = batcher.submit([1], Deadline())
        assert gate.came.wait(LONG)
        later = batcher.submit([2, 3], Deadline()) + batcher.submit([4, 5, 6], Deadline())
        gate.open.set()
        assert gather(first + later, Deadline(), "test") == [2, 4, 6, 8, 10, 12]
        assert gate.batches == [[1], [2, 3, 4, 5], [6]]

    def test_workers_share_what_waits(self):
        gate = Gate()
        batcher = Batcher(gate, name="doubling", max_batch=9, max_queue=99, workers=2)
        first = [batcher.submit([number], Deadline()) for number in (1, 2)]
        while len(gate.batches) < 2:
            threading.Event().wait(0.001)
        later = batcher.submit([3, 4, 5, 6], Deadline())
        gate.open.set()
        assert gather([*first[0], *first[1], *later], Deadline(), "test") == [2, 4, 6, 8, 10, 12]
        batcher.close()
        assert sorted(gate.batches)[:2] == [[1], [2]]
        assert gate.batches[2] == [3, 4]

    def test_alone_it_does_not_wait(self, batcher, gate):
        gate.open.set()
        assert gather(batcher.submit([7], Deadline()), Deadline(), "test") == [14]
        assert gate.batches == [[7]]

    def test_alone_it_is_done_in_the_callers_own_thread(self):
        batcher = Batcher(lambda batch: [threading.get_ident()] * len(batch), name="who", max_batch=4, max_queue=6)
        assert batcher.do(1, Deadline()) == threading.get_ident()
        assert gather(batcher.submit([1], Deadline()), Deadline(), "test") != [threading.get_ident()]
        batcher.close()
        with pytest.raises(OverloadedError, match="who has stopped"):
            batcher.do(1, Deadline())

    def test_what_comes_while_a_caller_does_its_own_waits_and_goes_together(self, batcher, gate):
        with ThreadPoolExecutor(3) as threads:
            own = threads.submit(batcher.do, 1, Deadline())
            assert gate.came.wait(LONG)
            later = batcher.submit([2], Deadline())
            joined = [threads.submit(batcher.do, value, Deadline()) for value in (3, -1)]
            while batcher.waiting < 3:
                threading.Event().wait(0.001)
            assert gate.batches == [[1]]
            gate.open.set()
            assert own.result(LONG) == 2
            assert gather(later, Deadline(LONG), "test") == [4]
            assert joined[0].result(LONG) == 6
            assert isinstance(joined[1].result(LONG), ContentError)
        assert [len(batch) for batch in gate.batches[:2]] == [1, 3]

    def test_closing_waits_for_what_a_caller_does_itself(self, batcher, gate):
        with ThreadPoolExecutor(2) as threads:
            own = threads.submit(batcher.do, 1, Deadline())
            assert gate.came.wait(LONG)
            closing = threads.submit(batcher.close)
            while not batcher._closed:
                threading.Event().wait(0.001)
            assert not closing.done()
            gate.open.set()
            closing.result(LONG)
            assert own.done() or own.result(LONG) == 2

    def test_too_much_waits(self, batcher, gate):
        first = batcher.submit([1], Deadline())
        assert gate.came.wait(LONG)
        waiting = batcher.submit([2, 3, 4, 5], Deadline())
        with pytest.raises(OverloadedError, match=r"4 contents wait for doubling already, the limit is 6: try again"):
            batcher.submit([6, 7, 8], Deadline())
        gate.open.set()
        assert gather(first + waiting, Deadline(), "test") == [2, 4, 6, 8, 10]
        assert gather(batcher.submit([6, 7, 8], Deadline()), Deadline(), "test") == [12, 14, 16]

    def test_one_of_a_batch_fails_alone(self, batcher, gate):
        first = batcher.submit([1], Deadline())
        assert gate.came.wait(LONG)
        later = batcher.submit([2, -1, 3], Deadline())
        gate.open.set()
        found = gather(first + later, Deadline(), "test")
        assert found[:2] + found[3:] == [2, 4, 6]
        assert isinstance(found[2], ContentError)

    def test_a_function_that_answers_too_little_fails_its_callers_alone(self):
        batcher = Batcher(lambda batch: [] if 0 in batch else batch, name="echo", max_batch=4, max_queue=6)
        with pytest.raises(ValueError, match="zip"):
            gather(batcher.submit([0], Deadline(LONG)), Deadline(LONG), "test")
        assert gather(batcher.submit([1], Deadline(LONG)), Deadline(LONG), "test") == [1]
        batcher.close()

    def test_work_that_nobody_waits_for_is_not_done(self, batcher, gate):
        first = batcher.submit([1], Deadline())
        assert gate.came.wait(LONG)
        gone, late = Deadline(), Deadline(0.001)
        cancelled, expired = batcher.submit([2], gone), batcher.submit([3], late)
        dropped = batcher.submit([4], Deadline())
        wanted = batcher.submit([5], Deadline())
        gone.cancel()
        dropped[0].cancel()
        threading.Event().wait(0.01)
        gate.open.set()
        assert gather(first + wanted, Deadline(), "test") == [2, 10]
        assert gate.batches == [[1], [5]]
        with pytest.raises(CancelledError):
            gather(cancelled, gone, "test")
        with pytest.raises(DeadlineError):
            gather(expired, late, "test")

    def test_a_caller_does_not_wait_beyond_its_deadline(self, batcher, gate):
        batcher.submit([1], Deadline())
        assert gate.came.wait(LONG)
        short = Deadline(0.02)
        mine = batcher.submit([2], short)
        with pytest.raises(DeadlineError, match=r"the deadline passed .*before the end of doubling"):
            gather(mine, short, "doubling")
        assert mine[0].cancelled()

    def test_closing_finishes_what_waits(self, gate):
        batcher = Batcher(gate, name="doubling", max_batch=4, max_queue=9)
        futures = batcher.submit([1], Deadline())
        assert gate.came.wait(LONG)
        futures += batcher.submit([2, 3], Deadline())
        gate.open.set()
        batcher.close()
        batcher.close()
        assert [future.result(0) for future in futures] == [2, 4, 6]
        with pytest.raises(OverloadedError, match="doubling has stopped"):
            batcher.submit([4], Deadline())


class SlowEncoder:
    """A real encoder that waits for a gate before it runs."""

    def __init__(self, modality: Modality) -> None:
        self._inner = SPACE.encoder(modality)
        self.modality, self.dimension, self.identity = modality, self._inner.dimension, self._inner.identity
        self.open, self.came = threading.Event(), threading.Event()
        self.sizes: list[int] = []

    def prepare(self, content: Content) -> Prepared:
        return self._inner.prepare(content)

    def forward(self, batch: Sequence[Prepared]) -> Floats:
        self.came.set()
        assert self.open.wait(LONG)
        self.sizes.append(len(batch))
        return self._inner.forward(batch)


@pytest.fixture
def slow() -> Iterator[tuple[SlowEncoder, MicroBatcher]]:
    image = SlowEncoder(I)
    space = Space("slow", {T: SPACE.encoder(T), I: image}, SPACE.calibration)
    made = MicroBatcher(space, max_batch=8, max_queue=10)
    yield image, made
    image.open.set()
    made.close()


class TestMicroBatcher:
    def test_calls_share_batches(self, slow):
        image, batcher = slow
        with ThreadPoolExecutor(9) as threads:
            first = threads.submit(batcher.encode, [concept_image("cat")], Deadline())
            assert image.came.wait(LONG)
            others = [threads.submit(batcher.encode, [concept_image("dog", n)], Deadline()) for n in range(8)]
            while len(batcher._batchers[I]._waiting) < 8:
                threading.Event().wait(0.001)
            image.open.set()
            assert len(first.result(LONG)) == 1
            for number, other in enumerate(others):
                alone = SPACE.encode([concept_image("dog", number)])[0]
                assert other.result(LONG)[0] == pytest.approx(alone, abs=1e-5)
        assert image.sizes == [1, 8]

    def test_a_slow_network_holds_up_no_other(self, slow):
        image, batcher = slow
        with ThreadPoolExecutor(1) as threads:
            waiting = threads.submit(batcher.encode, [concept_image("cat")], Deadline())
            assert image.came.wait(LONG)
            assert len(batcher.encode([concept_text("cat")], Deadline(LONG))) == 1
            assert not waiting.done()
            image.open.set()
            assert len(waiting.result(LONG)) == 1

    def test_overload_is_said_and_what_was_handed_in_is_taken_back(self, slow):
        image, batcher = slow
        with ThreadPoolExecutor(1) as threads:
            waiting = threads.submit(batcher.encode, [concept_image("cat")], Deadline())
            assert image.came.wait(LONG)
            many: list[Content] = [concept_image("dog", n) for n in range(11)]
            with pytest.raises(OverloadedError, match="image encoding"):
                batcher.encode([*many[:1], concept_text("cat"), *many[1:]], Deadline())
            image.open.set()
            assert len(waiting.result(LONG)) == 1
        assert len(batcher.encode(many[:10], Deadline())) == 10
        assert sum(image.sizes) == 11

    def test_a_deadline_ends_the_wait(self, slow):
        image, batcher = slow
        with pytest.raises(DeadlineError):
            batcher.encode([concept_image("cat")], Deadline(0.02))
        image.open.set()
        assert len(batcher.encode([concept_image("cat")], Deadline())) == 1
