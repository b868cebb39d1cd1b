"""What README says of the shipped model's accuracy, between its marks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

__all__ = ["write_readme"]

BEGIN, END = "<!-- accuracy: begin -->", "<!-- accuracy: end -->"


def write_readme(path: Path, network: dict[str, Any], seeds: Sequence[float], quiet: dict[str, Any] | None) -> None:
    """Write what README says of the shipped model, between its marks.

    Args:
        path: of README.
        network: what was measured of the shipped model.
        seeds: strict F1 of each seed of its recipe, where these were measured.
        quiet: its false detections on a quiet sea, where they were counted at several thresholds.
    """
    strict, floating = network["strict"], network["floating"]
    others = f"; mean of {len(seeds)} seeds of the recipe {sum(seeds) / len(seeds):.3f}" if seeds else ""
    text = (
        f"The bundled model ({network['name']}), on 233 patches of 9 scenes of MARIDA's test split that it has not "
        "seen (clean track,\n"
        f"thresholds fixed beforehand): strict F1 {strict['f1']:.3f} [{strict['interval'][0]:.3f}, "
        f"{strict['interval'][1]:.3f}] (precision {strict['precision']:.3f}, recall {strict['recall']:.3f}"
        f"{others}), floating "
        f"matter F1\n{floating['f1']:.3f} [{floating['interval'][0]:.3f}, {floating['interval'][1]:.3f}]. The "
        "intervals are 95 % over draws of the scenes. Everything else, baselines and weaknesses\nincluded, is in "
        "[docs/accuracy.md](docs/accuracy.md), which `make accuracy` writes.\n"
    )
    if quiet is not None:
        text += _for_few_false_alarms(network, quiet)
    readme = path.read_text()
    if BEGIN not in readme or END not in readme:
        return
    before, rest = readme.split(BEGIN, 1)
    inside, after = rest.split(END, 1)
    kept = inside[inside.index("Measure it yourself") :] if "Measure it yourself" in inside else "\n"
    path.write_text(f"{before}{BEGIN}\n{text}\n{kept}{END}{after}")


def _for_few_false_alarms(network: dict[str, Any], quiet: dict[str, Any]) -> str:
    """What to set where false alarms cost more than what is missed."""
    rows = zip(network["at_thresholds"], quiet["per_100_km2_at_thresholds"], strict=True)
    few = next(((threshold, found, count) for (threshold, *found), count in rows if count <= 1), None)
    own = f"\nOn practice scenes of a quiet sea it marks {quiet['per_100_km2']:.1f} places per 100 km² falsely"
    if few is None:
        return f"{own}.\n"
    threshold, (_, precision, recall), count = few
    return (
        f"{own};\nonly {count:.1f} with THRESHOLD set to {threshold:.2g} (precision {precision:.2f} and recall "
        f"{recall:.2f} on the patches). Lower it to miss less, raise it\nfor fewer false alarms: the page has a "
        "table.\n"
    )
