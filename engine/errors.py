"""Every error a job may end with.

    EngineError                  code "engine"
    ├── RequestError (ValueError)    "request"        a value of the request is missing or out of range
    ├── RasterError (OSError)        "raster"         a raster cannot be opened, read or used
    ├── BandError (ValueError)       "bands"          the bands needed cannot be told from the raster's
    ├── ReflectanceError (ValueError)"reflectance"    scale and offset are ambiguous
    ├── ModelError (ValueError)      "model"          a model file is damaged, foreign or does not fit
    ├── DataError (ValueError)       "data"           training or evaluation data cannot be used
    ├── DeviceError (RuntimeError)   "device"         the compute device asked for is not there
    ├── MemoryExhausted (MemoryError)"out_of_memory"  memory ran out; the message says what to lower
    ├── OutputError (OSError)        "output"         a result cannot be written
    ├── TrainingError (ArithmeticError) "training"    the loss became no number, or nothing was learnt yet
    ├── ResumeError (ValueError)     "resume"         a training cannot be gone on with
    └── Cancelled                    "cancelled"      the caller asked to stop; not a failure

A message says what is wrong, where, and what to do; it is shown to a person as it stands.
"""

from __future__ import annotations

__all__ = [
    "BandError",
    "Cancelled",
    "DataError",
    "DeviceError",
    "EngineError",
    "MemoryExhausted",
    "ModelError",
    "OutputError",
    "RasterError",
    "ReflectanceError",
    "RequestError",
    "ResumeError",
    "StopAsked",
    "TrainingError",
]


class EngineError(Exception):
    """Root of all errors of the engine; `code` is what the protocol carries."""

    code = "engine"


class RequestError(EngineError, ValueError):
    """A value of the request is missing, of the wrong kind or out of range."""

    code = "request"


class RasterError(EngineError, OSError):
    """A raster cannot be opened or read, or its grid cannot be used."""

    code = "raster"


class BandError(EngineError, ValueError):
    """The bands that a model needs cannot be told from the raster's own."""

    code = "bands"


class ReflectanceError(EngineError, ValueError):
    """It is not clear how stored numbers become reflectance."""

    code = "reflectance"


class ModelError(EngineError, ValueError):
    """A model file is damaged, of another kind, or does not fit its use."""

    code = "model"


class DataError(EngineError, ValueError):
    """Labelled data cannot be used for training or evaluation."""

    code = "data"


class DeviceError(EngineError, RuntimeError):
    """The compute device that was asked for cannot be used."""

    code = "device"


class MemoryExhausted(EngineError, MemoryError):
    """Memory ran out on the host or on the device."""

    code = "out_of_memory"


class OutputError(EngineError, OSError):
    """A result cannot be written where it was asked for."""

    code = "output"


class TrainingError(EngineError, ArithmeticError):
    """A training went wrong by its numbers, or was stopped before it had learnt anything."""

    code = "training"


class ResumeError(EngineError, ValueError):
    """A training cannot be gone on with: its state is missing, damaged, or of another network or other data."""

    code = "resume"


class Cancelled(EngineError):
    """The caller asked the job to stop."""

    code = "cancelled"


class StopAsked(Cancelled):
    """The caller asked a training to stop and to keep the best model so far; for other jobs it is a cancel."""
