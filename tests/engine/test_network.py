"""SE-U-Net is the network of the specification."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from engine.network import NetworkConfig, SEUNet, SqueezeExcitation, count_parameters, receptive_radius
from engine.training.start import network_for
from engine.training_jobs import TrainRequest


def test_width_64_has_31_28_million_parameters() -> None:
    said = f"{count_parameters(SEUNet(NetworkConfig(width=64))) / 1e6:.2f} M"
    print(f"Width 64: {said} parameters")  # noqa: T201 - seen with -s, and where it fails
    assert said == "31.28 M"


@pytest.mark.parametrize(("plain", "said"), [(True, "31.28 M"), (False, "31.32 M")])
def test_a_training_of_width_64_has_that_network(plain: bool, said: str) -> None:
    network = network_for(TrainRequest(model="m.safetensors", width=64, plain=plain), 11, 2, None)
    assert f"{count_parameters(network) / 1e6:.2f} M" == said


def test_squeeze_and_excitation_at_every_level() -> None:
    network = SEUNet(NetworkConfig(width=8))
    levels = [*network.encoder, network.bottleneck, *network.decoder]
    assert len(levels) == 9
    assert all(any(isinstance(part, SqueezeExcitation) for part in level) for level in levels)


def test_squeeze_and_excitation_scales_channels() -> None:
    block = SqueezeExcitation(8)
    x = torch.randn(2, 8, 5, 5)
    ratio = block(x) / x
    torch.testing.assert_close(ratio, ratio[:, :, :1, :1].expand_as(ratio), rtol=1e-4, atol=1e-5)
    assert bool(((ratio > 0) & (ratio < 1)).all())


@pytest.mark.parametrize(
    "extras",
    [
        {},
        {"contrast_windows": (3, 31)},
        {"contrast_windows": (5, 15), "stretch": 8.0, "stem": 48},
        {"stem": 48, "head": 32},
    ],
)
def test_output_shape_and_gradients(extras: dict[str, Any]) -> None:
    torch.manual_seed(0)
    network = SEUNet(NetworkConfig(bands=11, classes=5, width=16, **extras))
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, SqueezeExcitation):
                module.squeeze.bias.fill_(1.0)  # with four units, all can be silent behind the ReLU by chance
    logits = network(torch.randn(4, 11, 48, 32))
    assert logits.shape == (4, 5, 48, 32)
    logits.square().mean().backward()
    without = [name for name, p in network.named_parameters() if p.grad is None or not bool(p.grad.any())]
    assert without == []


def test_a_rare_class_still_learns_when_the_last_layer_is_silent_on_its_pixels() -> None:
    torch.manual_seed(0)
    network = SEUNet(NetworkConfig(bands=2, classes=3, width=8, stem=8, head=16))
    with torch.no_grad():
        network.head[1].weight.zero_()
        network.head[1].bias.fill_(-1.0)
    network(torch.randn(2, 2, 16, 16))[:, 1].mean().backward()
    assert not network.head[0].weight.grad.any()
    assert network.stem is not None
    assert network.stem[0].weight.grad.any()


def test_a_size_that_does_not_fit_names_the_one_to_pad_to() -> None:
    with pytest.raises(ValueError, match="pad it to 32 x 48"):
        SEUNet(NetworkConfig(width=4))(torch.zeros(1, 11, 20, 33))


def test_receptive_radius_is_measured() -> None:
    """A change of one pixel reaches as far as the radius says and no farther, once the pooled SE is held still."""
    torch.manual_seed(0)
    config = NetworkConfig(bands=1, classes=2, width=4, dropout=0.0)
    network = SEUNet(config).eval().double()
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, SqueezeExcitation):
                module.squeeze.weight.zero_()
    size, middle = 320, 160
    x = torch.randn(1, 1, size, size, dtype=torch.float64)
    y = x.clone()
    y[..., middle, middle] += 100
    with torch.inference_mode():
        changed = (network(x) != network(y)).any(dim=1)[0].nonzero()
    reach = int((changed - middle).abs().max())
    assert reach <= receptive_radius(config)
    assert reach > receptive_radius(config) * 0.8
