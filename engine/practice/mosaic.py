"""Mosaics: tiles in which classes stand beside each other in no natural order.

A network that only ever sees natural scenes learns where things use to be, and our scenes cannot be right about that
everywhere. In a mosaic, place and shape say nothing: only the spectrum and its contrast with the water do. A mosaic is
painted for the window that is asked for: tiles to train on are, and no scene that is looked at in parts.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from engine.practice.canvas import INFRARED, Canvas
from engine.practice.fields import white
from engine.practice.optics import LEAST_SEEN, blur_of, spread_light
from engine.practice.spectra import spread
from engine.practice.things import FLOATING
from engine.practice.water import Setting

__all__ = ["paint_mosaic"]

# Classes of the stones, and how often each is drawn.
STONES = {1: 0.3, 2: 0.06, 3: 0.09, 4: 0.12, 5: 0.14, 6: 0.06, 9: 0.08, 12: 0.06, 14: 0.09}
INGREDIENT_OF = {
    1: "debris",
    2: "sargassum",
    3: "sargassum",
    4: "organic",
    5: "ship",
    6: "cloud",
    9: "foam",
    12: "waves",
}
OWN_LIGHT = 0.6
"""Share of a labelled pixel's light in B8 that its own class gives, at least."""


def paint_mosaic(setting: Setting, canvas: Canvas) -> None:
    """Scatter stones of 2 to 8 pixels, each of one class, over water."""
    rng, window = setting.rng(12), canvas.window
    size = int(rng.choice([2, 4, 6, 8]))
    chance = white((setting.seed, 64), window, size)
    cover = chance > rng.uniform(0.5, 1.8)
    choice = white((setting.seed, 65), window, size)
    usable = {n: share for n, share in STONES.items() if INGREDIENT_OF.get(n, "ship") not in setting.without}
    # A rank of the noise, through its distribution, gives the class: no other random numbers by place are needed.
    edges = np.cumsum(list(usable.values())) / sum(usable.values())
    place = 0.5 * (1 + np.tanh(0.8 * choice * (1 + 0.04 * choice**2)))
    numbers = np.array(list(usable))[np.searchsorted(edges, place).clip(0, len(usable) - 1)]
    stones = np.where(cover, numbers, 0).astype(np.uint8)
    # Some stones are thinned to single pixels, as the smallest debris is.
    if rng.random() < 0.5:
        stones[white((setting.seed, 66), window) < rng.uniform(-0.5, 1)] = 0
    blur, total, own = blur_of(rng), np.zeros_like(canvas.reflectance), np.zeros(stones.shape, dtype=np.float32)
    for number in usable:
        here = stones == number
        if here.any():
            excess = np.zeros_like(total)
            excess[:, here] = _excess(setting, rng, number, int(here.sum())).T
            light = spread_light(excess, blur)
            total += light
            own = np.where(here, np.abs(light[INFRARED]), own)
    # Beside a stone of another class most of a pixel's light may be that one's.
    labels = np.where(own > OWN_LIGHT * np.abs(total[INFRARED]), stones, 0).astype(np.uint8)
    seen = (stones > 0) | (np.abs(total[INFRARED]) > LEAST_SEEN)
    canvas.mix(slice(None), slice(None), seen.astype(np.float32), total, labels, excess=True)


def _excess(setting: Setting, rng: np.random.Generator, number: int, count: int) -> npt.NDArray[np.float32]:
    """Excess over water (count, 11) of pixels of a class."""
    ingredient = INGREDIENT_OF.get(number, "")
    if ingredient in FLOATING:
        kinds = [kind for kind, of, _ in FLOATING[ingredient] if of == number]
        shares = np.array([share for _, of, share in FLOATING[ingredient] if of == number])
        kind = str(rng.choice(kinds, p=shares / shares.sum()))
        return setting.conditions.draw_floating(rng, kind, number, rng.random(count))
    return setting.conditions.draw(rng, number, spread(rng, count)) - setting.conditions.water
