"""Progress and cancel: one callable that a job calls often.

A monitor takes the fraction done (0 to 1) and a short message for the person waiting. To cancel, it raises
`Cancelled`: a job needs no other check, and cleans up as it would after any error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

__all__ = ["Monitor", "Share", "silent", "watched"]

T = TypeVar("T")
# Of things that take milliseconds each, so many go by between two looks at the monitor.
STRIDE = 100

Monitor = Callable[[float, str], None]


def silent(fraction: float, message: str) -> None:
    """Report to nobody and never cancel: the default monitor."""


@dataclass(frozen=True)
class Share:
    """The part of a longer job's progress bar that goes from `start` to `end`."""

    monitor: Monitor
    start: float
    end: float

    def __call__(self, fraction: float, message: str) -> None:
        """Pass `fraction` of this part on as a fraction of the whole."""
        self.monitor(self.start + (self.end - self.start) * min(max(fraction, 0.0), 1.0), message)


def watched(items: Sequence[T], monitor: Monitor, message: str) -> Iterator[T]:
    """The items one by one, with a word to the monitor before the first and now and then."""
    for number, item in enumerate(items):
        if number % STRIDE == 0:
            monitor(number / len(items), f"{message}: {number} of {len(items)}" if number else message)
        yield item
