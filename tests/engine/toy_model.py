"""A model whose answer is known: a real SE-U-Net file whose weights make it compare one band with a number.

The probability of debris is sigmoid(steepness x (B8 - threshold)) pixel by pixel, so every result of a detection can be
worked out by hand. Run as a script, it writes the file: `python toy_model.py PATH`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from engine.bands import MARIDA_ORDER
from engine.modelfile import ModelCard, ModelClass, save
from engine.network import NetworkConfig, SEUNet

THRESHOLD = 0.1
STEEPNESS = 200.0
ALWAYS_OPEN = 30.0  # sigmoid(30) is 1 in float32: squeeze and excitation lets everything through


def toy_network(bands: int = 11, channel: int = 7) -> SEUNet:
    """A width-4 network that carries one band through its first level to the head, as two ReLUs of opposite sign."""
    network = SEUNet(NetworkConfig(bands=bands, classes=2, width=4, dropout=0.0))
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eps = 0.0
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.weight.fill_(1.0)
        first, last = network.encoder[0], network.decoder[-1]
        first[0].weight[0, channel, 1, 1], first[0].weight[1, channel, 1, 1] = 1.0, -1.0
        # The last decoder level sees the upsampled features first, then the skip connection from the first level.
        for out in (0, 1):
            first[3].weight[out, out, 1, 1] = 1.0
            last[0].weight[out, 4 + out, 1, 1] = 1.0
            last[3].weight[out, out, 1, 1] = 1.0
            network.head[0].weight[out, out, 1, 1] = 1.0
        for level in (first, last):
            level[6].excite.bias.fill_(ALWAYS_OPEN)
        network.head[3].weight[1, 0], network.head[3].weight[1, 1] = STEEPNESS, -STEEPNESS
        network.head[3].bias[1] = -STEEPNESS * THRESHOLD
    return network.eval()


def toy_card(bands: tuple[str, ...] = MARIDA_ORDER) -> ModelCard:
    """A card whose normalisation changes nothing."""
    return ModelCard(
        name="toy",
        bands=bands,
        mean=(0.0,) * len(bands),
        std=(1.0,) * len(bands),
        classes=(ModelClass(name="Water", role="clear"), ModelClass(name="Debris", role="debris", marida=(1,))),
        threshold=0.5,
        network={},
    )


def write_toy_model(path: Path) -> Path:
    """Write the toy model's file."""
    save(path, toy_network(), toy_card())
    return path


if __name__ == "__main__":
    write_toy_model(Path(sys.argv[1]))
