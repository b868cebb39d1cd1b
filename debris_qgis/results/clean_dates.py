"""Which mask belongs to a table without a row: where nothing was found, nothing in the table names its scene.

Such a date matters as much as any other: only its mask tells when it was, and how much was looked at in vain.
"""

import os
import re
from dataclasses import dataclass
from typing import Callable, Dict, List, Optional, Sequence

from qgis.core import QgsCoordinateReferenceSystem, QgsVectorLayer

from .period import parse
from .provenance import Provenance, of_detections

ROLES = re.compile(r"masks?|detections?|found|[\W_]+", re.IGNORECASE)
"""What file names say of a result's part in its run, not of the run."""


@dataclass(frozen=True)
class Table:
    """A layer of detections, as far as it tells where it belongs."""

    name: str
    path: str
    own: Optional[Provenance]
    """What its rows say; None where there are none."""
    group: str = ""
    """Of the project's layers; empty where it is in none."""


@dataclass(frozen=True)
class Mask:
    """A mask that may belong to a table."""

    path: str
    known: Provenance
    group: str = ""
    crs: Optional[QgsCoordinateReferenceSystem] = None
    """Where a person has set it."""


def table_of(layer: QgsVectorLayer, group: str) -> Table:
    """A layer of detections, which stands in a group."""
    has_rows = next(layer.getFeatures(), None) is not None
    return Table(layer.name(), layer.source().split("|")[0], of_detections(layer) if has_rows else None, group)


def masks_of_empty(tables: Sequence[Table], masks: Sequence[Mask]) -> Dict[int, int]:
    """The number of the mask of each table that is empty; tables are left out where it is not clear which is theirs.

    A mask of a scene that another table names is that table's. Of the others, the surest sign comes first: name, group
    in the project, folder, scene or date in the name; then the order, where both are as many and all that is known
    agrees with it; then the only one left.
    """
    taken = {table.own.scene for table in tables if table.own}
    free = [number for number, mask in enumerate(masks) if mask.known.scene and mask.known.scene not in taken]
    empty = [number for number, table in enumerate(tables) if table.own is None]
    found: Dict[int, int] = {}
    for rule in (_same_name, _same_group, _same_folder, _named_after):
        found.update(_settled(rule, tables, masks, _left(empty, found), _left(free, found.values())))
    if _in_order(tables, masks):
        left = _left(free, found.values())
        found.update({n: n for n in _left(empty, found) if n in left and not _differ(tables[n], masks[n])})
    empty, free = _left(empty, found), _left(free, found.values())
    if len(empty) == len(free) == 1 and not _differ(tables[empty[0]], masks[free[0]]):
        found[empty[0]] = free[0]
    return found


def _left(numbers, settled) -> List[int]:
    return [number for number in numbers if number not in settled]


def _settled(rule: Callable[[Table, Mask], bool], tables, masks, empty, free) -> Dict[int, int]:
    """Pairs by one rule, where each is the other's only one."""
    pairs = [(t, m) for t in empty for m in free if not _differ(tables[t], masks[m]) and rule(tables[t], masks[m])]
    ours, theirs = [t for t, _ in pairs], [m for _, m in pairs]
    return {t: m for t, m in pairs if ours.count(t) == theirs.count(m) == 1}


def _same_name(table: Table, mask: Mask) -> bool:
    names = [ROLES.sub("", _stem(path)).lower() for path in (table.path, mask.path)]
    return bool(names[0]) and names[0] == names[1]


def _same_group(table: Table, mask: Mask) -> bool:
    return bool(table.group) and table.group == mask.group


def _same_folder(table: Table, mask: Mask) -> bool:
    folders = [os.path.dirname(path) for path in (table.path, mask.path)]
    return bool(folders[0]) and folders[0] == folders[1]


def _named_after(table: Table, mask: Mask) -> bool:
    """Whether the table's name holds the mask's scene or its day."""
    names = [table.name, _stem(table.path)]
    if any(mask.known.scene.lower() in name.lower() for name in names):
        return True
    days = [period.begin.date() for period in map(parse, names) if period]
    return bool(mask.known.period) and mask.known.period.begin.date() in days


def _in_order(tables, masks) -> bool:
    """Whether tables and masks may be taken to stand in the same order."""
    return len(tables) == len(masks) and all(
        table.own is None or table.own.scene == mask.known.scene for table, mask in zip(tables, masks)
    )


def _differ(table: Table, mask: Mask) -> bool:
    """Whether the table's name tells another day than the mask."""
    period = parse(table.name)
    return bool(period and mask.known.period) and period.begin.date() != mask.known.period.begin.date()


def _stem(path: str) -> str:
    return os.path.splitext(os.path.basename(path))[0]
