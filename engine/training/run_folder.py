"""The folder of a training: plan, log, pictures, resumable state and the best model so far.

Every file is written beside its place and moved there, so that a reader, or a training that goes on after a crash,
never sees half of one. Nothing here is pickled.
"""

from __future__ import annotations

import contextlib
import csv
import errno
import io
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from engine.errors import OutputError, ResumeError

__all__ = ["LOG_COLUMNS", "RunFolder", "disk_guard"]

LOG_COLUMNS = (
    "epoch", "train_loss", "validation_loss", "f1", "iou", "precision", "recall", "learning_rate", "seconds", "best",
)  # fmt: skip
STATE_KEY = "marine_debris_training"
STATE_VERSION = 1


@contextmanager
def disk_guard(place: Path) -> Iterator[None]:
    """Turn a disk that is full, or that may not be written to, into one error that says where.

    Raises:
        OutputError: a file could not be written inside.
    """
    try:
        yield
    except (OSError, SafetensorError) as error:
        full = getattr(error, "errno", None) == errno.ENOSPC or "No space left" in str(error)
        why = "the disk is full" if full else str(error)
        advice = "Make room there" if full else "Choose another folder"
        raise OutputError(f"{place} cannot be written to: {why}. {advice}, then start again with resume.") from error


class RunFolder:
    """The files of one training."""

    def __init__(self, path: Path) -> None:
        """Make the folder where it is not there yet.

        Raises:
            OutputError: it cannot be made.
        """
        self.path = path
        self._made = [folder for folder in (path / "previews", path) if not folder.is_dir()]
        self._ours = path in self._made
        """Whether what lies here is this training's: the folder is new, or an earlier training's files were cleared."""
        with disk_guard(path):
            path.mkdir(exist_ok=True)
            (path / "previews").mkdir(exist_ok=True)

    @property
    def state(self) -> Path:
        """Where the resumable state is."""
        return self.path / "state.safetensors"

    @property
    def best(self) -> Path:
        """Where the best model so far is, a model file like any other."""
        return self.path / "best.safetensors"

    @property
    def log(self) -> Path:
        """Where the log is: a line an epoch."""
        return self.path / "log.csv"

    def remove(self) -> None:
        """Take away what this training put here; what was here before, an earlier training's best model too, stays."""
        with contextlib.suppress(OutputError, OSError):
            if self._ours:
                self.clear()
            for folder in self._made:
                folder.rmdir()

    def clear(self) -> None:
        """Forget an earlier training."""
        self._ours = True
        with disk_guard(self.path):
            for name in ("state.safetensors", "state.json", "best.safetensors", "log.csv", "plan.json", "stop"):
                (self.path / name).unlink(missing_ok=True)
            for picture in (self.path / "previews").glob("*.png"):
                picture.unlink()

    def stop_asked(self) -> bool:
        """Whether somebody put a file `stop` here; it is taken away."""
        try:
            (self.path / "stop").unlink()
        except OSError:
            return False
        return True

    def write(self, name: str, save: Callable[[Path], Any]) -> None:
        """Write a file by `save`, which gets a temporary path, and move it to its name.

        Raises:
            OutputError: the disk is full, or the folder cannot be written to.
        """
        final = self.path / name
        unfinished = final.with_name(f".{final.name}")
        try:
            with disk_guard(self.path):
                save(unfinished)
                os.replace(unfinished, final)
        finally:
            unfinished.unlink(missing_ok=True)

    def write_json(self, name: str, values: Mapping[str, Any]) -> None:
        """Write a JSON file."""
        text = json.dumps(values, indent=1, ensure_ascii=False)
        self.write(name, lambda path: path.write_text(text, encoding="utf-8"))

    def write_log(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write the whole log."""
        text = io.StringIO()
        # With a handful of labels a column says what share of the places came out right.
        columns = [*LOG_COLUMNS, *(["right"] if rows and "right" in rows[0] else [])]
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        self.write("log.csv", lambda path: path.write_text(text.getvalue(), encoding="utf-8"))

    def save_state(self, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> None:
        """Write all that a training needs to go on: tensors, and what JSON can say."""
        text = json.dumps({"version": STATE_VERSION, **values})
        parts = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
        self.write("state.safetensors", lambda path: save_file(parts, path, metadata={STATE_KEY: text}))
        self.write_json("state.json", {key: values[key] for key in ("epoch", "epochs", "best_f1") if key in values})

    def load_state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Read what `save_state` wrote.

        Raises:
            ResumeError: there is none, or it cannot be read.
        """
        if not self.state.is_file():
            raise ResumeError(f"There is no training to go on with in {self.path}: start one without resume.")
        try:
            with safe_open(self.state, framework="pt") as file:  # type: ignore[no-untyped-call]
                values = json.loads((file.metadata() or {})[STATE_KEY])
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
        except (SafetensorError, OSError, ValueError, KeyError) as error:
            raise ResumeError(f"{self.state} is no state of a training, or is damaged ({error}).") from error
        if values.get("version") != STATE_VERSION:
            raise ResumeError(f"{self.state} was written by another version of the engine: start without resume.")
        return tensors, values
