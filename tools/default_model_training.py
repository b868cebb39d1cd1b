"""How the default model is trained. tools/train_default_model.py and tools/leave_one_scene_out.py use it.

The network is engine.network.SEUNet (several where an ensemble goes on, each learning by itself), the loss that of
engine.losses, with three additions: pixels of real images that nobody labelled are weak negatives of debris, those on
the edges of land and cloud negatives of all that floats, and weights are averaged. Where there are teachers, their mean
is taught as well (Hinton et al. 2015, arXiv 1503.02531).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from engine import modelfile
from engine.bands import MARIDA_ORDER
from engine.devices import runs_mixed
from engine.ensemble import Network, build, parts_of, said_by_each
from engine.losses import CombinedLoss, class_weights, unlabelled_loss
from engine.modelfile import ModelCard
from engine.network import NetworkConfig
from engine.prediction import normalise
from engine.training.augment import jitter, turn
from engine.training.grouping import CLASSES, lookup
from engine.training.schedule import WeightAverage, rate_factor
from engine.training.texture import EDGE, FOLDS, WEAK
from tools.pooled_tiles import PooledTiles

__all__ = ["EDGE_SHARE", "WEAK_SHARE", "Recipe", "Trainer", "taught"]

WEAK_SHARE = 0.4
"""Weight of unlabelled pixels as negatives of debris: at 2, debris that nobody labelled was unlearnt."""
EDGE_SHARE = 0.4
"""Weight of the edges of land and cloud as negatives of all that floats."""
WEIGHT_POWER = 0.5
MEASURED = 400
WARMUP, DECAY, WEIGHT_DECAY, MAX_NORM = 0.05, 0.998, 1e-4, 1.0
LEAST_TAUGHT = 0.05
"""What a pixel counts at least of the teachers' lesson: nearly all are water, of which they are sure."""

Share = tuple[tuple[str, ...], float]
CLEAN: tuple[Share, ...] = (
    (("train-busy", "train-sparse"), 0.3), (("train-clear", "train-quiet"), 0.2), (("train-texture",), 0.5),
)  # fmt: skip
ALL: tuple[Share, ...] = (
    (("train-busy", "train-sparse"), 0.2), (("train-clear", "train-quiet"), 0.15), (("train-texture",), 0.2),
    (("painted",), 0.15), (("labelled",), 0.3),
)  # fmt: skip
"""Names of the pools' parts, and which share of the tiles they are, without and with labelled patches."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What a training depends on, besides its tiles."""

    seed: int = 0
    steps: int = 2000
    batch_size: int = 16
    rate: float = 0.003
    width: int = 16
    patches: bool = False
    """Whether labelled patches are learnt from too; the fold of real images is held out where not."""
    without_scene: str | None = None
    """Scene of the labelled patches that is left out."""
    start: Path | None = None
    """Model to go on from; from scratch where None."""
    teachers: tuple[Path, ...] = ()
    """Models whose mean is taught besides the labels."""

    @property
    def fold(self) -> int | None:
        """The fold of the real images that is held out, to choose thresholds by."""
        return None if self.patches else self.seed % FOLDS


class Trainer:
    """One training: network, optimiser, and what normalises the bands."""

    def __init__(self, tiles: PooledTiles, recipe: Recipe) -> None:
        """Start from scratch, or from the recipe's start."""
        torch.manual_seed(recipe.seed)
        self.recipe, self.tiles, self.device = recipe, tiles, tiles.device
        self.groups = [
            (tiles.numbers(names, recipe.fold, recipe.without_scene), share)
            for names, share in (ALL if recipe.patches else CLEAN)
        ]
        self.rng = np.random.default_rng([recipe.seed, 3])
        self.generator = torch.Generator().manual_seed(recipe.seed)
        config = NetworkConfig(bands=len(MARIDA_ORDER), classes=len(CLASSES), width=recipe.width, dropout=0.1,
                               contrast_windows=(5, 15), stretch=8.0, stem=48, head=32)  # fmt: skip
        network: Any = build(config)
        self.start: ModelCard | None = None
        if recipe.start is not None:
            network, self.start, _ = modelfile.load(recipe.start)
            for part in parts_of(network):
                part.dropout.p = config.dropout
        self.network: Network = network.to(self.device, memory_format=torch.channels_last)
        self.parts = parts_of(self.network)
        self.average = WeightAverage(self.network, DECAY)
        self.optimiser = torch.optim.AdamW(self.network.parameters(), lr=recipe.rate, weight_decay=WEIGHT_DECAY)
        self.table = torch.from_numpy(lookup(CLASSES)).to(self.device)
        self.roles = {
            role: [n for n, entry in enumerate(CLASSES) if entry.role == role] for role in ("debris", "floating")
        }
        # On a CPU that does not multiply bfloat16 in hardware, a step in it takes several times as long.
        self.mixed = runs_mixed("auto", self.device)
        self.teachers = [_Teacher(path, self.device, self.mixed) for path in recipe.teachers]
        self._measure()

    def _measure(self) -> None:
        """Median and deviation of the bands, and how often classes occur, from some of the tiles."""
        batch = self.tiles.batch(self._draw(MEASURED))
        counts = torch.bincount(batch.classes.flatten().long(), minlength=256).cpu().numpy()
        seen = batch.reflectance.movedim(1, -1)[batch.observed][::97]
        self.mean, self.std = seen.median(dim=0).values, seen.std(dim=0)
        if self.start is not None:
            self.mean, self.std = (torch.tensor(v, device=self.device) for v in (self.start.mean, self.start.std))
        by_channel = np.array([counts[list(entry.marida)].sum() for entry in CLASSES])
        self.loss = CombinedLoss(class_weights(by_channel, WEIGHT_POWER)).to(self.device)

    def _draw(self, count: int) -> npt.NDArray[np.int64]:
        """Numbers of tiles, each group's in its share, shuffled."""
        ends = np.rint(np.cumsum([0, *(share for _, share in self.groups)]) * count).astype(int)
        drawn = [self.rng.choice(group, b - a) for (group, _), a, b in zip(self.groups, ends, ends[1:], strict=False)]
        return self.rng.permutation(np.concatenate(drawn))

    def run(self, say: Callable[[str], None]) -> None:
        """All steps."""
        recipe = self.recipe
        order = self._draw(recipe.steps * recipe.batch_size).reshape(recipe.steps, recipe.batch_size)
        self.network.train()
        total, started = torch.zeros((), device=self.device), time.monotonic()
        for step, numbers in enumerate(order, start=1):
            for group in self.optimiser.param_groups:
                group["lr"] = recipe.rate * rate_factor(step / recipe.steps, WARMUP, 1.0)
            total += self._step(numbers)
            if step % 100 == 0:
                rate = step * recipe.batch_size / (time.monotonic() - started)
                say(f"step {step} of {recipe.steps}, loss {float(total) / 100:.4f}, {rate:.1f} tiles a second")
                total.zero_()

    def _step(self, numbers: npt.NDArray[np.int64]) -> Tensor:
        batch = self.tiles.batch(numbers)
        view = int(torch.randint(8, (1,), generator=self.generator))
        reflectance, observed, classes = turn(batch.reflectance, batch.observed, batch.classes, view)
        reflectance = jitter(reflectance, self.generator)
        x = normalise(reflectance, observed, self.mean, self.std)
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.mixed):
            logits = said_by_each(self.network, len(self.parts), x.contiguous(memory_format=torch.channels_last))
        loss = torch.stack([self._loss(own.float(), classes) for own in logits.unbind(1)]).sum()
        if self.teachers:
            lesson, weight = self._lesson(reflectance, observed)
            loss = loss + sum(taught(own.float(), lesson, weight) for own in logits.unbind(1))
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        for part in self.parts:
            torch.nn.utils.clip_grad_norm_(part.parameters(), MAX_NORM)
        self.optimiser.step()
        self.average.update(self.network)
        return loss.detach() / len(self.parts)

    def _loss(self, logits: Tensor, classes: Tensor) -> Tensor:
        loss: Tensor = self.loss(logits, self.table[classes.long()])
        shares = WEAK_SHARE, EDGE_SHARE
        return loss + unlabelled_loss(logits, classes == WEAK, classes == EDGE, self.roles, shares)

    @torch.no_grad()
    def _lesson(self, reflectance: Tensor, observed: Tensor) -> tuple[Tensor, Tensor]:
        """The teachers' mean (batch, classes, height, width), and how much a pixel counts (batch, height, width).

        Where they see matter afloat, or are unsure, it counts more than where there is plain water.
        """
        target = torch.stack([teacher(reflectance, observed) for teacher in self.teachers]).mean(dim=0)
        afloat = target[:, self.roles["debris"] + self.roles["floating"]].sum(dim=1)
        return target, observed * (LEAST_TAUGHT + afloat + 1 - target.amax(dim=1))


def taught(logits: Tensor, lesson: Tensor, weight: Tensor) -> Tensor:
    """Cross-entropy with a lesson, (batch, classes, height, width), by weights (batch, height, width)."""
    entropy = -(lesson * F.log_softmax(logits, dim=1)).sum(dim=1)
    return (entropy * weight).sum() / weight.sum().clamp(min=1)


class _Teacher:
    """A model file that says what it sees."""

    def __init__(self, path: Path, device: torch.device, mixed: bool) -> None:
        self._mixed = mixed
        network, card, _ = modelfile.load(path)
        self._network: Any = network.to(device).to(memory_format=torch.channels_last)
        self._mean, self._std = (torch.tensor(values, device=device) for values in (card.mean, card.std))
        self._temperature = card.temperature

    def __call__(self, reflectance: Tensor, observed: Tensor) -> Tensor:
        """Probabilities (batch, classes, height, width) of a batch of reflectance."""
        x = normalise(reflectance, observed, self._mean, self._std).contiguous(memory_format=torch.channels_last)
        with torch.autocast(x.device.type, dtype=torch.bfloat16, enabled=self._mixed):
            logits: Tensor = self._network(x)
        return torch.softmax(logits.float() / self._temperature, dim=1)


def names_of(paths: Sequence[Path]) -> list[str]:
    """Names and seeds of the teachers, for the card."""
    cards = [modelfile.read_card(path) for path in paths]
    return [f"{card.name}, seed {card.training.get('seed')}" for card in cards]
