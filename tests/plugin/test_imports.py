"""Who may import whom: QGIS never loads the engine's libraries, the engine never loads QGIS's."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FORBIDDEN = {
    "debris_qgis": {
        "torch", "rasterio", "engine", "safetensors", "pyogrio", "shapely", "pyproj", "scipy", "affine", "PyQt5",
        "PyQt6",
    },
    "engine": {"qgis", "PyQt5", "PyQt6", "osgeo", "debris_qgis", "processing"},
}  # fmt: skip


def imported(path):
    """Top-level names of all absolute imports of a file, inside functions too."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name.split(".")[0] for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module.split(".")[0]


@pytest.mark.parametrize("package", list(FORBIDDEN))
def test_no_import_crosses_the_boundary(package):
    files = sorted((ROOT / package).rglob("*.py"))
    assert len(files) > 8
    crossing = {f"{path.name}: {name}" for path in files for name in imported(path) if name in FORBIDDEN[package]}
    assert crossing == set()


def test_the_plugins_code_is_python_39():
    for path in (ROOT / "debris_qgis").rglob("*.py"):
        ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 9))


def test_nothing_of_the_engine_is_loaded_in_qgis():
    import sys

    import debris_qgis.plugin  # noqa: F401

    assert not {"torch", "rasterio", "engine"} & set(sys.modules)
