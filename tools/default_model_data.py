"""What the default model is trained on: the recipe of its tiles. Used by tools/train_default_model.py.

    python -m tools.default_model_data --textures ../shared/data/marida_train --pool build/pool
    python -m tools.default_model_data --patches ../shared/data/marida --pool build/pool-patches

The first makes all that the clean track learns from; the second, from labelled patches, what the rest learns besides.
A pool that is there stays if some of its tiles, made anew, are the same, and is made anew otherwise.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from pathlib import Path

import numpy as np

from engine.marida import patch_names, scene_of
from engine.practice.scene import SceneOptions
from engine.training.data import practice_split
from engine.training.pool import Part, holds, make_pool
from engine.training.texture import FOLDS

SIZE = 96
SEED, VALIDATION_SEED = 11, 500_011
FLOATING = ("debris", "sargassum", "organic")


def recipe(textures: Path, scale: float = 1.0, without: tuple[str, ...] = (), seed: int = 0) -> list[Part]:
    """Parts of the clean track's pool. Another `seed` gives other tiles to train on, and the same to validate on.

    Practice scenes: busy ones, of which every fifth is a mosaic, sparse ones, ones without any floating matter, and
    some of a quiet sea, where nearly nothing is. Crops of the real images in `textures`, with practice things painted
    on and real matter of the same fold pasted in. Practice tiles to validate on borrow their light from other scenes.
    """
    seen, kept = practice_split()
    first = SEED + 1000 * seed

    def part(name: str, count: int, seed: int, options: SceneOptions, fold: int | None = None) -> Part:
        folder = None if fold is None else str(textures)
        number = max(8, round(scale * count))
        return Part(name=name, count=number, size=SIZE, seed=seed, options=options, textures=folder, fold=fold)

    def scenes(names: tuple[str, ...], **values: object) -> SceneOptions:
        left_out = tuple(dict.fromkeys((*without, *values.pop("without", ()))))  # type: ignore[misc,call-overload]
        return SceneOptions(signature_scenes=names, without=left_out, **values)  # type: ignore[arg-type]

    return [
        part("train-busy", 1440, first, scenes(seen, mosaic_share=0.2)),
        part("train-sparse", 480, first + 1, scenes(seen, density=0.25)),
        part("train-clear", 1440, first + 2, scenes(seen, density=0.5, without=FLOATING)),
        part("train-quiet", 720, first + 9, scenes(seen, density=0.04, without=FLOATING)),
        *(part(f"train-texture-{f}", 2400 // FOLDS, first + 3 + f, scenes(seen), f) for f in range(FOLDS)),
        part("validate-busy", 144, VALIDATION_SEED, SceneOptions(signature_scenes=kept)),
        part("validate-clear", 96, VALIDATION_SEED + 1,
             SceneOptions(signature_scenes=kept, density=0.5, without=FLOATING)),
    ]  # fmt: skip


def labelled_recipe(patches: Path, scale: float = 1.0) -> list[Part]:
    """Parts from labelled patches, scene by scene, so that a scene can be left out: crops around labels, and crops with
    practice things painted on. A scene counts by the square root of its patches.
    """
    seen, _ = practice_split()
    counts = Counter(scene_of(name) for name in patch_names(patches))
    result = []
    for number, (scene, count) in enumerate(sorted(counts.items())):
        for kind, each, first, labelled in (("labelled", 60, 40, True), ("painted", 50, 70, False)):
            tiles = max(4, round(scale * each * float(np.sqrt(count))))
            options = SceneOptions(signature_scenes=seen)
            part = Part(name=f"{kind}-{scene}", count=tiles, size=SIZE, seed=SEED + first + number, options=options,
                        textures=str(patches), scene=scene, labelled=labelled)  # fmt: skip
            result.append(part)
    return result


def main() -> None:
    """Make a pool."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--textures", type=Path, help="folder of real images in MARIDA's layout")
    source.add_argument("--patches", type=Path, help="folder of labelled patches in MARIDA's layout")
    parser.add_argument("--pool", type=Path, required=True, help="folder to write")
    parser.add_argument("--scale", type=float, default=1.0, help="factor on the number of tiles")
    parser.add_argument("--seed", type=int, default=0, help="of the tiles to train on, with --textures")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    started = time.monotonic()

    def tick(share: float) -> None:
        print(f"{share:.0%} of the tiles after {time.monotonic() - started:.0f} s", flush=True)  # noqa: T201

    if options.patches:
        parts = labelled_recipe(options.patches, options.scale)
    else:
        parts = recipe(options.textures, options.scale, seed=options.seed)
    if holds(options.pool, parts):
        print(f"{options.pool} holds these tiles already")  # noqa: T201
        return
    make_pool(options.pool, parts, options.processes, tick)


if __name__ == "__main__":
    main()
