"""Requests and results of the jobs that learn: `inspect` and `train`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from engine.errors import RequestError
from engine.fields import DEVICES, PRECISIONS, check_crs, check_labels, check_positive, choice, option, within

__all__ = ["SOURCES", "InspectRequest", "InspectResult", "TrainRequest", "TrainResult"]

SOURCES = ("practice", "marida", "rasters")


@dataclass(frozen=True, kw_only=True)
class InspectRequest:
    """Say what a training would learn from, and how it would be split."""

    source: str = option("practice", text="practice (made scenes), marida (a folder), or rasters with labels")
    folder: str | None = option(None, text="folder in MARIDA's layout, with patches/ and splits/")
    train_split: str | None = option(None, text="list of its patches to train on; else scenes are split by themselves")
    validation_split: str | None = option(None, text="list of its patches to validate on")
    rasters: tuple[str, ...] = option((), text="rasters with bands as Detect takes them")
    labels: tuple[str, ...] = option((), text="a class raster for each raster, or one polygon layer for all")
    label_layer: str | None = option(None, text="layer of a vector file with several")
    label_field: str | None = option(None, text="field of the polygons that holds the class number")
    crs: tuple[str, ...] = option(
        (),
        text="the CRS of each raster, as EPSG:32630 (in JSON also WKT, or empty for the file's own); none: the files'",
    )
    label_crs: tuple[str, ...] = option((), text="the same for the labels: one for each of them")
    bands: str | None = option(None, text="band numbers of the rasters, as B1=1,B2=2,…; else by name")
    scale: float | None = option(None, text="reflectance = stored number x scale + offset; else from the file")
    offset: float | None = option(None, text="see scale")
    positive_classes: tuple[int, ...] = option((1,), text="class numbers that are debris")
    validation_share: float = option(0.2, text="share of the labels kept for validation, where no list says which")
    training_samples: int = option(2000, text="practice tiles an epoch")
    validation_samples: int = option(400, text="practice tiles that are never trained on")
    tile_size: int = option(256, text="pixels, a multiple of 16")
    seed: int = option(0, text="the same seed gives the same data, and on a CPU the same model")
    start_from: str | None = option(None, text="model file to go on from (fine-tuning)")
    rehearsal: bool = option(True, text="go on with a handful of labels beside practice scenes: nothing is forgotten")

    def __post_init__(self) -> None:
        choice("source", self.source, SOURCES)
        if self.source == "marida" and not self.folder:
            raise RequestError("Name the folder in MARIDA's layout to train on (folder).")
        if self.source == "rasters" and not self.rasters:
            raise RequestError("Name the rasters to train on (rasters) and their labels (labels).")
        if self.source == "rasters":
            check_labels(self.rasters, self.labels)
        check_crs("crs", self.crs, self.rasters)
        check_crs("label_crs", self.label_crs, self.labels)
        if bool(self.train_split) != bool(self.validation_split):
            raise RequestError("Give both lists, train_split and validation_split, or none: then scenes are split.")
        check_positive(self.positive_classes)
        within("validation_share", self.validation_share, 0.05, 0.5)
        if self.tile_size % 16 or self.tile_size < 32:
            raise RequestError(f"tile_size is {self.tile_size}: it must be a multiple of 16, 32 or more.")
        for name in ("training_samples", "validation_samples"):
            if getattr(self, name) < 1:
                raise RequestError(f"{name} is {getattr(self, name)}: it must be 1 or more.")


@dataclass(frozen=True, kw_only=True)
class InspectResult:
    """What the two parts hold: patches, scenes, and labelled pixels by class name."""

    source: str
    training: dict[str, Any]
    validation: dict[str, Any]
    classes: list[str]
    """The classes the network will tell apart."""
    fingerprint: str
    """SHA-256 over the data and the split: the same data gives the same."""


@dataclass(frozen=True, kw_only=True)
class TrainRequest(InspectRequest):
    """Train a model on practice scenes, MARIDA patches, or labelled rasters."""

    model: str = option(text="model file to write")
    name: str = option("my model", text="the model's name, for its card")
    width: int = option(16, text="channels of the first level; 64 is the 31.3-million-parameter network")
    plain: bool = option(False, text="the network as first specified: no contrast, stretch, pixel stem or wide end")
    epochs: int = option(100, text="at most this many")
    batch_size: int = option(16, text="tiles a step, over all processes")
    learning_rate: float = option(1e-3, text="after warm-up")
    warmup_epochs: int = option(10, text="epochs of linear warm-up")
    patience: int = option(15, text="stop after this many epochs without a better validation score")
    weight_decay: float = option(1e-4, text="AdamW's weight decay")
    dropout: float = option(0.2, text="in the bottleneck")
    jitter: float = option(1.0, text="strength of random gains and offsets of the bands; 0 for none")
    textures: str | None = option(None, text="folder in MARIDA's layout, of real images to paint practice things on")
    texture_split: str | None = option(None, text="list of its patches to use; else all")
    texture_share: float = option(0.4, text="share of the training samples that are such images")
    run_folder: str | None = option(None, text="log, state, previews and best model so far; else beside the model")
    resume: bool = option(False, text="go on from the state in run_folder")
    report: str | None = option(None, text="HTML page to write: curves, precision-recall, reliability, pictures")
    log_csv: str | None = option(None, text="CSV to write: one line an epoch")
    threads: int | None = option(None, text="CPU threads; else all")
    precision: str = option("auto", text="auto (mixed where the device is fast at it), mixed or float32")
    device: str = option("auto", text="auto, cpu, cuda or mps")
    job_id: str | None = option(None, text="names the folders of unfinished output: .debris-<job_id>")

    def __post_init__(self) -> None:
        super().__post_init__()
        choice("device", self.device, DEVICES)
        choice("precision", self.precision, PRECISIONS)
        within("width", self.width, 4, 128)
        within("dropout", self.dropout, 0.0, 0.9)
        within("jitter", self.jitter, 0.0, 5.0)
        within("texture_share", self.texture_share, 0.0, 1.0)
        within("learning_rate", self.learning_rate, 1e-12, 10.0)
        within("weight_decay", self.weight_decay, 0.0, 1.0)
        within("warmup_epochs", self.warmup_epochs, 0, 10_000)
        for name in ("epochs", "batch_size", "patience"):
            if getattr(self, name) < 1:
                raise RequestError(f"{name} is {getattr(self, name)}: it must be 1 or more.")


@dataclass(frozen=True, kw_only=True)
class TrainResult:
    """The model written and what it scores on the tiles kept for validation."""

    model: str
    report: str | None
    log_csv: str | None
    run_folder: str
    best_f1: float
    best_iou: float
    precision: float
    recall: float
    ece: float
    temperature: float
    threshold: float
    epochs: int
    stopped: bool
    """Whether the person stopped it before its end, and the best model so far was kept."""
    seconds: float
