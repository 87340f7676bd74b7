"""What training minimises.

- Listwise: softmax cross-entropy of the positive items among a request's candidates (Cao et al., ListNet, ICML 2007).
  With one positive it is the full softmax over the candidates.
- Outcomes: binary cross-entropy of each outcome, so that a logit is a probability and not only an order. Ranking and
  calibration trained together lose little of either (Sheng et al., JRC, KDD 2023).

Rows that were shown, not retrieved, get a bias of their position added to the logit of the positive outcome: what is
looked at less is clicked less. The bias is a table that is learned beside the model and left out in serving
(Guo et al., PAL, RecSys 2019).
"""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

MAX_POSITION = 100


class PositionBias(nn.Module):
    """The logit of being looked at, by position; position 0 stands for retrieved candidates and adds nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.bias = nn.Embedding(MAX_POSITION + 1, 1, padding_idx=0)
        nn.init.zeros_(self.bias.weight)

    def forward(self, positions: Tensor) -> Tensor:
        """(b, c) int64 → (b, c)."""
        found: Tensor = self.bias(positions.clamp(max=MAX_POSITION))[..., 0]
        return found


def listwise(logits: Tensor, positive: Tensor, candidates: Tensor) -> Tensor:
    """The mean over requests that have a positive; 0 if none has.

    Args:
        logits: (b, c).
        positive: (b, c) bool.
        candidates: (b, c) bool, which there are.
    """
    share = positive.float() / positive.sum(1, keepdim=True).clamp(min=1)  # (b, c)
    logs = F.log_softmax(logits.masked_fill(~candidates, -1e4), 1)  # (b, c)
    some = positive.any(1)  # (b,)
    return -(share * logs).sum(1)[some].mean() if bool(some.any()) else logits.sum() * 0


def outcomes(logits: Tensor, positive: Tensor, negative: Tensor, candidates: Tensor, shown: Tensor) -> Tensor:
    """Binary cross-entropy, the sum over a request's candidates, the mean over requests.

    Args:
        logits: (b, c, outcomes).
        positive: (b, c) bool.
        negative: (b, c) bool.
        candidates: (b, c) bool, which there are.
        shown: (b, c) bool: only what was shown could be disliked.
    """
    first = F.binary_cross_entropy_with_logits(logits[..., 0], positive.float(), reduction="none")
    second = F.binary_cross_entropy_with_logits(logits[..., 1], negative.float(), reduction="none")
    total = first.masked_fill(~candidates, 0.0).sum(1) + second.masked_fill(~(candidates & shown), 0.0).sum(1)
    return torch.mean(total)
