"""What practice scenes are made of: measured signatures by scene and class, mixtures of floating matter, land.

`signatures.json` (mean and deviation of each band, 372 pairs of class and scene) and `mixtures.npz` (Gaussian mixtures
of the excess of floating matter over the water around it) were fitted by tools/fit_signatures.py to published spectra
of MARIDA's train and val scenes (Kikaki et al. 2022, doi 10.1371/journal.pone.0262247, CC BY 4.0) and of Duarte and
Azevedo (CC BY 4.0). They hold statistics only, no pixel, and nothing of MARIDA's test split.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["GROUPS", "LAND_SPECTRA", "Conditions", "choose_conditions", "pool", "signature_scenes", "spread"]

Array = npt.NDArray[np.float32]
HERE = Path(__file__).parent
POOL_SIZE = 6000
LOWEST = 0.0003
EXCESS_RANGE = (-0.03, 0.7)
ALIKE = 0.01
"""Excess from which on matter is compared by ratios rather than by differences."""

# Reflectance in the order of MARIDA's bands, rounded after the ECOSTRESS spectral library (Meerdink et al. 2019,
# doi 10.1016/j.rse.2019.05.015): quartz sand dry and wet, broadleaf canopy, mangrove, concrete and roofs, bare soil,
# basalt.
LAND_SPECTRA = np.array(
    [
        [0.18, 0.22, 0.30, 0.37, 0.40, 0.42, 0.44, 0.45, 0.46, 0.52, 0.48],
        [0.12, 0.14, 0.19, 0.23, 0.25, 0.26, 0.27, 0.28, 0.28, 0.20, 0.14],
        [0.03, 0.04, 0.06, 0.04, 0.10, 0.28, 0.35, 0.37, 0.39, 0.20, 0.09],
        [0.03, 0.03, 0.05, 0.03, 0.07, 0.19, 0.24, 0.25, 0.26, 0.11, 0.05],
        [0.13, 0.15, 0.17, 0.19, 0.20, 0.22, 0.23, 0.24, 0.25, 0.27, 0.24],
        [0.10, 0.12, 0.16, 0.21, 0.24, 0.26, 0.28, 0.29, 0.30, 0.36, 0.32],
        [0.05, 0.06, 0.06, 0.07, 0.07, 0.07, 0.08, 0.08, 0.08, 0.10, 0.10],
    ],
    dtype=np.float32,
)
DRY_SAND, WET_SAND, VEGETATION = 0, 1, 2

# Bands that vary together beyond what all bands share: coastal, visible, red edge and near infrared, short-wave
# infrared.
GROUPS = np.array([0, 1, 1, 1, 2, 2, 2, 2, 2, 3, 3])


@lru_cache(maxsize=1)
def _signatures() -> dict[str, dict[int, tuple[Array, Array | None]]]:
    document = json.loads((HERE / "signatures.json").read_text())
    return {
        scene: {int(number): (_array(entry["mean"]), _array(entry["std"])) for number, entry in classes.items()}
        for scene, classes in document["scenes"].items()
    }


def _array(values: Any) -> Any:
    return None if values is None else np.array(values, dtype=np.float32)


@lru_cache(maxsize=1)
def _scenes_with() -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for scene, classes in _signatures().items():
        for number in classes:
            found.setdefault(number, []).append(scene)
    return found


@lru_cache(maxsize=16)
def pool(kind: str) -> Array:
    """Excess over water of floating matter, drawn once from the mixture of `kind` (debris, …).

    Returns:
        Reflectance (POOL_SIZE, 11), of either sign; the same in every process.
    """
    with np.load(HERE / "mixtures.npz") as file:
        weights, means, factors = (file[f"{kind}_{part}"] for part in ("weights", "means", "factors"))
        scale = float(file["scale"])
    rng = np.random.default_rng([11, len(kind), sum(kind.encode())])
    component = rng.choice(len(weights), size=POOL_SIZE, p=weights.astype(np.float64) / weights.sum(dtype=np.float64))
    noise = rng.standard_normal((POOL_SIZE, means.shape[1], 1)).astype(np.float32)
    drawn = means[component] + (factors[component] @ noise)[..., 0]
    return np.asarray(np.clip(np.sinh(drawn) * scale, *EXCESS_RANGE), dtype=np.float32)


def spread(rng: np.random.Generator, count: int, shared: float = 0.85, grouped: float = 0.1) -> Array:
    """Standard normal numbers (count, 11) whose bands go together.

    `shared` of the variance is common to all bands, `grouped` to those of a group, the rest is a band's own.
    """
    common = rng.standard_normal((count, 1), dtype=np.float32)
    group = rng.standard_normal((count, GROUPS.max() + 1), dtype=np.float32)[:, GROUPS]
    own = rng.standard_normal((count, len(GROUPS)), dtype=np.float32)
    parts = np.sqrt(np.array([shared, grouped, max(0.0, 1 - shared - grouped)], dtype=np.float32))
    return np.asarray(parts[0] * common + parts[1] * group + parts[2] * own, dtype=np.float32)


@dataclass(frozen=True, eq=False)
class Conditions:
    """The light and water of one real scene, whose signatures a practice scene borrows."""

    scene: str
    seed: int
    water: Array
    """Mean reflectance of its clear water, (11,)."""

    def has(self, number: int) -> bool:
        """Whether the real scene holds the class."""
        return number in _signatures()[self.scene]

    def signature(self, number: int) -> tuple[Array, Array]:
        """Mean and deviation, each (11,), of a class as it looks in this scene.

        A class that the scene does not hold is borrowed from one that does, as its excess over that scene's water.
        """
        rng = np.random.default_rng([self.seed, 71, number])
        known = _signatures()
        here = known[self.scene].get(number)
        if here is not None:
            mean, std = here
        else:
            other = known[str(rng.choice(_scenes_with()[number]))]
            base = other[7][0] if 7 in other else self.water
            mean, std = self.water + other[number][0] - base, other[number][1]
        excess = mean - self.water
        if number != 7:
            # A signature of few pixels says little about the next ship or cloud: let its strength vary.
            excess = excess * np.float32(np.exp(rng.normal(0, 0.12)))
        least = 0.15 * np.abs(excess) + 0.0006 if number not in (7, 8, 10, 11, 13) else np.full(11, 0.0004)
        deviation = 0.3 * np.abs(excess) + 0.0006 if std is None else np.maximum(std, least)
        return np.maximum(self.water + excess, LOWEST).astype(np.float32), deviation.astype(np.float32)

    def draw(self, rng: np.random.Generator, number: int, normal: Array) -> Array:
        """Pixels (count, 11) of a class, from standard normal numbers of the same shape.

        Bright things on water are skewed: their excess over water is log-normal of the measured mean and deviation.
        """
        mean, std = self.signature(number)
        excess = mean - self.water
        ratio = std / np.maximum(np.abs(excess), 1e-4)
        sigma = np.sqrt(np.log1p(np.minimum(ratio, 3) ** 2))
        skewed = self.water + excess * np.exp(sigma * normal - sigma**2 / 2)
        plain = mean + std * normal
        drawn = np.where((excess > 0.002) & (ratio > 0.25), skewed, plain)
        return np.asarray(np.maximum(drawn, LOWEST), dtype=np.float32)

    def draw_floating(
        self, rng: np.random.Generator, kind: str, number: int, chance: npt.NDArray[np.floating]
    ) -> Array:
        """Excess over water (count, 11) of floating matter from its mixture, most often such as this scene's own.

        Args:
            rng: decides on the character that all of them share.
            kind: the mixture.
            number: the class.
            chance: (count,), even random numbers from 0 to 1, one a pixel.
        """
        spectra, here = pool(kind), _signatures()[self.scene]
        signature = here.get(number)
        if signature is None or 7 not in here or rng.random() < 0.35:
            # Matter of one place is alike: draw around one pixel of the pool, so that a patch has one character.
            centre = spectra[rng.integers(len(spectra))]
            distance = np.abs(np.arcsinh(spectra[:, 1:9] / ALIKE) - np.arcsinh(centre[1:9] / ALIKE)).mean(axis=1)
            likely = np.exp(-((distance / rng.choice([0.15, 0.3, 0.8])) ** 2))
        else:
            mean, std = signature[0] - here[7][0], signature[1]
            width = np.maximum(np.zeros(11) if std is None else std, 0.25 * np.abs(mean) + 0.002)
            likely = np.exp(-0.5 * (((spectra - mean) / width) ** 2).mean(axis=1) * 3)
        likely = likely.astype(np.float64) + 1e-9
        place = np.searchsorted(np.cumsum(likely / likely.sum()), chance)
        return np.asarray(spectra[place.clip(0, len(spectra) - 1)])


def choose_conditions(seed: int, scenes: tuple[str, ...] | None = None) -> Conditions:
    """The conditions of one of the signature scenes (all, or those of `scenes`), and a little off them."""
    rng = np.random.default_rng([seed, 70])
    names = [name for name in _signatures() if scenes is None or name in scenes]
    name = str(rng.choice([n for n in names if 7 in _signatures()[n]]))
    mean, _ = _signatures()[name][7]
    gain = np.exp(rng.normal(0, 0.08) + rng.normal(0, 0.04, 11))
    return Conditions(name, seed, np.maximum(mean * gain + rng.normal(0, 0.0008), LOWEST).astype(np.float32))


def signature_scenes() -> list[str]:
    """Names of the real scenes whose signatures are known and that hold clear water."""
    return [name for name, classes in _signatures().items() if 7 in classes]
