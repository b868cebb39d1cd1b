"""Each term of the loss against a formula written out, with and without pixels that take no part."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from engine.errors import DataError
from engine.losses import (
    IGNORE,
    CombinedLoss,
    _as_one_image,
    class_weights,
    dice_loss,
    focal_loss,
    unlabelled_loss,
    weak_loss,
)


@pytest.fixture(params=[2, 5])
def case(request: pytest.FixtureRequest) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits and targets of a batch, a third of it to ignore."""
    generator = torch.Generator().manual_seed(request.param)
    logits = 2 * torch.randn(3, request.param, 8, 10, generator=generator)
    target = torch.randint(request.param, (3, 8, 10), generator=generator)
    target[torch.rand(3, 8, 10, generator=generator) < 0.33] = IGNORE
    return logits, target


def valid_pixels(logits: torch.Tensor, target: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return logits.movedim(1, -1)[target != IGNORE], target[target != IGNORE]


def test_weights_of_one_to_thirteen_are_those_of_the_recipe():
    assert np.allclose(class_weights([13, 1]), [0.142857, 1.857143], atol=1e-5)


def test_weights_leave_out_absent_classes_and_need_two():
    weights = class_weights([100, 0, 50])
    assert weights[1] == 0
    assert weights[2] == pytest.approx(2 * weights[0])
    assert np.mean(weights[[0, 2]]) == pytest.approx(1)
    with pytest.raises(DataError, match="two classes"):
        class_weights([0, 7])


def test_dice_is_its_formula(case):
    logits, target = case
    p, t = valid_pixels(logits.softmax(1), target)
    expected = []
    for number in range(logits.shape[1]):
        truth = (t == number).double()
        score = (2 * (p[:, number].double() * truth).sum() + 1) / (p[:, number].double().sum() + truth.sum() + 1)
        expected.append(1 - score)
    assert float(dice_loss(logits.softmax(1), target)) == pytest.approx(float(torch.stack(expected).mean()), abs=1e-5)


def test_focal_is_its_formula(case):
    logits, target = case
    x, t = valid_pixels(logits.double(), target)
    p = x.softmax(1).gather(1, t[:, None])[:, 0]
    expected = (-0.25 * (1 - p) ** 2 * p.log()).mean()
    assert float(focal_loss(logits.log_softmax(1), target)) == pytest.approx(float(expected), abs=1e-5)


def test_cross_entropy_is_that_of_torch(case):
    logits, target = case
    weights = class_weights(range(1, logits.shape[1] + 1))
    loss = CombinedLoss(weights, 0, 0, 1)(logits, target)
    expected = F.cross_entropy(logits, target, torch.from_numpy(weights), ignore_index=IGNORE)
    assert float(loss) == pytest.approx(float(expected), abs=1e-5)


def _as_one_row(logits: torch.Tensor, target: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The pixels that count, as a batch of one image of one row, for losses that know no ignored pixels."""
    x, t = valid_pixels(logits, target)
    return x.T[None, :, None], t[None, None, None]


@pytest.mark.parametrize("ignored", [True, False])
def test_each_term_is_that_of_monai(case, ignored: bool):
    monai = pytest.importorskip("monai.losses")
    logits, target = case
    if not ignored:
        target = torch.where(target == IGNORE, 0, target)
    x, t = _as_one_row(logits, target)
    classes = logits.shape[1]
    dice = monai.DiceLoss(softmax=True, to_onehot_y=True, batch=True, smooth_nr=1.0, smooth_dr=1.0)
    assert float(dice_loss(logits.softmax(1), target)) == pytest.approx(float(dice(x, t)), abs=1e-5)
    # MONAI adds the loss of each class's channel and divides by the channels too; alpha is 0.25 for every class.
    focal = monai.FocalLoss(use_softmax=True, to_onehot_y=True, gamma=2.0)
    assert float(focal_loss(logits.log_softmax(1), target)) == pytest.approx(
        0.25 * classes * float(focal(x, t)), abs=1e-5
    )
    weights = class_weights(range(1, classes + 1))
    entropy = monai.DiceCELoss(
        softmax=True, to_onehot_y=True, lambda_dice=0.0, lambda_ce=1.0, weight=torch.from_numpy(weights)
    )
    assert float(CombinedLoss(weights, 0, 0, 1)(logits, target)) == pytest.approx(float(entropy(x, t)), abs=1e-5)


def test_the_sum_has_the_shares_of_the_recipe(case):
    logits, target = case
    weights = class_weights([1] * logits.shape[1])
    parts = [float(CombinedLoss(weights, *shares)(logits, target)) for shares in ((1, 0, 0), (0, 1, 0), (0, 0, 1))]
    assert float(CombinedLoss(weights)(logits, target)) == pytest.approx(np.dot(parts, [0.4, 0.4, 0.2]), abs=1e-6)


def test_ignored_pixels_change_nothing_and_get_no_gradient(case):
    logits, target = case
    loss = CombinedLoss(class_weights([1] * logits.shape[1]))
    other = torch.where((target == IGNORE)[:, None], torch.full_like(logits, 9.0), logits)
    assert float(loss(logits, target)) == pytest.approx(float(loss(other, target)), abs=1e-6)
    logits.requires_grad_()
    loss(logits, target).backward()
    gradient = logits.grad.abs().sum(1)
    assert not gradient[target == IGNORE].any()
    assert gradient[target != IGNORE].all()


def test_a_batch_as_one_image_has_the_same_loss_and_gradient(case):
    logits, target = case
    loss = CombinedLoss(np.ones(logits.shape[1], dtype=np.float32))
    weight = torch.rand(target.shape, generator=torch.Generator().manual_seed(0))
    both = []
    for join in (False, True):
        own = logits.clone().requires_grad_()
        value = loss(*(_as_one_image(own, target, weight) if join else (own, target, weight)))
        value.backward()
        both.append((value.detach(), own.grad))
    assert torch.allclose(both[0][0], both[1][0], atol=1e-6)
    assert torch.allclose(both[0][1], both[1][1], atol=1e-6)


def test_a_batch_without_any_target_gives_zero():
    logits = torch.randn(1, 2, 4, 4, requires_grad=True)
    loss = CombinedLoss(class_weights([1, 1]))(logits, torch.full((1, 4, 4), IGNORE))
    loss.backward()
    assert float(loss.detach()) == 0
    assert torch.isfinite(logits.grad).all()


def test_confidence_weighs_pixels():
    logits, target = torch.randn(1, 2, 1, 2), torch.tensor([[[0, 1]]])
    weight = torch.tensor([[[1.0, 0.0]]])
    only_first = focal_loss(logits.log_softmax(1)[..., :1], target[..., :1])
    assert float(focal_loss(logits.log_softmax(1), target, weight)) == pytest.approx(float(only_first), abs=1e-6)


def test_weak_labels_pull_least_where_they_are_most_likely_wrong():
    probability = torch.tensor([[[0.2, 0.5, 0.999]]], requires_grad=True)
    weak_loss(probability, torch.ones(1, 1, 3, dtype=torch.bool)).backward()
    logit_pull = probability.grad * probability.detach() * (1 - probability.detach())
    assert float(logit_pull[0, 0, 2]) < float(logit_pull[0, 0, 1])
    assert float(weak_loss(torch.zeros(1, 2, 2), torch.ones(1, 2, 2, dtype=torch.bool))) == pytest.approx(0, abs=1e-6)


def test_what_is_surely_negative_pulls_most_where_it_is_most_wrong():
    probability = torch.tensor([[[0.2, 0.5, 0.999]]])
    everywhere = torch.ones(1, 1, 3, dtype=torch.bool)
    assert float(weak_loss(probability, everywhere, 0)) == pytest.approx(float(-(1 - probability).log().mean()))
    assert float(weak_loss(probability, everywhere, 1e-3)) == pytest.approx(
        float(weak_loss(probability, everywhere, 0)), rel=1e-2
    )


def test_only_an_edge_holds_down_what_floats_beside_debris():
    logits = torch.zeros(1, 3, 1, 2, requires_grad=True)
    weak, edge = torch.tensor([[[True, False]]]), torch.tensor([[[False, True]]])
    unlabelled_loss(logits, weak, edge, {"debris": [1], "floating": [2]}, (1.0, 1.0)).backward()
    assert logits.grad is not None
    pull = logits.grad[0, :, 0]
    # Less of debris on both; of what else floats less on the edge, and not less on the weak one.
    assert bool((pull[1] > 0).all())
    assert float(pull[2, 1]) > 0 > float(pull[2, 0])


def test_labels_everywhere_leave_nothing_to_the_unlabelled():
    none = torch.zeros(1, 1, 2, dtype=torch.bool)
    loss = unlabelled_loss(torch.randn(1, 3, 1, 2), none, none, {"debris": [1], "floating": [2]}, (1.0, 1.0))
    assert float(loss) == 0


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_the_gradient_is_that_of_the_terms_left_to_autograd(case, layout):
    logits, target = case
    weight = torch.rand(target.shape, generator=torch.Generator().manual_seed(1))
    classes = torch.linspace(0.5, 1.5, logits.shape[1])
    written = logits.clone().contiguous(memory_format=layout).requires_grad_()
    plain = logits.clone().requires_grad_()
    log_p = plain.log_softmax(1)
    share = classes[target.clamp(min=0)] * weight * (target != IGNORE)
    own = log_p.gather(1, target.clamp(min=0)[:, None])[:, 0]
    terms = dice_loss(log_p.exp(), target), focal_loss(log_p, target, weight), -(own * share).sum() / share.sum()
    expected = 0.4 * terms[0] + 0.4 * terms[1] + 0.2 * terms[2]
    expected.backward()
    loss = CombinedLoss(classes.numpy())(written, target, weight)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(float(expected.detach()), abs=1e-6)
    torch.testing.assert_close(written.grad, plain.grad, atol=1e-7, rtol=1e-5)
    assert written.grad.is_contiguous(memory_format=layout)


def test_gradients_of_bfloat16_logits_are_near_those_of_float32(case):
    logits, target = case
    loss = CombinedLoss(np.ones(logits.shape[1], dtype=np.float32))
    whole, half = logits.clone().requires_grad_(), logits.to(torch.bfloat16).requires_grad_()
    loss(whole, target).backward()
    loss(half, target).backward()
    assert half.grad.dtype == torch.bfloat16
    torch.testing.assert_close(half.grad.float(), whole.grad, atol=2e-4, rtol=0.05)
