"""Set the temperature and the thresholds of models that tools/train_default_model.py wrote, in their files.

    python -m tools.calibrate_default_model --model FILE… --pool build/pool --textures ../shared/data/marida_train
    python -m tools.calibrate_default_model --model FILE --scenes FOLDER --data ../shared/data/marida

The first is the rule of tools/thresholds.py, for models of the clean track that differ in seed and share their
thresholds. The second is for one that was trained on the labelled patches: thresholds of best F1 over the probabilities
that tools/leave_one_scene_out.py wrote to FOLDER, each scene's from the model that did not see it.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
from pathlib import Path

from engine import modelfile
from engine.metrics import ScoreHistogram
from engine.training.pool import PoolTiles
from tools.accuracy.leave_one_out import measure_scenes
from tools.accuracy.scoring import summary
from tools.thresholds import calibrate


def main() -> None:
    """Set them, and say what they are."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, nargs="+")
    parser.add_argument("--pool", type=Path, help="made by tools/default_model_data.py from the textures")
    parser.add_argument("--textures", type=Path, help="folder of the real images")
    parser.add_argument("--scenes", type=Path, help="folder that tools/leave_one_scene_out.py wrote")
    parser.add_argument("--data", type=Path, help="the labelled patches")
    options = parser.parse_args()
    if options.pool and options.textures:
        found = calibrate(options.model, PoolTiles(options.pool), options.textures)
        values = [{"threshold": one.debris, "floating_threshold": one.floating, "temperature": one.temperature,
                   "metrics": one.metrics} for one in found]  # fmt: skip
    elif options.scenes and options.data and len(options.model) == 1:
        values = [_from_scenes(options.scenes, options.data)]
    else:
        parser.error("Name --pool and --textures, or --scenes and --data and one model.")
    staged = [path.with_name(f".{path.name}.part") for path in options.model]
    for path, part, one in zip(options.model, staged, values, strict=True):
        network, card, _ = modelfile.load(path)
        modelfile.save(part, network, dataclasses.replace(card, **one))
    for path, part, one in zip(options.model, staged, values, strict=True):
        os.replace(part, path)  # noqa: PTH105 - says what it does
        print(path.name, one)  # noqa: T201


def _from_scenes(folder: Path, data: Path) -> dict[str, object]:
    """Thresholds of best F1 over all scenes, and what the models score by those of the other scenes."""
    scenes = measure_scenes(folder, data)
    best = {
        name: ScoreHistogram.sum_of([one[name] for one in scenes.histograms.values()]).best()
        for name in ("strict", "floating")
    }
    figures = summary(scenes.total)
    kept = ("f1", "precision", "recall", "iou", "interval", "ece")
    metrics = {
        "data": "labelled patches of MARIDA's test split, each scene by a model of the same recipe that did not see "
        "it, thresholds from the other scenes (leave-one-scene-out)",
        "debris": {key: figures["strict"][key] for key in kept},
        "floating": {key: figures["floating"][key] for key in kept},
    }
    return {"threshold": round(best["strict"].threshold, 4), "floating_threshold": round(best["floating"].threshold, 4),
            "temperature": 1.0, "metrics": metrics}  # fmt: skip


if __name__ == "__main__":
    main()
