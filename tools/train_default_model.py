"""Train the default model on a pool of tiles, and choose its thresholds. `make model` runs this.

    python -m tools.train_default_model --pool FOLDER --textures ../shared/data/marida_train --output FILE [--seed 0]

One fifth of the real images (fold `seed` modulo 5) is held out, with all that was cut out of them. The thresholds come
from them and from practice tiles of other scenes; no pixel of MARIDA's test split is read. The network is
engine.network.SEUNet, the loss that of engine.losses, with three additions: pixels of real images that nobody labelled
are weak negatives of debris, those on the edges of land and cloud negatives of all that floats, and weights are
averaged.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from engine import modelfile
from engine.bands import MARIDA_ORDER
from engine.losses import CombinedLoss, class_weights, unlabelled_loss
from engine.modelfile import ModelCard
from engine.network import NetworkConfig, SEUNet
from engine.prediction import normalise
from engine.training.augment import jitter, turn
from engine.training.data import Batch, MixedTiles, TileSource, batches
from engine.training.grouping import CLASSES, lookup
from engine.training.pool import PoolTiles
from engine.training.schedule import WeightAverage, rate_factor
from engine.training.texture import EDGE, FOLDS, WEAK
from tools.thresholds import Calibration, calibrate

WEAK_SHARE = 0.4
"""Weight of unlabelled pixels as negatives of debris: at 2, debris that nobody labelled was unlearnt."""
EDGE_SHARE = 0.4
"""Weight of the edges of land and cloud as negatives of all that floats."""
WEIGHT_POWER = 0.5
MEASURED = 400
WARMUP, DECAY, WEIGHT_DECAY, MAX_NORM = 0.05, 0.998, 1e-4, 1.0
PRACTICE_SHARE = 0.5


class Trainer:
    """One training: network, optimiser, and what normalises the bands."""

    def __init__(
        self, pool: PoolTiles, options: argparse.Namespace, start: Path | None = None, extra: TileSource | None = None
    ) -> None:
        """Start from scratch or from a model file; half of the tiles come from `extra`, where there is one."""
        torch.manual_seed(options.seed)
        self.options, self.pool, self.fold, self.extra = options, pool, options.seed % FOLDS, extra
        self.source = MixedTiles([pool, extra]) if extra is not None else pool
        self.real = pool.numbers("train-texture", without_fold=self.fold)
        self.practice = np.setdiff1d(pool.numbers("train"), pool.numbers("train-texture"))
        self.rng = np.random.default_rng([options.seed, 3])
        self.generator = torch.Generator().manual_seed(options.seed)
        config = NetworkConfig(bands=len(MARIDA_ORDER), classes=len(CLASSES), width=options.width, dropout=0.1,
                               contrast_windows=(5, 15), stretch=8.0, stem=48, head=32)  # fmt: skip
        network: Any = SEUNet(config)
        self.start = None
        if start is not None:
            network, self.start, _ = modelfile.load(start)
            network.dropout.p = config.dropout
        self.network: SEUNet = network.to(memory_format=torch.channels_last)
        self.average = WeightAverage(self.network, DECAY)
        self.optimiser = torch.optim.AdamW(self.network.parameters(), lr=options.rate, weight_decay=WEIGHT_DECAY)
        self.table = torch.from_numpy(lookup(CLASSES))
        self.roles = {
            role: [n for n, entry in enumerate(CLASSES) if entry.role == role] for role in ("debris", "floating")
        }
        # On a CPU that does not multiply bfloat16 in hardware, a step in it takes several times as long.
        self.mixed = bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
        self._measure()

    def _measure(self) -> None:
        """Median and deviation of the bands, and how often classes occur, from some of the tiles."""
        counts, values = np.zeros(256, dtype=np.int64), []
        for index in self._draw(MEASURED):
            tile = self.source.tile(index)
            counts += np.bincount(tile.classes.ravel(), minlength=256)
            values.append(tile.reflectance[:, tile.observed][:, ::97].T)
        pixels = np.concatenate(values)
        self.mean = torch.from_numpy(np.median(pixels, axis=0).astype(np.float32))
        self.std = torch.from_numpy(pixels.std(axis=0).astype(np.float32))
        by_channel = np.array([counts[list(entry.marida)].sum() for entry in CLASSES])
        self.loss = CombinedLoss(class_weights(by_channel, WEIGHT_POWER))
        if self.start is not None:
            self.mean, self.std = torch.tensor(self.start.mean), torch.tensor(self.start.std)

    def _draw(self, count: int) -> list[int]:
        """Numbers of tiles, practice ones and real ones in their shares, shuffled."""
        others = []
        if self.extra is not None:
            others = [len(self.pool) + self.rng.integers(0, len(self.extra), count // 2)]
            count -= count // 2
        practice = round(count * PRACTICE_SHARE) if len(self.real) else count
        parts = [self.rng.choice(self.practice, practice), self.rng.choice(self.real, count - practice)]
        return [int(n) for n in self.rng.permutation(np.concatenate([*parts, *others]))]

    def run(self, say: Callable[[str], None]) -> None:
        """All steps."""
        options = self.options
        order = self._draw(options.steps * options.batch_size)
        self.network.train()
        total, started = 0.0, time.monotonic()
        for step, batch in enumerate(batches(self.source, order, options.batch_size), start=1):
            factor = rate_factor(step / options.steps, WARMUP, 1.0)
            for group in self.optimiser.param_groups:
                group["lr"] = options.rate * factor
            total += self._step(batch)
            if step % 100 == 0:
                rate = step * options.batch_size / (time.monotonic() - started)
                say(f"step {step} of {options.steps}, loss {total / 100:.4f}, {rate:.1f} tiles a second")
                total = 0.0

    def _step(self, batch: Batch) -> float:
        view = int(torch.randint(8, (1,), generator=self.generator))
        reflectance, observed, classes = turn(batch.reflectance, batch.observed, batch.classes, view)
        x = normalise(jitter(reflectance, self.generator), observed, self.mean, self.std)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.mixed):
            logits = self.network(x.contiguous(memory_format=torch.channels_last)).float()
        loss: torch.Tensor = self.loss(logits, self.table[classes.long()])
        shares = WEAK_SHARE, EDGE_SHARE
        loss = loss + unlabelled_loss(logits, classes == WEAK, classes == EDGE, self.roles, shares)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), MAX_NORM)
        self.optimiser.step()
        self.average.update(self.network)
        return float(loss.detach())

    def card(self, calibration: Calibration) -> ModelCard:
        """All that is known of the model."""
        options = self.options
        recipe = {name: getattr(options, name) for name in ("seed", "steps", "batch_size", "rate", "width")}
        return ModelCard(
            name=options.name,
            bands=MARIDA_ORDER,
            mean=tuple(round(float(v), 6) for v in self.mean),
            std=tuple(round(float(v), 6) for v in self.std),
            classes=CLASSES,
            threshold=calibration.debris,
            floating_threshold=calibration.floating,
            temperature=calibration.temperature,
            network=dataclasses.asdict(self.network.config),
            training={
                "track": "clean: no pixel of MARIDA's test split",
                "data": "tiles of practice scenes (published spectra of MARIDA's train and val scenes and of Duarte "
                "and Azevedo), and images of marida_train (MARIDA's train and val splits) with practice things and "
                "real floating matter pasted in; their unlabelled pixels are weak negatives of debris, the edges of "
                "land and cloud negatives of all that floats",
                "held_out": f"fold {self.fold} of {FOLDS} of the real images; every fifth signature scene",
                "made_by": "tools/train_default_model.py",
                "weak_share": WEAK_SHARE,
                "edge_share": EDGE_SHARE,
                **recipe,
                **self._went_on(),
            },
            metrics=calibration.metrics,
        )

    def _went_on(self) -> dict[str, Any]:
        """What the model was before, where it did not begin from scratch."""
        if self.start is None:
            return {}
        kept = ("steps", "batch_size", "rate")
        return {"went_on_from": {"name": self.start.name, **{key: self.start.training.get(key) for key in kept}}}


def say(text: str) -> None:
    """One line to the terminal, at once."""
    print(text, flush=True)  # noqa: T201


def main() -> None:
    """Train, calibrate, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pool", type=Path, required=True, help="made by tools/default_model_data.py")
    parser.add_argument("--textures", type=Path, required=True, help="folder of the real images")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--start", type=Path, help="model to go on from; from scratch where not given")
    parser.add_argument("--name", default="practice-5")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--rate", type=float, default=0.003)
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    trainer = Trainer(PoolTiles(options.pool), options, options.start)
    trainer.run(say)
    network = trainer.average.network
    staged = options.output.with_name(f".{options.output.name}.part")
    modelfile.save(staged, network, trainer.card(Calibration(0.5, 0.5, 1.0, {})))
    calibration = calibrate(staged, trainer.pool, options.textures, trainer.fold)
    modelfile.save(staged, network, trainer.card(calibration))
    os.replace(staged, options.output)  # noqa: PTH105 - says what it does
    say(str(calibration))


if __name__ == "__main__":
    main()
