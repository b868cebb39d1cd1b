"""Which classes a network tells apart, and which of MARIDA's classes each is learnt from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from engine.losses import IGNORE
from engine.modelfile import ModelClass

__all__ = ["CLASSES", "FLOATING_NUMBERS", "MARIDA_PIXELS", "grouping_for", "lookup", "pixel_weights", "table_for"]

CLASSES: tuple[ModelClass, ...] = (
    ModelClass(name="clear water", role="clear", marida=(7, 11, 15)),
    ModelClass(name="turbid water", role="clear", marida=(8, 10)),
    ModelClass(name="marine debris", role="debris", marida=(1,)),
    ModelClass(name="Sargassum", role="floating", marida=(2, 3)),
    ModelClass(name="natural organic material", role="floating", marida=(4,)),
    ModelClass(name="ship", role="clear", marida=(5,)),
    ModelClass(name="cloud", role="clear", marida=(6,)),
    ModelClass(name="cloud shadow", role="clear", marida=(13,)),
    ModelClass(name="foam", role="floating", marida=(9,)),
    ModelClass(name="waves and wakes", role="clear", marida=(12, 14)),
    ModelClass(name="land", role="clear", marida=(16,)),
)
"""Training on all classes and reading debris from them beats two classes: what looks like debris gets names."""

# Labelled pixels of MARIDA's train and val splits by class (Kikaki et al. 2022, table of the data set; for classes 7
# and 12-15 all less the test split). Land is not in MARIDA: a share that makes false alarms on a coast count.
MARIDA_PIXELS = {
    1: 3018, 2: 2037, 3: 1476, 4: 815, 5: 4629, 6: 84557, 7: 105716, 8: 279900, 9: 838, 10: 125386, 11: 14863, 12: 3962,
    13: 8079, 14: 6920, 15: 318, 16: 30000,
}  # fmt: skip


def lookup(classes: Sequence[ModelClass]) -> npt.NDArray[np.int64]:
    """For each number 0-255 of a class raster, the channel of the network that learns it, or IGNORE."""
    table = np.full(256, IGNORE, dtype=np.int64)
    for channel, entry in enumerate(classes):
        table[list(entry.marida)] = channel
    return table


def pixel_weights(counts: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    """Weight of a pixel by its class, (17,), so that practice tiles count as MARIDA's labels would.

    Practice tiles are full of rare things. A threshold chosen on them as they are would expect as much in real images.
    """
    weights = np.zeros(17, dtype=np.float32)
    for number, pixels in MARIDA_PIXELS.items():
        if number < len(counts) and counts[number]:
            weights[number] = pixels / counts[number]
    return weights


FLOATING_NUMBERS = (1, 2, 3, 4, 9)
HIGHEST = 16


def grouping_for(positive: Sequence[int], counts: npt.NDArray[np.int64]) -> tuple[ModelClass, ...]:
    """The classes to tell apart in data of one's own: everything else, debris, and what else floats, if labelled.

    Args:
        positive: the numbers that are debris.
        counts: labelled pixels of each number, (256,).
    """
    rest = [number for number in range(1, HIGHEST + 1) if number not in positive]
    floating = [number for number in rest if number in FLOATING_NUMBERS]
    floating = floating if counts[floating].any() else []
    clear = tuple(number for number in rest if number not in floating)
    classes = [
        ModelClass(name="everything else", role="clear", marida=clear),
        ModelClass(name="marine debris", role="debris", marida=tuple(positive)),
    ]
    if floating:
        classes.append(ModelClass(name="other floating matter", role="floating", marida=tuple(floating)))
    return tuple(classes)


def table_for(classes: Sequence[ModelClass], positive: Sequence[int]) -> npt.NDArray[np.int64]:
    """As `lookup`, for classes of a model that goes on with other positive numbers than it was trained with."""
    table = lookup(classes)
    roles = [entry.role for entry in classes]
    debris = [channel for channel, role in enumerate(roles) if role == "debris"]
    for number in range(1, HIGHEST + 1):
        if number in positive and table[number] not in debris:
            table[number] = debris[0]
        elif number not in positive and table[number] in debris:
            table[number] = roles.index("clear") if "clear" in roles else IGNORE
    return table
