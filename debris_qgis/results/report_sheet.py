"""The printed report: map and figures first, the largest detections with close-ups, then how it was made."""

from dataclasses import dataclass, field
from typing import List, Sequence, Tuple

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCoordinateTransformContext,
    QgsCsException,
    QgsGeometry,
    QgsProject,
    QgsRectangle,
)
from qgis.PyQt.QtCore import QRectF

from .lengths import axis_units_per_metre
from .report_content import Content, Entry
from .report_layers import Layers
from .selection import has_place
from .sheet import BOTTOM, MARGIN, PAGE_HEIGHT, WIDTH, Sheet, height_of

LARGEST_MAP, SMALLEST_MAP = 140.0, 80.0
CLOSE_UP = 42.0
SMALLEST_LEGEND = 34.0
# A close-up shows a detection in its water: this many times its own size, and no less than so many pixels' worth.
SURROUNDINGS = 2.5
SMALLEST_CLOSE_UP_M = 600.0
SMALLEST_CLOSE_UP_PIXELS = 60


class PlaceError(RuntimeError):
    """Detections and map cannot be laid over each other; the message says why."""


@dataclass
class Report:
    """The sheet, and which of its parts are pictures of a page for the web: page number and frame."""

    sheet: Sheet
    main: Tuple[int, QRectF] = (0, QRectF())
    close_ups: List[List[Tuple[int, QRectF]]] = field(default_factory=list)


def draw(content: Content, layers: Layers, project: QgsProject) -> Report:
    """Lay out the report; its layers belong to `project`.

    Raises:
        PlaceError: the detections cannot be brought into the CRS of the maps.
    """
    # First of all: what cannot be shown is said before anything is laid out.
    places = [_place(entry, layers) for entry in content.entries]
    report = Report(Sheet(project))
    end = _head(report.sheet, content)
    end = _main_map(report, layers, end)
    end = _first_page_texts(report.sheet, content, end)
    if content.entries:
        end = _table(report, content.entries, places, layers)
    _made(report.sheet, content, end)
    _feet(report.sheet, content)
    return report


def _head(sheet: Sheet, content: Content) -> float:
    y = sheet.text(content.title, MARGIN, 10, WIDTH, 19, bold=True)
    y = sheet.text(content.subtitle, MARGIN, y + 1, WIDTH, 9, colour="#4d4d4d") + 3
    width = (WIDTH - 3 * 3) / 4
    for number, (name, value) in enumerate(content.figures):
        x = MARGIN + number * (width + 3)
        sheet.box(x, y, width, 15, "#eef2f5")
        sheet.text(name, x + 2, y + 1.5, width - 4, 7.5, colour="#4d4d4d")
        size = next((size for size in (13, 11, 9, 7.5) if height_of(value, width - 4, size, True) < size * 0.55), 7)
        sheet.text(value, x + 2, y + 6, width - 4, size, bold=True)
    return y + 15 + 4


def _main_map(report: Report, layers: Layers, y: float) -> float:
    sheet, extent = report.sheet, layers.extent
    ratio = extent.height() / extent.width() if extent.width() else 1.0
    height = min(max(WIDTH * ratio * 1.02, SMALLEST_MAP), LARGEST_MAP)
    frame = QRectF(MARGIN, y, WIDTH, height)
    shown = sheet.map(layers.main(), extent, layers.crs, frame)
    below = y + height + 2
    named = [layer for layer in (layers.spots, layers.mask) if layer is not None]
    end = max(sheet.legend(shown, named, MARGIN, below, 2) + 1, below + SMALLEST_LEGEND)
    sheet.scale_bar(shown, MARGIN + WIDTH - 64, below + 3)
    sheet.north_arrow(shown, MARGIN + WIDTH - 11, below + 1)
    report.main = (sheet.page, QRectF(MARGIN - 1, y - 1, WIDTH + 2, end - y + 1))
    return end


def _first_page_texts(sheet: Sheet, content: Content, y: float) -> float:
    observed = " ".join(content.observed)
    for heading, text in (("What was found", content.found), ("What was observed", observed)):
        if y + 5 + height_of(text, WIDTH, 8.5) > BOTTOM:
            sheet.new_page()
            y = MARGIN
        y = sheet.text(heading, MARGIN, y, WIDTH, 10, bold=True) + 0.5
        y = sheet.text(text, MARGIN, y, WIDTH, 8.5) + 2
    return y


def _table(report: Report, entries: Tuple[Entry, ...], places: Sequence[QgsRectangle], layers: Layers) -> float:
    sheet = report.sheet
    sheet.new_page()
    y = sheet.text("The largest detections", MARGIN, MARGIN, WIDTH, 13, bold=True) + 1
    explained = (
        "Each with a close-up in colour and, where the bands are there, of the Floating Debris Index (bright: floating "
        "matter); the outline is what the model marked."
    )
    y = sheet.text(explained, MARGIN, y, WIDTH, 8.5, colour="#4d4d4d") + 3
    for entry, place in zip(entries, places):
        if y + _row_height(entry, layers) > BOTTOM:
            sheet.new_page()
            y = MARGIN
        report.close_ups.append(_row(sheet, entry, place, layers, y))
        y += _row_height(entry, layers) + 6
    return y


def _row(sheet, entry, place, layers, y) -> List[Tuple[int, QRectF]]:
    frames, x = [], MARGIN
    side = around(place, layers.crs, layers.pixel)
    for shown in (layers.close_up(), layers.index()):
        if shown:
            frame = QRectF(x, y, CLOSE_UP, CLOSE_UP)
            sheet.map(shown, side, layers.crs, frame)
            frames.append((sheet.page, frame))
            x += CLOSE_UP + 3
    below = sheet.text(entry.heading, x, y, MARGIN + WIDTH - x, 9.5, bold=True) + 1
    for line in (*entry.lines, _side(side, layers.crs)):
        below = sheet.text(line, x, below, MARGIN + WIDTH - x, 8) + 0.3
    return frames


def _place(entry: Entry, layers: Layers) -> QgsRectangle:
    """The bounds of a detection in the CRS of the maps, which need not be its own."""
    geometry, own = QgsGeometry(entry.feature.geometry()), layers.outlines.crs()
    # What has no place on Earth is drawn by its numbers, as QGIS draws it.
    if not (has_place(own) and has_place(layers.crs)):
        return geometry.boundingBox()
    try:
        geometry.transform(QgsCoordinateTransform(own, layers.crs, QgsCoordinateTransformContext()))
    except QgsCsException:
        raise _no_way(own, layers.crs) from None
    # Where there is no way, coordinates may also become infinite without an error.
    if not geometry.boundingBox().isFinite():
        raise _no_way(own, layers.crs)
    return geometry.boundingBox()


def _no_way(own: QgsCoordinateReferenceSystem, maps: QgsCoordinateReferenceSystem) -> PlaceError:
    names = own.userFriendlyIdentifier(), maps.userFriendlyIdentifier()
    return PlaceError(
        "The detections cannot be brought from their CRS, {}, into that of the map, {}: look at the CRS of each "
        "layer.".format(*names)
    )


def _row_height(entry: Entry, layers: Layers) -> float:
    """The height of a close-up, or of the texts beside it where they are higher."""
    maps = (1 if layers.close_up() else 0) + (1 if layers.index() else 0)
    width = WIDTH - maps * (CLOSE_UP + 3)
    texts = sum(height_of(line, width, 8) + 0.3 for line in (*entry.lines, "Close-up"))
    return max(CLOSE_UP, height_of(entry.heading, width, 9.5, True) + 1 + texts)


def around(box: QgsRectangle, crs: QgsCoordinateReferenceSystem, pixel: float = 1.0) -> QgsRectangle:
    """The square that a close-up shows; `pixel` is the width of one, which counts where there are no metres."""
    across, _ = axis_units_per_metre(crs, box.center())
    smallest = SMALLEST_CLOSE_UP_M * across if has_place(crs) else SMALLEST_CLOSE_UP_PIXELS * pixel
    side = max(box.width() * SURROUNDINGS, box.height() * SURROUNDINGS, smallest)
    return QgsRectangle.fromCenterAndSize(box.center(), side, side)


def _side(extent: QgsRectangle, crs: QgsCoordinateReferenceSystem) -> str:
    if not has_place(crs):
        return "Close-up without scale"
    across, _ = axis_units_per_metre(crs, extent.center())
    return f"Close-up {extent.width() / across:,.0f} m wide"


def _made(sheet: Sheet, content: Content, y: float) -> None:
    """How it was made and what it does not say: below the rest where there is room, else on a page of its own."""
    rows = [(name, _breakable(text)) for name, text in content.model]
    heights = [max(height_of(text, WIDTH - 32, 8.5), height_of(name, 30, 8.5, True)) + 1.5 for name, text in rows]
    if y + sum(heights) + height_of(content.caution, WIDTH, 9) + 34 > BOTTOM:
        sheet.new_page()
        y = MARGIN - 4
    y = sheet.text("How this was made", MARGIN, y + 4, WIDTH, 13, bold=True) + 2
    for (name, text), height in zip(rows, heights):
        sheet.text(name, MARGIN, y, 30, 8.5, bold=True)
        sheet.text(text, MARGIN + 32, y, WIDTH - 32, 8.5)
        y += height
    y = sheet.text("What this report does not say", MARGIN, y + 4, WIDTH, 13, bold=True) + 2
    sheet.text(content.caution, MARGIN, y, WIDTH, 9)


def _breakable(text: str) -> str:
    """Long words, as checksums, cut so that they wrap."""
    return " ".join(word if len(word) < 66 else " ".join((word[:64], word[64:])) for word in text.split(" "))


def _feet(sheet: Sheet, content: Content) -> None:
    """Credit and page number on every page."""
    last = sheet.page
    for number in range(last + 1):
        sheet.page = number
        sheet.text(content.credit, MARGIN, PAGE_HEIGHT - 13, WIDTH - 22, 7, colour="#4d4d4d")
        sheet.text(f"{number + 1} of {last + 1}", MARGIN + WIDTH - 12, PAGE_HEIGHT - 13, 12, 7, colour="#4d4d4d")
    sheet.page = last
