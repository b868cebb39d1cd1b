"""SE-U-Net: a U-Net whose every level weighs its channels by squeeze and excitation.

Four encoder levels of `width` x 1, 2, 4, 8 channels, a bottleneck of `width` x 16, four decoder levels with transposed
convolutions and skip connections, and one more convolution before the final 1x1. Width 64 is the 31.28-million-
parameter network of the original system. Squeeze and excitation: Hu et al. 2018, doi 10.1109/CVPR.2018.00745.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's name for it

__all__ = ["DIVISOR", "NetworkConfig", "SEUNet", "SqueezeExcitation", "count_parameters", "receptive_radius"]

LEVELS = 4
DIVISOR: int = 2**LEVELS
"""Height and width of an input must be multiples of this."""
MOST_WINDOWS = 4


@dataclass(frozen=True, kw_only=True)
class NetworkConfig:
    """What it takes to build a network again: goes into the model file's card."""

    bands: int = 11
    classes: int = 2
    width: int = 64
    dropout: float = 0.2
    contrast_windows: tuple[int, ...] = ()
    """Odd window sizes (pixels): for each, every band minus its local mean joins the input."""
    stretch: float = 0.0
    """Where above 0, inputs become asinh(stretch x): clouds are compressed, and differences of dark water stand out
    (Lupton et al. 1999, doi 10.1086/301004)."""
    stem: int = 0
    """Channels of a small network that sees each pixel by itself, and whose half joins the input and the last layer;
    none where 0. Debris is told from ships and foam by its spectrum first."""
    head: int = 0
    """Channels of the last layer but one, and a shortcut past it; half of `width` and no shortcut where 0. Eight
    channels for eleven classes left none that lived on a rare class's pixels, and no gradient came back from them."""
    members: int = 1
    """Networks of these sizes whose mean probability counts: see `engine.ensemble`."""

    def __post_init__(self) -> None:
        limits = {
            "bands": (1, 64), "classes": (2, 64), "width": (4, 128), "stem": (0, 256), "head": (0, 256),
            "members": (1, 9),
        }  # fmt: skip
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            if not _is(int, value) or not low <= value <= high:
                raise ValueError(f"{name} is {value!r}: it must be a whole number between {low} and {high}")
        if self.stem % 2:
            raise ValueError(f"stem is {self.stem}: use an even number")
        windows = self.contrast_windows
        odd = all(_is(int, window) and window % 2 and 3 <= window <= 63 for window in windows)
        if len(windows) > MOST_WINDOWS or not odd:
            shown = f"{len(windows)} numbers" if len(windows) > MOST_WINDOWS else windows
            raise ValueError(f"contrast_windows are {shown}: use at most {MOST_WINDOWS} odd numbers from 3 to 63")
        for name, most in (("dropout", 1), ("stretch", 1000)):
            value = getattr(self, name)
            if not (_is(int, value) or _is(float, value)) or not 0 <= value <= most:
                raise ValueError(f"{name} is {value!r}: it must be a number between 0 and {most}")


def _is(kind: type, value: object) -> bool:
    """Whether a value is of that kind; JSON's true and false are no numbers."""
    return isinstance(value, kind) and not isinstance(value, bool)


class SqueezeExcitation(nn.Module):
    """Scale each channel by a weight from 0 to 1 that the average of all channels decides."""

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        hidden = max(channels // reduction, 4)
        self.squeeze = nn.Linear(channels, hidden)
        self.excite = nn.Linear(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Weigh the channels of `x`, (batch, channels, height, width)."""
        weights = torch.sigmoid(self.excite(F.relu(self.squeeze(x.mean(dim=(2, 3))))))
        return x * weights[:, :, None, None]


class _Level(nn.Sequential):
    """Two 3x3 convolutions with batch normalisation and ReLU, then squeeze and excitation."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
            SqueezeExcitation(outputs),
        )


def _stem(inputs: int, channels: int) -> nn.Sequential:
    """A perceptron of two layers on each pixel's bands."""
    return nn.Sequential(
        nn.Conv2d(inputs, channels, 1, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(inplace=True),
        nn.Conv2d(channels, channels // 2, 1, bias=False),
        nn.BatchNorm2d(channels // 2),
        nn.ReLU(inplace=True),
    )


class SEUNet(nn.Module):
    """The network: standardised reflectance in, one logit a class and pixel out."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        widths = [config.width * 2**level for level in range(LEVELS + 1)]
        inputs = config.bands * (1 + len(config.contrast_windows))
        self.stem = _stem(inputs, config.stem) if config.stem else None
        inputs += config.stem // 2
        self.encoder = nn.ModuleList(
            _Level(before, after) for before, after in zip([inputs, *widths[:-2]], widths[:-1], strict=True)
        )
        self.bottleneck = _Level(widths[-2], widths[-1])
        self.dropout = nn.Dropout2d(config.dropout)
        deep_to_shallow = list(reversed(widths))
        self.upsample = nn.ModuleList(
            nn.ConvTranspose2d(below, here, 2, stride=2)
            for below, here in zip(deep_to_shallow[:-1], deep_to_shallow[1:], strict=True)
        )
        self.decoder = nn.ModuleList(_Level(2 * here, here) for here in deep_to_shallow[1:])
        last, hidden = config.width + config.stem // 2, config.head or config.width // 2
        self.head = nn.Sequential(
            nn.Conv2d(last, hidden, 3, padding=1, bias=False),
            nn.BatchNorm2d(hidden),
            nn.ReLU(inplace=True),
            nn.Conv2d(hidden, config.classes, 1),
        )
        self.shortcut = nn.Conv2d(last, config.classes, 1, bias=False) if config.head else None

    def forward(self, x: Tensor) -> Tensor:
        """Logits of shape (batch, classes, height, width) for `x` of shape (batch, bands, height, width).

        Raises:
            ValueError: height or width is no multiple of 16; the message gives the size to pad to.
        """
        height, width = x.shape[-2:]
        if height % DIVISOR or width % DIVISOR:
            padded = tuple(-(-side // DIVISOR) * DIVISOR for side in (height, width))
            raise ValueError(f"input is {height} x {width} pixels; pad it to {padded[0]} x {padded[1]}")
        x = self._with_contrast(x)
        if self.config.stretch:
            x = _asinh(self.config.stretch * x)
        pixel = self.stem(x) if self.stem is not None else None
        if pixel is not None:
            x = torch.cat([x, pixel], dim=1)
        skips = []
        for level in self.encoder:
            x = level(x)
            skips.append(x)
            x = F.max_pool2d(x, 2)
        x = self.dropout(self.bottleneck(x))
        for upsample, level, skip in zip(self.upsample, self.decoder, reversed(skips), strict=True):
            x = level(torch.cat([upsample(x), skip], dim=1))
        if pixel is not None:
            x = torch.cat([x, pixel], dim=1)
        logits: Tensor = self.head(x)
        return logits if self.shortcut is None else logits + self.shortcut(x)

    def _with_contrast(self, x: Tensor) -> Tensor:
        """`x` and, for each contrast window, `x` minus its mean in that window (borders: of what is inside)."""
        parts = [x]
        for window in self.config.contrast_windows:
            parts.append(x - _local_mean(x, window))
        return torch.cat(parts, dim=1) if len(parts) > 1 else x


def _asinh(x: Tensor) -> Tensor:
    """As torch.asinh to some 1e-7, in vectorised steps: on a CPU that is not vectorised, and a tenth of a training."""
    size = x.abs()
    return torch.copysign(torch.log(size + torch.sqrt(size * size + 1)), x)


def _local_mean(x: Tensor, window: int) -> Tensor:
    """Mean of what is inside the image in a square window; by rows and then by columns, which is much less work."""
    half = window // 2
    rows = F.avg_pool2d(x, (window, 1), stride=1, padding=(half, 0), count_include_pad=False)
    return F.avg_pool2d(rows, (1, window), stride=1, padding=(0, half), count_include_pad=False)


def count_parameters(network: nn.Module) -> int:
    """Number of trainable parameters."""
    return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)


def receptive_radius(config: NetworkConfig) -> int:
    """How far, in pixels, an input can reach into the output through the convolutions (not through the pooled SE).

    Each 3x3 convolution at level l adds 2**l, each pooling 2**l; transposed convolutions of stride 2 add nothing.
    """
    convolutions = 4 * (DIVISOR - 1) + 2 * DIVISOR + 1
    pooling = DIVISOR - 1
    contrast = max((window // 2 for window in config.contrast_windows), default=0)
    return convolutions + pooling + contrast
