"""Leave-one-scene-out: go on from a model of the clean track with the labels of all scenes but one, for each in turn.

    python -m tools.leave_one_scene_out --pool build/pool build/pool-patches --data ../shared/data/marida \\
        --start FILE --output FOLDER

build/pool-patches is made by `python -m tools.default_model_data --patches`; 45 % of each batch are its tiles. Writes
one model a scene, where it is not there yet, and its probabilities on the scene left out. The debris threshold of a
scene is the one of best F1 over the other scenes, each scored by the model that did not see it: no pixel of a scene
sets its own threshold (the models that choose it have learnt from the scene's labels, which is as near to nested
validation as one training a scene allows). tools/calibrate_default_model.py sets that of a model trained on all scenes.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from engine.devices import choose_device
from engine.marida import patch_names, scene_of
from engine.prediction import Predictor
from tools.accuracy.scoring import patches
from tools.default_model_training import Recipe
from tools.pooled_tiles import PooledTiles
from tools.train_default_model import NAME, say, train


def main() -> None:
    """Train a model for each scene that has none yet, and predict each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pool", type=Path, required=True, nargs="+", help="made by tools/default_model_data.py")
    parser.add_argument("--data", type=Path, required=True, help="the labelled patches")
    parser.add_argument("--output", type=Path, required=True, help="folder of models and probabilities")
    parser.add_argument("--start", type=Path, help="model to go on from; from scratch where not given")
    parser.add_argument("--name", default=NAME)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=160)
    parser.add_argument("--batch-size", type=int, default=Recipe.batch_size)
    parser.add_argument("--rate", type=float, default=0.0008)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    options.output.mkdir(parents=True, exist_ok=True)
    scenes = sorted({scene_of(name) for name in patch_names(options.data)})
    missing = [scene for scene in scenes if not (options.output / f"{scene}.safetensors").exists()]
    if missing:
        device, reason = choose_device(options.device)
        say(f"training {len(missing)} models on {reason}")
        tiles = PooledTiles(options.pool, device)
        for scene in missing:
            recipe = Recipe(seed=options.seed, steps=options.steps, batch_size=options.batch_size, rate=options.rate,
                            start=options.start, patches=True, without_scene=scene)  # fmt: skip
            train(tiles, recipe, f"{options.name} without {scene}", options.output / f"{scene}.safetensors")
    for scene in scenes:
        predict(options.data, scene, options.output / f"{scene}.safetensors")


def predict(data: Path, scene: str, model: Path) -> None:
    """Write the model's probabilities of the scene beside it."""
    predictor = Predictor(model)
    found = {
        patch.name: predictor.probabilities(patch.reflectance[None], patch.observed[None])[0].astype(np.float16)
        for patch in patches(data, frozenset({scene}))
    }
    np.savez_compressed(model.with_suffix(".npz"), **found)  # type: ignore[arg-type]
    say(f"{scene}: {len(found)} patches")


if __name__ == "__main__":
    main()
