"""Ships and their wakes, as Sentinel-2 shows them: blurred by the optics, and moving between the bands."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from engine.practice.canvas import Patch
from engine.practice.optics import DELAY, PIXEL_METRES, blur_of
from engine.practice.spectra import Conditions, spread

__all__ = ["REACH", "ship"]

Array = npt.NDArray[np.float32]
Rng = np.random.Generator
REACH = 80
"""No thing reaches farther than this from where it is, in pixels."""
SHIP, WAKE = 5, 14
SHARP = (1, 2, 3, 7)
"""The bands of 10 m, by whose picture people label."""
FINE = 4
"""Points across a pixel at which a hull is drawn before it is blurred."""
FULL = 0.75
"""What labelled pixels hold of a ship on average: those at its edge are part water, and so are the signatures."""


def ship(rng: Rng, conditions: Conditions) -> Patch:
    """A ship from a boat of one pixel to 350 m, with or without a wake behind it, as excess over the water."""
    length = float(np.exp(rng.uniform(np.log(1.2), np.log(32))))
    beam = max(0.9, length / rng.uniform(3.5, 7.5)) if length > 4 else float(rng.uniform(0.9, 1.8))
    heading = float(rng.uniform(0, 2 * np.pi))
    tail = float(rng.uniform(3, 65)) if rng.random() < 0.6 else 0.0
    blur = blur_of(rng)
    speed = float(rng.uniform(2, 12)) if tail else float(rng.uniform(0, 1))
    half = min(REACH, int(np.ceil(length / 2 + tail)) + 5)
    excess, cover = np.zeros((2 * half + 1, 2 * half + 1, 11), dtype=np.float32), np.zeros((2 * half + 1,) * 2)
    inner = min(half, int(np.ceil(length / 2)) + 5)
    middle = (slice(half - inner, half + inner + 1),) * 2
    excess[middle], cover[middle] = _hull(rng, conditions, (length, beam), heading, inner, blur, speed)
    classes = np.where(cover > min(rng.uniform(0.3, 0.5), 0.7 * cover.max()), SHIP, 0).astype(np.uint8)
    touched = cover > 0.02
    if tail:
        foam = _trail(rng, (length, beam, tail), heading, half, blur)
        lather = conditions.draw(rng, WAKE, _common(rng))[0] - conditions.water
        excess += (foam * (1 - np.minimum(cover, 1)))[..., None] * lather / FULL
        classes[(classes == 0) & (foam > 0.4 * max(foam.max(), 0.5))] = WAKE
        touched |= foam > 0.02
    return Patch(-half, -half, touched.astype(np.float32), excess, classes, excess=True, measured=False)


def _hull(
    rng: Rng, conditions: Conditions, size: tuple[float, float], heading: float, half: int, blur: float, speed: float
) -> tuple[Array, Array]:
    """Excess (side, side, 11) of a hull with its superstructure, and its cover (side, side) in the 10 m bands."""
    length, beam = size
    deck, house = (conditions.draw(rng, SHIP, _common(rng))[0] - conditions.water for _ in range(2))
    astern, share = rng.random() < 0.8, rng.uniform(0.1, 0.3)
    shade = ndimage.gaussian_filter1d(rng.standard_normal(64), 4, mode="wrap")
    shade = np.exp(rng.uniform(0, 0.5) * shade / shade.std())
    aside = rng.uniform(-0.5, 0.5, 2)
    sense = rng.choice([-1, 1])
    excess, cover = np.zeros((2 * half + 1, 2 * half + 1, 11), dtype=np.float32), []
    for band, seconds in enumerate(DELAY):
        moved = sense * speed * (seconds - DELAY[list(SHARP)].mean()) / PIXEL_METRES
        along, across = _grid(heading, half, aside[0] + moved, aside[1])
        bow = np.clip((length / 2 - along) / (beam * 0.9), 0, 1)
        inside = (np.abs(along) < length / 2) & (np.abs(across) < beam / 2 * np.sqrt(bow))
        place = along / length + 0.5
        within = place < share if astern else place > 1 - share
        tone = shade[np.clip(place * len(shade), 0, len(shade) - 1).astype(int)]
        bright = np.where(within, house[band], deck[band] * tone)
        excess[..., band] = _seen(inside * bright, blur) / FULL
        if band in SHARP:
            cover.append(_seen(inside.astype(np.float32), blur))
    return excess, np.asarray(np.mean(cover, axis=0), dtype=np.float32)


def _trail(rng: Rng, size: tuple[float, float, float], heading: float, half: int, blur: float) -> Array:
    """Foam behind a ship, (side, side): a strip that widens and fades, and sometimes the two arms of the bow wave."""
    length, beam, tail = size
    along, across = _grid(heading, half, *rng.uniform(-0.5, 0.5, 2))
    behind = np.clip((-along - length * rng.uniform(0.2, 0.5)) / tail, 0, 1)
    inside = (behind > 0) & (behind < 1)
    width = beam * rng.uniform(0.4, 0.9) + rng.uniform(0, 2) * behind
    fading = (1 - behind) ** rng.uniform(0.5, 2)
    strip = inside * (np.abs(across) < width) * fading
    if rng.random() < 0.35:
        # Kelvin's wedge: arms at about 19.5 degrees from the track.
        opening = np.abs(np.abs(across) - 0.354 * np.clip(-along + length / 2, 0, None))
        strip = np.maximum(strip, 0.6 * inside * (opening < 0.7) * (1 - behind))
    uneven = ndimage.gaussian_filter(rng.standard_normal((2 * half + 1,) * 2), 2)
    foam = _seen(strip * rng.uniform(0.4, 1.2), blur) * np.exp(0.25 * uneven / uneven.std())
    return np.asarray(foam, dtype=np.float32)


def _grid(heading: float, half: int, along: float, across: float) -> tuple[Array, Array]:
    """Pixels along and across the ship's course of points, FINE to a pixel, seen from where it is."""
    axis = ((np.arange(-FINE * half - FINE // 2, FINE * half + FINE // 2) + 0.5) / FINE).astype(np.float32)
    rows, cols = axis[:, None], axis[None, :]
    cosine, sine = np.float32(np.cos(heading)), np.float32(np.sin(heading))
    return cosine * cols + sine * rows - np.float32(along), cosine * rows - sine * cols - np.float32(across)


def _seen(fine: npt.NDArray[np.floating], blur: float) -> Array:
    """Blurred by the optics, and the mean of each pixel's points."""
    soft = ndimage.gaussian_filter(np.asarray(fine, dtype=np.float32), FINE * blur, truncate=3)
    side = fine.shape[0] // FINE
    return np.asarray(soft.reshape(side, FINE, side, FINE).mean(axis=(1, 3)), dtype=np.float32)


def _common(rng: Rng) -> Array:
    """Standard normal numbers (1, 11) for a whole ship or wake."""
    return spread(rng, 1, 0.8, 0.12)
