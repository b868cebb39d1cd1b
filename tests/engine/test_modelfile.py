"""Model files come back as they were, and anything else is refused with a message that says why."""

from __future__ import annotations

import dataclasses
import json
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from toy_model import toy_card, toy_network

from engine.errors import ModelError
from engine.modelfile import CARD_KEY, ModelCard, ModelClass, load, read_card, save
from engine.network import NetworkConfig, SEUNet


def test_a_model_comes_back_as_it_was(toy_model: Path) -> None:
    network, card, digest = load(toy_model)
    assert card.bands == toy_card().bands
    assert card.classes == toy_card().classes
    assert card.network["width"] == 4
    assert len(digest) == 64
    x = torch.rand(1, 11, 32, 32)
    torch.testing.assert_close(network(x), _known(x), rtol=1e-4, atol=0.02)  # logits; BatchNorm's eps comes back


def _known(x: torch.Tensor) -> torch.Tensor:
    debris = 200 * (x[:, 7] - 0.1)
    return torch.stack([torch.zeros_like(debris), debris], dim=1)


def test_the_card_alone_is_read_without_the_weights(toy_model: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(toy_model.read_bytes()[:-1000])
    assert read_card(cut).name == "toy"
    with pytest.raises(ModelError, match="damaged or cut short"):
        load(cut)


def test_a_pickle_under_a_models_name_is_not_opened(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "executed",))

    path = tmp_path / "model.safetensors"
    path.write_bytes(pickle.dumps(Trap()))
    with pytest.raises(ModelError, match="not a model file"):
        load(path)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("content", [b"", b"abc", b"\xff" * 64, (4).to_bytes(8, "little") + b"nope" + b"0" * 40])
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(ModelError, match="not a model file"):
        load(path)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="There is no model file"):
        load(tmp_path / "none.safetensors")


def test_weights_without_a_card(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_file({"a": torch.zeros(2)}, path)
    with pytest.raises(ModelError, match="no marine-debris card"):
        load(path)


def _with_card(path: Path, net: SEUNet, /, **changes: object) -> Path:
    values = {**dataclasses.asdict(toy_card()), "network": dataclasses.asdict(net.config), **changes}
    save_file({k: v.contiguous() for k, v in net.state_dict().items()}, path, metadata={CARD_KEY: json.dumps(values)})
    return path


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format_version": 99}, "format version 99, this engine reads 1"),
        ({"network": {"bands": 11, "classes": 2, "width": 8}}, "the card's network"),
        ({"network": {"bands": 4, "classes": 2, "width": 4}}, "4 bands and 2 classes, the card names 11 and 2"),
        ({"network": {"width": 10**9}}, "cannot build"),
        ({"network": {"layers": 5}}, "cannot build"),
        ({"bands": ["B1", "X9"], "mean": [0, 0], "std": [1, 1]}, "X9"),
        ({"mean": [0.0]}, "must be as many"),
        ({"std": [0.0] * 11}, "not usable"),
        ({"threshold": 7}, "not in 0-1"),
        (
            {"classes": [{"name": "Water", "role": "clear"}, {"name": "Ship", "role": "clear"}]},
            "no class with the role debris",
        ),
        ({"classes": [{"name": "Water", "role": "wet"}]}, "the role 'wet'"),
        ({"surprise": 1}, "cannot be read"),
    ],
)
def test_cards_that_do_not_fit(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        load(_with_card(tmp_path / "m.safetensors", toy_network(), **changes))


def test_weights_that_are_no_numbers(tmp_path: Path) -> None:
    network = toy_network()
    with torch.no_grad():
        network.head[3].bias[0] = float("nan")
    save(tmp_path / "m.safetensors", network, toy_card())
    with pytest.raises(ModelError, match="NaN"):
        load(tmp_path / "m.safetensors")


def test_channels_by_role() -> None:
    classes = tuple(ModelClass(name=role, role=role) for role in ("clear", "debris", "floating", "clear"))
    card = dataclasses.replace(toy_card(), classes=classes)
    assert (card.channels("debris"), card.channels("floating"), card.channels("clear")) == ((1,), (2,), (0, 3))
    assert isinstance(card, ModelCard)


def test_network_config_limits() -> None:
    with pytest.raises(ValueError, match="width"):
        NetworkConfig(width=1)
    with pytest.raises(ValueError, match="contrast_windows"):
        NetworkConfig(contrast_windows=(4,))
    with pytest.raises(ValueError, match="head"):
        NetworkConfig(head=1000)
