"""A training goes on only as the same one: from the same model, with the same normalisation, painted on the same."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import pytest
from training_data import marida_folder

from engine import modelfile
from engine.errors import Cancelled, ResumeError
from engine.jobs import TrainRequest
from engine.training import train
from engine.training.sources import gather

SMALL = {"width": 4, "epochs": 2, "batch_size": 4, "training_samples": 8, "validation_samples": 4, "tile_size": 32,
         "warmup_epochs": 1, "learning_rate": 1e-3, "device": "cpu", "precision": "float32"}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return marida_folder(tmp_path_factory.mktemp("marida"))


def request(place: Path, **values) -> TrainRequest:
    return TrainRequest(**{**SMALL, "model": str(place / "m.safetensors"), **values})


def in_epoch_two(_: float, message: str) -> None:
    if message.startswith("Epoch 2 of"):
        raise Cancelled("asked")


def test_fine_tuning_goes_on_from_the_same_model_only(tmp_path: Path):
    first, other, moved = (tmp_path / f"{name}.safetensors" for name in ("first", "other", "moved"))
    train(TrainRequest(**{**SMALL, "epochs": 1, "model": str(first)}))
    network, card, _ = modelfile.load(first)
    modelfile.save(other, network, dataclasses.replace(card, mean=tuple(5 * mean for mean in card.mean)))
    shutil.copyfile(first, moved)
    with pytest.raises(Cancelled):
        train(request(tmp_path, start_from=str(first)), in_epoch_two)
    for start in (other, None):
        with pytest.raises(ResumeError, match="another one.*start_from: it has"):
            train(request(tmp_path, start_from=start and str(start), resume=True))
    train(request(tmp_path, start_from=str(moved), resume=True))
    assert modelfile.read_card(tmp_path / "m.safetensors").mean == pytest.approx(card.mean)


def test_normalisation_goes_on_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from engine.training import session

    with pytest.raises(Cancelled):
        train(request(tmp_path), in_epoch_two)
    before = modelfile.read_card(tmp_path / "m.training" / "best.safetensors")
    real = session.measure

    def elsewhere(*given):
        counts, mean, std = real(*given)
        return counts, 5 * mean, 5 * std

    monkeypatch.setattr(session, "measure", elsewhere)
    train(request(tmp_path, resume=True))
    after = modelfile.read_card(tmp_path / "m.safetensors")
    assert (after.mean, after.std) == (before.mean, before.std)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"texture_share": 0.25}, "texture_share: it has 0.5, asked for is 0.25"),
        ({"texture_split": "val_X"}, "texture_split: it has train_X, asked for is val_X"),
        ({"textures": None}, "textures: it has .*, asked for is None"),
    ],
)
def test_a_training_goes_on_painting_on_the_same_images(
    folder: Path, tmp_path: Path, painted: Path, change: dict, named: str
):
    shutil.copytree(painted, tmp_path / "m.training")
    values = {"textures": str(folder), "texture_split": "train_X", "texture_share": 0.5, **change}
    with pytest.raises(ResumeError, match=named):
        train(request(tmp_path, resume=True, **values))


@pytest.fixture(scope="module")
def painted(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("painted")
    with pytest.raises(Cancelled):
        train(request(place, textures=str(folder), texture_split="train_X", texture_share=0.5), in_epoch_two)
    return place / "m.training"


def test_a_card_tells_which_images_were_painted_on(folder: Path, tmp_path: Path):
    asked = [{}, {"texture_split": "train_X"}, {"texture_split": "val_X"}, {"texture_share": 0.75}]
    data = [gather(request(tmp_path, textures=str(folder), **values)) for values in asked]
    assert len({part.fingerprint for part in data}) == len(asked)
    assert "(list val_X)" in data[2].text
    assert str(folder) not in "".join(part.text for part in data)
    again = gather(request(tmp_path, textures=str(folder), texture_split=str(folder / "splits" / "val_X.txt")))
    assert again.fingerprint == data[2].fingerprint
