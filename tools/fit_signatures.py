"""Fit the statistics that practice scenes are made of, from published spectra. A development-time script.

    python tools/fit_signatures.py --spectra ../shared/data/spectra

Reads `scene_signatures.csv` (mean and deviation of each band by class and scene) and `floating_matter_pixels.csv` of
MARIDA's train and val scenes, and `floating_debris_pixels_duarte.csv`; writes `engine/practice/signatures.json` and
`engine/practice/mixtures.npz`: means, deviations and Gaussian mixtures, no pixel. Needs scikit-learn.

Sources: Kikaki et al. 2022, doi 10.1371/journal.pone.0262247 (CC BY 4.0); Duarte and Azevedo (CC BY 4.0).
"""

from __future__ import annotations

import argparse
import csv
import json
from collections import defaultdict
from pathlib import Path

import numpy as np
from sklearn.mixture import GaussianMixture

BANDS = ("B1", "B2", "B3", "B4", "B5", "B6", "B7", "B8", "B8A", "B11", "B12")
OUTPUT = Path(__file__).parents[1] / "engine" / "practice"
SHIFT = 0.01
"""Mixtures live in log(reflectance + SHIFT): reflectance is skewed, and a sample must not fall below about zero."""
# Where the two sources name matter: MARIDA's classes, and the other floating matter that Duarte and Azevedo add.
MARIDA = {
    "Marine Debris": "debris",
    "Dense Sargassum": "dense_sargassum",
    "Sparse Sargassum": "sparse_sargassum",
    "Natural Organic Material": "organic",
}
OTHER = {
    "plastic": "plastic", "driftwood": "driftwood", "seaweed": "seaweed", "pumice": "pumice", "sea snot": "sea_snot"
}  # fmt: skip


def main() -> None:
    """Read the tables, write the statistics."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spectra", type=Path, required=True)
    folder = parser.parse_args().spectra
    signatures(folder / "scene_signatures.csv")
    pixels: dict[str, list[list[float]]] = defaultdict(list)
    for name, kinds in (("floating_matter_pixels.csv", MARIDA), ("floating_debris_pixels_duarte.csv", OTHER)):
        with (folder / name).open(newline="") as stream:
            for row in csv.DictReader(stream):
                if row["class"] in kinds:
                    pixels[kinds[row["class"]]].append([float(row[band]) for band in BANDS])
    mixtures({kind: np.array(rows) for kind, rows in pixels.items()})


def signatures(path: Path) -> None:
    """Write mean and deviation by scene and class; a deviation that is not known is null."""
    scenes: dict[str, dict[str, dict[str, object]]] = defaultdict(dict)
    with path.open(newline="") as stream:
        for row in csv.DictReader(stream):
            mean = [round(float(row[f"{band}_mean"]), 6) for band in BANDS]
            text = [row[f"{band}_std"] for band in BANDS]
            std = [round(float(value), 6) for value in text] if all(text) else None
            scenes[row["scene"]][row["class_id"]] = {"mean": mean, "std": std}
    document = {
        "source": "MARIDA, train and val scenes: Kikaki et al. 2022, doi 10.1371/journal.pone.0262247, CC BY 4.0",
        "bands": BANDS,
        "unit": "Rayleigh-corrected reflectance",
        "scenes": dict(sorted(scenes.items())),
    }
    lines = json.dumps(document).replace('}, "', '},\n"')
    (OUTPUT / "signatures.json").write_text(lines + "\n")


def mixtures(pixels: dict[str, np.ndarray]) -> None:
    """Fit one mixture a kind, its number of components chosen by the likelihood of pixels left out."""
    arrays: dict[str, np.ndarray] = {"shift": np.float32(SHIFT)}
    for kind, values in sorted(pixels.items()):
        logs = np.log(np.maximum(values + SHIFT, 1e-3))
        order = np.random.default_rng(0).permutation(len(logs))
        held, kept = logs[order[: len(logs) // 5]], logs[order[len(logs) // 5 :]]
        choices = [size for size in (1, 2, 4, 8, 16, 24, 32) if size * 60 <= len(kept)]
        scores = [fit(kept, size).score(held) for size in choices or [1]]
        best = (choices or [1])[int(np.argmax(scores))]
        mixture = fit(logs, best)
        print(f"{kind}: {len(values)} pixels, {best} components, held-out log-likelihood {max(scores):.2f}")  # noqa: T201
        arrays[f"{kind}_weights"] = mixture.weights_.astype(np.float32)
        arrays[f"{kind}_means"] = mixture.means_.astype(np.float32)
        arrays[f"{kind}_factors"] = np.linalg.cholesky(mixture.covariances_).astype(np.float32)
    np.savez_compressed(OUTPUT / "mixtures.npz", **arrays)


def fit(values: np.ndarray, components: int) -> GaussianMixture:
    """A mixture of full covariances, held above a small variance so that no component shrinks onto repeated pixels."""
    return GaussianMixture(components, reg_covar=1e-4, n_init=2, max_iter=300, random_state=0).fit(values)


if __name__ == "__main__":
    main()
