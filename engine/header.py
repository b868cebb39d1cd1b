"""The header of a safetensors file, and JSON that somebody else wrote: judged before anything is allocated for it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.errors import ModelError

__all__ = ["check_tensors", "parse", "read_header"]

MAX_BYTES = 4_000_000
DEEPEST = 32
"""Levels of lists and objects in a card or header; those that this engine writes have less than ten."""


def read_header(path: Path) -> dict[str, Any]:
    """The header of a safetensors file: 8 bytes of length (little endian), then JSON.

    Raises:
        ModelError: there is no such file, it cannot be read, or it is of another kind.
    """
    try:
        if not path.is_file():
            raise ModelError(f"There is no model file {path}.")
        with path.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            if not 2 <= length <= min(MAX_BYTES, path.stat().st_size):
                raise ModelError(f"{path} is not a model file: a safetensors file was expected.")
            text = stream.read(length)
    except OSError as error:
        raise ModelError(f"{path} cannot be read ({error.strerror}).") from error
    try:
        header = parse(text)
    except ValueError as error:
        raise ModelError(f"{path} is not a model file: its header is no JSON ({error}).") from error
    if not isinstance(header, dict) or not isinstance(header.get("__metadata__", {}), dict):
        raise ModelError(f"{path} is not a model file: its header is no JSON object, or its metadata is none.")
    return header


def parse(text: str | bytes) -> Any:
    """JSON whose numbers are finite, and which is not nested so deeply that whoever walks through it falls.

    Raises:
        ValueError: it is something else.
    """
    try:
        value = json.loads(text, parse_constant=_number, parse_float=_number)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    _check_depth(value, DEEPEST)
    return value


def _number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is no number that JSON has")
    return number


def _check_depth(value: Any, left: int) -> None:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    if inner and not left:
        raise ValueError("it is nested too deeply")
    for part in inner:
        _check_depth(part, left - 1)


def check_tensors(path: Path, header: Mapping[str, Any], expected: Mapping[str, tuple[str, tuple[int, ...]]]) -> None:
    """See that a file holds the tensors that are expected, and nothing else.

    Args:
        path: for the message.
        header: of the file.
        expected: safetensors' name of the type, and the shape, by the tensor's name.

    Raises:
        ModelError: it does not.
    """
    missing = sorted(set(expected) - set(header))
    surplus = sorted(set(header) - set(expected) - {"__metadata__"})
    if missing or surplus:
        raise ModelError(
            f"{path} holds weights of another network: {len(missing)} are missing (first: {missing[:1]}), "
            f"{len(surplus)} are not known (first: {surplus[:1]})."
        )
    for name, (kind, shape) in expected.items():
        entry = header[name] if isinstance(header[name], dict) else {}
        if entry.get("shape") != list(shape):
            raise ModelError(f"{path}: {name} has the shape {entry.get('shape')}, the card's network {list(shape)}.")
        if entry.get("dtype") != kind:
            raise ModelError(f"{path}: {name} holds numbers of the type {entry.get('dtype')}; {kind} is expected.")
