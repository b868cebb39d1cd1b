"""Model files: safetensors weights with a JSON card in the header, so that a file says all about itself.

Nothing in a model file is executed: safetensors holds numbers only, the card is JSON, and the network is built by this
engine from the card's sizes. A file that does not fit is refused with both sides named.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.bands import BAND_NAMES
from engine.errors import ModelError
from engine.header import check_tensors, parse, read_header

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from engine.ensemble import Network
    from engine.network import NetworkConfig

__all__ = ["BUNDLED_MODEL", "FORMAT_VERSION", "ROLES", "ModelCard", "ModelClass", "load", "read_card", "save"]

FORMAT_VERSION = 1
CARD_KEY = "marine_debris_card"
KERNEL = 4
"""Dimensions of a convolution's weights."""
NUMBERS = ("threshold", "floating_threshold", "temperature")
BUNDLED_MODEL = Path(__file__).parent / "models" / "default.safetensors"

ROLES = ("debris", "floating", "clear")
"""What a class means for the mask: 1 marine debris, 2 other floating matter, 0 clear (water, ships, clouds, land …)."""


@dataclass(frozen=True, kw_only=True)
class ModelClass:
    """One output channel of the network."""

    name: str
    role: str
    marida: tuple[int, ...] = ()
    """The MARIDA class numbers it was trained from; 16 is land."""

    def __post_init__(self) -> None:
        if self.role not in ROLES:
            raise ModelError(f"The class {self.name!r} has the role {self.role!r}; known roles are {', '.join(ROLES)}.")


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """All that Detect needs to know about a model, and what people should."""

    name: str
    bands: tuple[str, ...]
    """Input channels in order, by Sentinel-2 name."""
    mean: tuple[float, ...]
    """Reflectance, one a band: input is (reflectance - mean) / std, and 0 where there is no data."""
    std: tuple[float, ...]
    classes: tuple[ModelClass, ...]
    threshold: float
    """Probability of debris (the sum over classes of that role) from which a pixel is debris."""
    network: dict[str, Any]
    """The fields of `engine.network.NetworkConfig`."""
    floating_threshold: float = 0.5
    """Probability of debris and other floating matter together from which a pixel that is no debris has value 2."""
    temperature: float = 1.0
    """Logits are divided by this before the softmax (Guo et al. 2017, arXiv 1706.04599)."""
    level: str = "Rayleigh-corrected reflectance (ACOLITE rhorc)"
    """The processing level that the model was trained and measured on."""
    training: dict[str, Any] = field(default_factory=dict)
    """What it was trained on: data, samples, epochs, seed, recipe."""
    metrics: dict[str, Any] = field(default_factory=dict)
    """What it scores: data and protocol first, then the figures."""
    format_version: int = FORMAT_VERSION

    def __post_init__(self) -> None:
        if not self.bands or len(self.mean) != len(self.bands) or len(self.std) != len(self.bands):
            raise ModelError(
                f"The card names {len(self.bands)} bands, {len(self.mean)} means and {len(self.std)} deviations; "
                "they must be as many."
            )
        unknown = [band for band in self.bands if band not in BAND_NAMES]
        if unknown:
            raise ModelError(f"The card asks for bands that Sentinel-2 does not have: {', '.join(unknown)}.")
        numbers = (*self.mean, *self.std, *(getattr(self, name) for name in NUMBERS))
        if not all(math.isfinite(number) for number in numbers) or min(self.std) <= 0 or self.temperature <= 0:
            raise ModelError("The card's normalisation, thresholds or temperature are not usable numbers.")
        if not (0 <= self.threshold <= 1 and 0 <= self.floating_threshold <= 1):
            raise ModelError(
                f"The card's thresholds are {self.threshold:g} and {self.floating_threshold:g}, not in 0-1."
            )
        if not any(entry.role == "debris" for entry in self.classes):
            raise ModelError("The card has no class with the role debris.")

    def extent_at(self, threshold: float) -> float:
        """How far groups of pixels reach that are found at another threshold: as far as at the card's own.

        Who asks for surer detections gets fewer of them, not smaller ones (see `engine.linking`).
        """
        return min(self.threshold, threshold)

    def channels(self, role: str) -> tuple[int, ...]:
        """Numbers of the output channels with this role."""
        return tuple(number for number, entry in enumerate(self.classes) if entry.role == role)


def save(path: Path, network: Network, card: ModelCard) -> None:
    """Write weights and card to `path`; the caller sees to it that `path` becomes final only when complete.

    The kernels of an ensemble are kept in half precision: it would be three times as large as one network otherwise.
    """
    from safetensors.torch import save_file

    kinds = _kinds(network.config, network.state_dict())
    state = {name: tensor.detach().cpu().to(kinds[name]).contiguous() for name, tensor in network.state_dict().items()}
    config = dataclasses.asdict(network.config)
    text = json.dumps(_finite(dataclasses.asdict(dataclasses.replace(card, network=config))), allow_nan=False)
    save_file(state, path, metadata={CARD_KEY: text})


def read_card(path: Path) -> ModelCard:
    """Read the card of a model file, and nothing else of it.

    Raises:
        ModelError: `path` is no model file, is damaged, or was written by a later version.
    """
    return _card(Path(path), read_header(Path(path)))


def _card(path: Path, header: Mapping[str, Any]) -> ModelCard:
    text = header.get("__metadata__", {}).get(CARD_KEY)
    if text is None:
        raise ModelError(f"{path} holds weights but no marine-debris card: it is not a model of this plugin.")
    try:
        values = parse(text)
        version = values["format_version"]
        if version != FORMAT_VERSION:
            raise ModelError(
                f"{path} has format version {version}, this engine reads {FORMAT_VERSION}: update the plugin."
            )
        values["classes"] = tuple(
            ModelClass(**{**entry, "marida": tuple(entry.get("marida", ()))}) for entry in values["classes"]
        )
        for name in ("bands", "mean", "std"):
            values[name] = tuple(values[name])
        _check_types(values)
        return ModelCard(**values)
    except ModelError as error:
        raise ModelError(f"{path} cannot be used. {error}") from error
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise ModelError(f"{path} has a card that cannot be read ({error}).") from error


def _check_types(values: Mapping[str, Any]) -> None:
    """Refuse values of other kinds than the card's: what is no text or number would fail far from here."""
    kinds = {"name": str, "level": str, "network": dict, "training": dict, "metrics": dict}
    for name, kind in kinds.items():
        if not isinstance(values.get(name, kind()), kind):
            raise ValueError(f"{name} is no {'text' if kind is str else 'object'}")
    numbers = (*values["mean"], *values["std"], *(values.get(name, 1.0) for name in NUMBERS))
    if any(isinstance(number, bool) or not isinstance(number, (int, float)) for number in numbers):
        raise ValueError("a mean, deviation, threshold or temperature is no number")
    for entry in values["classes"]:
        if not isinstance(entry.name, str) or not all(type(n) is int and 0 <= n <= 255 for n in entry.marida):
            raise ValueError("a class has no name, or numbers that are not from 0 to 255")


def _finite(value: Any) -> Any:
    """Null for what JSON has no number for: a loss that went astray must not make a model file unreadable."""
    if isinstance(value, dict):
        return {name: _finite(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def load(path: Path) -> tuple[Network, ModelCard, str]:
    """Build the network of a model file, in evaluation mode on the CPU.

    Returns:
        The network, the card, and the file's SHA-256 in hexadecimal.

    Raises:
        ModelError: the file is no model, or its weights are not those of the network that the card describes.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from engine.ensemble import build

    path = Path(path)
    header = read_header(path)
    card = _card(path, header)
    config = _config(path, card)
    # A card may describe far more than its file holds: nothing is built before the header has been held against it.
    check_tensors(path, header, _tensors_of(config))
    try:
        state = load_file(path)
    except (SafetensorError, OSError, ValueError, RuntimeError) as error:
        raise ModelError(f"{path} is damaged or cut short ({error}): get the file again.") from error
    for name, tensor in state.items():
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            raise ModelError(f"{path}: {name} holds NaN or infinite numbers; a training run went wrong.")
    network = build(config)
    network.load_state_dict(state)  # in the network's own precision
    network.eval()
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256") if hasattr(hashlib, "file_digest") else _digest(stream)
    return network, card, digest.hexdigest()


def _config(path: Path, card: ModelCard) -> NetworkConfig:
    """The sizes of a card's network, where this engine can build it and they are those of the card."""
    from engine.network import NetworkConfig

    try:
        values = {**card.network, "contrast_windows": tuple(card.network.get("contrast_windows", ()))}
        config = NetworkConfig(**values)
    except (TypeError, ValueError) as error:
        raise ModelError(f"{path} describes a network that this engine cannot build ({error}).") from error
    if (config.bands, config.classes) != (len(card.bands), len(card.classes)):
        raise ModelError(
            f"{path}: the network has {config.bands} bands and {config.classes} classes, "
            f"the card names {len(card.bands)} and {len(card.classes)}."
        )
    return config


def _tensors_of(config: NetworkConfig) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Type and shape of each tensor of a network's file, by name, from one that takes no memory."""
    import torch

    from engine.ensemble import build

    names = {torch.float32: "F32", torch.float16: "F16", torch.int64: "I64"}
    with torch.device("meta"):
        state = build(config).state_dict()
    kinds = _kinds(config, state)
    return {name: (names[kinds[name]], tuple(tensor.shape)) for name, tensor in state.items()}


def _kinds(config: NetworkConfig, state: Mapping[str, Tensor]) -> dict[str, torch.dtype]:
    """The type in which a file keeps each tensor of a network."""
    import torch

    # Kernels alone: variances of a batch normalisation may be smaller than what half precision has.
    halved = {name for name, tensor in state.items() if config.members > 1 and tensor.dim() == KERNEL}
    return {name: torch.float16 if name in halved else tensor.dtype for name, tensor in state.items()}


def _digest(stream: Any) -> Any:
    """SHA-256 of a stream, for Python 3.10."""
    digest = hashlib.sha256()
    while block := stream.read(1 << 20):
        digest.update(block)
    return digest
