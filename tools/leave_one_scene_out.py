"""Leave-one-scene-out: go on from a model of the clean track with the labels of all scenes but one, for each in turn.

    python -m tools.leave_one_scene_out --pool FOLDER --data ../shared/data/marida --start FILE --output FOLDER

Writes one model a scene, and its probabilities on the scene left out. The debris threshold of a scene is the one of
best F1 over the other scenes, each scored by the model that did not see it: no pixel of a scene sets its own threshold
(the models that choose it have learnt from the scene's labels, which is as near to nested validation as one training a
scene allows). Half of every batch are tiles of the pool that the start was trained on.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from engine import modelfile
from engine.marida import LabelledPatch, patch_names
from engine.practice.scene import Tile
from engine.prediction import Predictor
from engine.training.data import TileSource
from engine.training.donors import cut_donors, paste
from engine.training.pool import PoolTiles
from engine.training.texture import with_weak
from tools.accuracy.scoring import patches
from tools.default_model_data import SIZE
from tools.thresholds import Calibration
from tools.train_default_model import Trainer, say

DEBRIS_SHARE = 0.3
PASTE_SHARE = 0.4


class LabelledTiles(TileSource):
    """Crops of labelled patches, each around a labelled pixel: rare classes are drawn as often as frequent ones."""

    def __init__(self, found: list[LabelledPatch], count: int, seed: int) -> None:
        self._patches, self._count, self._seed = found, count, seed
        self._classes = [with_weak(patch.classes, patch.reflectance) for patch in found]
        self._with = {
            name: [i for i, patch in enumerate(found) if (patch.classes == name).any()]
            for name in sorted({int(n) for patch in found for n in np.unique(patch.classes) if n})
        }
        others = (1 - DEBRIS_SHARE) / max(len(self._with) - 1, 1)
        self._shares = np.array([DEBRIS_SHARE if name == 1 else others for name in self._with])
        self._donors = cut_donors(found)

    def __len__(self) -> int:
        return self._count

    def tile(self, index: int) -> Tile:
        """Tile number `index`."""
        rng = np.random.default_rng([self._seed, 91, index])
        name = int(rng.choice(list(self._with), p=self._shares / self._shares.sum()))
        number = int(rng.choice(self._with[name]))
        patch = self._patches[number]
        places = np.argwhere(patch.classes == name)
        at = places[rng.integers(len(places))]
        row, col = (
            2 * (int(np.clip(at[axis] - rng.integers(SIZE), 0, patch.classes.shape[axis] - SIZE)) // 2)
            for axis in (0, 1)
        )
        part = (slice(row, row + SIZE), slice(col, col + SIZE))
        reflectance = patch.reflectance[:, part[0], part[1]].copy()
        classes, observed = self._classes[number][part].copy(), patch.observed[part]
        if self._donors and rng.random() < PASTE_SHARE:
            paste(rng, self._donors[rng.integers(len(self._donors))], reflectance, classes)
        return Tile(reflectance, np.where(observed, classes, 0).astype(np.uint8), observed)


def main() -> None:
    """Train a model for each scene that is not there yet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pool", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--start", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=160)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--rate", type=float, default=0.0008)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--part", default="0/1", help="of the scenes: 0/2 and 1/2 share the work of two processes")
    options = parser.parse_args()
    options.width, options.name = 16, "leave-one-scene-out"
    torch.set_num_threads(options.threads)
    options.output.mkdir(parents=True, exist_ok=True)
    pool = PoolTiles(options.pool)
    scenes = sorted({name.rsplit("_", 1)[0] for name in patch_names(options.data)})
    own, all_parts = (int(number) for number in options.part.split("/"))
    for scene in scenes[own::all_parts]:
        target = options.output / f"{scene}.safetensors"
        if not target.exists():
            _train(options, pool, frozenset(scenes) - {scene}, target)
        _predict(options, scene, target)


def _train(options: argparse.Namespace, pool: PoolTiles, seen: frozenset[str], target: Path) -> None:
    found = list(patches(options.data, seen))
    extra = LabelledTiles(found, options.steps * options.batch_size, options.seed)
    trainer = Trainer(pool, options, options.start, extra)
    trainer.run(say)
    card = trainer.card(Calibration(0.5, 0.5, 1.0, {}))
    modelfile.save(target, trainer.average.network, card)
    say(f"{target.name}: trained on {len(found)} patches of {len(seen)} scenes")


def _predict(options: argparse.Namespace, scene: str, target: Path) -> None:
    predictor = Predictor(target)
    found = {
        patch.name: predictor.probabilities(patch.reflectance[None], patch.observed[None])[0].astype(np.float16)
        for patch in patches(options.data, frozenset({scene}))
    }
    np.savez_compressed(target.with_suffix(".npz"), **found)  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
