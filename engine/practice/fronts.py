"""Floating matter gathered along the front between two waters."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.special import erf, ndtr

from engine.practice.canvas import INFRARED, LAND, Canvas
from engine.practice.fields import Field, white
from engine.practice.optics import LEAST_SEEN, blur_of, spread_light
from engine.practice.things import FLOATING
from engine.practice.water import BEYOND, Setting

__all__ = ["paint_front"]

LINE_WIDTH = 1.4
"""Pixels that a line along a front is wide, about."""


def paint_front(setting: Setting, canvas: Canvas, front: npt.NDArray[np.float32], kinds: Sequence[str]) -> None:
    """Paint a broken line of one of `kinds` (ingredients), dense here and thin there.

    Args:
        setting: of the scene.
        canvas: the water.
        front: distance from the front in pixels, of the canvas and of BEYOND pixels around it.
        kinds: floating matter that may gather.
    """
    rng, outer = setting.rng(8), canvas.window.wider(BEYOND)
    choices = FLOATING[str(rng.choice(kinds))]
    kind, number, _ = choices[rng.choice(len(choices), p=[share for *_, share in choices])]
    beads = Field.fractal((setting.seed, 61), float(rng.choice([8, 20])), 2, 0.8).at(outer)
    line = (np.abs(front) < rng.uniform(0.5, 0.9)) & (beads > rng.uniform(-0.6, 1))
    dense, thin, blur = line & (beads > rng.uniform(0.6, 1.8)), rng.uniform(0.1, 0.5), blur_of(rng)
    if not line.any():
        return
    excess = np.zeros((11, *line.shape), dtype=np.float32)
    chance = ndtr(white((setting.seed, 62), outer)[line])
    excess[:, line] = setting.conditions.draw_floating(rng, kind, number, chance).T
    excess *= np.where(dense, 1, thin).astype(np.float32)
    inner = (slice(BEYOND, -BEYOND),) * 2
    # A line is a pixel or two wide: as much brighter as its light is spread, so that it stays as bright as it was.
    soft = (spread_light(excess, blur) / erf(LINE_WIDTH / np.sqrt(8) / blur))[:, inner[0], inner[1]]
    seen = (line[inner] | (np.abs(soft[INFRARED]) > LEAST_SEEN)) & (canvas.classes != LAND)
    labels = np.where(seen & dense[inner], number, 0).astype(np.uint8)
    canvas.mix(slice(None), slice(None), seen.astype(np.float32), soft, labels, excess=True)
