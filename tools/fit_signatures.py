"""Fit the statistics that practice scenes are made of, from published spectra. A development-time script.

    python tools/fit_signatures.py --spectra ../shared/data/spectra

Reads `scene_signatures.csv` (mean and deviation of each band by class and scene) and `floating_matter_pixels.csv` of
MARIDA's train and val scenes, and `floating_debris_pixels_duarte.csv`; writes `engine/practice/signatures.json` and
`engine/practice/mixtures.npz`: means, deviations and Gaussian mixtures, no pixel. Needs scikit-learn.

Mixtures are of the excess over the water around, since a thin film on dark water has the reflectance of bare water
elsewhere: what tells it apart is the contrast. The table of pixels does not say which scene a pixel is of. It is told
by the scenes' own signatures of the class (`water_below`), and the water of the likely scenes is taken away.

Sources: Kikaki et al. 2022, doi 10.1371/journal.pone.0262247 (CC BY 4.0); Duarte and Azevedo (CC BY 4.0).
"""

from __future__ import annotations

import argparse
import csv
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.mixture import GaussianMixture

Scenes = dict[str, dict[str, dict[str, Any]]]
"""Mean and deviation of each band by scene and class number."""
BANDS = ("B1", "B2", "B3", "B4", "B5", "B6", "B7", "B8", "B8A", "B11", "B12")
OUTPUT = Path(__file__).parents[1] / "engine" / "practice"
SCALE = 0.004
"""Mixtures live in asinh(excess / SCALE): nearly linear in the noise, logarithmic above, and of either sign."""
WATER, WATER_PIXELS = "7", "water"
LEAST_DEVIATION = 0.0008
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
    scenes = signatures(folder / "scene_signatures.csv")
    excess: dict[str, np.ndarray] = {}
    for name, rows in rows_by_class(folder / "floating_matter_pixels.csv").items():
        if name in MARIDA:
            values, number = np.array([spectrum(row) for row in rows]), rows[0]["class_id"]
            excess[MARIDA[name]] = values - water_below(values, number, scenes)
    others = rows_by_class(folder / "floating_debris_pixels_duarte.csv")
    for name, rows in others.items():
        if name in OTHER:
            excess[OTHER[name]] = np.array([spectrum(row) - water_beside(row, others[WATER_PIXELS]) for row in rows])
    mixtures(excess)


def rows_by_class(path: Path) -> dict[str, list[dict[str, str]]]:
    """The rows of a table of pixels, by the name of their class."""
    found: dict[str, list[dict[str, str]]] = defaultdict(list)
    with path.open(newline="") as stream:
        for row in csv.DictReader(stream):
            found[row["class"]].append(row)
    return found


def spectrum(row: dict[str, str]) -> np.ndarray:
    """Reflectance (11,) of a row."""
    return np.array([float(row[band]) for band in BANDS])


def water_beside(row: dict[str, str], water: list[dict[str, str]]) -> np.ndarray:
    """Mean reflectance (11,) of the water pixels of the same place and day, of all of them where there are none."""
    here = [other for other in water if (other["location"], other["date"]) == (row["location"], row["date"])]
    return np.asarray(np.mean([spectrum(other) for other in here or water], axis=0))


def water_below(pixels: np.ndarray, number: str, scenes: Scenes) -> np.ndarray:
    """Reflectance (pixels, 11) of the clear water of the scenes that pixels of a class may be of, as likely as each is.

    A scene's pixels are normal around its signature, with correlations between bands that all scenes share and that are
    fitted (expectation maximisation). Checked against the pixels whose scene is known from images: of Sargassum and
    organic matter 94 to 100 % come out in their scene, of debris a quarter to a half.
    """
    own = [(entry[number], entry[WATER]) for entry in scenes.values() if number in entry and WATER in entry]
    mean, water = np.array([one["mean"] for one, _ in own]), np.array([other["mean"] for _, other in own])
    deviation = np.array([one["std"] or [0.002] * len(BANDS) for one, _ in own]).clip(min=LEAST_DEVIATION)
    standard = (pixels[:, None] - mean) / deviation
    correlation, share = np.eye(len(BANDS)), np.full(len(own), 1 / len(own))
    for _ in range(30):
        inside = np.einsum("psi,ij,psj->ps", standard, np.linalg.inv(correlation), standard)
        likely = np.log(share) - 0.5 * inside - np.log(deviation).sum(axis=1)
        likely = np.exp(likely - likely.max(axis=1, keepdims=True))
        likely /= likely.sum(axis=1, keepdims=True)
        # Ten pixels more for each scene: none dies out.
        share = (likely.sum(axis=0) + 10) / (len(pixels) + 10 * len(own))
        covariance = np.einsum("ps,psi,psj->ij", likely, standard, standard)
        scale = np.sqrt(np.diag(covariance))
        correlation = 0.97 * covariance / np.outer(scale, scale) + 0.03 * np.eye(len(BANDS))
    return np.asarray(likely @ water)


def signatures(path: Path) -> Scenes:
    """Write mean and deviation by scene and class; a deviation that is not known is null."""
    scenes: Scenes = defaultdict(dict)
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
    return scenes


def mixtures(excess: dict[str, np.ndarray]) -> None:
    """Fit one mixture a kind, its number of components chosen by the likelihood of pixels left out."""
    arrays: dict[str, np.ndarray] = {"scale": np.float32(SCALE)}
    for kind, values in sorted(excess.items()):
        logs = np.arcsinh(values / SCALE)
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
