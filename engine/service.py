"""The engine as a child process: one JSON request in, JSON lines out. Protocol version 1.

In, on standard input: one line `{"protocol": 1, "job": NAME, "request": {…}}`, and with it `folder`, if paths in the
request may be relative to another folder than the engine was started in; later the line `cancel`, or the end of the
input, stops the job (so it also stops when the caller dies). The line `stop` ends a training early, which then
finishes as usual with the best model so far. A job looks for this between its steps; once the input has ended, which
after the caller's death nobody else can follow up, the process ends in any case, a second later.

Out, on standard output, one object a line, told apart by `type`:
    started   protocol, engine (version), pid
    progress  fraction (0 to 1), message
    log       level (info, warning, error), message
    result    result: the job's result dataclass
    error     code (see engine.errors, or "internal"), message

Exit code: 0 after a result, 1 after an error, 3 after a cancel. Standard error is for tracebacks and for whatever
libraries print; nothing but the protocol reaches standard output.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import os
import sys
import threading
import time
import traceback
from typing import Any, TextIO

from engine import __version__
from engine.errors import Cancelled, EngineError, RequestError, StopAsked
from engine.jobs import request_from_mapping, run
from engine.outputs import abandon

__all__ = ["PROTOCOL", "Messages", "serve"]

PROTOCOL = 1
EXIT_RESULT, EXIT_ERROR, EXIT_CANCELLED = 0, 1, 3
# More often than this a person cannot read it, and a pipe full of progress slows the work.
SECONDS_BETWEEN_PROGRESS = 0.1
# What a job has to end by itself after the end of its input: a step of a training may take a minute.
GRACE_SECONDS = 1.0
FAREWELL_SECONDS = 0.5


class Messages:
    """Writes the protocol's lines; may be called from several threads."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    def send(self, kind: str, **values: Any) -> None:
        """Write one line."""
        line = json.dumps({"type": kind, **values}, allow_nan=False, ensure_ascii=True)
        with self._lock:
            self._stream.write(line + "\n")
            self._stream.flush()


class _LogLines(logging.Handler):
    """Sends the engine's log as protocol lines."""

    def __init__(self, messages: Messages) -> None:
        super().__init__(logging.INFO)
        self._messages = messages

    def emit(self, record: logging.LogRecord) -> None:
        level = (
            "error" if record.levelno >= logging.ERROR else "warning" if record.levelno >= logging.WARNING else "info"
        )
        self._messages.send("log", level=level, message=record.getMessage())


class _Session:
    """The monitor of a served job: passes progress on, and raises once the caller has asked to stop."""

    def __init__(self, messages: Messages) -> None:
        self._messages = messages
        self._cancel = threading.Event()
        self._stop = threading.Event()
        self._ended = threading.Event()
        self._last = -1.0

    def __call__(self, fraction: float, message: str) -> None:
        if self._cancel.is_set():
            raise Cancelled("The job was cancelled.")
        if self._stop.is_set():
            self._stop.clear()
            raise StopAsked("The job was asked to stop.")
        now = time.monotonic()
        if now - self._last >= SECONDS_BETWEEN_PROGRESS or fraction >= 1:
            self._last = now
            self._messages.send("progress", fraction=round(fraction, 4), message=message)

    def watch(self, stream: TextIO) -> None:
        """Wait for the lines `cancel` and `stop`, or the end of the input, in a thread of its own."""

        def wait() -> None:
            for line in stream:
                if line.strip() == "cancel":
                    # The caller is there, and ends the process where it takes too long.
                    self._cancel.set()
                if line.strip() == "stop":
                    self._stop.set()
            self._cancel.set()
            if not self._ended.wait(GRACE_SECONDS):
                self._leave()

        threading.Thread(target=wait, daemon=True, name="cancel").start()

    def end(self) -> None:
        """The job has ended, one way or another, so the process will end by itself."""
        self._ended.set()

    def _leave(self) -> None:
        """End the process amid a step of its job, and leave nothing behind."""
        abandon()
        # Where the caller is dead, or has stopped reading, nothing can be told, and must not be waited for.
        teller = threading.Thread(target=self._tell_cancelled, daemon=True)
        teller.start()
        teller.join(FAREWELL_SECONDS)
        os._exit(EXIT_CANCELLED)

    def _tell_cancelled(self) -> None:
        with contextlib.suppress(OSError):
            self._messages.send("error", code=Cancelled.code, message="The job was cancelled.")


def serve() -> int:
    """Serve one job on standard input and output and return the exit code."""
    messages = Messages(_claim_stdout())
    messages.send("started", protocol=PROTOCOL, engine=__version__, pid=os.getpid())
    handler = _LogLines(messages)
    root = logging.getLogger("engine")
    root.setLevel(logging.INFO)
    root.addHandler(handler)
    logging.captureWarnings(True)
    try:
        return _serve_one(messages)
    finally:
        root.removeHandler(handler)


def _serve_one(messages: Messages) -> int:
    session = _Session(messages)
    stdin = open(sys.stdin.fileno(), encoding="utf-8", closefd=False)  # noqa: SIM115 - lives as long as the process
    try:
        request = _parse(stdin.readline())
        session.watch(stdin)
        try:
            result = run(request, session)
        finally:
            session.end()
        messages.send("result", result=dataclasses.asdict(result))
    except Cancelled as error:
        messages.send("error", code=error.code, message=str(error))
        return EXIT_CANCELLED
    except EngineError as error:
        traceback.print_exc()
        messages.send("error", code=error.code, message=str(error))
        return EXIT_ERROR
    except Exception as error:
        # A bug, or a library's own error: the log file has the traceback, the person the name of it.
        traceback.print_exc()
        messages.send("error", code="internal", message=f"The engine failed: {type(error).__name__}: {error}")
        return EXIT_ERROR
    return EXIT_RESULT


def _parse(line: str) -> Any:
    try:
        call = json.loads(line)
        protocol, job, values = call["protocol"], call["job"], call["request"]
    except (ValueError, TypeError, KeyError) as error:
        raise RequestError(f"The request is no JSON object with protocol, job and request ({error}).") from error
    if protocol != PROTOCOL:
        raise RequestError(
            f"The caller speaks protocol {protocol}, this engine {PROTOCOL}: update the older of the two."
        )
    if not isinstance(values, dict):
        raise RequestError("The request must be a JSON object.")
    # The folder may be one that this person cannot enter: absolute paths, which are the rule, hold in any.
    with contextlib.suppress(OSError):
        os.chdir(str(call.get("folder") or os.curdir))
    return request_from_mapping(job, values)


def _claim_stdout() -> TextIO:
    """Standard output for the protocol alone: file descriptor 1 goes to standard error for all others from here on."""
    own = os.dup(sys.stdout.fileno())
    sys.stdout.flush()
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return open(own, "w", encoding="utf-8", newline="\n")
