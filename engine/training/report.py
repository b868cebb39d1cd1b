"""The page that says how a training went: curves, precision and recall, reliability, confusion, pictures. One file."""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.modelfile import ModelCard
from engine.practice.job import CLASS_NAMES
from engine.training.validation import Validation

__all__ = ["report_page"]

WIDTH, HEIGHT, MARGIN = 420, 260, 46
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")
STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1b1b;background:#fff}
table{border-collapse:collapse;margin:1rem 0}td,th{border:1px solid #c8c8c8;padding:.25rem .6rem;text-align:right}
td:first-child,th:first-child{text-align:left}figure{display:inline-block;margin:.5rem}figcaption{font-size:.9em}
.tiles img{width:190px;image-rendering:pixelated;border:1px solid #c8c8c8;background:#eef}.row{white-space:nowrap}
"""


def report_page(
    card: ModelCard, plan: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], final: Validation, previews: Path
) -> str:
    """The report as HTML that needs no other file.

    Args:
        card: of the finished model.
        plan: what was learnt from: `plan.json`.
        rows: the log's lines.
        final: the last validation, with the temperature applied.
        previews: folder with the pictures.
    """
    scores = final.debris.at(card.threshold)
    parts = [
        f"<h1>{html.escape(card.name)}: training report</h1>",
        _table(
            ("", "on the validation data"),
            [
                ("F1", f"{scores.f1:.3f}"), ("IoU", f"{scores.iou:.3f}"), ("Precision", f"{scores.precision:.3f}"),
                ("Recall", f"{scores.recall:.3f}"), ("Threshold", f"{card.threshold:.3f}"),
                ("Temperature", f"{card.temperature:.3f}"),
                ("Expected calibration error", f"{final.debris.calibration_error():.4f}"),
            ],
        ),
        "<p>Threshold and temperature were fitted on the same validation data, so these scores are a little "
        "optimistic. Measure the model on labels it has never met (Evaluate Model) before relying on it.</p>",
        "<h2>Data</h2>", _data(plan),
        "<h2>Curves</h2>", *_curves(rows),
        "<h2>Precision, recall, reliability</h2>", _precision_recall(final, card.threshold), _reliability(final),
        "<h2>Confusion</h2>", _confusion(final, card.threshold),
        "<h2>Examples from the validation data</h2>", _pictures(previews),
    ]  # fmt: skip
    title = html.escape(card.name)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{STYLE}</style></head>"
        f"<body>{''.join(parts)}</body></html>"
    )


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{html.escape(text)}</th>" for text in header)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"


def _data(plan: Mapping[str, Any]) -> str:
    training, validation = plan["training"], plan["validation"]
    names = list(dict.fromkeys([*training["classes"], *validation["classes"]]))
    rows = [("patches", training["patches"], validation["patches"])]
    rows += [("scenes", len(training["scenes"]), len(validation["scenes"]))]
    rows += [(name, training["classes"].get(name, 0), validation["classes"].get(name, 0)) for name in names]
    return _table(("labelled pixels", "training", "validation"), [[str(cell) for cell in row] for row in rows])


def _curves(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    epochs = np.array([row["epoch"] for row in rows], dtype=float)

    def series(*names: str) -> dict[str, Any]:
        return {name.replace("_", " "): (epochs, np.array([float(row[name]) for row in rows])) for name in names}

    return [
        plot("Loss", "epoch", series("train_loss", "validation_loss")),
        plot("F1 and IoU", "epoch", series("f1", "iou"), (0, 1)),
        plot("Learning rate", "epoch", series("learning_rate")),
    ]


def _precision_recall(final: Validation, threshold: float) -> str:
    _, precision, recall = final.debris.curve()
    here = final.debris.at(threshold)
    return plot(
        "Precision (upward) over recall; the dot is the model's threshold", "recall",
        {"": (recall, precision)}, (0, 1), (0, 1), [(here.recall, here.precision)],
    )  # fmt: skip


def _reliability(final: Validation, groups: int = 10) -> str:
    group = np.arange(final.debris.bins) * groups // final.debris.bins
    centre = (np.arange(final.debris.bins) + 0.5) / final.debris.bins
    positive = np.bincount(group, final.debris.positive, groups)
    total = positive + np.bincount(group, final.debris.negative, groups)
    said = np.bincount(group, (final.debris.positive + final.debris.negative) * centre, groups)
    seen = total > 0
    line = (said[seen] / total[seen], positive[seen] / total[seen])
    ideal = (np.array([0.0, 1.0]), np.array([0.0, 1.0]))
    return plot(
        "Share that is debris (upward) over the probability said", "probability",
        {"model": line, "ideal": ideal}, (0, 1), (0, 1), list(zip(*line, strict=True)),
    )  # fmt: skip


def _confusion(final: Validation, threshold: float) -> str:
    first = round(threshold * final.debris.bins)
    rows = []
    for number, bins in enumerate(final.by_class):
        if bins.sum():
            flagged = bins[first:].sum()
            rows.append((CLASS_NAMES[number], f"{bins.sum():.0f}", f"{flagged:.0f}", f"{flagged / bins.sum():.2%}"))
    return _table(("labelled as", "pixels", "marked as debris", "share"), rows)


def _pictures(folder: Path) -> str:
    rows = []
    for colour in sorted(folder.glob("*_colour.png")):
        cells = []
        for kind, title in (("colour", "colour"), ("truth", "labelled"), ("prediction", "predicted")):
            path = colour.with_name(colour.name.replace("_colour", f"_{kind}"))
            if path.is_file():
                data = base64.b64encode(path.read_bytes()).decode("ascii")
                cells.append(
                    f'<figure><img alt="{title}" src="data:image/png;base64,{data}"><figcaption>{title}</figcaption>'
                    "</figure>"
                )
        rows.append(f'<div class="row">{"".join(cells)}</div>')
    legend = "<p>Orange: debris. Green: other floating matter. Grey: labelled as something else.</p>"
    return f'{legend}<div class="tiles">{"".join(rows)}</div>'


def plot(
    title: str,
    axis: str,
    lines: Mapping[str, tuple[npt.NDArray[Any], npt.NDArray[Any]]],
    y_range: tuple[float, float] | None = None,
    x_range: tuple[float, float] | None = None,
    dots: Sequence[tuple[float, float]] = (),
) -> str:
    """Lines as an SVG figure with axes, ticks and a legend."""
    xs, ys = (np.concatenate([line[i] for line in lines.values()]) for i in (0, 1))
    x0, x1 = x_range or _span(xs)
    y0, y1 = y_range or _span(np.append(ys, 0.0))

    def at(x: float, y: float) -> tuple[float, float]:
        across = MARGIN + (x - x0) / (x1 - x0) * (WIDTH - MARGIN - 12)
        down = HEIGHT - MARGIN + 8 - (y - y0) / (y1 - y0) * (HEIGHT - MARGIN - 8)
        return round(across, 1), round(down, 1)

    parts = []
    for share in (0, 0.25, 0.5, 0.75, 1):
        x, y = x0 + share * (x1 - x0), y0 + share * (y1 - y0)
        left, right, low = at(x0, y), at(x1, y), at(x, y0)
        parts.append(f'<line x1="{left[0]}" y1="{left[1]}" x2="{right[0]}" y2="{right[1]}" stroke="#e2e2e2"/>')
        parts.append(f'<text x="{left[0] - 5}" y="{left[1] + 4}" text-anchor="end">{y:.3g}</text>')
        parts.append(f'<text x="{low[0]}" y="{low[1] + 16}" text-anchor="middle">{x:.3g}</text>')
    for number, (name, (x_values, y_values)) in enumerate(lines.items()):
        colour = COLOURS[number % len(COLOURS)]
        points = " ".join("{},{}".format(*at(x, y)) for x, y in zip(x_values, y_values, strict=True))
        parts.append(f'<polyline fill="none" stroke="{colour}" stroke-width="1.8" points="{points}"/>')
        parts.append(f'<text x="{MARGIN + 12 + 120 * number}" y="14" fill="{colour}">{html.escape(name)}</text>')
    parts += ['<circle cx="{}" cy="{}" r="3.5" fill="#1b1b1b"/>'.format(*at(x, y)) for x, y in dots]
    parts.append(f'<text x="{WIDTH - 12}" y="{HEIGHT - 4}" text-anchor="end">{html.escape(axis)}</text>')
    return (
        f'<figure><svg width="{WIDTH}" height="{HEIGHT}" font-size="11" font-family="system-ui,sans-serif" role="img">'
        f"{''.join(parts)}</svg><figcaption>{html.escape(title)}</figcaption></figure>"
    )


def _span(values: npt.NDArray[Any]) -> tuple[float, float]:
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    return (low, high) if high > low else (low - 0.5, high + 0.5)
