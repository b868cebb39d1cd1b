"""The card of a model: what it was trained on, and what it scores where it was not trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from engine.modelfile import ModelCard
from engine.training.session import Session
from engine.training.validation import Validation

__all__ = ["card_of"]


def card_of(session: Session, validation: Validation, temperature: float, plan: Mapping[str, Any]) -> ModelCard:
    """The card of the averaged weights as they are, with the thresholds that a validation gives."""
    kept = session.kept_calibration()
    threshold = kept.threshold if kept else round(validation.debris.best().threshold, 4)
    floating = kept.floating_threshold if kept else round(validation.floating.best().threshold, 4)
    return ModelCard(
        name=session.request.name,
        bands=session.data.bands,
        mean=tuple(round(float(v), 6) for v in session.mean),
        std=tuple(round(float(v), 6) for v in session.std),
        classes=session.classes,
        threshold=threshold,
        floating_threshold=floating,
        temperature=temperature,
        network=asdict(session.average.network.config),
        training=_training(session, plan),
        metrics=_metrics(session, validation, threshold, floating),
    )


def _training(session: Session, plan: Mapping[str, Any]) -> dict[str, Any]:
    """What the model was trained on, without the places of anybody's files."""
    places = (
        "model", "job_id", "device", "threads", "textures", "start_from", "folder", "rasters", "labels", "run_folder",
        "report", "log_csv", "train_split", "validation_split", "texture_split", "label_layer", "resume",
    )  # fmt: skip
    request = {name: value for name, value in asdict(session.request).items() if name not in places}
    return {
        "data": session.data.text,
        "fingerprint": session.data.fingerprint,
        "plan": {part: plan[part] for part in ("training", "validation")},
        "class_weights": plan["class_weights"],
        "started_from": session.start.name if session.start is not None else None,
        "epochs_done": session.progress.epoch,
        "best_epoch": session.progress.best_epoch,
        "curves": session.progress.rows,
        **request,
    }


def _metrics(session: Session, validation: Validation, at: float, floating_at: float) -> dict[str, Any]:
    debris, floating = validation.debris.at(at), validation.floating.at(floating_at)
    thresholds, precision, recall = validation.debris.curve()
    steps = slice(0, None, max(1, len(thresholds) // 50))
    what = (
        "practice tiles of signature scenes that were not trained on, pixels weighted as MARIDA's labels"
        if session.data.practice
        else "validation labels: other scenes, or other blocks of the scene, than those trained on"
    )
    return {
        "data": what,
        "debris": {**_scores(debris), "ece": round(validation.debris.calibration_error(), 5)},
        "floating": _scores(floating),
        "flagged_share_by_class": {str(number): round(share, 5) for number, share in validation.flagged.items()},
        "precision_recall": [
            [round(float(v), 4) for v in point]
            for point in zip(thresholds[steps], precision[steps], recall[steps], strict=True)
        ],
    }


def _scores(scores: Any) -> dict[str, float]:
    return {name: round(getattr(scores, name), 4) for name in ("f1", "precision", "recall", "iou")}
