"""What training of the taste vector minimises: the next item before the others.

- Softmax over all items, or over sampled ones. A sample that is drawn with probability q stands for 1 / (k q) items,
  so log(k q) is taken off its logit (Bengio and Senécal, IEEE TNN 2008; Yi et al., RecSys 2019). The positive is
  always there and stands for itself, so nothing is taken off it (Khrylchenko et al., RecSys 2025).
- gBCE: binary cross-entropy whose positive part has a power below 1, which undoes the overconfidence that few
  negatives bring (Petrov and Macdonald, gSASRec, RecSys 2023).
- All-action: the positive of a position is drawn from its next few, not always the first (Pancha et al.,
  PinnerFormer, KDD 2022). That is a choice of targets (`draw_ahead`); the loss is a softmax.

On MovieLens-100K, by NDCG@10 of each person's second to last step: softmax over all items .128, positives drawn from
three steps .127, 512 sampled negatives .124, gBCE with 256 negatives .118; one seed each, and less than .01 apart is
no difference over 943 steps.

Shapes: n positions that have a positive, k negatives, shared by all positions.
"""

from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from engine.rerank.statistics import Rows

LossName = Literal["softmax", "gbce"]


def softmax(positive: Tensor, negatives: Tensor, hits: Tensor, log_expected: Tensor | None) -> Tensor:
    """The mean over positions of -log of the positive's share.

    Args:
        positive: (n,), logits.
        negatives: (n, k), logits.
        hits: (n, k) bool: where a drawn negative is the position's positive; it is left out.
        log_expected: (k,): the log of how often each negative is expected among the k; None where nothing was drawn
            and the negatives are all items, the positive among them.
    """
    if log_expected is None:
        return (torch.logsumexp(negatives, 1) - positive).mean()
    others = (negatives - log_expected).masked_fill(hits, float("-inf"))  # (n, k)
    total = torch.logsumexp(torch.cat([positive[:, None], others], 1), 1)  # (n,)
    return (total - positive).mean()


def gbce(positive: Tensor, negatives: Tensor, hits: Tensor, items: int, calibration: float = 0.75) -> Tensor:
    """Generalised binary cross-entropy. Negatives are drawn evenly, so each is met k / items times per position.

    Args:
        positive: (n,), logits.
        negatives: (n, k), logits.
        hits: (n, k) bool: where a negative is the position's positive; it is left out.
        items: how many items there are.
        calibration: t of the paper; 0 is plain binary cross-entropy, 1 a calibrated one.
    """
    k = negatives.shape[1]
    share = min(k / items, 1.0)
    power = share * (calibration * (1 - 1 / share) + 1 / share)
    wrong = F.softplus(negatives).masked_fill(hits, 0.0).sum(1)  # (n,): -log(1 - sigmoid)
    right = power * F.softplus(-positive)  # (n,): -power * log(sigmoid)
    return ((right + wrong) / (k + 1)).mean()


def draw_ahead(random: np.random.Generator, there: Rows, ahead: int) -> Rows:
    """How many positives to skip, at each position: 0 takes the next one.

    The positive that is s steps away is drawn in proportion to 1 / s, the weight of the Markov chain's lags.

    Args:
        random: draws.
        there: (n,): how many positives are still to come at each position, at least 1.
        ahead: the farthest that may be drawn.
    """
    if ahead == 1:
        return np.zeros(len(there), np.intp)
    total = np.cumsum(1 / np.arange(1, ahead + 1))  # (ahead,)
    draw = random.random(len(there)) * total[np.minimum(there, ahead) - 1]  # (n,)
    return np.asarray(np.minimum(np.searchsorted(total, draw, side="right"), there - 1), np.intp)
