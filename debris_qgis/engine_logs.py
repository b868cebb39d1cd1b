"""Log files of the engine's jobs: what it wrote to standard error, kept for when something went wrong."""

import contextlib
import tempfile
import time
from pathlib import Path

from qgis.core import QgsApplication

PREFIX = "debris-"
KEPT = 20
# Another QGIS with the same profile may still run a job whose log is younger than this.
YOUNG_SECONDS = 86_400.0
TAIL_BYTES = 20000

_running = set()
"""Logs of jobs that run in this QGIS: a training may take longer than twenty jobs beside it."""


def folder() -> Path:
    """Where log files are kept."""
    return Path(QgsApplication.qgisSettingsDirPath()) / "debris_logs"


def new(place: Path, job: str, job_id: str) -> Path:
    """Path of a new log file; of the old ones only the newest few are kept."""
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError:
        # A profile that cannot be written to is no reason not to work.
        place = Path(tempfile.gettempdir())
    older = sorted(place.glob(f"{PREFIX}*.log"), key=lambda path: path.name)
    for path in older[: max(0, len(older) - KEPT + 1)]:
        if path not in _running and _is_old(path):
            # On Windows a file that somebody reads cannot go: it stays until the next time.
            with contextlib.suppress(OSError):
                path.unlink()
    return place / f"{PREFIX}{time.strftime('%Y%m%d-%H%M%S')}-{job}-{job_id}.log"


@contextlib.contextmanager
def kept(log: Path):
    """Nothing removes this log in here."""
    _running.add(log)
    try:
        yield
    finally:
        _running.discard(log)


def _is_old(log: Path) -> bool:
    """Whether nobody can still be writing a log; one that is gone is left alone."""
    try:
        return time.time() - log.stat().st_mtime > YOUNG_SECONDS
    except OSError:
        return False


def remove_empty(log: Path) -> None:
    """A job that went well has no log, unless it said something; that a file is gone is no reason to fail."""
    with contextlib.suppress(OSError):
        if not log.stat().st_size:
            log.unlink()


def where(log: Path) -> str:
    """The line that says where the log is, where it is there."""
    return f"\nLog: {log}" if log.is_file() else ""


def tail(log: Path) -> str:
    """The end of a log; nothing where it is gone."""
    try:
        with log.open("rb") as stream:
            stream.seek(0, 2)
            stream.seek(max(0, stream.tell() - TAIL_BYTES))
            return stream.read().decode("utf-8", errors="replace")
    except OSError:
        return ""
