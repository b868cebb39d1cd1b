"""Which Python runs the engine, and with which environment variables.

The engine never runs in QGIS's own Python: torch and rasterio bring libraries of their own (GDAL, PROJ) that must not
meet those of QGIS in one process.
"""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from qgis.core import QgsApplication, QgsSettings

from .about import ROOT

SETTING = "debris/engine_python"
VARIABLE = "DEBRIS_ENGINE_PYTHON"
PRIVATE = "debris_engine"

# What QGIS sets for its own libraries and would mislead those of the engine: PROJ_LIB alone makes rasterio's PROJ read
# a foreign database. Prefixes; the last ones name single variables.
FOREIGN = (
    "PYTHON",
    "PROJ_",
    "GDAL_",
    "OGR_",
    "CPL_",
    "QT_",
    "QML",
    "QGIS",
    "DYLD_",
    "GISBASE",
    "GRASS",
    "GEOTIFF_CSV",
    "LD_LIBRARY_PATH",
    "LD_PRELOAD",
    "VIRTUAL_ENV",
    "CONDA_PREFIX",
    "__PYVENV_LAUNCHER__",
)


class EngineNotFound(Exception):
    """No Python for the engine; the message says what to do."""


@dataclass(frozen=True)
class Engine:
    """A Python that can run the engine, and who named it."""

    python: Path
    source: str
    folder: Path
    """Holds the package `engine`."""


def find_engine() -> Engine:
    """The engine's Python: the plugin's setting, else the environment variable, else the private environment.

    Raises:
        EngineNotFound: there is none, or the one that is named first does not exist.
    """
    named = [
        (str(QgsSettings().value(SETTING, "") or ""), f"the setting {SETTING}"),
        (os.environ.get(VARIABLE, ""), f"the environment variable {VARIABLE}"),
    ]
    for text, source in named:
        if text:
            # Absolute, because it is started in the folder of the engine.
            python = Path(text).expanduser().absolute()
            if not python.is_file():
                raise EngineNotFound(
                    f"The engine's Python {python}, named by {source}, does not exist. Correct or remove that.\n"
                    f"{how_to()}"
                )
            return Engine(python, source, ROOT)
    python = private_python()
    if python.is_file():
        return Engine(python, "the private environment", ROOT)
    raise EngineNotFound(f"The engine's Python environment is not there yet.\n{how_to()}")


def private_folder() -> Path:
    """The folder of the private environment: beside the folder that holds QGIS's profiles."""
    return Path(QgsApplication.qgisSettingsDirPath()).resolve().parents[1] / PRIVATE


def private_python(folder=None) -> Path:
    """The Python of the private environment, whether it exists or not."""
    folder = private_folder() if folder is None else folder
    return folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def how_to() -> str:
    """What to do to get an environment, as commands."""
    python = private_python()
    starter = "py -3" if sys.platform == "win32" else "python3"
    return (
        "To make its environment, run these two commands in a terminal (Python 3.10 to 3.13, some 2 GB of disk):\n"
        f'  {starter} -m venv "{private_folder()}"\n'
        f'  "{python}" -m pip install -r "{ROOT / "engine" / "requirements.txt"}"\n'
        f"Or name the Python of an environment that has these packages in the environment variable {VARIABLE}."
    )


def clean_environment(variables=None) -> dict:
    """Environment variables for the engine: this process's, less what QGIS set for itself."""
    variables = dict(os.environ if variables is None else variables)
    kept = {name: value for name, value in variables.items() if not name.upper().startswith(FOREIGN)}
    kept.update(PYTHONUTF8="1", PYTHONNOUSERSITE="1", PYTHONDONTWRITEBYTECODE="1", PYTHONUNBUFFERED="1")
    return kept
