"""Augmentation of a batch on the device: the eight views of a square, and bands that are a little off."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["jitter", "jitter_of", "turn"]

COMMON_GAIN, BAND_GAIN = 0.08, 0.03
BAND_OFFSET = 0.0015
HAZE_OFFSET = 0.005
# How strongly a wrong correction of the air shows in each of MARIDA's bands: most in blue.
HAZE = (1.0, 0.9, 0.65, 0.5, 0.45, 0.4, 0.37, 0.33, 0.32, 0.1, 0.05)


def turn(reflectance: Tensor, observed: Tensor, classes: Tensor, view: int) -> tuple[Tensor, Tensor, Tensor]:
    """The same one of eight views (four turns, each mirrored or not) of images, masks and labels."""

    def one(x: Tensor) -> Tensor:
        x = torch.rot90(x, view % 4, dims=(-2, -1))
        return x.flip(-1) if view >= 4 else x

    return one(reflectance), one(observed), one(classes)


def jitter(reflectance: Tensor, generator: torch.Generator, strength: float = 1.0) -> Tensor:
    """Change gain and offset of every image and band at random, as other sensors and corrections of the air do.

    Args:
        reflectance: (batch, bands, height, width).
        generator: on the CPU, so that the same seed gives the same numbers on any device.
        strength: factor on all changes; 0 leaves the images as they are.
    """
    batch, bands = reflectance.shape[:2]
    gain, offset = jitter_of(batch, bands, generator, strength)
    return reflectance * gain.to(reflectance.device) + offset.to(reflectance.device)


def jitter_of(batch: int, bands: int, generator: torch.Generator, strength: float = 1.0) -> tuple[Tensor, Tensor]:
    """Random gains and offsets, each (batch, bands, 1, 1), for `jitter`."""

    def normal(*shape: int) -> Tensor:
        return strength * torch.randn(*shape, 1, 1, generator=generator)

    gain = torch.exp(COMMON_GAIN * normal(batch, 1) + BAND_GAIN * normal(batch, bands))
    offset = BAND_OFFSET * normal(batch, bands)
    if bands == len(HAZE):
        offset = offset + HAZE_OFFSET * normal(batch, 1) * torch.tensor(HAZE)[:, None, None]
    return gain, offset
