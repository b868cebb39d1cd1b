"""CRSs as requests name them: those that a person has set and a file does not know."""

from __future__ import annotations

import logging

from rasterio.crs import CRS

from engine.errors import RequestError

__all__ = ["named_crs"]

log = logging.getLogger(__name__)


def named_crs(field: str, text: str | None, layer: str) -> CRS | None:
    """The CRS that a field of a request names, None where it names none and the file's own holds.

    Args:
        field: the request's.
        text: what it says.
        layer: whose CRS it is; the log says that it was set.

    Raises:
        RequestError: it is none; the message names the field.
    """
    if not text:
        return None
    try:
        crs = CRS.from_user_input(text)
    except ValueError as error:
        # CRSError is one; numbers that are none raise the bare kind.
        raise RequestError(f"{field} is {text!r}, which cannot be understood ({error}): give EPSG:… or WKT.") from error
    log.info("%s is taken to have the CRS %s.", layer, crs.to_string())
    return crs
