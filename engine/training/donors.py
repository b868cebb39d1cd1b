"""Real floating matter, cut out of labelled images and pasted onto other water: its shapes and mixtures are not drawn.

Copying sparse objects between images is what helped small classes most in published work (Kikaki et al. 2024, doi
10.1016/j.isprsjprs.2024.02.017). What is copied is the excess over the water around, so that it fits other water.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from engine.marida import LabelledPatch

__all__ = ["BRIGHT", "Donor", "cut_donors", "paste"]

Array = npt.NDArray[np.float32]
FLOATING = (1, 2, 3, 4)
FRAME = 2
"""Pixels around labelled matter that are copied with it: they are partly covered."""
MAX_SIDE = 64
BRIGHT = 0.08
"""Near-infrared reflectance from which the ground is no water: nothing is pasted or painted on cloud or land."""
GAIN = 0.2


@dataclass(frozen=True, eq=False)
class Donor:
    """A group of labelled matter, on whole 20 m cells."""

    excess: Array
    """(11, height, width): reflectance above that of the water around."""
    share: Array
    """(height, width): 1 on the matter and next to it, less farther out."""
    classes: npt.NDArray[np.uint8]
    """(height, width): labels, 0 around them."""


def cut_donors(patches: Sequence[LabelledPatch]) -> list[Donor]:
    """All groups of labelled floating matter that fit a tile."""
    return [donor for patch in patches for donor in _of_patch(patch)]


def _of_patch(patch: LabelledPatch) -> list[Donor]:
    floating = np.isin(patch.classes, FLOATING)
    if not floating.any():
        return []
    groups, _ = ndimage.label(ndimage.binary_dilation(floating, iterations=FRAME), np.ones((3, 3)))
    found = []
    for number, box in enumerate(ndimage.find_objects(groups), start=1):
        part = tuple(slice(side.start // 2 * 2, -(-side.stop // 2) * 2) for side in box)
        here = groups[part] == number
        if max(here.shape) > MAX_SIDE or here.shape[0] % 2 or here.shape[1] % 2 or not patch.observed[part].all():
            continue
        own = floating[part] & here
        wide = tuple(slice(max(side.start - 6, 0), side.stop + 6) for side in part)
        water = ~floating[wide] & patch.observed[wide]
        ground = np.median(patch.reflectance[:, wide[0], wide[1]][:, water], axis=1)
        share = np.where(ndimage.binary_dilation(own), 1.0, 0.5 * here).astype(np.float32)
        excess = patch.reflectance[:, part[0], part[1]] - ground[:, None, None]
        classes = np.where(own, patch.classes[part], 0).astype(np.uint8)
        found.append(Donor(excess.astype(np.float32), share, classes))
    return found


def paste(rng: np.random.Generator, donor: Donor, reflectance: Array, classes: npt.NDArray[np.uint8]) -> bool:
    """Add a donor, turned and a little brighter or fainter, to an image (11, height, width) and its labels, in place.

    Returns:
        False where the place drawn is not water, or too small; nothing is changed then.
    """
    turns, mirror = int(rng.integers(4)), rng.random() < 0.5
    excess, share, labels = (_turned(part, turns, mirror) for part in (donor.excess, donor.share, donor.classes))
    height, width = share.shape
    if height > classes.shape[0] or width > classes.shape[1]:
        return False
    row, col = (
        2 * int(rng.integers((classes.shape[axis] - side) // 2 + 1)) for axis, side in ((0, height), (1, width))
    )
    place = (slice(row, row + height), slice(col, col + width))
    ground = reflectance[:, place[0], place[1]]
    if ground[7].max() > BRIGHT or np.isin(classes[place], FLOATING).any() or (ground == 0).all(axis=0).any():
        return False
    ground += share * excess * np.float32(np.exp(rng.normal(0, GAIN)))
    np.maximum(ground, 0.0003, out=ground)
    classes[place] = np.where(share > 0, labels, classes[place])
    return True


def _turned(values: npt.NDArray, turns: int, mirror: bool) -> npt.NDArray:  # type: ignore[type-arg]
    result = np.rot90(values, turns, axes=(-2, -1))
    return result[..., ::-1] if mirror else result
