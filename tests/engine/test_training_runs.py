"""Trainings that stop, go on, are cancelled, are killed, or go wrong: what is left, and what is said."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from training_data import marida_folder

from engine import modelfile
from engine.errors import Cancelled, DataError, OutputError, ResumeError, StopAsked, TrainingError
from engine.jobs import TrainRequest
from engine.training import train
from engine.training.run_folder import RunFolder, disk_guard

ROOT = Path(__file__).parents[2]
SMALL = {"source": "marida", "width": 4, "epochs": 4, "batch_size": 2, "tile_size": 32, "warmup_epochs": 1,
         "learning_rate": 3e-3, "device": "cpu", "precision": "float32"}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return marida_folder(tmp_path_factory.mktemp("marida"))


def request(folder: Path, place: Path, **values) -> TrainRequest:
    return TrainRequest(**{**SMALL, "folder": str(folder), "model": str(place / "m.safetensors"), **values})


def log_of(place: Path) -> list[dict[str, str]]:
    with (place / "m.training" / "log.csv").open() as stream:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(stream)]


class After:
    """A monitor that raises once the message of an epoch has come."""

    def __init__(self, epoch: int, error: type[Exception]) -> None:
        self.wanted, self.error, self.raised = f"Epoch {epoch} of", error, False

    def __call__(self, _: float, message: str) -> None:
        if message.startswith(self.wanted) and not self.raised:
            self.raised = True
            raise self.error("asked")


def test_a_training_that_was_cancelled_and_resumed_has_the_same_curve(folder: Path, tmp_path: Path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    whole.mkdir()
    parts.mkdir()
    train(request(folder, whole))
    with pytest.raises(Cancelled):
        train(request(folder, parts), After(3, Cancelled))
    assert not (parts / "m.safetensors").exists()
    assert len(log_of(parts)) == 2
    assert modelfile.read_card(parts / "m.training" / "best.safetensors").threshold >= 0
    result = train(request(folder, parts, resume=True))
    assert result.epochs == 4
    assert log_of(parts) == log_of(whole)
    first, second = (modelfile.load(place / "m.safetensors")[0].state_dict() for place in (whole, parts))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_stop_keeps_the_best_so_far(folder: Path, tmp_path: Path):
    result = train(request(folder, tmp_path, epochs=50), After(3, StopAsked))
    assert (result.stopped, result.epochs) == (True, 2)
    assert modelfile.read_card(tmp_path / "m.safetensors").training["epochs_done"] == 2


@pytest.mark.parametrize("asked", ["Fitting the temperature", "Choosing the threshold"])
def test_a_stop_after_the_last_epoch_keeps_the_model_too(folder: Path, tmp_path: Path, asked: str):
    said: list[str] = []

    def monitor(_: float, message: str) -> None:
        said.append(message)
        if message == asked and said.count(asked) == 1:
            raise StopAsked("asked")

    result = train(request(folder, tmp_path, epochs=1), monitor)
    assert asked in said
    assert result.epochs == modelfile.read_card(tmp_path / "m.safetensors").training["epochs_done"] == 1


def test_a_file_named_stop_stops_it_too(folder: Path, tmp_path: Path):
    def monitor(_: float, message: str) -> None:
        if message.startswith("Epoch 2 of"):
            (tmp_path / "m.training" / "stop").touch()

    assert train(request(folder, tmp_path, epochs=50), monitor).stopped
    assert not (tmp_path / "m.training" / "stop").exists()


def test_stopped_before_the_first_epoch_there_is_nothing_to_keep(folder: Path, tmp_path: Path):
    with pytest.raises(TrainingError, match="before its first epoch"):
        train(request(folder, tmp_path), After(1, StopAsked))
    assert not list(tmp_path.iterdir())


def test_early_stopping_waits_for_patience(folder: Path, tmp_path: Path):
    result = train(request(folder, tmp_path, epochs=60, patience=2, learning_rate=1e-8))
    rows = log_of(tmp_path)
    best = max(int(row["epoch"]) for row in rows if row["best"] == "1")
    assert result.epochs == best + 2 < 60
    assert not result.stopped


def test_a_loss_that_is_no_number_is_explained(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("engine.training.session.Session._loss", lambda self, logits, *_: logits.sum() * float("nan"))
    with pytest.raises(TrainingError, match="loss became nan in epoch 1.*lower the learning rate"):
        train(request(folder, tmp_path))


@pytest.mark.parametrize(
    ("change", "named"),
    [({"width": 8}, r"\(network, width: it has 4, asked for is 8\)"), ({"learning_rate": 1e-3}, "learning_rate: ")],
)
def test_another_training_cannot_be_gone_on_with(folder: Path, tmp_path: Path, change: dict, named: str):
    train(request(folder, tmp_path, epochs=1))
    with pytest.raises(ResumeError, match=f"another one.*{named}"):
        train(request(folder, tmp_path, epochs=1, resume=True, **change))


def test_nothing_to_go_on_with(folder: Path, tmp_path: Path):
    with pytest.raises(ResumeError, match="no training to go on with"):
        train(request(folder, tmp_path, resume=True))
    (tmp_path / "m.training").mkdir()
    (tmp_path / "m.training" / "state.safetensors").write_bytes(b"x" * 100)
    with pytest.raises(ResumeError, match="damaged"):
        train(request(folder, tmp_path, resume=True))


KEPT = ("best.safetensors", "log.csv", "plan.json", "notes.txt", "previews/1.png")


@pytest.mark.parametrize(("folder_is_there", "resume", "error"), [(False, False, DataError), (True, True, ResumeError)])
def test_a_training_that_fails_before_it_begins_leaves_what_was_in_its_folder(
    folder: Path, tmp_path: Path, folder_is_there: bool, resume: bool, error: type[Exception]
):
    place = tmp_path / "m.training"
    (place / "previews").mkdir(parents=True)
    for name in KEPT:
        (place / name).write_text("mine")
    with pytest.raises(error):
        train(request(folder if folder_is_there else tmp_path / "nowhere", tmp_path, resume=resume))
    assert sorted(path.name for path in place.rglob("*") if path.is_file()) == sorted(Path(n).name for n in KEPT)


def test_of_a_folder_that_was_there_only_what_the_training_put_into_it_goes(folder: Path, tmp_path: Path):
    place = tmp_path / "m.training"
    place.mkdir()
    (place / "notes.txt").write_text("mine")
    with pytest.raises(Cancelled):
        train(request(folder, tmp_path), After(1, Cancelled))
    assert [path.name for path in place.iterdir()] == ["notes.txt"]


def test_a_killed_training_loses_one_epoch_at_most(folder: Path, tmp_path: Path):
    arguments = {
        **SMALL,
        "epochs": 400,
        "patience": 400,
        "folder": str(folder),
        "model": str(tmp_path / "m.safetensors"),
    }
    options = [part for name, value in arguments.items() for part in (f"--{name.replace('_', '-')}", str(value))]
    process = subprocess.Popen([sys.executable, "-m", "engine", "train", *options], cwd=ROOT, stderr=subprocess.DEVNULL)
    log = tmp_path / "m.training" / "log.csv"
    deadline = time.monotonic() + 120
    while not (log.exists() and len(log.read_text().splitlines()) > 3) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    lines = len(log.read_text().splitlines()) - 1
    _, values = RunFolder(tmp_path / "m.training").load_state()
    assert lines - 1 <= values["epoch"] <= lines
    assert not (tmp_path / "m.safetensors").exists()
    with pytest.raises(Cancelled):
        # One more epoch shows that it goes on.
        train(TrainRequest(**arguments, resume=True), After(values["epoch"] + 2, Cancelled))
    assert len(log_of(tmp_path)) >= values["epoch"] + 1


def test_a_full_disk_is_said_with_its_place(tmp_path: Path):
    def write(path: Path) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OutputError, match=r"disk is full.*Make room"):
        RunFolder(tmp_path / "run").write("state.json", write)
    assert [entry.name for entry in (tmp_path / "run").iterdir()] == ["previews"]
    with pytest.raises(OutputError, match="cannot be written"), disk_guard(tmp_path):
        raise PermissionError(13, "Permission denied")


@pytest.mark.skipif(os.geteuid() != 0 or sys.platform != "linux", reason="mounting a tmpfs takes Linux and root")
def test_training_on_a_disk_that_fills_up(folder: Path, tmp_path: Path):
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(place)], check=False)
    if mounted.returncode:
        pytest.skip("a tmpfs cannot be mounted here")
    try:
        with pytest.raises(OutputError, match="disk is full"):
            train(request(folder, place))
        assert not (place / "m.safetensors").exists()
    finally:
        subprocess.run(["umount", str(place)], check=True)


def test_what_is_left_says_how_it_went(folder: Path, tmp_path: Path):
    report, log = tmp_path / "report.html", tmp_path / "log.csv"
    result = train(request(folder, tmp_path, epochs=2, report=str(report), log_csv=str(log)))
    page = report.read_text()
    assert page.count("<svg") == 5
    assert "data:image/png;base64," in page
    assert "Marine Debris" in page
    assert log.read_text().splitlines()[0].startswith("epoch,train_loss,validation_loss,f1,iou")
    plan = json.loads((tmp_path / "m.training" / "plan.json").read_text())
    assert set(plan["training"]["scenes"]).isdisjoint(plan["validation"]["scenes"])
    assert len(list((tmp_path / "m.training" / "previews").glob("*.png"))) % 3 == 0
    card = modelfile.read_card(tmp_path / "m.safetensors")
    assert card.metrics["debris"]["f1"] == pytest.approx(result.best_f1, abs=1e-3)
    assert len(card.training["fingerprint"]) == 64
    assert np.array(card.metrics["precision_recall"]).shape[1] == 3
    assert str(folder) not in json.dumps(card.training)


@pytest.mark.skipif(not torch.distributed.is_available(), reason="torch was built without distributed")
def test_two_processes_have_the_loss_of_one(folder: Path, tmp_path: Path):
    losses = {}
    for count in (1, 2):
        place = tmp_path / str(count)
        place.mkdir()
        values = {**SMALL, "epochs": 1, "batch_size": 4, "folder": str(folder), "model": str(place / "m.safetensors")}
        options = [part for name, value in values.items() for part in (f"--{name.replace('_', '-')}", str(value))]
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={count}"]
        subprocess.run(
            [*command, "-m", "engine", "train", *options, "--threads", "1"], cwd=ROOT, check=True, capture_output=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"}, timeout=240,
        )  # fmt: skip
        losses[count] = float(log_of(place)[0]["train_loss"])
    assert losses[2] == pytest.approx(losses[1], abs=1e-4)


@pytest.mark.slow
def test_eight_patches_are_learnt_by_heart(marida: Path, tmp_path: Path):
    from engine.bands import MARIDA_ORDER
    from engine.marida import patch_names, read_patch

    counts = []
    for name in patch_names(marida):
        patch = read_patch(marida, name, MARIDA_ORDER)
        if patch is not None and (patch.classes > 1).sum() > 100:
            counts.append((int((patch.classes == 1).sum()), name))
    names = tmp_path / "eight.txt"
    names.write_text("\n".join(name for _, name in sorted(counts)[-8:]))
    result = train(
        TrainRequest(
            source="marida",
            folder=str(marida),
            train_split=str(names),
            validation_split=str(names),
            width=16,
            epochs=60,
            patience=12,
            batch_size=8,
            learning_rate=3e-3,
            warmup_epochs=3,
            jitter=0.0,
            dropout=0.0,
            model=str(tmp_path / "m.safetensors"),
            device="cpu",
        )  # fmt: skip
    )
    assert result.best_f1 > 0.95
