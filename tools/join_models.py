"""Put models that differ in their seed together in one file, whose probability is the mean of theirs.

    python -m tools.join_models --model FILE FILE FILE --output FILE [--name NAME]

They must have held out the same images, or thresholds could not be set by them: tools/calibrate_default_model.py does
that with the joined file, whose own thresholds are 0.5 until then.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
from pathlib import Path

from engine import modelfile
from engine.ensemble import Network, join
from engine.modelfile import ModelCard
from engine.network import SEUNet

__all__ = ["join_files"]


def join_files(paths: list[Path], output: Path, name: str | None = None) -> ModelCard:
    """Write the file; its card says what all of them have in common, and all their seeds.

    Raises:
        ModelError: a file cannot be used.
        ValueError: they do not go together.
    """
    models: list[tuple[SEUNet, ModelCard]] = []
    for path in paths:
        network, card, _ = modelfile.load(path)
        if not isinstance(network, SEUNet):
            raise ValueError(f"{path} holds several networks already: name single ones.")
        models.append((network, card))
    trainings = [card.training for _, card in models]
    held_out = {training["held_out"] for training in trainings}
    if len(held_out) > 1:
        raise ValueError(f"The models held out different images: {'; '.join(sorted(held_out))}.")
    joined: Network
    joined, temperature = (join(models), 1.0) if len(models) > 1 else (models[0][0], models[0][1].temperature)
    common = {key: value for key, value in trainings[0].items() if all(other.get(key) == value for other in trainings)}
    seeds = [training["seed"] for training in trainings]
    card = dataclasses.replace(
        models[0][1], name=name or models[0][1].name, threshold=0.5, floating_threshold=0.5,
        temperature=temperature,
        training={**common, "seed": seeds[0], "seeds": seeds}, metrics={},
    )  # fmt: skip
    staged = output.with_name(f".{output.name}.part")
    modelfile.save(staged, joined, card)
    os.replace(staged, output)  # noqa: PTH105 - says what it does
    return card


def main() -> None:
    """Join them, and say of what."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, nargs="+")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--name", help="for the card; the first one's where not given")
    options = parser.parse_args()
    card = join_files(options.model, options.output, options.name)
    print(f"{options.output}: {card.name}, seeds {card.training['seeds']}")  # noqa: T201


if __name__ == "__main__":
    main()
