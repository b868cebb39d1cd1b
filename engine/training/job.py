"""The job that trains a model: `train` is the whole of it, from the request to the model file."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import torch

from engine import modelfile
from engine.bands import MARIDA_ORDER
from engine.devices import choose_device, memory_guard
from engine.ensemble import Network
from engine.errors import StopAsked, TrainingError
from engine.modelfile import ModelCard
from engine.monitor import Monitor, Share, silent
from engine.network import count_parameters
from engine.outputs import Staging
from engine.training.card import card_of
from engine.training.distributed import Processes, processes
from engine.training.going_on import go_on, state_of
from engine.training.previews import choose_tiles, write_previews
from engine.training.report import report_page
from engine.training.run_folder import RunFolder, disk_guard
from engine.training.session import Session
from engine.training.sources import gather
from engine.training.validation import Validation, fit_temperature
from engine.training_jobs import TrainRequest, TrainResult

__all__ = ["train"]

log = logging.getLogger(__name__)


def train(request: TrainRequest, monitor: Monitor = silent) -> TrainResult:
    """Train and write the best model by validation F1, with all that is known of it on its card.

    What comes of each epoch is kept in the run folder, so that a training that was cancelled, killed or stopped can go
    on from its last whole epoch.

    Raises:
        RequestError, DeviceError, ModelError: the request cannot be met.
        DataError: the data cannot be trained on.
        ResumeError: there is no such training to go on with.
        TrainingError: the loss became no number, or it was stopped before the first epoch ended.
        MemoryExhausted: with the batch size to try.
        OutputError: the disk is full.
        Cancelled: by the monitor; the run folder is kept.
    """
    started = time.monotonic()
    if request.threads:
        torch.set_num_threads(request.threads)
    device, reason = choose_device(request.device)
    start = modelfile.load(Path(request.start_from)) if request.start_from else None
    bands = start[1].bands if start else MARIDA_ORDER
    half = max(1, request.batch_size // 2)
    with processes(device) as team, Staging(request.job_id) as staging, _Outputs(request, staging, team) as outputs:
        with memory_guard(f"Try a batch size of {half} (now {request.batch_size}), or a smaller width."):
            data = gather(request, bands, Share(monitor, 0.0, 0.06))
            session = Session(request, data, device, team, start)
            log.info("Training %d parameters on %s.", count_parameters(session.network), reason)
            session.prepare(Share(monitor, 0.06, 0.1))
            run = _Run(request, session, outputs.folder, team)
            stopped = run.go(Share(monitor, 0.1, 0.97))
            network, card, final = _finish(session, run.plan, Share(monitor, 0.97, 1.0))
        outputs.write(network, card, final, run)
        if team.first:
            staging.publish()
    best = final.debris.at(card.threshold)
    return TrainResult(
        model=request.model,
        report=request.report,
        log_csv=request.log_csv,
        run_folder=str(outputs.folder.path) if outputs.folder else "",
        best_f1=best.f1,
        best_iou=best.iou,
        precision=best.precision,
        recall=best.recall,
        ece=final.debris.calibration_error(),
        temperature=card.temperature,
        threshold=card.threshold,
        epochs=session.progress.epoch,
        stopped=stopped,
        seconds=round(time.monotonic() - started, 1),
    )


class _Outputs:
    """The files a training writes at its end, and the folder it keeps meanwhile; nothing but in the first process.

    They are asked for first: a place that cannot be written to should be known before hours have passed.
    """

    def __init__(self, request: TrainRequest, staging: Staging, team: Processes) -> None:
        self.request = request
        self.folder: RunFolder | None = None
        self.staged: dict[str, Path] = {}
        if not team.first:
            return
        staging.reads(*request.rasters, *request.labels)
        for name in ("model", "report", "log_csv"):
            if getattr(request, name):
                self.staged[name] = staging.add(getattr(request, name))
        model = Path(request.model).absolute()
        self.folder = RunFolder(Path(request.run_folder or model.with_name(f"{model.stem}.training")))

    def __enter__(self) -> _Outputs:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Without a whole epoch of this training its folder is of no use to anybody.
        if error is not None and self.folder and not self.folder.state.exists():
            self.folder.remove()

    def write(self, network: Network, card: ModelCard, final: Validation, run: _Run) -> None:
        """Write them, still under their staged names."""
        if self.folder is None:
            return
        with disk_guard(Path(self.request.model).parent):
            modelfile.save(self.staged["model"], network, card)
            if "log_csv" in self.staged:
                shutil.copyfile(self.folder.log, self.staged["log_csv"])
            if "report" in self.staged:
                page = report_page(card, run.plan, run.session.progress.rows, final, self.folder.path / "previews")
                self.staged["report"].write_text(page, encoding="utf-8")


class _Run:
    """The epochs of one training, and what is kept of each."""

    def __init__(self, request: TrainRequest, session: Session, folder: RunFolder | None, team: Processes) -> None:
        self.request, self.session, self.folder, self.team = request, session, folder, team
        self.plan: dict[str, Any] = {
            "source": request.source,
            **session.data.plan,
            "class_weights": [round(float(w), 5) for w in session.class_weights],
            "classes": [entry.name for entry in session.classes],
            "epochs": request.epochs,
            "device": str(session.device),
            "parameters": count_parameters(session.network),
        }
        if request.resume:
            state = folder.load_state() if folder else None
            go_on(session, *team.agree(state))
            log.info("Going on after epoch %d of %d.", session.progress.epoch, request.epochs)
        elif folder:
            folder.clear()
        if folder:
            folder.write_json("plan.json", self.plan)
            self.shown = choose_tiles(session.data.validation, session.data.positive)

    def go(self, monitor: Monitor) -> bool:
        """Epochs, until the last, or until validation has not become better for `patience` of them, or a person stops.

        Returns:
            Whether a person stopped it.
        """
        progress, request = self.session.progress, self.request
        try:
            while progress.epoch < request.epochs and not self._settled():
                first = progress.epoch / request.epochs
                self._epoch(Share(monitor, first, first + 1 / request.epochs))
                if progress.right == 1:
                    log.info("All labelled places come out right: nothing more is to be learnt from them.")
                elif self._settled():
                    log.info("No better validation F1 for %d epochs: stopped early.", request.patience)
        except StopAsked:
            if not self.session.best:
                raise TrainingError(
                    "The training was stopped before its first epoch had ended, so there is no model to keep."
                ) from None
            log.info("Stopped; the model of epoch %d is kept, the best so far.", progress.best_epoch)
            return True
        return False

    def _settled(self) -> bool:
        progress = self.session.progress
        waited = progress.epoch - progress.best_epoch
        return progress.right == 1 or (bool(progress.best_epoch) and waited >= self.request.patience)

    def _epoch(self, monitor: Monitor) -> None:
        session, progress = self.session, self.session.progress
        began = time.monotonic()
        watched = self._watched(monitor)
        loss = session.epoch(Share(watched, 0.0, 0.85))
        row: dict[str, Any] = {}
        if self.team.first:
            validation = session.validate(lambda done: watched(0.85 + 0.15 * done, "Validating"))
            row = self._row(loss, validation, time.monotonic() - began)
        row = self.team.agree(row)
        progress.epoch += 1
        if row["best"]:
            progress.best_f1, progress.best_epoch = row["f1"], progress.epoch
            session.keep_best()
        progress.right = max(progress.right, row.get("right", -1.0))
        progress.rows.append(row)
        log.info(
            "Epoch %d: loss %.4f, validation loss %.4f, F1 %.3f, IoU %.3f, %.0f s", row["epoch"], row["train_loss"],
            row["validation_loss"], row["f1"], row["iou"], row["seconds"],
        )  # fmt: skip
        if self.folder:
            self._keep(self.folder, validation)
        if session.device.type == "mps":
            torch.mps.empty_cache()

    def _watched(self, monitor: Monitor) -> Monitor:
        """The monitor, and a look for the file that asks for a stop."""

        def look(fraction: float, message: str) -> None:
            monitor(fraction, message)
            if self.folder and self.folder.stop_asked():
                raise StopAsked("The training was asked to stop.")

        return look

    def _row(self, loss: float, validation: Validation, seconds: float) -> dict[str, Any]:
        scores, progress = validation.debris.best(), self.session.progress
        # With a handful of labels scores are of practice scenes: what counts is how many places hold.
        right = self.session.right()
        best = scores.f1 > progress.best_f1
        if right is not None:
            log.info("%d of %d labelled places come out right.", *right)
            best = right[0] / max(right[1], 1) > progress.right
        return {
            "epoch": progress.epoch + 1,
            "train_loss": round(loss, 6),
            "validation_loss": round(validation.loss, 6),
            "f1": round(scores.f1, 5),
            "iou": round(scores.iou, 5),
            "precision": round(scores.precision, 5),
            "recall": round(scores.recall, 5),
            "learning_rate": float(f"{self.session.rate:.6g}"),
            "seconds": round(seconds, 2),
            "best": int(best),
            **({} if right is None else {"right": right[0] / max(right[1], 1)}),
        }

    def _keep(self, folder: RunFolder, validation: Validation) -> None:
        """Write what this epoch came to: best model, pictures, log, and last the state, which makes it whole."""
        session = self.session
        thresholds = validation.debris.best().threshold, validation.floating.best().threshold
        if session.progress.rows[-1]["best"]:
            card = card_of(session, validation, 1.0, self.plan)
            folder.write("best.safetensors", lambda path: modelfile.save(path, session.average.network, card))
        tiles = [session.data.validation.tile(index) for index in self.shown]
        masks = [session.mask(tile.reflectance, tile.observed, *thresholds) for tile in tiles]
        roles = np.zeros(256, dtype=np.uint8)
        roles[1:17], roles[list(session.data.floating)], roles[list(session.data.positive)] = 3, 2, 1
        write_previews(folder, tiles, masks, session.data.bands, roles)
        folder.write_log(session.progress.rows)
        folder.save_state(*state_of(session))


def _finish(session: Session, plan: Mapping[str, Any], monitor: Monitor) -> tuple[Network, ModelCard, Validation]:
    """The best network, with temperature and thresholds from the validation tiles."""
    if not session.best:
        raise TrainingError("Training ended before its first epoch did.")
    network = session.average.network
    network.load_state_dict(session.best)
    monitor = _ending(monitor)
    first = session.validate(lambda done: monitor(0.5 * done, "Fitting the temperature"))
    kept = session.kept_calibration()
    temperature = kept.temperature if kept else fit_temperature(first.logits, first.target, first.weight)
    final = session.validate(lambda done: monitor(0.5 + 0.5 * done, "Choosing the threshold"), temperature)
    return network, card_of(session, final, temperature, plan), final


def _ending(monitor: Monitor) -> Monitor:
    """A monitor for what follows the epochs: a stop that comes then asks for what is being done anyway."""

    def go_on(fraction: float, message: str) -> None:
        with suppress(StopAsked):
            monitor(fraction, message)

    return go_on
