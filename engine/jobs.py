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
from dataclasses import dataclass, field
from typing import Any

from engine.errors import RequestError
from engine.monitor import Monitor, silent

__all__ = [
    "JOBS",
    "DetectRequest",
    "DetectResult",
    "EvaluateRequest",
    "EvaluateResult",
    "Job",
    "SimulateRequest",
    "SimulateResult",
    "StatusRequest",
    "StatusResult",
    "TrainRequest",
    "TrainResult",
    "request_from_mapping",
    "run",
]

DEVICES = ("auto", "cpu", "cuda", "mps")
PROTOCOLS = ("strict", "floating")


def _option(default: Any = dataclasses.MISSING, *, text: str) -> Any:
    """A request's field: with a help text, and required where no default is given."""
    return field(default=default, metadata={"help": text})


def _choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise RequestError(f"{name} is {value!r}: use one of {', '.join(choices)}.")


def _within(name: str, value: float | None, low: float, high: float) -> None:
    if value is not None and not low <= value <= high:
        raise RequestError(f"{name} is {value:g}: it must lie between {low:g} and {high:g}.")


@dataclass(frozen=True, kw_only=True)
class DetectRequest:
    """Find floating debris in one raster."""

    input: str = _option(text="raster with the Sentinel-2 bands: anything GDAL opens")
    mask: str = _option(text="GeoTIFF to write: 0 clear, 1 debris, 2 other floating matter, 3-4 and 255 not observed")
    probability: str | None = _option(None, text="Cloud Optimized GeoTIFF to write: probability of debris, NaN no data")
    detections: str | None = _option(None, text="vector file to write: one polygon a detection")
    model: str | None = _option(None, text="model file; the bundled model where none is named")
    threshold: float | None = _option(
        None, text="probability from which a pixel is debris, 0 to 1; else the model's own"
    )
    bands: str | None = _option(None, text="band numbers, as B1=1,B2=2,…; else bands are found by name")
    scale: float | None = _option(None, text="reflectance = stored number x scale + offset; else from the file")
    offset: float | None = _option(None, text="see scale; in reflectance, so -0.1 for baselines 04.00 and later")
    extent: tuple[float, float, float, float] | None = _option(
        None, text="west,south,east,north in the raster's CRS: look only there"
    )
    min_pixels: int = _option(1, text="leave out detections of fewer pixels")
    tile_overlap: int | None = _option(None, text="pixels that neighbouring tiles share; else by the receptive field")
    device: str = _option("auto", text="auto, cpu, cuda or mps")
    plugin_version: str | None = _option(None, text="version of the program that asks, for the results' tags")
    job_id: str | None = _option(None, text="names the folders of unfinished output: .debris-<job_id>")

    def __post_init__(self) -> None:
        _within("threshold", self.threshold, 0.0, 1.0)
        _choice("device", self.device, DEVICES)
        if self.scale is not None and not self.scale > 0:
            raise RequestError(f"scale is {self.scale:g}: it must be above 0.")
        if self.min_pixels < 1:
            raise RequestError(f"min_pixels is {self.min_pixels}: it must be 1 or more.")
        if self.tile_overlap is not None and self.tile_overlap < 0:
            raise RequestError(f"tile_overlap is {self.tile_overlap}: it must be 0 or more.")


@dataclass(frozen=True, kw_only=True)
class DetectResult:
    """What was found, and how much was looked at. Areas are None where the raster has no CRS."""

    mask: str
    probability: str | None
    detections: str | None
    detection_count: int
    debris_pixels: int
    floating_pixels: int
    observed_pixels: int
    not_observed_pixels: int
    debris_area_m2: float | None
    observed_area_m2: float | None
    not_observed_area_m2: float | None
    threshold: float
    model_name: str
    model_sha256: str
    scene: str
    has_floating_class: bool


@dataclass(frozen=True, kw_only=True)
class SimulateRequest:
    """Write a practice scene and its true classes."""

    output: str = _option(text="GeoTIFF to write: 11 bands of reflectance, float32")
    labels: str = _option(text="GeoTIFF to write: true classes, numbered as in MARIDA, 16 land, 0 no data")
    width: int = _option(512, text="pixels")
    height: int = _option(512, text="pixels")
    seed: int = _option(0, text="the same seed gives the same scene")
    without: tuple[str, ...] = _option((), text="ingredients to leave out, by name")
    job_id: str | None = _option(None, text="names the folders of unfinished output: .debris-<job_id>")

    def __post_init__(self) -> None:
        _within("width", self.width, 32, 20000)
        _within("height", self.height, 32, 20000)
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

    model_folder: str | None = _option(None, text="a folder of further model files to list")


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
    """Measure a model on a folder in MARIDA's layout."""

    data: str = _option(text="folder that holds patches/ and splits/")
    split: str | None = _option(None, text="list of patch names, a file or its name below splits/; else every patch")
    model: str | None = _option(None, text="model file; the bundled model where none is named")
    threshold: float | None = _option(None, text="else the model's own")
    protocol: str = _option("strict", text="strict: class 1 is positive; floating: classes 1, 2, 3, 4, 9")
    device: str = _option("auto", text="auto, cpu, cuda or mps")

    def __post_init__(self) -> None:
        _choice("protocol", self.protocol, PROTOCOLS)
        _choice("device", self.device, DEVICES)
        _within("threshold", self.threshold, 0.0, 1.0)


@dataclass(frozen=True, kw_only=True)
class EvaluateResult:
    """Scores pooled over the labelled pixels, and where the errors lie."""

    precision: float
    recall: float
    f1: float
    iou: float
    threshold: float
    protocol: str
    patches: int
    counts: dict[str, int]
    flagged_by_class: dict[str, int]
    pixels_by_class: dict[str, int]
    unlabelled_flagged_share: float
    model_name: str
    model_sha256: str


@dataclass(frozen=True, kw_only=True)
class TrainRequest:
    """Train a model on practice scenes."""

    model: str = _option(text="model file to write")
    name: str = _option("practice", text="the model's name, for its card")
    width: int = _option(16, text="channels of the first level; 64 is the 31.3-million-parameter network")
    epochs: int = _option(100, text="at most this many")
    batch_size: int = _option(16, text="tiles a step")
    learning_rate: float = _option(1e-3, text="after warm-up")
    warmup_epochs: int = _option(10, text="epochs of linear warm-up")
    patience: int = _option(15, text="stop after this many epochs without a better validation score")
    weight_decay: float = _option(1e-4, text="AdamW's weight decay")
    dropout: float = _option(0.2, text="in the bottleneck")
    training_samples: int = _option(2000, text="practice tiles an epoch")
    validation_samples: int = _option(400, text="practice tiles that are never trained on")
    tile_size: int = _option(256, text="pixels, a multiple of 16")
    textures: str | None = _option(None, text="folder in MARIDA's layout, of real images to paint practice things on")
    texture_split: str | None = _option(None, text="list of its patches to use; else all")
    texture_share: float = _option(0.4, text="share of the training samples that are such images")
    start_from: str | None = _option(None, text="model file to go on from; its network must be the one asked for")
    seed: int = _option(0, text="the same seed gives the same model on a CPU")
    threads: int | None = _option(None, text="CPU threads; else all")
    device: str = _option("auto", text="auto, cpu, cuda or mps")
    job_id: str | None = _option(None, text="names the folders of unfinished output: .debris-<job_id>")

    def __post_init__(self) -> None:
        _choice("device", self.device, DEVICES)
        _within("width", self.width, 4, 128)
        _within("dropout", self.dropout, 0.0, 0.9)
        _within("texture_share", self.texture_share, 0.0, 1.0)
        if self.tile_size % 16 or self.tile_size < 32:
            raise RequestError(f"tile_size is {self.tile_size}: it must be a multiple of 16, 32 or more.")
        for name in ("epochs", "batch_size", "training_samples", "validation_samples"):
            if getattr(self, name) < 1:
                raise RequestError(f"{name} is {getattr(self, name)}: it must be 1 or more.")


@dataclass(frozen=True, kw_only=True)
class TrainResult:
    """The model written and what it scores on the practice tiles kept for validation."""

    model: str
    best_f1: float
    best_iou: float
    threshold: float
    epochs: int
    seconds: float


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
    "simulate": Job(SimulateRequest, "engine.practice:simulate"),
    "train": Job(TrainRequest, "engine.training:train"),
    "evaluate": Job(EvaluateRequest, "engine.evaluation:evaluate"),
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
    raise RequestError(f"{name} is {value!r}: expected {getattr(hint, '__name__', str(hint))}.")
