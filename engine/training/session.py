"""One training: data, network, optimiser, and what came of them epoch by epoch."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from engine.devices import runs_mixed
from engine.ensemble import Network, parts_of, said_by_each
from engine.errors import TrainingError
from engine.losses import CombinedLoss, class_weights, unlabelled_loss
from engine.modelfile import ModelCard, ModelClass
from engine.monitor import Monitor
from engine.prediction import normalise
from engine.training.augment import jitter_of, turn
from engine.training.data import Batch, batches
from engine.training.distributed import Processes, SharedDropout, share_statistics
from engine.training.going_on import Progress
from engine.training.grouping import lookup, table_for
from engine.training.handful import HandfulLoss, places_right
from engine.training.measure import measure
from engine.training.rehearsal import FEW
from engine.training.schedule import WeightAverage, rate_factor
from engine.training.sources import TrainingData
from engine.training.start import network_for
from engine.training.texture import EDGE, WEAK
from engine.training.validation import Reading, Validation, count_classes, validate
from engine.training_jobs import TrainRequest

__all__ = ["Session"]

log = logging.getLogger(__name__)

MAX_NORM = 1.0
WEAK_SHARE, EDGE_SHARE = 2.0, 0.4


class Session:
    """Everything that changes while a network learns."""

    def __init__(
        self,
        request: TrainRequest,
        data: TrainingData,
        device: torch.device,
        team: Processes,
        start: tuple[Network, ModelCard, str] | None = None,
    ) -> None:
        self.request, self.data, self.device, self.team = request, data, device, team
        self.progress = Progress()
        self.start = start[1] if start else None
        self.start_digest = start[2] if start else None
        self.classes: tuple[ModelClass, ...] = start[1].classes if start else data.classes
        self.mixed = runs_mixed(request.precision, device)
        torch.manual_seed(request.seed)
        self.generator = torch.Generator().manual_seed(request.seed)
        network = network_for(request, len(data.bands), len(self.classes), start[0] if start else None)
        network = network.to(device)
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average: WeightAverage[Network] = WeightAverage(network)
        self.best: dict[str, Tensor] = {}
        roles = [entry.role for entry in self.classes]
        self.handful = None
        if data.corrections is not None and self.start is not None:
            self.handful = HandfulLoss(network, self.start, data.positive, data.floating, self.mixed)
        self.network = network
        self.members = len(parts_of(network))
        for part in parts_of(network):
            part.dropout = SharedDropout(request.dropout, self.generator, team)  # type: ignore[assignment]
        if team.count > 1:
            share_statistics(self.network)
        self.trained = team.wrap(self.network)
        self.optimiser = torch.optim.AdamW(
            self.network.parameters(), lr=request.learning_rate, weight_decay=request.weight_decay,
            fused=device.type in ("cpu", "cuda"),
        )  # fmt: skip
        table = table_for(self.classes, data.positive) if start else lookup(self.classes)
        self.table = torch.from_numpy(table).to(device)
        self.roles = {role: [i for i, own in enumerate(roles) if own == role] for role in ("debris", "floating")}
        self.rate = 0.0

    def prepare(self, monitor: Monitor) -> None:
        """Count classes, and measure what normalises the bands: median and deviation."""
        request = self.request
        counts, mean, std = measure(self.data.training, request.batch_size, request.seed, monitor)
        if self.start is not None:
            # Weights that go on are worth something with their own normalisation only.
            mean, std = (np.array(v, dtype=np.float32) for v in (self.start.mean, self.start.std))
        self.mean, self.std = (torch.from_numpy(v).to(self.device) for v in (mean, std))
        table = self.table.cpu().numpy()
        by_channel = np.array([counts[table == channel].sum() for channel in range(len(self.classes))])
        # A handful of labels may be all of one class, and their frequencies say nothing.
        even = np.ones(len(by_channel), dtype=np.float32)
        self.class_weights = even if self.handful else class_weights(by_channel, self.data.power)
        self.loss = CombinedLoss(self.class_weights).to(self.device)
        self.kept_counts = count_classes(self.data.validation, request.batch_size)

    def epoch(self, monitor: Monitor) -> float:
        """One pass over the training tiles; returns the mean loss.

        Raises:
            TrainingError: the loss became no number.
        """
        request, number = self.request, self.progress.epoch
        order = np.random.default_rng([request.seed, 3, number]).permutation(len(self.data.training))
        if self.team.count > 1:
            order = order[: len(order) // self.team.count * self.team.count]
        self.generator.manual_seed(request.seed * 100_003 + number)
        mine, size = self._mine(order), request.batch_size // self.team.count
        steps = -(-len(order) // request.batch_size)
        # With a handful of labels the statistics of the data stay those of the model gone on from.
        self.network.train(self.handful is None)
        total = 0.0
        for step, batch in enumerate(batches(self.data.training, mine, size)):
            monitor(step / steps, f"Epoch {number + 1} of {request.epochs}")
            self.rate = request.learning_rate * rate_factor(
                number + (step + 1) / steps, request.warmup_epochs, request.epochs
            )
            for group in self.optimiser.param_groups:
                group["lr"] = self.rate
            loss = self._step(batch)
            total += loss
            if not np.isfinite(loss):
                raise TrainingError(
                    f"The loss became {loss} in epoch {number + 1}, step {step + 1}: lower the learning rate (now "
                    f"{request.learning_rate:g}), or look for strange numbers in the data."
                )
        return total / steps

    def _mine(self, order: Any) -> list[int]:
        """This process's tiles, batch by batch."""
        size = self.request.batch_size
        parts = [order[start : start + size] for start in range(0, len(order), size)]
        return [int(index) for part in parts for index in part[self.team.part(len(part))]]

    def _step(self, batch: Batch) -> float:
        count, device = len(batch.reflectance) * self.team.count, self.device
        here = self.team.part(count)
        view = int(torch.randint(8, (1,), generator=self.generator))
        gain, offset = jitter_of(count, len(self.data.bands), self.generator, self.request.jitter)
        reflectance, observed, classes = turn(
            batch.reflectance.to(device), batch.observed.to(device), batch.classes.to(device), view
        )
        x = self._input(reflectance, observed, gain[here].to(device), offset[here].to(device))
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=self.mixed):
            logits = said_by_each(self.trained, self.members, x)
        weight = None
        if batch.weight is not None:
            weight = turn(batch.weight.to(device), observed, observed, view)[0]
        elif self.handful is not None:
            # Only some tiles have weights, and the parts of all processes must fit together.
            weight = torch.ones(observed.shape, device=device)
        weight = None if weight is None else self.team.gather(weight)
        alone = self.team.count == 1
        logits, classes = logits if alone else self.team.gather(logits.float()), self.team.gather(classes)
        if self.handful is None:
            loss = torch.stack([self._loss(own, classes, weight) for own in logits.unbind(1)]).sum()
        else:
            loss = self.handful(logits.float(), self.team.gather(x), classes, self.team.gather(observed), weight)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        for part in parts_of(self.network):
            nn.utils.clip_grad_norm_(part.parameters(), MAX_NORM)
        self.optimiser.step()
        self.average.update(self.network)
        return float(loss.detach()) / self.members

    def _input(self, reflectance: Tensor, observed: Tensor, gain: Tensor, offset: Tensor) -> Tensor:
        """As `normalise` of reflectance x gain + offset, in one pass, laid out as convolutions like it."""
        std = self.std[:, None, None]
        x = torch.empty_like(reflectance, memory_format=torch.channels_last)
        torch.addcmul((offset - self.mean[:, None, None]) / std, reflectance, gain / std, out=x)
        return x.masked_fill_(~observed[:, None], 0) if not bool(observed.all()) else x

    def _loss(self, logits: Tensor, classes: Tensor, weight: Tensor | None) -> Tensor:
        loss: Tensor = self.loss(logits, self.table[classes.long()], weight)
        shares = WEAK_SHARE, EDGE_SHARE
        return loss + unlabelled_loss(logits, classes == WEAK, classes == EDGE, self.roles, shares)

    def validate(self, tick: Callable[[float], None], temperature: float = 1.0) -> Validation:
        """What the averaged weights score on the validation tiles."""
        return validate(
            self.average.network, self.data.validation, self.classes, self.kept_counts, (self.mean, self.std),
            self.request.batch_size, tick, temperature, self._reading(),
        )  # fmt: skip

    def _reading(self) -> Reading:
        return Reading(
            positive=self.data.positive, floating=self.data.floating, practice=self.data.practice,
            table=self.table.cpu().numpy(), loss=self.loss, mixed=self.mixed,
        )  # fmt: skip

    def right(self) -> tuple[int, int] | None:
        """How many of a handful of labelled places come out right, and how many there are; None without a handful."""
        if self.handful is None or self.data.corrections is None or self.start is None:
            return None

        def reading(network: Network) -> Callable[[Any, Any], Any]:
            return lambda *tile: self._probability(network, *tile)[0].cpu().numpy()

        now, before = reading(self.average.network), reading(self.handful.before)
        return places_right(now, before, self.data.corrections, self.data.positive, self.start.threshold)

    @torch.inference_mode()
    def _probability(self, network: Network, reflectance: Any, observed: Any) -> tuple[Tensor, Tensor]:
        """What a network says of one tile: probability of debris, and of all that floats."""
        x = normalise(
            torch.from_numpy(reflectance)[None].to(self.device), torch.from_numpy(observed)[None].to(self.device),
            self.mean, self.std,
        )  # fmt: skip
        temperature = self.start.temperature if self.handful and self.start else 1.0
        probability = torch.softmax(network(x).float() / temperature, dim=1)[0]
        debris = probability[self.roles["debris"]].sum(0)
        return debris, debris + probability[self.roles["floating"]].sum(0)

    def mask(self, reflectance: Any, observed: Any, threshold: float, floating_threshold: float) -> Any:
        """What the averaged weights say of one tile, uint8 (height, width): 1 debris, 2 other floating matter."""
        debris, floating = self._probability(self.average.network, reflectance, observed)
        mask = torch.zeros_like(debris, dtype=torch.uint8)
        if self.roles["floating"]:
            mask[floating >= floating_threshold] = 2
        mask[debris >= threshold] = 1
        return mask.cpu().numpy()

    def kept_calibration(self) -> ModelCard | None:
        """The card whose thresholds and temperature stay: that of the model gone on from, where labels are few.

        A handful of corrections says where a model was wrong, not how sure it may be elsewhere.
        """
        positive = int(self.kept_counts[list(self.data.positive)].sum())
        few = self.handful is not None or positive < FEW
        return self.start if self.start is not None and few else None

    def keep_best(self) -> None:
        """Keep the averaged weights as they are now."""
        self.best = copy.deepcopy(self.average.network.state_dict())
