"""The job that trains a model: `train` is the whole of it, from the request to the model file."""

from __future__ import annotations

import copy
import logging
import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from engine import modelfile
from engine.bands import MARIDA_ORDER
from engine.devices import choose_device, memory_guard
from engine.errors import EngineError, ModelError, RequestError
from engine.jobs import TrainRequest, TrainResult
from engine.losses import CombinedLoss, class_weights, weak_loss
from engine.modelfile import ModelCard
from engine.monitor import Monitor, Share, silent
from engine.network import NetworkConfig, SEUNet, count_parameters
from engine.outputs import Staging
from engine.practice.scene import SceneOptions
from engine.prediction import normalise
from engine.training.augment import jitter, turn
from engine.training.data import Batch, KeptTiles, MixedTiles, PracticeTiles, TileSource, batches, practice_split
from engine.training.grouping import CLASSES, lookup
from engine.training.schedule import WeightAverage, rate_factor
from engine.training.texture import WEAK, TextureTiles
from engine.training.validation import Validation, count_classes, fit_temperature, validate

__all__ = ["Progress", "TrainingError", "train"]

log = logging.getLogger(__name__)

MAX_NORM = 1.0
WEAK_SHARE = 2.0
# Inverse frequency to this power weighs the classes: fully inverse, one foam pixel would outweigh a hundred of water.
WEIGHT_POWER = 0.5
MOSAIC_SHARE = 0.2
MEASURED_TILES = 200
STRETCH, CONTRAST_WINDOWS, STEM = 8.0, (5, 15), 48
DATA_SEED, VALIDATION_SEED = 1, 500_000


class TrainingError(EngineError, ArithmeticError):
    """Training went wrong by its numbers."""

    code = "training"


@dataclass
class Progress:
    """What a training has come to so far."""

    epoch: int = 0
    best_f1: float = -1.0
    best_epoch: int = 0
    best_state: dict[str, Tensor] = field(default_factory=dict)
    curves: list[dict[str, float]] = field(default_factory=list)


def train(request: TrainRequest, monitor: Monitor = silent) -> TrainResult:
    """Train on practice scenes and write the best model by validation F1, with all that is known of it on its card.

    Raises:
        RequestError, DeviceError: the request cannot be met.
        TrainingError: the loss became no number.
        MemoryExhausted: with the batch size to try.
        Cancelled: by the monitor; nothing is written then.
    """
    started = time.monotonic()
    if request.threads:
        torch.set_num_threads(request.threads)
    device, reason = choose_device(request.device)
    torch.manual_seed(request.seed)
    with Staging(request.job_id) as staging:
        staged = staging.add(request.model)
        session = _Session(request, device)
        log.info("Training %d parameters on %s.", count_parameters(session.network), reason)
        with memory_guard(f"Try batch_size {max(1, request.batch_size // 2)}, or a smaller width."):
            session.prepare(Share(monitor, 0.0, 0.1))
            session.run(Share(monitor, 0.1, 0.97))
            network, card, validation = session.finish(Share(monitor, 0.97, 1.0))
        modelfile.save(staged, network, card)
        staging.publish()
    best = validation.debris.at(card.threshold)
    return TrainResult(
        model=request.model,
        best_f1=best.f1,
        best_iou=best.iou,
        threshold=card.threshold,
        epochs=session.progress.epoch,
        seconds=round(time.monotonic() - started, 1),
    )


def _started(path: str, config: NetworkConfig) -> tuple[SEUNet, ModelCard]:
    """The network of a model file, to go on from, and its card.

    Raises:
        ModelError: the file cannot be used, or holds another network.
    """
    network, card, _ = modelfile.load(Path(path))
    if replace(network.config, dropout=config.dropout) != config:
        raise ModelError(f"{path} holds the network {network.config}; asked for was {config}. Choose the same width.")
    if card.bands != MARIDA_ORDER or card.classes != CLASSES:
        raise ModelError(f"{path} tells other classes or bands apart than this training does: train from scratch.")
    network.dropout.p = config.dropout
    return network, card


def _sources(request: TrainRequest) -> tuple[TileSource, TileSource]:
    """Tiles to train on and tiles to validate on."""
    seen, kept = practice_split()
    options = SceneOptions(mosaic_share=MOSAIC_SHARE, signature_scenes=seen)
    seed, size = request.seed + DATA_SEED, request.tile_size
    real = round(request.training_samples * request.texture_share) if request.textures else 0
    parts: list[TileSource] = []
    if request.training_samples > real:
        parts.append(PracticeTiles(request.training_samples - real, size, seed, options))
    if request.textures and real:
        parts.append(TextureTiles(Path(request.textures), request.texture_split, real, size, seed, options))
    validation = PracticeTiles(request.validation_samples, size, VALIDATION_SEED, SceneOptions(signature_scenes=kept))
    return KeptTiles(MixedTiles(parts)), KeptTiles(validation)


class _Session:
    """One training: data, network, optimiser and what came of them."""

    def __init__(self, request: TrainRequest, device: torch.device) -> None:
        self.request, self.device = request, device
        self.classes = CLASSES
        self.progress = Progress()
        config = NetworkConfig(
            bands=len(MARIDA_ORDER), classes=len(CLASSES), width=request.width, dropout=request.dropout,
            contrast_windows=CONTRAST_WINDOWS, stretch=STRETCH, stem=STEM,
        )  # fmt: skip
        network, self.start = SEUNet(config), None
        if request.start_from:
            network, self.start = _started(request.start_from, config)
        self.network = network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = WeightAverage(self.network)
        self.optimiser = torch.optim.AdamW(
            self.network.parameters(), lr=request.learning_rate, weight_decay=request.weight_decay
        )
        self.generator = torch.Generator().manual_seed(request.seed)
        self.table = torch.from_numpy(lookup(self.classes)).to(device)
        self.debris = [channel for channel, entry in enumerate(self.classes) if entry.role == "debris"]
        self.source, self.kept = _sources(request)

    def prepare(self, monitor: Monitor) -> None:
        """Count classes, and measure what normalises the bands: median and deviation, from some of the tiles."""
        counts = np.zeros(256, dtype=np.int64)
        values = []
        chosen = np.random.default_rng([self.request.seed, 4]).permutation(len(self.source))[:MEASURED_TILES].tolist()
        tick = _Counter(monitor, len(chosen), self.request.batch_size, "Making practice tiles")
        for batch in batches(self.source, chosen, self.request.batch_size):
            tick()
            counts += np.bincount(batch.classes.numpy().ravel(), minlength=256)
            values.append(batch.reflectance.movedim(1, -1)[batch.observed][::97].numpy())
        pixels = np.concatenate(values)
        mean, std = np.median(pixels, axis=0), pixels.std(axis=0)
        if self.start is not None:
            # Weights that go on are worth something with their own normalisation only.
            mean, std = (np.array(v, dtype=np.float32) for v in (self.start.mean, self.start.std))
        self.mean, self.std = (torch.from_numpy(v).to(self.device) for v in (mean, std))
        counts[0] = 0
        by_channel = np.array([counts[list(entry.marida)].sum() for entry in self.classes])
        self.loss = CombinedLoss(class_weights(by_channel, WEIGHT_POWER)).to(self.device)
        self.kept_counts = count_classes(self.kept, self.request.batch_size)

    def run(self, monitor: Monitor) -> None:
        """Epochs, until the last or until validation has not become better for `patience` of them."""
        request, progress = self.request, self.progress
        for epoch in range(request.epochs):
            start = time.monotonic()
            share = Share(monitor, epoch / request.epochs, (epoch + 1) / request.epochs)
            loss = self._epoch(epoch, Share(share, 0.0, 0.85))
            validation = self._validate(self.average.network, Share(share, 0.85, 1.0))
            scores = validation.debris.best()
            progress.epoch = epoch + 1
            progress.curves.append(
                {"epoch": epoch + 1, "loss": round(loss, 5), "f1": round(scores.f1, 4), "iou": round(scores.iou, 4),
                 "precision": round(scores.precision, 4), "recall": round(scores.recall, 4),
                 "seconds": round(time.monotonic() - start, 1)}
            )  # fmt: skip
            log.info("Epoch %s", progress.curves[-1])
            if scores.f1 > progress.best_f1:
                progress.best_f1, progress.best_epoch = scores.f1, epoch
                progress.best_state = copy.deepcopy(self.average.network.state_dict())
            elif epoch - progress.best_epoch >= request.patience:
                log.info("No better validation F1 for %d epochs: stopped early.", request.patience)
                break

    def _epoch(self, epoch: int, monitor: Monitor) -> float:
        """One pass over the training tiles; returns the mean loss."""
        request = self.request
        order = np.random.default_rng([request.seed, 3, epoch]).permutation(len(self.source))
        steps = -(-len(order) // request.batch_size)
        self.network.train()
        total = 0.0
        for step, batch in enumerate(batches(self.source, order.tolist(), request.batch_size)):
            monitor(step / steps, f"Epoch {epoch + 1} of {request.epochs}")
            factor = rate_factor(epoch + (step + 1) / steps, request.warmup_epochs, request.epochs)
            for group in self.optimiser.param_groups:
                group["lr"] = request.learning_rate * factor
            loss = self._step(batch)
            total += loss
            if not np.isfinite(loss):
                raise TrainingError(
                    f"The loss became {loss} in epoch {epoch + 1}: lower learning_rate (now {request.learning_rate:g})."
                )
        return total / steps

    def _step(self, batch: Batch) -> float:
        parts = (batch.reflectance.to(self.device), batch.observed.to(self.device), batch.classes.to(self.device))
        view = int(torch.randint(8, (1,), generator=self.generator))
        reflectance, observed, classes = turn(*parts, view)
        x = normalise(jitter(reflectance, self.generator), observed, self.mean, self.std)
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.device.type != "mps"):
            logits = self.network(x.contiguous(memory_format=torch.channels_last))
        loss = self.loss(logits, self.table[classes.long()])
        weak = classes == WEAK
        if bool(weak.any()):
            probability = torch.softmax(logits.float(), dim=1)[:, self.debris].sum(dim=1)
            loss = loss + WEAK_SHARE * weak_loss(probability, weak)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), MAX_NORM)
        self.optimiser.step()
        self.average.update(self.network)
        return float(loss.detach())

    def _validate(self, network: nn.Module, monitor: Monitor, temperature: float = 1.0) -> Validation:
        return validate(
            network, self.kept, self.classes, self.kept_counts, (self.mean, self.std), self.request.batch_size,
            lambda done: monitor(done, "Validating"), temperature,
        )  # fmt: skip

    def finish(self, monitor: Monitor) -> tuple[SEUNet, ModelCard, Validation]:
        """The best network, with temperature and thresholds from the validation tiles."""
        if not self.progress.best_state:
            raise RequestError("Training ended before its first epoch did.")
        network = self.average.network
        network.load_state_dict(self.progress.best_state)
        first = self._validate(network, Share(monitor, 0.0, 0.5))
        temperature = fit_temperature(first.logits, first.target, first.weight)
        final = self._validate(network, Share(monitor, 0.5, 1.0), temperature)
        card = ModelCard(
            name=self.request.name,
            bands=MARIDA_ORDER,
            mean=tuple(round(float(v), 6) for v in self.mean),
            std=tuple(round(float(v), 6) for v in self.std),
            classes=self.classes,
            threshold=round(final.debris.best().threshold, 4),
            floating_threshold=round(final.floating.best().threshold, 4),
            temperature=temperature,
            network=asdict(network.config),
            training=self._training(),
            metrics=_metrics(final),
        )
        return network, card, final

    def _training(self) -> dict[str, Any]:
        places = ("model", "job_id", "device", "threads", "textures", "start_from")
        request = {name: value for name, value in asdict(self.request).items() if name not in places}
        data = "practice scenes from published spectra of MARIDA's train and val scenes and of Duarte and Azevedo"
        if self.request.textures:
            data += f"; practice things painted on real images of {Path(self.request.textures).name}"
        return {
            "data": data,
            "started_from": self.start.training if self.start is not None else None,
            "track": "clean: no pixel of MARIDA's test split",
            "epochs_done": self.progress.epoch,
            "best_epoch": self.progress.best_epoch + 1,
            "curves": self.progress.curves,
            **request,
        }


def _metrics(validation: Validation) -> dict[str, Any]:
    debris, floating = validation.debris.best(), validation.floating.best()
    return {
        "data": "practice tiles of signature scenes that were not trained on, pixels weighted as MARIDA's labels",
        "debris": {"f1": round(debris.f1, 4), "precision": round(debris.precision, 4),
                   "recall": round(debris.recall, 4), "iou": round(debris.iou, 4),
                   "ece": round(validation.debris.calibration_error(), 5)},
        "floating": {"f1": round(floating.f1, 4), "precision": round(floating.precision, 4),
                     "recall": round(floating.recall, 4), "iou": round(floating.iou, 4)},
        "flagged_share_by_class": {str(number): round(share, 5) for number, share in validation.flagged.items()},
    }  # fmt: skip


class _Counter:
    """Calls the monitor once a batch."""

    def __init__(self, monitor: Monitor, total: int, step: int, message: str) -> None:
        self._monitor, self._total, self._step, self._message, self._done = monitor, total, step, message, 0

    def __call__(self) -> None:
        self._monitor(self._done / self._total, self._message)
        self._done += self._step
