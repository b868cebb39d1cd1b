"""One engine job in a child process: request in, JSON lines out, cancel, and an explanation where it dies.

Whatever happens to the child, QGIS goes on: nothing of torch or rasterio is loaded here, and no pipe can fill up
unread. Protocol version 1; engine/service.py describes it.
"""

import contextlib
import json
import os
import queue
import re
import shutil
import subprocess  # nosec B404
import sys
import threading
import time
import uuid
from pathlib import Path

from . import engine_logs
from .engine_environment import Engine, clean_environment

PROTOCOL = 1
STAGING_PREFIX = ".debris-"
POLL_SECONDS = 0.05
# After a cancel the engine may finish its tile; then it is ended, and then killed: two seconds in all.
GRACE_SECONDS = 1.0
TERMINATE_SECONDS = 0.5
# An engine that has given its answer, or closed its output, has this long to end by itself.
FAREWELL_SECONDS = 10.0
# Of progress texts that differ by a number only, one in this many seconds goes into the person's log.
SECONDS_BETWEEN_TEXTS = 2.0

KILLED = -9
WINDOWS_ACCESS_VIOLATION = 0xC0000005
WINDOWS_DLL_NOT_FOUND = 0xC0000135


class EngineError(Exception):
    """The engine refused the job or failed; the message is for the person, the code for programs."""

    def __init__(self, message, code="engine"):
        super().__init__(message)
        self.code = code


class EngineCancelled(Exception):
    """The job was cancelled, and the engine is gone."""


class EngineProcess:
    """Runs jobs in the engine's Python, each in a process of its own."""

    def __init__(self, engine: Engine, folder=None):
        self.engine = engine
        self.folder = Path(folder) if folder else engine_logs.folder()

    def run(self, job: str, request: dict, feedback, outputs=()) -> dict:
        """Run one job and return its result.

        Args:
            job: the engine's name for it.
            request: the fields of its request, JSON values only.
            feedback: a QgsProcessingFeedback, or what has its methods.
            outputs: paths of the files that the job writes; what is unfinished beside them is removed after a crash.

        Raises:
            EngineCancelled: `feedback` asked to stop.
            EngineError: the engine refused, failed or died.
        """
        job_id = uuid.uuid4().hex[:12]
        log = engine_logs.new(self.folder, job, job_id)
        if outputs:
            request = {**request, "job_id": job_id}
        try:
            with engine_logs.kept(log):
                return self._run(job, request, feedback, log)
        finally:
            for output in outputs:
                shutil.rmtree(Path(output).absolute().parent / f"{STAGING_PREFIX}{job_id}", ignore_errors=True)

    def _run(self, job, request, feedback, log):
        process = self._start(log)
        lines = queue.Queue()
        reader = threading.Thread(target=_read_lines, args=(process.stdout, lines), daemon=True)
        reader.start()
        try:
            _write(process, json.dumps({"protocol": PROTOCOL, "job": job, "request": request, **_folder()}))
            outcome = _listen(process, lines, feedback)
        finally:
            _end(process)
            reader.join(TERMINATE_SECONDS)
            process.stdout.close()
        return self._conclude(outcome, process, log, feedback)

    def _start(self, log):
        command = [str(self.engine.python), "-m", "engine", "serve"]
        try:
            # The child has its own handle of the log: ours must not keep the file from being removed on Windows.
            with log.open("wb") as stderr:
                return subprocess.Popen(  # nosec B603
                    command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=stderr,
                    cwd=str(self.engine.folder),
                    env=clean_environment(),
                    creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0) if sys.platform == "win32" else 0,
                )
        except OSError as error:
            raise EngineError(
                f"The engine's Python {self.engine.python} ({self.engine.source}) cannot be started: {error}.", "start"
            ) from error

    def _conclude(self, outcome, process, log, feedback):
        if outcome and outcome["type"] == "result":
            engine_logs.remove_empty(log)
            return outcome["result"]
        if outcome and outcome.get("code") == "cancelled":
            raise EngineCancelled
        if outcome:
            where = engine_logs.where(log) if outcome.get("code") == "internal" else ""
            raise EngineError(f"{outcome['message']}{where}", outcome.get("code", "engine"))
        raise EngineError(f"{explain(process.returncode, engine_logs.tail(log))}{engine_logs.where(log)}", "died")


def _listen(process, lines, feedback):
    """Pass messages on until the engine has ended; the result or error it sent, or None.

    Raises:
        EngineCancelled: `feedback` asked to stop before there was an answer.
    """
    outcome, deadline, closed = None, None, False
    report = _Reporter(feedback)
    while not closed or process.poll() is None:
        if outcome is None and feedback is not None and feedback.isCanceled():
            _cancel(process)
            raise EngineCancelled
        if deadline is not None and time.monotonic() > deadline:
            break
        if closed:
            time.sleep(POLL_SECONDS)
            continue
        try:
            line = lines.get(timeout=POLL_SECONDS)
        except queue.Empty:
            continue
        message = {} if line is None else _parsed(line)
        if message.get("type") in ("result", "error"):
            outcome = message
        else:
            report(message)
        closed = line is None
        if deadline is None and (closed or outcome is not None):
            deadline = time.monotonic() + FAREWELL_SECONDS
    return outcome


def explain(returncode, log_tail: str) -> str:
    """What it means that the engine ended without a result, and what to do."""
    if returncode in (KILLED, 137):
        return (
            "The engine was killed from outside (signal 9). Most often the system had no memory left: close other "
            "programs, use a narrower model, or work on a part of the raster (EXTENT)."
        )
    missing = re.findall(r"^(?:ModuleNotFoundError|ImportError): (.+)$", log_tail, re.MULTILINE)
    if missing:
        return (
            f"The engine's Python environment is not complete: {missing[-1]}. Install its packages again, as "
            "Check Engine says."
        )
    if "error while loading shared libraries" in log_tail or returncode == WINDOWS_DLL_NOT_FOUND:
        return "A library that the engine needs cannot be loaded: make its environment anew, as Check Engine says."
    if "MemoryError" in log_tail or "std::bad_alloc" in log_tail:
        return "The engine ran out of memory: close other programs, or work on a part of the raster (EXTENT)."
    if returncode is not None and (returncode < 0 or returncode == WINDOWS_ACCESS_VIOLATION):
        return f"The engine crashed (signal {abs(returncode)}). QGIS and your data are unharmed."
    return f"The engine ended without an answer (exit code {returncode})."


class _Reporter:
    """Turns messages into calls of a feedback."""

    def __init__(self, feedback):
        self.feedback = feedback
        self.last_kind, self.last_time = "", 0.0

    def __call__(self, message):
        """Pass on one message, where it is of a kind that a person is to see."""
        if self.feedback is None:
            return
        text = str(message.get("message", ""))
        if message.get("type") == "progress":
            self.feedback.setProgress(100 * float(message.get("fraction", 0)))
            self._progress_text(text)
        elif message.get("type") == "log":
            levels = {"warning": self.feedback.pushWarning, "error": self.feedback.reportError}
            levels.get(message.get("level"), self.feedback.pushInfo)(text)

    def _progress_text(self, text):
        """QGIS adds each text to its log: a large scene must not fill that with one line a tile."""
        kind, now = re.sub(r"\d+", "", text), time.monotonic()
        if kind != self.last_kind or now - self.last_time >= SECONDS_BETWEEN_TEXTS:
            self.last_kind, self.last_time = kind, now
            self.feedback.setProgressText(text)


def _folder():
    """The current folder, by which the engine takes relative names that GDAL alone can tell: /vsizip/a.zip/b.tif."""
    try:
        return {"folder": os.getcwd()}
    except OSError:
        # It was removed since; then nothing can lie in it.
        return {}


def _parsed(line):
    """A line as a message; what is no JSON object is no message."""
    try:
        message = json.loads(line)
    except ValueError:
        return {}
    return message if isinstance(message, dict) else {}


def _read_lines(stream, lines):
    """Put every line on the queue, and None at the end, in a thread of its own."""
    # A ValueError says that the stream was closed under the reader, after the process had ended.
    with contextlib.suppress(ValueError):
        for line in stream:
            lines.put(line)
    lines.put(None)


def _write(process, line):
    """Write one line to the engine; one that has died already is found out when its output ends."""
    try:
        process.stdin.write(line.encode("utf-8") + b"\n")
        process.stdin.flush()
    except OSError:
        return


def _cancel(process):
    _write(process, "cancel")
    try:
        process.wait(GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        _end(process)


def _end(process):
    """See to it that the process is gone and its input closed."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(TERMINATE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    try:
        process.stdin.close()
    except OSError:
        return
