"""The training loss: 0.4 Dice + 0.4 focal + 0.2 weighted cross-entropy, over any number of classes.

Pixels of target IGNORE take part in no term. Dice: Milletari et al. 2016 (arXiv 1606.04797), focal: Lin et al. 2017
(arXiv 1708.02002).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from engine.errors import DataError

__all__ = ["IGNORE", "CombinedLoss", "class_weights", "dice_loss", "focal_loss", "unlabelled_loss", "weak_loss"]

IGNORE = -1
"""Target of a pixel without label or without data."""
SMOOTHING = 1.0
ALPHA, GAMMA = 0.25, 2.0


def class_weights(counts: Sequence[int] | npt.NDArray[np.int64], power: float = 1.0) -> npt.NDArray[np.float32]:
    """Weights in inverse proportion to how many pixels a class has, of mean 1: [0.14, 1.86] for 13 : 1.

    Args:
        counts: labelled pixels of each class. Classes without any weigh 0.
        power: 1 for full inverse proportion; less evens out, as many classes of very different size need.

    Raises:
        DataError: fewer than two classes have labelled pixels.
    """
    numbers = np.asarray(counts, dtype=np.float64)
    present = numbers > 0
    if present.sum() < 2:
        raise DataError("Fewer than two classes have labelled pixels: training needs debris and something else.")
    inverse = np.zeros(len(numbers))
    inverse[present] = numbers[present] ** -power
    return np.asarray(inverse * present.sum() / inverse.sum(), dtype=np.float32)


def dice_loss(probabilities: Tensor, target: Tensor) -> Tensor:
    """1 - (2 |P.T| + s) / (|P| + |T| + s), over all valid pixels of the batch, mean over the classes that occur.

    Args:
        probabilities: (batch, classes, height, width), float32, sum 1 over classes.
        target: (batch, height, width), int64, class numbers or IGNORE.
    """
    valid = (target != IGNORE).to(probabilities.dtype)
    return _dice(_own(probabilities, target), torch.einsum("bchw,bhw->c", probabilities, valid), target)


def _dice(own: Tensor, summed: Tensor, target: Tensor) -> Tensor:
    """The same of the true classes' probabilities (batch, height, width), and of sums over valid pixels (classes,)."""
    valid = target != IGNORE
    number, count = target.clamp(min=0), len(summed)
    # Sums by class straight from each pixel's own: a one-hot target of eleven classes is a hundred times as large.
    nothing = summed.new_zeros(count)
    overlap = nothing.index_add(0, number.flatten(), (own * valid).flatten())
    pixels = nothing.index_add(0, number.flatten(), valid.flatten().to(nothing.dtype))
    total = summed + pixels
    loss = 1 - (2 * overlap + SMOOTHING) / (total + SMOOTHING)
    occurs = (pixels > 0).float()
    return (loss * occurs).sum() / occurs.sum().clamp(min=1)


def focal_loss(log_probabilities: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """Mean over valid pixels of -alpha (1 - p)^gamma log p, p the probability of the true class.

    Args:
        log_probabilities: (batch, classes, height, width), float32.
        target: (batch, height, width), int64, class numbers or IGNORE.
        weight: (batch, height, width), a pixel's confidence; 1 where None.
    """
    log_p = _own(log_probabilities, target)
    return _focal(log_p, log_p.exp(), target, weight)


def _focal(log_p: Tensor, p: Tensor, target: Tensor, weight: Tensor | None) -> Tensor:
    valid = (target != IGNORE).float()
    loss = -ALPHA * (1 - p) ** GAMMA * log_p * valid
    if weight is None:
        return loss.sum() / valid.sum().clamp(min=1)
    return (loss * weight).sum() / (valid * weight).sum().clamp(min=1e-6)


def _own(values: Tensor, target: Tensor) -> Tensor:
    """Of (batch, classes, height, width) each pixel's own class; the first one's where there is no target."""
    return values.gather(1, target.clamp(min=0)[:, None])[:, 0]


class _OwnAndSums(torch.autograd.Function):
    """From logits the two things that all terms are made of: each pixel's own log-probability, and sums by class.

    With y the former and S the latter, softmax's derivative gives for a pixel of class t, whether valid is v (0 or 1),
    dL/dz_k = p_k (v (dL/dS_k - sum_j p_j dL/dS_j) - dL/dy) + [k = t] dL/dy. Image by image that stays in a CPU's cache;
    left to autograd, tensors of all classes go through memory a dozen times, a tenth of a training step.
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """`logits` (batch, classes, height, width), `target` (batch, height, width); gives (b, h, w) and (classes,)."""
        number, valid = target.clamp(min=0), (target != IGNORE).float()
        p = torch.empty(logits.shape, dtype=torch.float32, device=logits.device)
        own = torch.empty(target.shape, dtype=torch.float32, device=logits.device)
        summed = own.new_zeros(logits.shape[1])
        for image, single in enumerate(logits):
            log_p = F.log_softmax(single.to(torch.float32, memory_format=torch.contiguous_format), dim=0)
            own[image] = log_p.gather(0, number[image][None])[0]
            torch.exp(log_p, out=p[image])
            summed += p[image].flatten(1) @ valid[image].flatten()
        ctx.save_for_backward(logits, p, number, valid)
        return own, summed

    @staticmethod
    def backward(ctx: Any, d_own: Tensor, d_summed: Tensor) -> tuple[Tensor, None]:
        """Gradient by the logits, in their type and layout."""
        logits, p, number, valid = ctx.saved_tensors
        result = torch.empty_like(logits)
        for image, (probability, v, d) in enumerate(zip(p, valid, d_own, strict=True)):
            common = v * torch.einsum("c,chw->hw", d_summed, probability) + d
            gradient = torch.addcmul(-common[None], d_summed[:, None, None], v[None])
            gradient *= probability
            gradient.scatter_add_(0, number[image][None], d[None])
            result[image] = gradient
        return result, None


def _as_one_image(logits: Tensor, target: Tensor, weight: Tensor | None) -> tuple[Tensor, Tensor, Tensor | None]:
    """A batch as one image, its own images one below the other, which no term tells from the batch: a GPU waits for
    many small steps, and has no cache to save."""
    single = logits.transpose(0, 1).flatten(1, 2)[None]
    return single, target.flatten(0, 1)[None], None if weight is None else weight.flatten(0, 1)[None]


def weak_loss(probability: Tensor, weak: Tensor, power: float = 0.7) -> Tensor:
    """Mean of (1 - (1 - p)^q) / q over pixels that are negative, or most likely so, but that nobody labelled.

    A loss between cross-entropy (q = 0) and absolute error (q = 1), which a few wrong labels do not rule (Zhang and
    Sabuncu 2018, arXiv 1805.07836).

    Args:
        probability: (batch, height, width), of what the pixels most likely are not.
        weak: (batch, height, width), bool.
        power: q.
    """
    remains = (1 - probability).clamp(min=1e-6)
    loss = (1 - remains**power) / power if power else -remains.log()
    return (loss * weak).sum() / weak.sum().clamp(min=1)


def unlabelled_loss(
    logits: Tensor, weak: Tensor, edge: Tensor, roles: Mapping[str, Sequence[int]], shares: tuple[float, float]
) -> Tensor:
    """What pixels of real images without label teach: `weak` ones that they most likely are no debris, `edge` ones (of
    land and cloud) that they surely are neither debris nor other floating matter.

    Args:
        logits: (batch, classes, height, width).
        weak: (batch, height, width), bool.
        edge: (batch, height, width), bool.
        roles: channels of `debris` and of `floating`.
        shares: weights of the two terms.
    """
    if not bool((weak | edge).any()):
        return logits.new_zeros((), dtype=torch.float32)
    probability = torch.softmax(logits.float(), dim=1)
    debris, floating = (probability[:, list(roles[role])].sum(dim=1) for role in ("debris", "floating"))
    return shares[0] * weak_loss(debris, weak) + shares[1] * weak_loss(debris + floating, edge, 0)


class CombinedLoss(nn.Module):
    """The weighted sum of the three terms."""

    weights: Tensor

    def __init__(
        self, weights: npt.NDArray[np.float32], dice: float = 0.4, focal: float = 0.4, cross_entropy: float = 0.2
    ) -> None:
        super().__init__()
        self.register_buffer("weights", torch.from_numpy(np.asarray(weights, dtype=np.float32)))
        self.shares = (dice, focal, cross_entropy)

    def forward(self, logits: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """The loss of `logits` (batch, classes, height, width); 0 where no pixel of the batch has a target."""
        if logits.is_cuda:
            logits, target, weight = _as_one_image(logits, target, weight)
        log_p, summed = _OwnAndSums.apply(logits, target)  # type: ignore[no-untyped-call]
        p = log_p.exp()
        terms = (
            _dice(p, summed, target),
            _focal(log_p, p, target, weight),
            self._cross_entropy(log_p, target, weight),
        )
        return torch.stack([share * term for share, term in zip(self.shares, terms, strict=True)]).sum()

    def _cross_entropy(self, log_p: Tensor, target: Tensor, weight: Tensor | None) -> Tensor:
        share = torch.where(target == IGNORE, 0.0, self.weights[target.clamp(min=0)])
        if weight is not None:
            share = share * weight
        return -(log_p * share).sum() / share.sum().clamp(min=1e-6)
