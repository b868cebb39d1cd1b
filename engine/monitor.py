"""Progress and cancel: one callable that a job calls often.

A monitor takes the fraction done (0 to 1) and a short message for the person waiting. To cancel, it raises
`Cancelled`: a job needs no other check, and cleans up as it would after any error.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Monitor", "Share", "silent"]

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
