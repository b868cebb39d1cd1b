"""Going on from a model with a handful of corrections: the losses, the places, and the tiles."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt
import pytest
import torch
from toy_model import toy_card

from engine.bands import MARIDA_ORDER
from engine.ensemble import build, said_by_each
from engine.jobs import TrainRequest
from engine.modelfile import ModelClass
from engine.network import NetworkConfig
from engine.practice.scene import Tile, make_tile
from engine.training.handful import (
    HandfulLoss,
    allowed_channels,
    anchor_loss,
    correction_loss,
    needed_odds,
    places_right,
)
from engine.training.patches import Patch
from engine.training.rehearsal import ANCHOR, is_handful, rehearsed

ROLES = ("clear", "debris", "floating", "clear")


def log_probability(values: list[float]) -> torch.Tensor:
    """(1, 4, 1, 1) of one pixel."""
    return torch.log(torch.tensor(values))[None, :, None, None]


def test_a_rejected_pixel_may_be_anything_but_debris():
    allowed = allowed_channels(ROLES, (1,), (1, 2, 3, 4, 9))
    p, one, needed = log_probability([0.1, 0.6, 0.2, 0.1]), torch.ones(1, 1, 1), torch.full((256,), 3.0)
    losses = {n: float(correction_loss(p, torch.full((1, 1, 1), n), allowed, one, needed)) for n in (1, 2, 5, 7)}
    agreeing = {1: 0.6, 2: 0.2, 5: 0.2, 7: 0.4}
    assert losses == pytest.approx({n: 3 - np.log(q / (1 - q)) for n, q in agreeing.items()}, abs=1e-5)


def test_no_more_is_learnt_than_the_thresholds_ask_for():
    allowed, needed = allowed_channels(ROLES, (1,), (1, 2, 3, 4, 9)), needed_odds((1,), 0.6)
    one = torch.ones(1, 1, 1)

    def loss(debris: float, number: int) -> float:
        p = log_probability([0.5 - debris / 2, debris, 0.0, 0.5 - debris / 2])
        return float(correction_loss(p, torch.full((1, 1, 1), number), allowed, one, needed))

    # e/(1+e) beyond the threshold of 0.6 lies 0.803; as far below half of it 0.136.
    assert (loss(0.81, 1), loss(0.13, 7)) == (0, 0)
    assert loss(0.79, 1) > 0
    assert loss(0.14, 7) > 0
    assert loss(0.14, 7) < loss(0.3, 7) < loss(0.9, 7)


def test_what_has_no_label_does_not_count():
    allowed = allowed_channels(ROLES, (1,), (1, 2, 3, 4, 9))
    p = log_probability([0.1, 0.6, 0.2, 0.1]).requires_grad_()
    loss = correction_loss(p, torch.tensor([[[ANCHOR]]]), allowed, torch.ones(1, 1, 1), torch.full((256,), 3.0))
    loss.backward()
    assert float(loss.detach()) == 0
    assert torch.isfinite(p.grad).all() and not p.grad.any()


def test_the_anchor_holds_everywhere_but_near_labels_and_at_what_looks_like_debris():
    suspected = torch.log_softmax(torch.zeros(1, 4, 32, 32), dim=1)
    calm = torch.log(torch.tensor([0.97, 0.01, 0.01, 0.01]))[None, :, None, None].repeat(1, 1, 32, 32)
    observed = torch.ones(1, 32, 32, dtype=torch.bool)
    unlabelled, label, anchors = (torch.zeros(1, 32, 32, dtype=torch.uint8) for _ in range(3))
    label[0, 16, 13] = 7
    anchors[:] = ANCHOR

    def loss(before: torch.Tensor, classes: torch.Tensor) -> float:
        after = before.clone()
        after[:, :, 16, 16] = torch.log(torch.tensor([0.7, 0.1, 0.1, 0.1]))
        return float(anchor_loss(after, before, classes, observed, [1]))

    assert loss(calm, unlabelled) > 0
    assert loss(calm, label) == 0
    # A quarter is said to be debris by the model gone on from: that may be as wrong as what was corrected.
    assert loss(suspected, unlabelled) == 0
    assert loss(suspected, anchors) > 0


def test_a_few_pixels_that_come_to_look_like_debris_are_not_lost_among_the_others():
    before = torch.log(torch.tensor([0.97, 0.01, 0.01, 0.01]))[None, :, None, None].repeat(1, 1, 64, 64)
    classes, observed = torch.zeros(1, 64, 64, dtype=torch.uint8), torch.ones(1, 64, 64, dtype=torch.bool)

    def loss(debris: float) -> float:
        after = before.clone()
        after[:, :, 16, 16] = torch.log(torch.tensor([0.98 - debris, debris, 0.01, 0.01]))
        return float(anchor_loss(after, before, classes, observed, [1]))

    assert loss(0.09) < 0.001
    assert loss(0.5) > 0.5


@pytest.mark.parametrize("members", [1, 3])
def test_without_a_change_the_anchor_costs_nothing(members: int):
    network = build(NetworkConfig(bands=3, classes=4, width=4, members=members)).eval()
    x, observed = torch.rand(2, 3, 16, 16), torch.ones(2, 16, 16, dtype=torch.bool)
    classes = torch.full((2, 16, 16), ANCHOR, dtype=torch.uint8)
    logits = said_by_each(network, members, x)
    roles = tuple(ModelClass(name=f"{n}", role=role) for n, role in enumerate(ROLES))
    card = dataclasses.replace(toy_card(), classes=roles)
    loss = HandfulLoss(network, card, (1,), (1, 2), mixed=False)(logits, x, classes, observed, None)
    assert float(loss.detach()) == pytest.approx(0, abs=1e-6)


def patch_of(classes: npt.NDArray[np.uint8]) -> Patch:
    tile = make_tile(3, classes.shape[0])
    return Patch(
        "scene", "name", Tile(tile.reflectance.astype(np.float16), classes, np.ones(classes.shape, dtype=bool))
    )


def corrected(size: int = 64) -> npt.NDArray[np.uint8]:
    classes = np.zeros((size, size), dtype=np.uint8)
    classes[10, 10], classes[20:30, 20:30] = 7, 7
    return classes


def handful(**values: object) -> TrainRequest:
    return TrainRequest(
        **{"source": "rasters", "rasters": ("a.tif",), "labels": ("b.tif",), "model": "m.safetensors", "tile_size": 64,
           "start_from": "s.safetensors", **values}  # type: ignore[arg-type]
    )  # fmt: skip


def test_a_handful_is_few_labels_of_debris_and_a_model_to_go_on_from():
    many = np.ones((64, 64), dtype=np.uint8)
    assert is_handful(handful(), [patch_of(corrected())], MARIDA_ORDER)
    assert not is_handful(handful(), [patch_of(many)], MARIDA_ORDER)
    assert not is_handful(handful(start_from=None), [patch_of(corrected())], MARIDA_ORDER)
    assert not is_handful(handful(rehearsal=False), [patch_of(corrected())], MARIDA_ORDER)
    assert not is_handful(handful(), [patch_of(corrected())], ("B4", "N1"))


def test_places_weigh_alike_and_the_rest_of_an_epoch_has_no_labels():
    training, validation = rehearsed(handful(), [patch_of(corrected())], [], MARIDA_ORDER)
    first = training.tile(0)
    assert first.weight is not None
    assert first.weight[10, 10] == pytest.approx(first.weight[20:30, 20:30].sum())
    kinds = [set(np.unique(training.tile(n).classes).tolist()) for n in (len(training) // 2, len(training) - 1)]
    assert all(kind <= {0, ANCHOR} and ANCHOR in kind for kind in kinds)
    assert set(np.unique(validation.tile(0).classes).tolist()) & set(range(1, 17))


def test_nothing_is_anchored_on_or_beside_a_label():
    training, _ = rehearsed(handful(), [patch_of(corrected())], [], MARIDA_ORDER)
    painted = [training.tile(n).classes for n in range(len(training) - 5, len(training))]
    assert not any(classes[8:13, 8:13].any() or classes[18:32, 18:32].any() for classes in painted)


def test_places_are_right_on_their_side_of_the_line():
    classes = np.zeros((16, 16), dtype=np.uint8)
    classes[2, 2], classes[2, 8], classes[8, 2], classes[12:15, 12:15] = 1, 1, 7, 7
    found = np.zeros((16, 16), dtype=np.float32)
    # The threshold is 0.8, and what is rejected must lie below half of it.
    found[2, 2], found[2, 8], found[8, 2], found[13, 13] = 0.8, 0.79, 0.39, 0.41
    assert right_places(classes, found, found) == (2, 4)


def test_more_of_a_line_may_be_found_in_the_water_around_but_nothing_rejected_may_stay():
    classes = np.full((16, 16), 7, dtype=np.uint8)
    before, now = np.zeros((2, 16, 16), dtype=np.float32)
    now[4, 4:9] = 0.9
    assert right_places(classes, now, before) == (1, 1)
    now[4, 9] = 0.9
    assert right_places(classes, now, before) == (0, 1)
    now[:] = 0
    # Detected before, and not far enough below.
    now[4, 4], before[4, 4] = 0.5, 0.9
    assert right_places(classes, now, before) == (0, 1)
    # What was a little below the threshold, and found by somebody with a lower one.
    before[:], now[:] = 0, 0
    before[4, 4:7] = now[4, 4:7] = 0.7
    assert right_places(classes, now, before) == (0, 1)
    now[4, 6] = 0
    assert right_places(classes, now, before) == (1, 1)


@pytest.mark.parametrize("threshold", [0.0, 1e-9, 1.0])
def test_any_threshold_of_a_card_can_be_gone_on_from(threshold: float):
    needed = needed_odds((1,), threshold)
    assert torch.isfinite(needed).all()
    assert float(needed.abs().max()) < 7


def right_places(
    classes: npt.NDArray[np.uint8], now: npt.NDArray[np.float32], before: npt.NDArray[np.float32]
) -> tuple[int, int]:
    tile = Tile(np.zeros((11, *classes.shape), dtype=np.float32), classes, np.ones(classes.shape, dtype=bool))
    return places_right(lambda *_: now, lambda *_: before, tile_source(tile), (1,), 0.8)


def tile_source(tile: Tile):
    class One:
        def __len__(self) -> int:
            return 1

        def tile(self, _: int) -> Tile:
            return tile

    return One()
