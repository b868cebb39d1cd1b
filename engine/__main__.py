"""The engine on the command line: `python -m engine JOB --option value …`, or `python -m engine serve`.

A job's options are the fields of its request. Progress and log go to standard error, the result as one line of JSON to
standard output, so that `… | tail -n 1` is always the result.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import logging
import signal
import sys
import time
import typing
import warnings
from collections.abc import Sequence
from typing import Any

from engine import __version__
from engine.errors import Cancelled, EngineError
from engine.jobs import JOBS, Job, request_from_mapping, run
from engine.service import EXIT_CANCELLED, EXIT_ERROR, EXIT_RESULT, serve


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m engine", description="Marine-debris engine.")
    parser.add_argument("--version", action="version", version=__version__)
    jobs = parser.add_subparsers(dest="job", required=True, metavar="JOB")
    for name, job in JOBS.items():
        _add_options(jobs.add_parser(name, help=job.help, description=job.help), job)
    jobs.add_parser("serve", help="Serve one job in JSON lines on standard input and output.")
    return parser


def _add_options(parser: argparse.ArgumentParser, job: Job) -> None:
    hints = typing.get_type_hints(job.request)
    for entry in dataclasses.fields(job.request):
        required = entry.default is dataclasses.MISSING
        default = "" if required or entry.default in (None, ()) else f" (default: {entry.default})"
        parser.add_argument(
            f"--{entry.name.replace('_', '-')}",
            dest=entry.name,
            required=required,
            default=argparse.SUPPRESS,
            type=_reader(hints[entry.name]),
            help=(entry.metadata.get("help", "") + default).replace("%", "%%"),
        )


def _reader(hint: Any) -> Any:
    """What turns an option's text into a value of the type `hint`."""
    kinds = {kind for kind in (hint, *typing.get_args(hint)) if kind is not type(None)}
    for kind in kinds:
        if typing.get_origin(kind) is tuple:
            member = typing.get_args(kind)[0]
            return _list_of(member)
    if bool in kinds:
        return lambda text: text.lower() in ("1", "true", "yes")
    return float if float in kinds else int if int in kinds else str


def _list_of(member: Any) -> Any:
    def read(text: str) -> list[Any]:
        return [member(part) for part in text.split(",") if part]

    # What argparse calls it where it cannot be read.
    read.__name__ = "list, with commas between," if member is str else "list of numbers, with commas between,"
    return read


class _Line:
    """Progress as one line on standard error that is written over; only where a person watches."""

    def __init__(self) -> None:
        self._last = 0.0

    def __call__(self, fraction: float, message: str) -> None:
        if sys.stderr.isatty() and (time.monotonic() - self._last > 0.2 or fraction >= 1):
            self._last = time.monotonic()
            sys.stderr.write(f"\r\033[K{fraction:4.0%} {message}" + ("\n" if fraction >= 1 else ""))
            sys.stderr.flush()


def _log_to_stderr() -> None:
    """The engine's own log, and of its libraries what is wrong; not what they do, step by step."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    logging.getLogger("engine").setLevel(logging.INFO)
    logging.captureWarnings(True)
    # A raster without a place is a case of its own here, and said where it matters. By its text: importing rasterio, to
    # name its class, takes a while.
    for text in ("Dataset has no geotransform", "The given matrix is equal to Affine.identity"):
        warnings.filterwarnings("ignore", message=text)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one job and return the exit code: 0 done, 1 failed, 3 cancelled."""
    values = vars(_parser().parse_args(arguments))
    job = values.pop("job")
    if job == "serve":
        return serve()
    _log_to_stderr()
    # `timeout` and batch systems end a job by SIGTERM, which by itself would leave unfinished results behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        result = run(request_from_mapping(job, values), _Line())
    except (Cancelled, KeyboardInterrupt):
        sys.stderr.write("\nCancelled.\n")
        return EXIT_CANCELLED
    except EngineError as error:
        sys.stderr.write(f"\n{error}\n")
        return EXIT_ERROR
    sys.stdout.write(json.dumps(dataclasses.asdict(result)) + "\n")
    return EXIT_RESULT


if __name__ == "__main__":
    sys.exit(main())
