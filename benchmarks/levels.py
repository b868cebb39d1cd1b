"""What the model loses on surface reflectance (L2A), and what shifting each scene by its own water would gain.

Labelled L2A is not to be had, so Rayleigh-corrected patches are turned into what L2A would be: aerosol taken off,
two-way transmittance made good, both wrong by a random amount for each scene and band, stored as DN of at least 1. Then
the model sees them as they are, or shifted band by band so that the median of the scene's water is that of MARIDA's
Marine Water. Undisturbed patches are shifted too: what does it do to scenes that need none?
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from engine.bands import MARIDA_ORDER
from engine.marida import LabelledPatch, patch_names, read_patch
from engine.prediction import Predictor
from engine.sentinel2.masks import LOOK, reason_mask
from engine.sentinel2.rayleigh import CENTRE_WAVELENGTHS
from engine.sentinel2.shift import usual_water

DN = 1e-4
WAVELENGTHS = np.array([CENTRE_WAVELENGTHS[band] for band in MARIDA_ORDER])

Array = npt.NDArray[np.float32]


@dataclass
class Tally:
    """Labelled pixels of one treatment."""

    hit: int = 0
    missed: int = 0
    false: int = 0
    flagged: int = 0
    unlabelled: int = 0

    def add(self, patch: LabelledPatch, found: npt.NDArray[np.bool_]) -> None:
        """Count one patch."""
        seen = patch.observed
        debris = patch.classes == 1
        self.hit += int((found & debris & seen).sum())
        self.missed += int((~found & debris & seen).sum())
        self.false += int((found & (patch.classes > 1) & seen).sum())
        self.flagged += int((found & (patch.classes == 0) & seen).sum())
        self.unlabelled += int(((patch.classes == 0) & seen).sum())

    def __str__(self) -> str:
        recall = self.hit / max(self.hit + self.missed, 1)
        f1 = 2 * self.hit / max(2 * self.hit + self.missed + self.false, 1)
        share = 100 * self.flagged / max(self.unlabelled, 1)
        return (
            f"recall {recall:.3f}, false on other classes {self.false}, F1 {f1:.3f}, "
            f"unlabelled pixels flagged {share:.4f} % ({self.hit + self.missed} debris pixels)"
        )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder in MARIDA's layout")
    parser.add_argument("--split", help="list of patches")
    parser.add_argument("--model", help="the bundled one where none is named")
    parser.add_argument("--seeds", type=int, default=2, help="disturbances to try")
    parser.add_argument("--with-debris", action="store_true", help="only patches that hold labelled debris")
    options = parser.parse_args()
    predictor = Predictor(options.model)
    names = patch_names(options.data, options.split)
    patches = [patch for name in names if (patch := read_patch(options.data, name, MARIDA_ORDER)) is not None]
    if options.with_debris:
        patches = [patch for patch in patches if (patch.classes == 1).any()]
    scenes = sorted({patch.scene for patch in patches})
    print(f"{len(patches)} patches of {len(scenes)} scenes, threshold {predictor.card.threshold:g}")
    tallies: dict[str, Tally] = {}
    for scene in scenes:
        own = [patch for patch in patches if patch.scene == scene and patch.observed.any()]
        for label, versions in treatments(own, scene, options.seeds):
            for patch, reflectance in zip(own, versions, strict=True):
                probability = predictor.probabilities(reflectance[None], patch.observed[None])[0, 0]
                found = np.nan_to_num(probability) >= predictor.card.threshold
                tallies.setdefault(label, Tally()).add(patch, found)
    for label, tally in tallies.items():
        print(f"{label}: {tally}", flush=True)


def treatments(patches: list[LabelledPatch], scene: str, seeds: int) -> list[tuple[str, list[Array]]]:
    """The patches of a scene as they are and as L2A, each with and without the shift."""
    plain = [patch.reflectance for patch in patches]
    found = [("Rayleigh-corrected", plain), ("Rayleigh-corrected, shifted", shifted(patches, plain))]
    for seed in range(seeds):
        rng = np.random.default_rng([seed, *scene.encode()])
        made = as_l2a(plain, rng)
        found += [("as L2A", made), ("as L2A, shifted", shifted(patches, made))]
    return found


def as_l2a(reflectance: list[Array], rng: np.random.Generator) -> list[Array]:
    """What atmospheric correction might make of Rayleigh-corrected patches of one scene, (bands, height, width).

    Aerosol reflectance of 0.003 to 0.03 at 550 nm, with an Ångström exponent of 0 to 1.6: about what single scattering
    gives for optical depths of 0.03 to 0.3. Transmittance made good by 2 to 12 per cent there, and an error of each
    band of 0.002.
    """
    slope = (WAVELENGTHS / 550) ** -rng.uniform(0, 1.6)
    offset = -rng.uniform(0.003, 0.03) * slope + rng.normal(0, 0.002, len(slope))
    gain = 1 + rng.uniform(0.02, 0.12) * slope
    made = [patch * gain[:, None, None] + offset[:, None, None] for patch in reflectance]
    return [(np.maximum(np.round(patch / DN), 1) * DN).astype(np.float32) for patch in made]


def shifted(patches: list[LabelledPatch], reflectance: list[Array]) -> list[Array]:
    """The patches of one scene, moved band by band so that its water has the usual level."""
    water = []
    for patch, version in zip(patches, reflectance, strict=True):
        look = reason_mask(version, MARIDA_ORDER, patch.observed) == LOOK
        water.append(version[:, look][:, ::7])
    pixels = np.concatenate(water, axis=1)
    if not pixels.size:
        return reflectance
    shift = usual_water(MARIDA_ORDER) - np.median(pixels, axis=1)
    return [(version + shift[:, None, None]).astype(np.float32) for version in reflectance]


if __name__ == "__main__":
    main()
