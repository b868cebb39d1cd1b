"""A plugin built from the sources, once for all tests."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tools.package_plugin import PLUGIN, assemble


@pytest.fixture(scope="session")
def built_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return assemble(tmp_path_factory.mktemp("built") / PLUGIN)


@pytest.fixture
def built(built_once: Path, tmp_path: Path) -> Path:
    """The built plugin folder, a copy that a test may change."""
    return Path(shutil.copytree(built_once, tmp_path / "built" / PLUGIN))


@pytest.fixture
def qgis_installed() -> None:
    if shutil.which("qgis_process") is None:
        pytest.skip("qgis_process is not installed; make setup installs it")
