"""What was found on each date, as a table, a plot and a page."""

import csv
from html import escape
from pathlib import Path
from typing import List, Optional, Sequence

from .period import iso
from .persistence import Date, Group
from .readme import CREDIT, NO_CREDIT, square_km

COLUMNS = (
    "time_begin", "time_end", "scene", "detections", "debris_m2", "observed_m2", "debris_per_observed", "largest_m2",
    "highest_probability", "observed",
)  # fmt: skip
NOT_OBSERVED = "not observed"
WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 900, 340, 80, 36, 36, 20
BAR = "#d55e00"
STYLE = """
body { font: 16px/1.5 system-ui, "DejaVu Sans", sans-serif; color: #1a1a1a; background: #fff; max-width: 60rem;
  margin: 0 auto; padding: 1.5rem; } table { border-collapse: collapse; } svg { max-width: 100%; height: auto; }
th, td { text-align: right; padding: .2rem .8rem .2rem 0; vertical-align: top; } th:nth-child(2), td:nth-child(2)
{ text-align: left; overflow-wrap: anywhere; } caption { text-align: left; color: #4d4d4d; }
"""
CAUTION = (
    "Suspected floating debris, found by a model in images; nobody has seen it at sea. Dates that saw less of the "
    "place find less: compare the share of the observed area. Things float: what is found in one place on several "
    "dates may be the same line of debris, another one held by the same front, or something fixed, as a reef, a "
    "platform or a farm, that is taken for debris."
)
TITLE = "Suspected floating debris over time"
DATE_COLUMNS = (
    "Date (UTC)", "Scene", "Detections", "Area", "Observed", "Share of observed", "Largest", "Highest probability",
)  # fmt: skip


def write_table(path: Path, dates: Sequence[Date]) -> None:
    """The dates as CSV, UTF-8; cells are empty where a figure is not known, as where nothing was observed.

    Raises:
        OSError: it cannot be written.
    """
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(COLUMNS)
        for date in dates:
            area = None if date.missed else date.area_m2
            numbers = (area, date.observed_m2, date.share, date.largest_m2, date.highest)
            cells = ["" if number is None else f"{number:.6g}" if number < 1 else f"{number:.1f}" for number in numbers]
            count = "" if date.missed else date.count
            seen = {True: "yes", False: "no", None: ""}[date.seen]
            writer.writerow([iso(date.period.begin), iso(date.period.end), date.scene, count, *cells, seen])


def page(dates: Sequence[Date], groups: Sequence[Group]) -> str:
    """The page's text."""
    lasting = [found for found in groups if len(found.dates) > 1]
    several = f"{len(lasting)} place(s) have detections on more than one date." if lasting else (
        "No place has detections on more than one date."
    )  # fmt: skip
    return (
        "<!DOCTYPE html>\n<html lang='en'><head><meta charset='utf-8'>"
        f"<title>{TITLE}</title><style>{STYLE}</style></head><body>\n<h1>{TITLE}</h1>\n{plot(dates)}\n"
        f"{_dates_table(dates)}\n<h2>Where it persists</h2><p>{several}</p>\n{_groups_table(lasting, dates)}\n"
        f"<p>{CAUTION}</p>\n<footer>{_credit(dates)}</footer></body></html>\n"
    )


def _credit(dates: Sequence[Date]) -> str:
    """What must be said of the images, and of practice scenes that they are none."""
    years = sorted({str(date.period.begin.year) for date in dates if not date.practice})
    said = [CREDIT.format(" " + ", ".join(years))] if years else []
    return " ".join(said + ([NO_CREDIT] if any(date.practice for date in dates) else []))


def plot(dates: Sequence[Date]) -> str:
    """Area of suspected debris by date, as SVG; the distance between bars is the time between dates."""
    times = [date.period.begin.timestamp() for date in dates]
    first, span = min(times), max(max(times) - min(times), 1.0)
    highest = max([date.area_m2 or 0.0 for date in dates] + [1.0])
    top = _above(highest)
    width, height = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    parts = [f"<svg viewBox='0 0 {WIDTH} {HEIGHT}' role='img' aria-label='Area of suspected debris by date'>"]
    for step in range(5):
        y = TOP + height * (1 - step / 4)
        parts.append(f"<line x1='{LEFT}' x2='{WIDTH - RIGHT}' y1='{y:.1f}' y2='{y:.1f}' stroke='#d9d9d9'/>")
        parts.append(_words(LEFT - 8, y + 4, f"{top * step / 4:,.0f}", "end"))
    parts.append(_words(LEFT - 8, TOP - 18, "m²", "end"))
    said = -1e9
    for date, time in zip(dates, times):
        x = LEFT + 20 + (width - 40) * ((time - first) / span if len(dates) > 1 else 0.5)
        label = f"{date.period.begin:%Y-%m-%d}: {_area(date.area_m2)}"
        label += "" if date.seen is not None else "; what was observed is not known"
        if date.missed:
            parts.append(_missed(x, TOP + height, f"{date.period.begin:%Y-%m-%d}: {NOT_OBSERVED}"))
        elif date.area_m2 is not None:
            bar = height * date.area_m2 / top
            parts.append(
                f"<rect x='{x - 6:.1f}' y='{TOP + height - bar:.1f}' width='12' height='{max(bar, 1):.1f}' "
                f"fill='{BAR}'><title>{escape(label)}</title></rect>"
            )
        # Dates that would be written over one another are left to the table.
        if x - said > 78:
            parts.append(_words(x, TOP + height + 18, f"{date.period.begin:%Y-%m-%d}", "middle"))
            said = x
    return "".join(parts) + "</svg>"


def _missed(x: float, floor: float, label: str) -> str:
    """A dashed line with a word: no bar, which would be read as clear water."""
    middle = TOP + (floor - TOP) / 2
    return (
        f"<line x1='{x:.1f}' x2='{x:.1f}' y1='{TOP}' y2='{floor:.1f}' stroke='#8c8c8c' stroke-width='2' "
        f"stroke-dasharray='3 5'><title>{escape(label)}</title></line><text x='{x - 6:.1f}' y='{middle:.1f}' "
        f"font-size='12' fill='#595959' text-anchor='middle' transform='rotate(-90 {x - 6:.1f} {middle:.1f})'>"
        f"{NOT_OBSERVED}</text>"
    )


def _words(x: float, y: float, text: str, anchor: str) -> str:
    return f"<text x='{x:.1f}' y='{y:.1f}' font-size='13' fill='#333' text-anchor='{anchor}'>{escape(text)}</text>"


def _above(value: float) -> float:
    """The smallest of 1, 2, 4 or 10 times a power of ten that is not below `value`."""
    power = 1.0
    while power * 10 < value:
        power *= 10
    return next(step * power for step in (1, 2, 4, 10) if step * power >= value)


def _area(value: Optional[float]) -> str:
    return "unknown" if value is None else square_km(value)


def _dates_table(dates: Sequence[Date]) -> str:
    rows: List[str] = []
    for date in dates:
        share = "unknown" if date.share is None else f"{1e6 * date.share:,.1f} per million"
        highest = "" if date.highest is None else f"{date.highest:.2f}"
        count, area = (NOT_OBSERVED, "unknown") if date.missed else (f"{date.count:,}", _area(date.area_m2))
        cells = (
            f"{date.period.begin:%Y-%m-%d}", date.scene, count, area,
            "nothing" if date.seen is False else _area(date.observed_m2), share,
            "" if date.largest_m2 is None else _area(date.largest_m2), highest,
        )  # fmt: skip
        rows.append("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>")
    titles = "".join(f"<th>{escape(title)}</th>" for title in DATE_COLUMNS)
    return f"<table><caption>What was rejected does not count.</caption><tr>{titles}</tr>{''.join(rows)}</table>"


def _groups_table(groups: Sequence[Group], dates: Sequence[Date]) -> str:
    if not groups:
        return ""
    rows = []
    for number, found in enumerate(groups[:50], 1):
        when = ", ".join(f"{dates[date].period.begin:%Y-%m-%d}" for date in found.dates)
        rows.append(f"<tr><td>{number}</td><td>{when}</td><td>{len(found.patches)}</td></tr>")
    return f"<table><tr><th>Group</th><th>Dates</th><th>Detections</th></tr>{''.join(rows)}</table>"
