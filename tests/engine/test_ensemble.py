"""Several networks in one file: what they say is the mean of what each says, and all else is as with one."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from toy_model import toy_card
from training_data import marida_folder

from engine import modelfile
from engine.ensemble import Ensemble, join, parts_of
from engine.errors import ModelError
from engine.jobs import TrainRequest
from engine.modelfile import ModelClass
from engine.network import NetworkConfig, SEUNet
from engine.prediction import Predictor
from engine.training import train
from tools.join_models import join_files

CONFIG = NetworkConfig(width=4, classes=2, contrast_windows=(5,), stretch=8.0, stem=8, head=8)
CLASSES = (
    ModelClass(name="Water", role="clear", marida=tuple(range(2, 17))),
    ModelClass(name="Debris", role="debris", marida=(1,)),
)


def _model(path: Path, seed: int, **training: object) -> Path:
    """A network of random weights, with a normalisation and a temperature of its own."""
    torch.manual_seed(seed)
    network = SEUNet(CONFIG).eval()
    for name, tensor in network.state_dict().items():
        if name.endswith("running_var"):
            tensor.uniform_(0.5, 2)
    card = dataclasses.replace(
        toy_card(), mean=(0.02 + 0.003 * seed,) * 11, std=(0.05 + 0.01 * seed,) * 11, classes=CLASSES,
        temperature=1 + 0.3 * seed, training={"seed": seed, "held_out": "fold 1", "width": 4, **training},
    )  # fmt: skip
    modelfile.save(path, network, card)
    return path


@pytest.fixture
def models(tmp_path: Path) -> list[Path]:
    return [_model(tmp_path / f"{seed}.safetensors", seed) for seed in (1, 6, 11)]


@pytest.fixture
def image() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    observed = np.ones((1, 40, 52), dtype=bool)
    observed[:, 5:15, 20:30] = False
    return rng.random((1, 11, 40, 52), dtype=np.float32) * 0.2 * observed[:, None], observed


def test_what_it_says_is_the_mean_of_what_each_says(models: list[Path], image, tmp_path: Path):
    joined = tmp_path / "joined.safetensors"
    join_files(models, joined, "three")
    each = [Predictor(path, "cpu").predict(*image)[0] for path in models]
    found = Predictor(joined, "cpu").predict(*image)[0]
    assert np.nanmax(np.abs(each[0] - each[1])) > 0.02
    # Kernels are kept in half precision.
    np.testing.assert_allclose(found, np.mean(each, axis=0), atol=2e-3)
    network, cards = modelfile.load(joined)[0], [modelfile.load(path)[:2] for path in models]
    exact = join(cards)  # type: ignore[arg-type]
    with torch.no_grad():
        x = torch.rand(1, 11, 32, 32) - 0.5
        torch.testing.assert_close(network(x), exact(x), atol=2e-2, rtol=1e-2)
        assert torch.softmax(network(x), dim=1).sum(dim=1).allclose(torch.ones(1))


def test_its_file_is_half_as_large_and_says_what_it_is_of(models: list[Path], tmp_path: Path):
    joined = tmp_path / "joined.safetensors"
    card = join_files(models, joined, "three")
    network, read, _ = modelfile.load(joined)
    assert isinstance(network, Ensemble)
    assert len(parts_of(network)) == read.network["members"] == 3
    assert (read.name, read.training["seeds"], read.training["seed"]) == ("three", [1, 6, 11], 1)
    assert (read.temperature, read.threshold, read.training["width"]) == (1.0, 0.5, 4)
    assert card.training == read.training
    again = tmp_path / "again.safetensors"
    modelfile.save(again, network, read)
    assert again.read_bytes() == joined.read_bytes()
    assert sum(p.dtype == torch.float16 for p in network.parameters()) == 0


def test_models_that_do_not_go_together_are_not_joined(models: list[Path], tmp_path: Path):
    out = tmp_path / "out.safetensors"
    other = _model(tmp_path / "2.safetensors", 2, held_out="fold 2")
    with pytest.raises(ValueError, match="held out different images: fold 1; fold 2"):
        join_files([models[0], other], out)
    join_files(models, tmp_path / "joined.safetensors")
    with pytest.raises(ValueError, match="holds several networks already"):
        join_files([models[0], tmp_path / "joined.safetensors"], out)
    network, card, _ = modelfile.load(models[0])
    wider = dataclasses.replace(CONFIG, width=8)
    with pytest.raises(ValueError, match="differ in their network"):
        join([(network, card), (SEUNet(wider), card)])  # type: ignore[list-item]
    assert not out.exists()


def test_cards_ask_for_a_sensible_number_of_members(models: list[Path], tmp_path: Path):
    joined = tmp_path / "joined.safetensors"
    card = join_files(models, joined)
    with pytest.raises(ValueError, match="members is 10"):
        dataclasses.replace(CONFIG, members=10)
    with pytest.raises(ModelError, match=r"weights of another network"):
        modelfile.load(_with_members(joined, card, 2))


def _with_members(path: Path, card: modelfile.ModelCard, members: int) -> Path:
    """The file under a card that tells another number of members."""
    values = {**dataclasses.asdict(card), "network": {**card.network, "members": members}}
    other = path.with_name("other.safetensors")
    save_file(load_file(path), other, metadata={modelfile.CARD_KEY: json.dumps(values)})
    return other


def test_a_training_goes_on_from_all_of_them(models: list[Path], tmp_path: Path):
    joined, out = tmp_path / "joined.safetensors", tmp_path / "out.safetensors"
    join_files(models, joined)
    folder = marida_folder(tmp_path / "marida")
    small = {"width": 4, "epochs": 1, "batch_size": 2, "tile_size": 32, "warmup_epochs": 1, "device": "cpu",
             "precision": "float32", "source": "marida", "folder": str(folder)}  # fmt: skip
    train(TrainRequest(model=str(out), start_from=str(joined), **small))
    before, after = (modelfile.load(path)[0].state_dict() for path in (joined, out))
    assert modelfile.read_card(out).network["members"] == 3
    for number in range(3):
        name = f"members.{number}.encoder.0.0.weight"
        assert not torch.equal(before[name], after[name])
    assert torch.equal(before["gain"], after["gain"])


def test_each_learns_as_it_would_by_itself(models: list[Path], tmp_path: Path):
    alike = [_model(tmp_path / f"{seed}.safetensors", seed) for seed in (1, 6)]
    for path in alike:
        network, card, _ = modelfile.load(path)
        # Their input is the same to the last digit, and so is what they learn from.
        modelfile.save(path, network, dataclasses.replace(card, mean=(0.02,) * 11, std=(0.05,) * 11, temperature=1.0))
    joined = tmp_path / "joined.safetensors"
    ensemble = join([modelfile.load(path)[:2] for path in alike])  # type: ignore[misc]
    card = modelfile.load(alike[0])[1]
    modelfile.save(joined, ensemble, dataclasses.replace(card, network=dataclasses.asdict(ensemble.config)))
    # Kernels are kept in half precision, which is what each begins with.
    for member, path in zip(parts_of(modelfile.load(joined)[0]), alike, strict=True):
        modelfile.save(path, member, modelfile.load(path)[1])
    folder = str(marida_folder(tmp_path / "marida"))
    settings = {"epochs": 1, "batch_size": 2, "tile_size": 32, "warmup_epochs": 1, "device": "cpu", "dropout": 0.0,
                "precision": "float32", "source": "marida", "folder": folder}  # fmt: skip
    for path in (joined, *alike):
        train(TrainRequest(model=str(path.with_suffix(".out.safetensors")), start_from=str(path), **settings))
    together = parts_of(modelfile.load(joined.with_suffix(".out.safetensors"))[0])
    for member, path in zip(together, alike, strict=True):
        alone, before = (modelfile.load(each)[0] for each in (path.with_suffix(".out.safetensors"), path))
        moved = [name for name, value in alone.named_parameters() if not value.equal(before.get_parameter(name))]
        assert moved
        for name, value in alone.named_parameters():
            torch.testing.assert_close(member.get_parameter(name).half(), value.half(), rtol=2e-3, atol=2e-5)
