"""The built plugin in a throw-away QGIS profile, run by qgis_process as a user's script would."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared" / "data"
ENGINE_PYTHON = ROOT / ".venv" / "bin" / "python"
BANDS = "B01 B02 B03 B04 B05 B06 B07 B08 B8A B11 B12".split()

sys.path.insert(0, str(ROOT))


@pytest.fixture(scope="session")
def qgis(tmp_path_factory):
    """qgis_process with the built plugin installed and enabled in a profile of its own."""
    from tools.install_plugin import install, link_engine
    from tools.package_plugin import assemble
    from tools.qgis_process import QgisProcess, QgisProcessError

    root = tmp_path_factory.mktemp("profile")
    try:
        process = QgisProcess(root)
    except QgisProcessError as error:
        pytest.skip(str(error))
    install(assemble(tmp_path_factory.mktemp("built") / "debris_qgis"), root)
    link_engine(ROOT / ".venv", root)
    return process


@pytest.fixture(scope="session")
def toy_model(tmp_path_factory) -> str:
    """A model file that says debris where B8 is above 0.1."""
    path = tmp_path_factory.mktemp("model") / "toy.safetensors"
    script = ROOT / "tests" / "engine" / "toy_model.py"
    subprocess.run(
        [str(ENGINE_PYTHON), str(script), str(path)], check=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    return str(path)


@pytest.fixture(scope="session")
def marida(tmp_path_factory) -> Path:
    """MARIDA's folder, as links: qgis_process opens an INPUT itself and leaves an .aux.xml file beside it."""
    folder = SHARED / "marida"
    if not folder.is_dir():
        pytest.skip("real imagery is not on this machine: no marida beside the project")
    linked = tmp_path_factory.mktemp("marida")
    for path in folder.rglob("*"):
        if path.is_file():
            target = linked / path.relative_to(folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(path)
    return linked


@pytest.fixture
def accra_vrt(tmp_path) -> str:
    """Accra's eleven single-band files, stacked with their band names."""
    from osgeo import gdal

    gdal.UseExceptions()
    folder = SHARED / "accra_l2a"
    if not folder.is_dir():
        pytest.skip("real imagery is not on this machine: no accra_l2a beside the project")
    files = [str(next(folder.glob(f"*_{band}_(Raw).tiff"))) for band in BANDS]
    path = str(tmp_path / "accra.vrt")
    dataset = gdal.BuildVRT(path, files, separate=True)
    for number, band in enumerate(BANDS, 1):
        dataset.GetRasterBand(number).SetDescription(band)
    dataset.FlushCache()
    return path
