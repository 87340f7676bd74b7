"""The losses of the taste vector against what they promise."""

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from engine.learn.network.taste_losses import draw_ahead, gbce, softmax

ITEMS, POSITIONS = 40, 200


def scores(seed: int = 0) -> tuple[Tensor, Tensor]:
    """Logits (n, items) and which item is the positive (n,)."""
    maker = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(POSITIONS, ITEMS, generator=maker)
    return logits, torch.randint(ITEMS, (POSITIONS,), generator=maker)


def against(logits: Tensor, wanted: Tensor, drawn: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The positive's logits, the negatives', and where these are the positive."""
    return logits.gather(1, wanted[:, None])[:, 0], logits[:, drawn], wanted[:, None] == drawn[None]


def test_softmax_over_all_items_is_cross_entropy() -> None:
    logits, wanted = scores()
    positive, others, hits = against(logits, wanted, torch.arange(ITEMS))
    assert torch.allclose(softmax(positive, others, hits, None), F.cross_entropy(logits, wanted), atol=1e-5)


def test_log_q_makes_a_sample_stand_for_all_items() -> None:
    logits, wanted = scores()
    maker = torch.Generator().manual_seed(1)
    q = torch.softmax(2 * torch.randn(ITEMS, generator=maker), 0)  # far from even
    drawn = torch.multinomial(q, 20_000, replacement=True, generator=maker)
    parts = against(logits, wanted, drawn)
    whole = F.cross_entropy(logits, wanted)
    corrected = softmax(*parts, torch.log(len(drawn) * q[drawn]))
    even = softmax(*parts, torch.full((len(drawn),), float(np.log(len(drawn) / ITEMS))))
    assert abs(corrected - whole) < 0.03
    assert abs(even - whole) > 0.1


def test_gbce_from_few_negatives_gives_probabilities_where_plain_cross_entropy_overshoots() -> None:
    size = 10
    random = np.random.default_rng(0)
    likely = random.dirichlet(np.ones(size))
    wanted = torch.from_numpy(random.choice(size, 6000, p=likely))
    drawn = torch.from_numpy(random.integers(size, size=(len(wanted), 2)))  # each position its own two

    def learned(calibration: float) -> Tensor:
        logits = torch.zeros(size, requires_grad=True)
        optimizer = torch.optim.LBFGS([logits], max_iter=30, line_search_fn="strong_wolfe")

        def closure() -> Tensor:
            optimizer.zero_grad()
            loss = gbce(logits[wanted], logits[drawn], wanted[:, None] == drawn, size, calibration)
            loss.backward()  # type: ignore[no-untyped-call]
            return loss

        optimizer.step(closure)  # type: ignore[no-untyped-call]
        return torch.sigmoid(logits.detach())

    seen = torch.bincount(wanted, minlength=size) / len(wanted)
    assert torch.allclose(learned(1.0), seen, atol=0.02)
    assert (learned(0.0) > seen + 0.02).float().mean() > 0.5


def test_gbce_of_a_few_negatives_is_as_the_paper_has_it() -> None:
    logits, wanted = scores()
    drawn = torch.tensor([3, 11, 25, 30])
    positive, others, hits = against(logits, wanted, drawn)
    share, calibration = 4 / ITEMS, 0.75
    power = share * (calibration * (1 - 1 / share) + 1 / share)
    right = power * torch.log(torch.sigmoid(positive))
    wrong = torch.where(hits, 0.0, torch.log(1 - torch.sigmoid(others))).sum(1)
    assert torch.allclose(gbce(positive, others, hits, ITEMS), -((right + wrong) / 5).mean(), atol=1e-4)
    plain = gbce(positive, others, hits, ITEMS, 0.0)
    assert torch.allclose(plain, -((torch.log(torch.sigmoid(positive)) + wrong) / 5).mean(), atol=1e-4)


def test_the_target_is_drawn_by_how_near_it_is() -> None:
    random = np.random.default_rng(0)
    there = np.full(60_000, 9)
    assert not draw_ahead(random, there, 1).any()
    counts = np.bincount(draw_ahead(random, there, 4), minlength=4) / len(there)
    assert np.allclose(counts, np.array([1, 1 / 2, 1 / 3, 1 / 4]) / (25 / 12), atol=0.01)
    assert (draw_ahead(random, np.array([1, 2, 3] * 100), 50) < np.array([1, 2, 3] * 100)).all()
