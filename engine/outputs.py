"""Outputs that appear under their final name only when the whole job is done.

While a job runs, each output grows in a folder `.debris-<job_id>` beside its final place, so on the same file system.
At the end all are moved together: where one cannot be, none is, and what stood there before stands there again.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
import threading
import uuid
from pathlib import Path
from types import TracebackType

from engine.errors import OutputError, RequestError

__all__ = ["STAGING_PREFIX", "Staging", "abandon"]

STAGING_PREFIX = ".debris-"
# What GDAL, SQLite and QGIS may have left beside an older file of the same name, and that would be wrong for the new
# one: a `-wal` of a program that was killed would be played back into the new GeoPackage.
STALE_SUFFIXES = (".aux.xml", ".ovr", ".msk", "-wal", "-shm", "-journal")
# The same of a shapefile, whose parts share its name without the ending.
STALE_PARTS = (".qix", ".sbn", ".sbx", ".cpg", ".prj", ".qpj")
# What is unfinished in this process, and what keeps it from being given up half moved.
_unfinished: list[Staging] = []
_moving = threading.Lock()


def abandon() -> None:
    """Remove whatever is unfinished, from any thread, just before the process ends: nothing is published after this."""
    # Never released: results that are being moved are waited for, others never will be.
    _moving.acquire()
    for staging in list(_unfinished):
        staging.remove()


class Staging:
    """The unfinished outputs of one job; a context manager that leaves nothing behind unless `publish` was called."""

    def __init__(self, job_id: str | None = None) -> None:
        self.job_id = job_id or uuid.uuid4().hex[:12]
        if not re.fullmatch(r"[A-Za-z0-9]{1,64}", self.job_id):
            raise RequestError(f"job_id is {self.job_id!r}: use up to 64 letters and digits.")
        self._folders: list[Path] = []
        self._outputs: list[tuple[Path, Path]] = []
        self._read: list[Path] = []

    def __enter__(self) -> Staging:
        _unfinished.append(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _unfinished.remove(self)
        self.remove()

    def remove(self) -> None:
        """Remove the folders, with what is in them."""
        for folder in self._folders:
            shutil.rmtree(folder, ignore_errors=True)

    def reads(self, *paths: str | Path | None) -> None:
        """Name what the job reads, before `add`; a layer may be named after a `|`, as QGIS does."""
        self._read += [Path(str(path).partition("|")[0]).absolute() for path in paths if path]

    def add(self, final: str | Path) -> Path:
        """A path to write to, of the same file name as `final`, in a folder of its own.

        Raises:
            OutputError: the folder of `final` does not exist or cannot be written to, or `final` is a folder, another
                output, or a file that the job reads.
        """
        final = Path(final).absolute()
        if final.is_dir():
            raise OutputError(f"{final} is a folder: give the name of a file to write.")
        if not final.parent.is_dir():
            raise OutputError(
                f"There is no folder {final.parent} to write {final.name} to: make it, or choose another."
            )
        if any(_same(final, other) for other, _ in self._outputs):
            raise OutputError(f"{final} is asked for as two different outputs: give each a name of its own.")
        if any(_same(final, read) for read in self._read):
            raise OutputError(f"{final} is a file that this job reads, which the result would destroy: choose another.")
        staged = self.folder(final.parent) / str(len(self._outputs)) / final.name
        staged.parent.mkdir(exist_ok=True)
        self._outputs.append((final, staged))
        return staged

    def folder(self, beside: Path) -> Path:
        """The staging folder in `beside`, made where it is not there yet; for scratch files too."""
        folder = beside / f"{STAGING_PREFIX}{self.job_id}"
        if folder not in self._folders:
            try:
                folder.mkdir()
            except OSError as error:
                raise OutputError(
                    f"{beside} cannot be written to ({error.strerror}): choose another folder."
                ) from error
            self._folders.append(folder)
        return folder

    def publish(self) -> None:
        """Move every output to its final name, each with the files that belong to it (a shapefile has several).

        Raises:
            OutputError: a file could not be moved; then all final names hold what they held before.
        """
        with _moving:
            self._publish()

    def _publish(self) -> None:
        moves = [
            (part, final.parent / part.name)
            for final, staged in self._outputs
            for part in sorted(staged.parent.iterdir())
        ]
        fresh = {target for _, target in moves}
        done: list[tuple[Path, Path | None]] = []
        target = None
        try:
            for target in (path for final, _ in self._outputs for path in _stale(final) if path not in fresh):
                done.append((target, self._set_aside(target)))
            for part, target in moves:
                done.append((target, self._set_aside(target)))
                os.replace(part, target)
        except OSError as error:
            for replaced, previous in reversed(done):
                with contextlib.suppress(OSError):
                    replaced.unlink(missing_ok=True) if previous is None else os.replace(previous, replaced)
            raise OutputError(
                f"{target} cannot be replaced ({error.strerror}): is it open in another program?"
            ) from error

    def _set_aside(self, target: Path) -> Path | None:
        """Keep what `target` holds until all outputs are moved; None where it holds nothing."""
        if not target.exists():
            return None
        place = Path(tempfile.mkdtemp(dir=self.folder(target.parent))) / target.name
        os.replace(target, place)
        return place


def _stale(final: Path) -> list[Path]:
    """What must not stay beside a new file, whether it is there or not."""
    parts = [final.with_suffix(suffix) for suffix in STALE_PARTS] if final.suffix.lower() == ".shp" else []
    return [*(Path(f"{final}{suffix}") for suffix in STALE_SUFFIXES), *parts]


def _same(one: Path, other: Path) -> bool:
    """Whether two paths lead to the same file, which need not be there yet."""
    with contextlib.suppress(OSError, ValueError):
        if one.samefile(other):
            return True
    return os.path.normcase(os.path.realpath(one)) == os.path.normcase(os.path.realpath(other))
