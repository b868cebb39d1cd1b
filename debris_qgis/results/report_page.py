"""The report as one HTML page that holds its pictures, for mail and the web."""

import base64
from html import escape
from typing import List

from qgis.PyQt.QtCore import QBuffer, QByteArray, QIODevice

from .report_content import Content, Entry
from .report_sheet import Report

MAP = "Map of the scene with suspected debris, legend, scale bar and north arrow"
STYLE = """
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, "DejaVu Sans", sans-serif; color: #1a1a1a; background: #fff; margin: 0 auto;
  max-width: 60rem; padding: 1.5rem; }
h1 { margin: 0; } .subtitle { color: #4d4d4d; margin: 0 0 1rem; overflow-wrap: anywhere; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(11rem, 1fr)); gap: .75rem; margin: 1rem 0; }
.figures div { background: #eef2f5; padding: .6rem .8rem; } .figures dt { color: #4d4d4d; font-size: .85rem; }
.figures dd { margin: 0; font-size: 1.3rem; font-weight: 600; }
img { max-width: 100%; height: auto; } .entry { display: flex; flex-wrap: wrap; gap: .75rem; margin: 1rem 0; }
.entry img { width: 14rem; } .entry h3 { margin: 0; } .entry ul { margin: .3rem 0; padding-left: 1.1rem; }
table { border-collapse: collapse; } th, td { text-align: left; vertical-align: top; padding: .2rem .8rem .2rem 0; }
td { overflow-wrap: anywhere; } footer { color: #4d4d4d; font-size: .85rem; margin-top: 2rem; }
"""


def page(content: Content, report: Report) -> str:
    """The page's text."""
    figures = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in content.figures)
    rows = "".join(f"<tr><th>{escape(name)}</th><td>{escape(text)}</td></tr>" for name, text in content.model)
    parts = [
        f"<h1>{escape(content.title)}</h1><p class='subtitle'>{escape(content.subtitle)}</p>",
        f"<dl class='figures'>{figures}</dl>",
        f"<img alt='{MAP}' src='{_picture(report, *report.main)}'>",
        f"<h2>What was found</h2><p>{escape(content.found)}</p>",
        f"<h2>What was observed</h2><p>{escape(' '.join(content.observed))}</p>",
        *_entries(content, report),
        f"<h2>How this was made</h2><table>{rows}</table>",
        f"<h2>What this report does not say</h2><p>{escape(content.caution)}</p>",
        f"<footer>{escape(content.credit)}</footer>",
    ]
    title = f"{escape(content.title)} – {escape(content.subtitle)}"
    return (
        f"<!DOCTYPE html>\n<html lang='en'><head><meta charset='utf-8'><title>{title}</title>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<style>{STYLE}</style></head><body>\n" + "\n".join(parts) + "\n</body></html>\n"
    )


def _entries(content: Content, report: Report) -> List[str]:
    if not content.entries:
        return []
    shown = [_entry(entry, report, frames) for entry, frames in zip(content.entries, report.close_ups)]
    return ["<h2>The largest detections</h2>", *shown]


def _entry(entry: Entry, report: Report, frames) -> str:
    kinds = ("in colour", "Floating Debris Index")
    pictures = "".join(
        f"<img alt='{escape(entry.heading)}, {kind}' src='{_picture(report, *place)}'>"
        for place, kind in zip(frames, kinds)
    )
    lines = "".join(f"<li>{escape(line)}</li>" for line in entry.lines)
    return f"<div class='entry'>{pictures}<div><h3>{escape(entry.heading)}</h3><ul>{lines}</ul></div></div>"


def _picture(report: Report, number: int, frame) -> str:
    """A part of the sheet as a data URI."""
    data = QByteArray()
    buffer = QBuffer(data)
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    report.sheet.picture(number, frame).save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(bytes(data)).decode("ascii")
