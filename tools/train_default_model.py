"""Train the default model on pools of tiles. `make model` runs this.

    python -m tools.train_default_model --pool build/pool --output FILE [--seed 0]
    python -m tools.train_default_model --pool build/pool build/pool-patches --patches --output FILE

Without --patches it is of the clean track: no pixel of MARIDA's test split is read, and of the real images a fifth
(fold `seed` modulo 5) is held out, with all that was cut out of them. With it, the labelled patches are learnt from as
well, and nothing is held out. Thresholds are not set here: tools/calibrate_default_model.py does.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
from pathlib import Path
from typing import Any

import torch

from engine import modelfile
from engine.bands import MARIDA_ORDER
from engine.devices import choose_device
from engine.modelfile import ModelCard
from engine.training.grouping import CLASSES
from engine.training.texture import FOLDS
from tools.default_model_training import EDGE_SHARE, WEAK_SHARE, Recipe, Trainer, names_of
from tools.pooled_tiles import PooledTiles

NAME = "practice-17"
DATA = (
    "tiles of practice scenes (published spectra of MARIDA's train and val scenes and of Duarte and Azevedo), and "
    "images of marida_train (MARIDA's train and val splits) with practice things and real floating matter pasted in; "
    "their unlabelled pixels are weak negatives of debris, the edges of land and cloud negatives of all that floats"
)
_SEEN = " (not from those of its teachers that held out others)"
PATCHES = "; labelled patches of MARIDA's test split, as they are and with practice things painted on"


def say(text: str) -> None:
    """One line to the terminal, at once."""
    print(text, flush=True)  # noqa: T201


def card_of(trainer: Trainer, name: str) -> ModelCard:
    """All that is known of a model before its thresholds are set."""
    recipe = trainer.recipe
    kept = {key: getattr(recipe, key) for key in ("seed", "steps", "batch_size", "rate")}
    return ModelCard(
        name=name,
        bands=MARIDA_ORDER,
        mean=tuple(round(float(v), 6) for v in trainer.mean),
        std=tuple(round(float(v), 6) for v in trainer.std),
        classes=CLASSES,
        threshold=0.5,
        network=dataclasses.asdict(trainer.network.config),
        training={
            **_origin(trainer),
            "made_by": "tools/train_default_model.py",
            "device": trainer.device.type,
            "weak_share": WEAK_SHARE,
            "edge_share": EDGE_SHARE,
            **kept,
            "width": trainer.network.config.width,
            **({"teachers": names_of(recipe.teachers)} if recipe.teachers else {}),
            **({"went_on_from": _before(trainer.start)} if trainer.start else {}),
        },
    )


def _before(card: ModelCard) -> dict[str, Any]:
    """What a model was before it went on."""
    kept = ("seed", "seeds", "steps", "batch_size", "rate", "went_on_from")
    return {"name": card.name, **{key: card.training[key] for key in kept if key in card.training}}


def _origin(trainer: Trainer) -> dict[str, Any]:
    """Track, data, and what was held out."""
    recipe = trainer.recipe
    if recipe.patches:
        scenes = sorted({
            part["scene"] for pool in trainer.tiles.pools for part in pool.parts
            if part.get("scene") not in (None, recipe.without_scene)
        })  # fmt: skip
        return {
            "track": "everything: the patches of MARIDA's test split that are at hand were trained on, so a score on "
            "them is none; leave-one-scene-out says what to expect elsewhere",
            "data": DATA + PATCHES,
            "scenes": scenes,
            "held_out": recipe.without_scene or "nothing",
        }
    return {
        "track": "clean: no pixel of MARIDA's test split",
        "data": DATA,
        "held_out": f"fold {recipe.fold} of {FOLDS} of the real images{_SEEN if recipe.teachers else ''}; every fifth "
        "signature scene",
    }


def train(tiles: PooledTiles, recipe: Recipe, name: str, output: Path) -> None:
    """Train and write one model, its thresholds 0.5."""
    trainer = Trainer(tiles, recipe)
    trainer.run(say)
    staged = output.with_name(f".{output.name}.part")
    modelfile.save(staged, trainer.average.network.to("cpu"), card_of(trainer, name))
    os.replace(staged, output)  # noqa: PTH105 - says what it does


def main() -> None:
    """Train, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pool", type=Path, required=True, nargs="+", help="made by tools/default_model_data.py")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--start", type=Path, help="model to go on from; from scratch where not given")
    parser.add_argument("--name", default=NAME)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=Recipe.steps)
    parser.add_argument("--batch-size", type=int, default=Recipe.batch_size)
    parser.add_argument("--rate", type=float, default=Recipe.rate)
    parser.add_argument("--width", type=int, default=Recipe.width)
    parser.add_argument("--patches", action="store_true", help="learn from labelled patches, too")
    parser.add_argument("--without-scene", help="of the labelled patches")
    parser.add_argument("--teachers", type=Path, nargs="+", default=[], help="models whose mean is taught, too")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    device, reason = choose_device(options.device)
    say(f"training on {reason}")
    recipe = Recipe(
        seed=options.seed, steps=options.steps, batch_size=options.batch_size, rate=options.rate, width=options.width,
        patches=options.patches, without_scene=options.without_scene, start=options.start,
        teachers=tuple(options.teachers),
    )  # fmt: skip
    train(PooledTiles(options.pool, device), recipe, options.name, options.output)


if __name__ == "__main__":
    main()
