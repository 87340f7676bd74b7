"""The loss of the user embedding against what it promises."""

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from engine.learn.network.tower_losses import softmax

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
