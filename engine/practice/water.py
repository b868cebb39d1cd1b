"""Everything of a practice scene that fills space: water and its fronts, coast and surf, cloud, shadow and haze."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.practice.canvas import CLOUD, LAND, NO_LABEL, Canvas
from engine.practice.fields import Field, white
from engine.practice.glint import glint
from engine.practice.spectra import DRY_SAND, GROUPS, LAND_SPECTRA, VEGETATION, WET_SAND, Conditions, spread
from engine.tiling import Window

__all__ = ["BEYOND", "Setting", "clouds_and_shadow", "coast", "haze", "water"]

Array = npt.NDArray[np.float32]
TURBID = (8, 10, 11, 15)
WAVES, FOAM, SHADOW = 12, 9, 13
COAST_SHARE = 0.3
BEYOND = 4
"""Pixels around a window from which the optics bring light into it."""
BETWEEN, WITHIN = 0.6, (0.06, 0.6)
"""How much of a class's deviation lies between the tiles of a scene, and within one."""
# Thin haze and aerosol, brighter in blue: an Angstrom exponent near 1.
HAZE = np.array([1.0, 0.95, 0.85, 0.75, 0.72, 0.7, 0.67, 0.64, 0.62, 0.4, 0.3], dtype=np.float32)


@dataclass(frozen=True, eq=False)
class Setting:
    """What a whole scene has in common."""

    seed: int
    conditions: Conditions
    without: frozenset[str]
    height: int
    width: int

    def rng(self, tag: int) -> np.random.Generator:
        """Random numbers for one ingredient: leaving another out does not change them."""
        return np.random.default_rng([self.seed, tag])

    def has(self, ingredient: str) -> bool:
        """Whether the scene may hold the ingredient."""
        return ingredient not in self.without


def _tinted(setting: Setting, window: Window, tag: int, coarse: float, fine: float) -> Array:
    """Smooth numbers (11, height, width), mean 0, deviation about 1, whose bands go together as those of water do."""
    common = Field.fractal((setting.seed, tag), coarse, fine, 0.6).at(window)
    visible = Field.fractal((setting.seed, tag + 1), coarse, fine, 0.6).at(window)
    infrared = Field.fractal((setting.seed, tag + 2), coarse, fine, 0.6).at(window)
    own = np.array([1, 1, 1, 1, 0.5, 0, 0, 0, 0, 0, 0], dtype=np.float32)[:, None, None]
    return np.asarray(0.7 * common + 0.7 * (own * visible + (1 - own) * infrared), dtype=np.float32)


def water(setting: Setting, window: Window) -> tuple[Canvas, Array | None]:
    """A canvas of water, of one or two kinds, and the distance in pixels from the front between them: of the window and
    of `BEYOND` pixels around it.
    """
    rng, conditions = setting.rng(1), setting.conditions
    texture = _tinted(setting, window, 10, float(rng.choice([24, 64, 160])), 6)
    # A signature's deviation is that over a scene's many places: most of it lies between them, little within a tile.
    calm, place = float(np.exp(rng.uniform(*np.log(WITHIN)))), BETWEEN * spread(rng, 1)[0]
    texture = place[:, None, None] + calm * texture
    mean, std = conditions.signature(7)
    reflectance = mean[:, None, None] + std[:, None, None] * texture
    classes = np.full((window.height, window.width), 7, dtype=np.uint8)
    front = None
    kinds = [number for number in TURBID if conditions.has(number) or rng.random() < 0.12]
    if kinds and rng.random() < 0.6 and setting.has("fronts"):
        number = int(rng.choice(kinds))
        field = Field.fractal((setting.seed, 14), float(rng.choice([60, 150, 400])), 8, 0.45)
        level, softness = rng.normal(0, 0.7), float(np.exp(rng.uniform(-4, -0.7)))
        wider = field.at(window.wider(BEYOND + 1))
        value = wider[BEYOND + 1 : -BEYOND - 1, BEYOND + 1 : -BEYOND - 1]
        share = 1 / (1 + np.exp(-np.clip((value - level) / softness, -30, 30)))
        there, deviation = conditions.signature(number)
        other = there[:, None, None] + deviation[:, None, None] * texture
        reflectance = reflectance + share * (other - reflectance)
        classes[share > 0.5] = number
        slope = np.hypot(*np.gradient(wider))
        front = ((wider - level) / np.maximum(slope, 1e-4))[1:-1, 1:-1].astype(np.float32)
    if setting.has("waves"):
        reflectance = reflectance + glint(setting.seed, window, rng)
    own = np.zeros(classes.shape, dtype=bool)
    return Canvas(window, np.maximum(reflectance, 0).astype(np.float32), classes, own), front


def coast(setting: Setting, canvas: Canvas) -> None:
    """Land with a beach, surf along it, and waves that break before it."""
    rng, window = setting.rng(2), canvas.window
    if not setting.has("coast") or rng.random() > COAST_SHARE:
        return
    angle = rng.uniform(0, 2 * np.pi)
    reach = rng.uniform(-0.45, 0.35) * min(setting.height, setting.width, 1500)
    rows = (window.row + np.arange(window.height) - setting.height / 2)[:, None]
    cols = (window.col + np.arange(window.width) - setting.width / 2)[None, :]
    wild = rng.uniform(2, 25)
    inland = rows * np.sin(angle) + cols * np.cos(angle) + reach
    inland = inland + wild * Field.fractal((setting.seed, 30), 90, 4, 0.5).at(window)
    land = inland > 0
    if not land.any() and inland.max() < -60:
        return
    everywhere = (slice(None), slice(None))
    _surf(setting, canvas, inland, rng)
    kind = Field.fractal((setting.seed, 31), 50, 4, 0.7).at(window)
    grain = np.exp(
        0.18 * white((setting.seed, 32), window) + 0.15 * Field.fractal((setting.seed, 33), 16, 4).at(window)
    )
    inner = rng.choice(len(LAND_SPECTRA), 3, p=[0.08, 0.02, 0.35, 0.1, 0.2, 0.2, 0.05])
    choice = np.select([kind < -0.4, kind < 0.6], [inner[0], inner[1]], inner[2])
    beach = float(rng.choice([0, 1.5, 4, 8]))
    choice = np.where(inland < beach * 1.5, DRY_SAND if rng.random() < 0.7 else VEGETATION, choice)
    choice = np.where(inland < beach * 0.5, WET_SAND, choice)
    bright = np.exp(rng.normal(0, 0.25)) * grain
    spectra = np.moveaxis(LAND_SPECTRA[choice], -1, 0) * bright + 0.3 * setting.conditions.water[:, None, None]
    share = np.clip(inland + 0.5, 0, 1).astype(np.float32)
    classes = np.where(share > 0.6, LAND, NO_LABEL).astype(np.uint8)
    canvas.mix(*everywhere, share, spectra.astype(np.float32), classes)
    canvas.own[...] = False


def _surf(setting: Setting, canvas: Canvas, inland: Array, rng: np.random.Generator) -> None:
    """White water where waves break, in broken lines along the shore: of foam's spectrum, but no floating matter."""
    window = canvas.window
    width = float(rng.choice([2, 5, 12]))
    breaking = Field.fractal((setting.seed, 34), 10, 2, 0.7).at(window)
    lines = np.cos(2 * np.pi * inland / rng.uniform(3, 8)) + breaking
    foam = np.clip((lines - rng.uniform(0.3, 1.6)) * 0.8, 0, 1) * (inland < 0) * (inland > -width)
    if not setting.has("foam") or not setting.has("waves") or not foam.any():
        return
    grain = np.stack([white((setting.seed, 35, number), window) for number in range(GROUPS.max() + 2)], axis=-1)
    normal = np.sqrt(0.85) * grain[..., :1] + np.sqrt(0.15) * grain[..., 1:][..., GROUPS]
    spectra = setting.conditions.draw(rng, FOAM, normal.reshape(-1, len(GROUPS))).reshape(*foam.shape, -1)
    classes = np.where(foam > 0.45, WAVES, NO_LABEL).astype(np.uint8)
    share = np.where(classes == WAVES, 1, 0.7 * foam).astype(np.float32)
    canvas.mix(slice(None), slice(None), share, np.moveaxis(spectra, -1, 0), classes)


def clouds_and_shadow(setting: Setting, canvas: Canvas) -> None:
    """Cloud with thin edges over everything painted so far, and its shadow on the water."""
    rng, window = setting.rng(3), canvas.window
    if not setting.has("cloud") or rng.random() > 0.45:
        return
    field = Field.fractal((setting.seed, 40), float(rng.choice([10, 24, 60, 140])), 2.5, rng.uniform(0.4, 0.7))
    level, soft = rng.uniform(0.6, 2.0), float(rng.choice([0.15, 0.4, 1.0]))
    shift = rng.uniform(6, 45) * np.array([np.cos(angle := rng.uniform(0, 2 * np.pi)), np.sin(angle)])
    if setting.has("shadow"):
        moved = Window(window.row + round(shift[0]), window.col + round(shift[1]), window.height, window.width)
        _shade(setting, canvas, np.clip((field.at(moved) - level) / soft, 0, 1))
    cover = np.clip((field.at(window) - level) / soft, 0, 1)
    if not cover.any():
        return
    texture = 0.8 * field.at(window) + 0.4 * Field.fractal((setting.seed, 43), 12, 2).at(window)
    tint = 0.15 * spread(rng, 1)[0][:, None, None]
    normal = np.moveaxis(texture[None] - level + tint, 0, -1).reshape(-1, 11)
    spectra = setting.conditions.draw(rng, CLOUD, normal.astype(np.float32)).reshape(*cover.shape, -1)
    share = (cover * rng.uniform(0.6, 1)).astype(np.float32)
    canvas.reflectance += share * (np.moveaxis(spectra, -1, 0) - canvas.reflectance)
    canvas.classes[share > 0.06] = NO_LABEL
    canvas.classes[share > 0.3] = CLOUD
    canvas.own[share > 0.3] = False


def _shade(setting: Setting, canvas: Canvas, cover: Array) -> None:
    mean, _ = setting.conditions.signature(SHADOW)
    dimmed = np.clip(mean / setting.conditions.water, 0.5, 1)[:, None, None]
    canvas.reflectance *= 1 - 0.9 * cover * (1 - dimmed)
    water = np.isin(canvas.classes, (7, 8, 10, 11, 15))
    canvas.classes[water & (cover > 0.15)] = NO_LABEL
    canvas.classes[water & (cover > 0.5)] = SHADOW


def haze(setting: Setting, canvas: Canvas) -> None:
    """Thin haze or smoke over the whole scene, uneven."""
    rng = setting.rng(4)
    if not setting.has("haze") or rng.random() > 0.3:
        return
    amount = np.exp(rng.normal(-4.8, 0.7))
    uneven = np.clip(1 + 0.5 * Field.fractal((setting.seed, 50), 200, 25, 0.5).at(canvas.window), 0.1, 3)
    canvas.reflectance += (HAZE * amount)[:, None, None] * uneven
