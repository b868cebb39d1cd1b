"""What the fields of requests are made of: help texts, and checks that say what to set."""

from __future__ import annotations

import dataclasses
from dataclasses import field
from typing import Any

from engine.errors import RequestError

__all__ = ["DEVICES", "PRECISIONS", "check_crs", "check_labels", "check_positive", "choice", "option", "within"]

DEVICES = ("auto", "cpu", "cuda", "mps")
PRECISIONS = ("auto", "mixed", "float32")


def option(default: Any = dataclasses.MISSING, *, text: str) -> Any:
    """A request's field: with a help text, and required where no default is given."""
    return field(default=default, metadata={"help": text})


def choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    """Refuse a value that is not one of `choices`."""
    if value not in choices:
        raise RequestError(f"{name} is {value!r}: use one of {', '.join(choices)}.")


def within(name: str, value: float | None, low: float, high: float) -> None:
    """Refuse a value outside `low` to `high`; None passes."""
    if value is not None and not low <= value <= high:
        raise RequestError(f"{name} is {value:g}: it must lie between {low:g} and {high:g}.")


def check_labels(rasters: tuple[str, ...], labels: tuple[str, ...]) -> None:
    """Refuse label sources that are neither one for all rasters nor one for each."""
    if len(labels) not in (1, len(rasters)):
        raise RequestError(
            f"There are {len(rasters)} raster(s) and {len(labels)} label source(s): give one class raster for each, or "
            "one polygon layer for all."
        )


def check_crs(name: str, given: tuple[str, ...], files: tuple[str, ...]) -> None:
    """Refuse CRSs of which it is not clear which file each is of; none at all leave all files their own."""
    if given and len(given) != len(files):
        raise RequestError(
            f"{name} names {len(given)} CRS(s) for {len(files)} file(s): give one for each, in the files' order."
        )


def check_positive(classes: tuple[int, ...]) -> None:
    """Refuse numbers that are no classes."""
    if not classes or not all(1 <= number <= 16 for number in classes):
        raise RequestError(f"positive_classes are {classes}: give class numbers from 1 to 16, as 1 or 1,2,3,4,9.")
