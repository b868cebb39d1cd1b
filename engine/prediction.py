"""From reflectance to probabilities: one network, one card, one tile or batch at a time."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from engine import modelfile
from engine.devices import choose_device, memory_guard, runs_mixed
from engine.errors import ModelError
from engine.network import DIVISOR, receptive_radius

__all__ = ["CHANNELS", "Predictor", "normalise"]

log = logging.getLogger(__name__)

CHANNELS = ("debris", "floating")
"""What `Predictor.probabilities` gives: probability of debris, and of other floating matter."""


def normalise(reflectance: Tensor, observed: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """The network's input: (reflectance - mean) / std, and 0 where there is no data.

    Args:
        reflectance: (batch, bands, height, width), float32.
        observed: (batch, height, width), bool.
        mean: (bands,), reflectance.
        std: (bands,), reflectance.
    """
    standard = (reflectance - mean[:, None, None]) / std[:, None, None]
    return torch.where(observed[:, None], standard, torch.zeros((), dtype=standard.dtype, device=standard.device))


class Predictor:
    """A model file, ready to predict."""

    def __init__(self, model: str | Path | None, device: str = "auto", precision: str = "float32") -> None:
        """Load a model file, the bundled one where none is named; `precision` as in requests.

        Raises:
            ModelError: the file cannot be used.
            DeviceError: the device cannot be used.
        """
        self.path = Path(model) if model else modelfile.BUNDLED_MODEL
        network, self.card, self.sha256 = modelfile.load(self.path)
        self.device, reason = choose_device(device)
        self.mixed = runs_mixed(precision, self.device) and self.device.type != "mps"
        numbers = "bfloat16" if self.mixed else "float32"
        log.info("Model %s (%s…) on %s, in %s.", self.card.name, self.sha256[:12], reason, numbers)
        self.radius = receptive_radius(network.config)
        self._network = network.to(self.device)
        self._network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._mean = torch.tensor(self.card.mean, device=self.device)
        self._std = torch.tensor(self.card.std, device=self.device)
        self._channels = [list(self.card.channels(role)) for role in CHANNELS]

    def probabilities(
        self, reflectance: npt.NDArray[np.float32], observed: npt.NDArray[np.bool_]
    ) -> npt.NDArray[np.float32]:
        """The first of what `predict` gives."""
        return self.predict(reflectance, observed)[0]

    @torch.inference_mode()
    def predict(
        self, reflectance: npt.NDArray[np.float32], observed: npt.NDArray[np.bool_]
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.uint8]]:
        """Probabilities of debris and of other floating matter, and the likeliest class that is not debris.

        Args:
            reflectance: (batch, bands, height, width), float32, bands as in the card; finite.
            observed: (batch, height, width), bool.

        Returns:
            Probabilities, float32 of shape (batch, 2, height, width), in the order of CHANNELS, NaN where nothing was
            observed; and numbers of the card's classes, uint8 of shape (batch, height, width).

        Raises:
            ModelError: the network gave no numbers.
            MemoryExhausted: memory ran out.
        """
        with memory_guard("Close other programs, use a narrower model, or choose the device cpu."):
            classes = torch.softmax(self._logits(reflectance, observed) / self.card.temperature, dim=1)
            zero = torch.zeros_like(classes[:, 0])
            sums = [classes[:, group].sum(dim=1) if group else zero for group in self._channels]
            result: npt.NDArray[np.float32] = torch.stack(sums, dim=1).clamp(0, 1).cpu().numpy()
            classes[:, self._channels[0]] = -1
            others = classes.argmax(dim=1).to(torch.uint8).cpu().numpy()
        if not np.isfinite(result).all():
            raise ModelError(f"The model {self.card.name} gives numbers that are none: its training went wrong.")
        result[~np.broadcast_to(observed[:, None], result.shape)] = np.nan
        return result, others

    def _logits(self, reflectance: npt.NDArray[np.float32], observed: npt.NDArray[np.bool_]) -> Tensor:
        """Logits in float32, (batch, classes, height, width), for any height and width."""
        height, width = observed.shape[-2:]
        pixels = torch.from_numpy(reflectance).to(self.device)
        seen = torch.from_numpy(observed).to(self.device)
        x = normalise(pixels, seen, self._mean, self._std)
        x = F.pad(x, (0, -width % DIVISOR, 0, -height % DIVISOR)).contiguous(memory_format=torch.channels_last)
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.mixed):
            logits = self._network(x)
        cropped: Tensor = logits[..., :height, :width].float()
        return cropped
