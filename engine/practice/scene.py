"""Practice scenes: endless pictures of the sea with known classes, painted window by window.

A scene is a seed and a few settings. What is at a place depends on the seed and the place alone, so any window can be
painted by itself, in any process, and fits its neighbours.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from engine.errors import RequestError
from engine.practice.canvas import NO_LABEL, Patch, observe
from engine.practice.fronts import paint_front
from engine.practice.mosaic import paint_mosaic
from engine.practice.spectra import choose_conditions
from engine.practice.things import FLOATING, MAKERS, REACH
from engine.practice.water import Setting, clouds_and_shadow, coast, haze, water
from engine.tiling import Window

__all__ = ["INGREDIENTS", "PracticeScene", "SceneOptions", "Tile", "make_tile"]

CELL = 64
INGREDIENTS = (
    "debris", "sargassum", "organic", "ship", "foam", "waves", "fronts", "coast", "cloud", "shadow", "haze", "nodata",
)  # fmt: skip
"""What `without` may name."""
# Things in a cell of 64 x 64 pixels, on average, in a busy training tile; nature is emptier.
RATES = {"debris": 0.45, "sargassum": 0.2, "organic": 0.2, "ship": 0.22, "foam": 0.12, "waves": 0.1}


@dataclass(frozen=True, kw_only=True)
class SceneOptions:
    """How practice scenes are composed."""

    without: tuple[str, ...] = ()
    """Ingredients to leave out, of INGREDIENTS."""
    density: float = 1.0
    """Factor on the number of things."""
    mosaic_share: float = 0.0
    """Share of scenes that are mosaics of all classes in no natural order: context says nothing there."""
    varied: bool = True
    """Whether scenes differ in how much they hold of what; else each holds the same, on average."""
    signature_scenes: tuple[str, ...] | None = None
    """Signature scenes to draw conditions from; all where None."""

    def __post_init__(self) -> None:
        unknown = [name for name in self.without if name not in INGREDIENTS]
        if unknown:
            raise RequestError(f"There is no ingredient {', '.join(unknown)}: use {', '.join(INGREDIENTS)}.")


@dataclass(frozen=True, eq=False)
class Tile:
    """A piece of a practice scene."""

    reflectance: npt.NDArray[np.float32]
    """(11, height, width), bands in MARIDA's order; 0 where there is no data."""
    classes: npt.NDArray[np.uint8]
    """(height, width): MARIDA's classes, 16 land, 0 no label or no data."""
    observed: npt.NDArray[np.bool_]
    """(height, width): where there is data."""
    weight: npt.NDArray[np.float32] | None = None
    """(height, width): confidence in each label, 1 where None."""


class PracticeScene:
    """A scene of a given size; only coast and edges without data depend on the size."""

    def __init__(self, seed: int, height: int, width: int, options: SceneOptions | None = None) -> None:
        self.options = options or SceneOptions()
        conditions = choose_conditions(seed, self.options.signature_scenes)
        self.setting = Setting(seed, conditions, frozenset(self.options.without), height, width)
        rng = self.setting.rng(5)
        # A scene has much of some things and little or nothing of others.
        factors = rng.choice([0, 0.5, 1, 2.5], len(RATES), p=[0.2, 0.3, 0.3, 0.2]) if self.options.varied else 1
        self._rates = np.array(list(RATES.values())) * self.options.density * factors
        self._noise = float(np.exp(rng.normal(0, 0.35)))
        self._phase = 2 * int(rng.integers(3))
        self._mosaic = rng.random() < self.options.mosaic_share
        self._lines = rng.random() < 0.5

    def render(self, window: Window) -> Tile:
        """Paint a window, as it is in the whole scene."""
        outer = self._whole_cells(window)
        canvas, front = water(self.setting, outer)
        if self._mosaic:
            paint_mosaic(self.setting, canvas)
        else:
            coast(self.setting, canvas)
            if front is not None and self._lines and (kinds := self._gathering()):
                paint_front(self.setting, canvas, front, kinds)
            for patch in self.things(outer):
                canvas.paint(patch)
            clouds_and_shadow(self.setting, canvas)
        haze(self.setting, canvas)
        observe(canvas, self._phase, (self.setting.seed, 60), self._noise)
        top, left = window.row - outer.row, window.col - outer.col
        part = (slice(top, top + window.height), slice(left, left + window.width))
        observed = self._observed(window)
        reflectance = np.where(observed, canvas.reflectance[:, part[0], part[1]], np.float32(0))
        classes = np.where(observed, canvas.classes[part], NO_LABEL).astype(np.uint8)
        return Tile(reflectance, classes, observed)

    def _whole_cells(self, window: Window) -> Window:
        """The window of whole 60 m cells around a window."""
        top, left = ((at - self._phase) // 6 * 6 + self._phase for at in (window.row, window.col))
        bottom, right = (
            -((self._phase - at) // 6) * 6 + self._phase
            for at in (window.row + window.height, window.col + window.width)
        )
        return Window(top, left, bottom - top, right - left)

    def things(self, window: Window) -> Iterator[Patch]:
        """The things that may reach into a window, in the order of their cells, at their places in the scene."""
        rows = range((window.row - REACH) // CELL, (window.row + window.height + REACH) // CELL + 1)
        cols = range((window.col - REACH) // CELL, (window.col + window.width + REACH) // CELL + 1)
        for row in rows:
            for col in cols:
                rng = np.random.default_rng([self.setting.seed, 6, row + 2**20, col + 2**20])
                # Drawn for all kinds, left out or not: leaving one out must not move the others.
                for number, (name, count) in enumerate(zip(RATES, rng.poisson(self._rates), strict=True)):
                    for copy in range(count if self.setting.has(name) else 0):
                        own = np.random.default_rng([self.setting.seed, 7, row + 2**20, col + 2**20, number, copy])
                        at = (int(own.integers(CELL)) + row * CELL, int(own.integers(CELL)) + col * CELL)
                        if self._beside(window, at):
                            continue
                        patch = MAKERS[name](own, self.setting.conditions)
                        yield replace(patch, row=patch.row + at[0], col=patch.col + at[1])

    def _gathering(self) -> list[str]:
        """Floating matter that the scene holds."""
        rates = dict(zip(RATES, self._rates, strict=True))
        return [name for name in FLOATING if rates[name] and self.setting.has(name)]

    @staticmethod
    def _beside(window: Window, at: tuple[int, int]) -> bool:
        return not (
            -REACH <= at[0] - window.row <= window.height + REACH
            and -REACH <= at[1] - window.col <= window.width + REACH
        )

    def _observed(self, window: Window) -> npt.NDArray[np.bool_]:
        """False beyond the slanted edge of the orbit, in scenes that have one."""
        rng = self.setting.rng(9)
        result = np.ones((window.height, window.width), dtype=bool)
        if not self.setting.has("nodata") or rng.random() > 0.12:
            return result
        angle = rng.uniform(0, 2 * np.pi)
        rows = (window.row + np.arange(window.height) - self.setting.height / 2)[:, None]
        cols = (window.col + np.arange(window.width) - self.setting.width / 2)[None, :]
        distance = rows * np.sin(angle) + cols * np.cos(angle)
        return np.asarray(distance < rng.uniform(0.1, 0.5) * min(self.setting.height, self.setting.width))


def make_tile(seed: int, size: int, options: SceneOptions | None = None) -> Tile:
    """A practice tile of size x size pixels: the same for the same seed and options, in any process."""
    scene = PracticeScene(seed, size, size, options)
    return scene.render(Window(0, 0, size, size))
