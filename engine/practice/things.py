"""Everything of a practice scene that is a thing: floating matter in its shapes, ships and wakes, foam, whitecaps."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from engine.practice.canvas import Patch
from engine.practice.fields import Field
from engine.practice.optics import soften
from engine.practice.spectra import Conditions, spread
from engine.practice.vessels import REACH, ship
from engine.tiling import Window

__all__ = ["FLOATING", "MAKERS", "REACH", "shape_of_matter"]

Array = npt.NDArray[np.float32]
Rng = np.random.Generator
FORMS = {"single": 0.2, "pair": 0.12, "filament": 0.34, "windrow": 0.08, "blob": 0.14, "scattered": 0.12}
"""Shapes of floating matter, and how often each is drawn."""
FOAM, WAVES = 9, 12

FLOATING: dict[str, tuple[tuple[str, int, float], ...]] = {
    "debris": (("debris", 1, 0.96), ("plastic", 1, 0.04)),
    "sargassum": (("dense_sargassum", 2, 0.4), ("sparse_sargassum", 3, 0.5), ("seaweed", 2, 0.1)),
    "organic": (("organic", 4, 0.8), ("driftwood", 4, 0.1), ("pumice", 4, 0.05), ("sea_snot", 4, 0.05)),
}
"""Ingredient: mixtures that it is drawn from, the class of each, and how often."""


def _walk(rng: Rng, length: float, bend: float, spread_px: float) -> tuple[Array, Array]:
    """Points (rows, columns), half a pixel apart, of a line that bends at random, centred at 0."""
    count = max(2, round(2 * length))
    turns = np.cumsum(rng.normal(0, bend, count)) + rng.uniform(0, 2 * np.pi)
    rows = np.cumsum(0.5 * np.sin(turns)) + rng.normal(0, spread_px, count)
    cols = np.cumsum(0.5 * np.cos(turns)) + rng.normal(0, spread_px, count)
    middle = count // 2
    return (rows - rows[middle]).astype(np.float32), (cols - cols[middle]).astype(np.float32)


def _uneven(rng: Rng, count: int, scale: int) -> Array:
    """Log-normal strength along a line, alike over `scale` points."""
    noise = rng.standard_normal(count + scale)
    smooth = np.convolve(noise, np.ones(scale) / np.sqrt(scale), mode="same")[:count]
    return np.exp(0.6 * smooth + 0.4 * rng.standard_normal(count)).astype(np.float32)


def shape_of_matter(rng: Rng) -> Array:
    """Strength (height, width) of one group of floating matter: odd sizes, its place is the middle."""
    form = rng.choice(list(FORMS), p=list(FORMS.values()))
    if form == "blob":
        # Most patches are small; some are as wide as the rafts that storms and rivers leave.
        return _blob(rng, rng.uniform(1, 6) if rng.random() < 0.8 else rng.uniform(6, 14))
    lines: list[tuple[Array, Array, Array]] = []
    if form == "filament":
        rows, cols = _walk(rng, rng.uniform(4, 110), rng.choice([0.02, 0.08, 0.15]), rng.choice([0, 0.2, 0.5]))
        lines.append((rows, cols, _uneven(rng, len(rows), int(rng.integers(2, 12)))))
    elif form == "windrow":
        rows, cols = _walk(rng, rng.uniform(15, 60), 0.03, 0.3)
        gap, angle = rng.uniform(3, 9), rng.uniform(0, 2 * np.pi)
        for number in range(int(rng.integers(2, 5))):
            jitter = rng.normal(0, 0.4, (2, len(rows)))
            shift = number * gap * np.array([np.sin(angle), np.cos(angle)])
            strength = _uneven(rng, len(rows), 6)
            rows_here, cols_here = rows + shift[0] + jitter[0], cols + shift[1] + jitter[1]
            lines.append((rows_here.astype(np.float32), cols_here.astype(np.float32), strength))
    elif form == "scattered":
        count = int(rng.integers(3, 14))
        radius = rng.uniform(3, 20)
        places = rng.normal(0, radius, (2, count)).astype(np.float32)
        lines.append((places[0], places[1], _uneven(rng, count, 1)))
    else:
        step = rng.integers(-1, 2, 2) if form == "pair" else np.zeros(2)
        count = 2 if form == "pair" else 1
        places = np.arange(count)[None, :] * np.asarray(step, dtype=np.float32)[:, None]
        lines.append((places[0], places[1], _uneven(rng, count, 1)))
    return _splat(lines)


def _splat(lines: list[tuple[Array, Array, Array]]) -> Array:
    rows = np.rint(np.concatenate([line[0] for line in lines])).astype(int)
    cols = np.rint(np.concatenate([line[1] for line in lines])).astype(int)
    strength = np.concatenate([line[2] for line in lines])
    reach = REACH - 4
    inside = (np.abs(rows) <= reach) & (np.abs(cols) <= reach)
    half_height, half_width = int(np.abs(rows[inside]).max(initial=0)), int(np.abs(cols[inside]).max(initial=0))
    result = np.zeros((2 * half_height + 1, 2 * half_width + 1), dtype=np.float32)
    np.maximum.at(result, (rows[inside] + half_height, cols[inside] + half_width), strength[inside])
    return result


def _blob(rng: Rng, radius: float) -> Array:
    """A compact, ragged patch: 1 inside, fading at its edge."""
    half = int(np.ceil(1.6 * radius)) + 1
    axis = np.arange(-half, half + 1)
    stretch, angle = np.exp(rng.normal(0, 0.4)), rng.uniform(0, np.pi)
    along = np.cos(angle) * axis[None, :] + np.sin(angle) * axis[:, None]
    across = -np.sin(angle) * axis[None, :] + np.cos(angle) * axis[:, None]
    distance = np.hypot(along / stretch, across * stretch) / radius
    ragged = Field.fractal((int(rng.integers(2**31)), 1), 4, 2).at(Window(0, 0, len(axis), len(axis)))
    inside = np.clip(1.6 - distance + 0.35 * ragged, 0, None) * (distance < 1.6)
    return np.asarray(inside, dtype=np.float32)


def matter(rng: Rng, conditions: Conditions, ingredient: str) -> Patch:
    """A group of floating matter: its excess over water, whole where it is dense, in part between."""
    strength = shape_of_matter(rng)
    padded = np.pad(strength, 1)
    present = padded > 0
    dense = present & (padded >= np.quantile(padded[present], rng.uniform(0.0, 0.85)))
    kinds = FLOATING[ingredient]
    kind, number, _ = kinds[rng.choice(len(kinds), p=[share for *_, share in kinds])]
    spectra = conditions.draw_floating(rng, kind, number, rng.random(int(present.sum())))
    placed = np.zeros((*padded.shape, 11), dtype=np.float32)
    placed[present] = _ranked(rng, spectra, padded[present])
    fraction = np.where(present, np.clip(padded / padded.max(), 0, 1) * rng.uniform(0.1, 0.55), 0)
    fraction = np.where(dense, 1, fraction).astype(np.float32)
    _halo(rng, fraction, placed, present)
    middle = [-(side // 2) for side in padded.shape]
    classes = np.where(dense, number, 0).astype(np.uint8)
    return soften(rng, Patch(middle[0], middle[1], fraction, placed, classes, excess=True))


def _ranked(rng: Rng, spectra: Array, strength: Array) -> Array:
    """Spectra (count, 11), the brighter ones where `strength` (count,) is greater, as far as chance allows."""
    order = np.argsort(np.argsort((strength + 0.05) * np.exp(rng.normal(0, 0.5, len(strength)))))
    return np.asarray(spectra[np.argsort(spectra[:, 7])][order])


def _halo(rng: Rng, fraction: Array, spectra: Array, present: npt.NDArray[np.bool_]) -> None:
    """Neighbours of a pixel hold some of its matter too."""
    amount = rng.uniform(0, 0.3)
    for step in ((0, 1), (0, -1), (1, 0), (-1, 0)):
        beside = np.roll(present, step, axis=(0, 1)) & (fraction == 0)
        share = amount * rng.random(fraction.shape).astype(np.float32) ** 2
        fraction[beside] = share[beside]
        spectra[beside] = np.roll(spectra, step, axis=(0, 1))[beside]


def _object_normal(rng: Rng, count: int, same: float) -> Array:
    """Standard normal numbers (count, 11), of whose variance the part `same` belongs to the whole thing."""
    normal = np.sqrt(same) * spread(rng, 1) + np.sqrt(1 - same) * spread(rng, count, 0.8, 0.12)
    return np.asarray(normal, dtype=np.float32)


def foam(rng: Rng, conditions: Conditions) -> Patch:
    """Foam afloat: a ragged patch or a streak."""
    strength = _blob(rng, rng.uniform(0.8, 5)) if rng.random() < 0.6 else shape_of_matter(rng)
    return _lather(rng, conditions, strength, FOAM)


def whitecaps(rng: Rng, conditions: Conditions) -> Patch:
    """Breaking waves: short bright dashes, side by side."""
    angle, lines = rng.uniform(0, np.pi), []
    for _ in range(int(rng.integers(2, 16))):
        count = int(rng.integers(1, 14))
        at = rng.normal(0, 14, 2)
        along = np.arange(count) * 0.5
        lines.append((at[0] + along * np.sin(angle), at[1] + along * np.cos(angle), _uneven(rng, count, 2)))
    return _lather(rng, conditions, _splat(lines), WAVES)


def _lather(rng: Rng, conditions: Conditions, strength: Array, number: int) -> Patch:
    height, width = strength.shape
    relative = strength / strength.max()
    dense = relative > rng.uniform(0.05, 0.4)
    spectra = np.zeros((height, width, 11), dtype=np.float32)
    spectra[strength > 0] = conditions.draw(rng, number, _object_normal(rng, int((strength > 0).sum()), 0.4))
    spectra[strength > 0] -= conditions.water
    fraction = np.where(dense, 1, 0.5 * relative).astype(np.float32)
    classes = np.where(dense, number, 0).astype(np.uint8)
    return soften(rng, Patch(-(height // 2), -(width // 2), fraction, spectra, classes, excess=True))


Maker = Callable[[Rng, Conditions], Patch]
MAKERS: dict[str, Maker] = {
    **{name: (lambda rng, conditions, name=name: matter(rng, conditions, name)) for name in FLOATING},  # type: ignore[misc]
    "ship": ship,
    "foam": foam,
    "waves": whitecaps,
}
