"""The engine's jobs: what each is asked, what it answers, and how to run one.

A request is a frozen dataclass that a JSON object or the command line fills; a result is a frozen dataclass that
becomes one JSON object. `run` is the only entry: it finds the job's function, imports it (and so torch or rasterio)
only then, and gives it the request and a monitor.
"""

from __future__ import annotations

import dataclasses
import importlib
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.errors import RequestError
from engine.fields import DEVICES, PRECISIONS, check_crs, check_labels, check_positive, choice, option, within
from engine.monitor import Monitor, silent
from engine.scene_jobs import (
    DetectRequest,
    DetectResult,
    PrepareRequest,
    PrepareResult,
    SceneRequest,
    SceneResult,
)
from engine.training_jobs import InspectRequest, InspectResult, TrainRequest, TrainResult

__all__ = [
    "JOBS",
    "DetectRequest",
    "DetectResult",
    "EvaluateRequest",
    "EvaluateResult",
    "InspectRequest",
    "InspectResult",
    "Job",
    "PrepareRequest",
    "PrepareResult",
    "SceneRequest",
    "SceneResult",
    "SimulateRequest",
    "SimulateResult",
    "StatusRequest",
    "StatusResult",
    "TrainRequest",
    "TrainResult",
    "request_from_mapping",
    "run",
]

PROTOCOLS = ("strict", "floating")


@dataclass(frozen=True, kw_only=True)
class SimulateRequest:
    """Write a practice scene and its true classes."""

    output: str = option(text="GeoTIFF to write: 11 bands of reflectance, float32")
    labels: str = option(text="GeoTIFF to write: true classes, numbered as in MARIDA, 16 land, 0 no data")
    width: int = option(512, text="pixels")
    height: int = option(512, text="pixels")
    seed: int = option(0, text="the same seed gives the same scene")
    without: tuple[str, ...] = option((), text="ingredients to leave out, by name")
    job_id: str | None = option(None, text="names the folders of unfinished output: .debris-<job_id>")

    def __post_init__(self) -> None:
        within("width", self.width, 32, 20000)
        within("height", self.height, 32, 20000)
        if self.seed < 0:
            raise RequestError(f"seed is {self.seed}: it must be 0 or more.")


@dataclass(frozen=True, kw_only=True)
class SimulateResult:
    """Where the scene is, and how many pixels of each class it holds."""

    output: str
    labels: str
    seed: int
    class_pixels: dict[str, int]


@dataclass(frozen=True, kw_only=True)
class StatusRequest:
    """Say whether this environment can run jobs."""

    model_folder: str | None = option(None, text="a folder of further model files to list")


@dataclass(frozen=True, kw_only=True)
class StatusResult:
    """Versions, device, memory and models."""

    engine: str
    python: str
    executable: str
    versions: dict[str, str]
    device: str
    device_reason: str
    threads: int
    memory_total_mb: int
    memory_free_mb: int
    models: list[dict[str, Any]]
    problems: list[str]


@dataclass(frozen=True, kw_only=True)
class EvaluateRequest:
    """Measure a model on a folder in MARIDA's layout, or on rasters with labels."""

    data: str | None = option(None, text="folder in MARIDA's layout, with patches/ and splits/")
    split: str | None = option(None, text="list of patch names, a file or its name below splits/; else every patch")
    model: str | None = option(None, text="model file; the bundled model where none is named")
    threshold: float | None = option(None, text="else the model's own")
    protocol: str = option("strict", text="strict: class 1 is positive; floating: classes 1, 2, 3, 4, 9")
    rasters: tuple[str, ...] = option((), text="instead of data: rasters with bands as Detect takes them")
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
    positive_classes: tuple[int, ...] | None = option(
        None, text="instead of a protocol: classes that count as debris; a protocol's own stand for it"
    )
    device: str = option("auto", text="auto, cpu, cuda or mps")
    precision: str = option("float32", text="float32, so that scores are the same everywhere; auto or mixed")

    def __post_init__(self) -> None:
        choice("protocol", self.protocol, PROTOCOLS)
        if bool(self.data) == bool(self.rasters):
            raise RequestError("Give either a folder in MARIDA's layout (data), or rasters with labels.")
        if self.rasters:
            check_labels(self.rasters, self.labels)
        check_crs("crs", self.crs, self.rasters)
        check_crs("label_crs", self.label_crs, self.labels)
        if self.positive_classes is not None:
            check_positive(self.positive_classes)
        choice("device", self.device, DEVICES)
        choice("precision", self.precision, PRECISIONS)
        within("threshold", self.threshold, 0.0, 1.0)


@dataclass(frozen=True, kw_only=True)
class EvaluateResult:
    """Scores pooled over the labelled pixels, and where the errors lie."""

    precision: float
    recall: float
    f1: float
    iou: float
    threshold: float
    protocol: str
    """strict or floating, whether asked for by name or by its classes; else own classes."""
    positive_classes: tuple[int, ...]
    data: str | None
    """The folder that was measured on, and which list of its patches; else rasters and labels."""
    split: str | None
    rasters: tuple[str, ...]
    labels: tuple[str, ...]
    patches: int
    counts: dict[str, int]
    flagged_by_class: dict[str, int]
    pixels_by_class: dict[str, int]
    false_positives: dict[str, int]
    """Flagged pixels of each class that is not positive."""
    interval: tuple[float, float] | None
    """95 % bootstrap interval of F1: 2000 draws of whole scenes (of patches, where there is one scene), seed 0; None
    where there is one patch, of which nothing can be drawn."""
    interval_by: str | None
    """What the bootstrap draws: scenes or patches."""
    ece: float
    """Expected calibration error over the labelled pixels, 15 bins."""
    unlabelled_flagged_share: float
    model_name: str
    model_sha256: str


@dataclass(frozen=True)
class Job:
    """A kind of job: the request it takes, and where its function is (module:function)."""

    request: type
    function: str

    @property
    def help(self) -> str:
        """One line that says what the job does."""
        return (self.request.__doc__ or "").strip().splitlines()[0]


JOBS: dict[str, Job] = {
    "detect": Job(DetectRequest, "engine.detection:detect"),
    "prepare": Job(PrepareRequest, "engine.sentinel2.prepare:prepare"),
    "simulate": Job(SimulateRequest, "engine.practice:simulate"),
    "train": Job(TrainRequest, "engine.training:train"),
    "evaluate": Job(EvaluateRequest, "engine.evaluation:evaluate"),
    "inspect": Job(InspectRequest, "engine.training:inspect"),
    "status": Job(StatusRequest, "engine.status:status"),
}


def run(request: Any, monitor: Monitor = silent) -> Any:
    """Run the job that `request` belongs to and return its result.

    Raises:
        EngineError: the job failed, or was cancelled by the monitor; nothing it wrote is left behind.
    """
    for job in JOBS.values():
        if job.request is type(request):
            module, function = job.function.split(":")
            return getattr(importlib.import_module(module), function)(request, monitor)
    raise RequestError(f"There is no job for a {type(request).__name__}.")


def request_from_mapping(job: str, values: Mapping[str, Any]) -> Any:
    """Build the request of `job` from JSON values, refusing what is unknown, missing or of the wrong kind."""
    if job not in JOBS:
        raise RequestError(f"There is no job {job!r}: use one of {', '.join(JOBS)}.")
    kind = JOBS[job].request
    hints = typing.get_type_hints(kind)
    unknown = sorted(set(values) - set(hints))
    if unknown:
        raise RequestError(f"The job {job} has no {', '.join(unknown)}; it has {', '.join(hints)}.")
    missing = [f.name for f in dataclasses.fields(kind) if f.default is dataclasses.MISSING and f.name not in values]
    if missing:
        raise RequestError(f"The job {job} needs {', '.join(missing)}.")
    return kind(**{name: _converted(name, value, hints[name]) for name, value in values.items()})


def _converted(name: str, value: Any, hint: Any) -> Any:
    """`value` as `hint` says, or an error that names the field."""
    if isinstance(hint, types.UnionType):
        if value is None:
            return None
        hint = next(part for part in typing.get_args(hint) if part is not type(None))
    origin = typing.get_origin(hint)
    if origin is tuple and isinstance(value, (list, tuple)):
        parts = typing.get_args(hint)
        if parts[-1] is Ellipsis:
            return tuple(_converted(name, part, parts[0]) for part in value)
        if len(parts) == len(value):
            return tuple(_converted(name, part, kind) for part, kind in zip(value, parts, strict=True))
    elif hint is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    elif origin is None and isinstance(value, hint) and not (hint is int and isinstance(value, bool)):
        return value
    raise RequestError(f"{name} is {value!r}: {_expected(name, hint)}.")


def _expected(name: str, hint: Any) -> str:
    """What to give for a field, for people."""
    if name == "extent":
        return "give four numbers, as west,south,east,north"
    if typing.get_origin(hint) is tuple:
        return "give a list"
    words = {float: "a number", int: "a whole number", bool: "true or false", str: "a text"}
    return f"give {words.get(hint, str(hint))}"
