"""What the default model is trained on: the recipe of its pool of tiles. Used by tools/train_default_model.py."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from engine.practice.scene import SceneOptions
from engine.training.data import practice_split
from engine.training.pool import Part, make_pool
from engine.training.texture import FOLDS

SIZE = 96
SEED, VALIDATION_SEED = 11, 500_011
FLOATING = ("debris", "sargassum", "organic")


def recipe(textures: Path, scale: float = 1.0, without: tuple[str, ...] = (), seed: int = 0) -> list[Part]:
    """Parts of the pool. Another `seed` gives other tiles to train on, and the same to validate on.

    Half of the tiles to train on are practice scenes: busy ones, of which every fifth is a mosaic, sparse ones, ones
    without any floating matter, and some of a quiet sea, where nearly nothing is. Half are crops of the real images in
    `textures`, with practice things painted on and real matter of the same fold pasted in. Practice tiles to validate
    on borrow their light from other scenes.
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
        part("train-busy", 2400, first, scenes(seen, mosaic_share=0.2)),
        part("train-sparse", 800, first + 1, scenes(seen, density=0.25)),
        part("train-clear", 800, first + 2, scenes(seen, density=0.5, without=FLOATING)),
        part("train-quiet", 400, first + 9, scenes(seen, density=0.04, without=FLOATING)),
        *(part(f"train-texture-{f}", 4000 // FOLDS, first + 3 + f, scenes(seen), f) for f in range(FOLDS)),
        part("validate-busy", 240, VALIDATION_SEED, SceneOptions(signature_scenes=kept)),
        part("validate-clear", 160, VALIDATION_SEED + 1,
             SceneOptions(signature_scenes=kept, density=0.5, without=FLOATING)),
    ]  # fmt: skip


def main() -> None:
    """Make the pool."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--textures", type=Path, required=True, help="folder of real images in MARIDA's layout")
    parser.add_argument("--pool", type=Path, required=True, help="folder to write")
    parser.add_argument("--scale", type=float, default=1.0, help="factor on the number of tiles")
    parser.add_argument("--seed", type=int, default=0, help="of the tiles to train on")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    started = time.monotonic()

    def tick(share: float) -> None:
        print(f"{share:.0%} of the tiles after {time.monotonic() - started:.0f} s", flush=True)  # noqa: T201

    make_pool(options.pool, recipe(options.textures, options.scale, seed=options.seed), options.processes, tick)


if __name__ == "__main__":
    main()
