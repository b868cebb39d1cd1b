"""The algorithms as Processing sees them: parameters, defaults, outputs, help."""

import os
import shutil
from configparser import ConfigParser

import pytest
from qgis import processing
from qgis.core import (
    NULL,
    QgsProcessingContext,
    QgsProcessingParameterDefinition,
    QgsProcessingUtils,
    QgsProperty,
)

from debris_qgis.about import ICON, version
from debris_qgis.algorithms.base import EngineAlgorithm
from debris_qgis.compat import ADVANCED
from debris_qgis.paths import absolute

from .conftest import ROOT

OPTIONAL = QgsProcessingParameterDefinition.FlagOptional
# The table of the algorithm's specification: type, default, optional, advanced.
DETECT = {
    "INPUT": ("raster", None, True, False),
    "PRODUCT": ("file", None, True, False),
    "LEVEL": ("enum", "auto", False, False),
    "AREA": ("layer", None, True, False),
    "WATER": ("layer", None, True, False),
    "MASKS": ("enum", "auto", False, True),
    "SHORE": ("number", 2, False, True),
    "SHIFT_TO_WATER": ("boolean", False, False, True),
    "CLOUD_COLLAR": ("number", 5, False, True),
    "MODEL": ("file", None, True, False),
    "THRESHOLD": ("number", None, True, False),
    "EXTENT": ("extent", None, True, False),
    "BANDS": ("string", None, True, True),
    "SCALE": ("number", None, True, True),
    "OFFSET": ("number", None, True, True),
    "EXTENT_THRESHOLD": ("number", None, True, True),
    "MIN_PIXELS": ("number", 1, False, True),
    "TILE_OVERLAP": ("number", None, True, True),
    "DEVICE": ("enum", "auto", False, True),
    "PROBABILITY": ("rasterDestination", None, True, False),
    "MASK": ("rasterDestination", "TEMPORARY_OUTPUT", False, False),
    "DETECTIONS": ("vectorDestination", "TEMPORARY_OUTPUT", True, False),
}


@pytest.mark.parametrize("name", ["detect", "prepare", "simulate", "enginestatus"])
def test_algorithm_is_registered_and_explains_itself(provider, name):
    algorithm = provider.algorithm(name)
    assert algorithm is not None
    assert len(algorithm.shortHelpString()) > 100
    assert algorithm.group()
    assert not algorithm.icon().isNull()
    assert algorithm.createInstance().name() == name


def test_provider(provider):
    assert provider.name() == "Marine Debris"
    assert version() in provider.longName()
    assert ICON.is_file()
    assert not provider.icon().isNull()


def test_the_plugin_manager_names_every_algorithm(provider):
    metadata = ConfigParser(interpolation=None)
    metadata.read(ROOT / "metadata.txt", encoding="utf-8")
    about = metadata["general"]["about"]
    assert [a.displayName() for a in provider.algorithms() if f'"{a.displayName()}"' not in about] == []


@pytest.mark.parametrize("name", list(DETECT))
def test_parameters_of_detect(provider, name):
    kind, default, optional, advanced = DETECT[name]
    parameter = provider.algorithm("detect").parameterDefinition(name)
    assert parameter.type() == kind
    assert parameter.defaultValue() == default
    assert bool(parameter.flags() & OPTIONAL) is optional
    assert bool(parameter.flags() & ADVANCED) is advanced


def test_detect_has_no_other_parameters(provider):
    assert {p.name() for p in provider.algorithm("detect").parameterDefinitions()} == set(DETECT)


def test_devices(provider):
    assert provider.algorithm("detect").parameterDefinition("DEVICE").options() == ["auto", "cpu", "cuda", "mps"]


def test_probability_is_ticked_in_the_dialog_only(provider):
    parameter = provider.algorithm("detect").parameterDefinition("PROBABILITY")
    assert parameter.createByDefault()
    assert parameter.defaultValue() is None


def test_outputs_of_detect(provider):
    outputs = {output.name(): output.type() for output in provider.algorithm("detect").outputDefinitions()}
    assert outputs == {
        "PROBABILITY": "outputRaster",
        "MASK": "outputRaster",
        "DETECTIONS": "outputVector",
        "DETECTION_COUNT": "outputNumber",
        "DEBRIS_AREA_M2": "outputNumber",
        "OBSERVED_AREA_M2": "outputNumber",
        "NOT_OBSERVED_AREA_M2": "outputNumber",
    }


def test_files_get_endings_that_the_engine_writes(provider):
    detect = provider.algorithm("detect")
    assert detect.parameterDefinition("MASK").defaultFileExtension() == "tif"
    assert QgsProcessingUtils.defaultVectorExtension() in ("gpkg", "geojson", "shp", "fgb")


NOT_GIVEN = {"none": None, "NULL": NULL, "empty": "", "spaces": " ", "expression": QgsProperty.fromExpression("NULL")}


@pytest.mark.parametrize("kind", list(NOT_GIVEN))
def test_an_optional_number_that_is_not_given_is_no_zero(provider, kind):
    """QGIS itself takes NULL and an empty text for 0: as a threshold that would be debris everywhere."""
    context, seen = QgsProcessingContext(), 0
    for algorithm in provider.algorithms():
        for parameter in algorithm.parameterDefinitions():
            if parameter.type() == "number" and parameter.flags() & OPTIONAL:
                assert algorithm.number({parameter.name(): NOT_GIVEN[kind]}, parameter.name(), context) is None
                assert algorithm.number({}, parameter.name(), context) is None
                seen += 1
    assert seen >= 7


@pytest.mark.parametrize("value", [0, "0", "0.0", QgsProperty.fromExpression("1 - 1")])
def test_an_optional_number_may_be_zero(provider, value):
    algorithm, context = provider.algorithm("detect"), QgsProcessingContext()
    assert algorithm.number({"THRESHOLD": value}, "THRESHOLD", context) == 0
    assert algorithm.number({"TILE_OVERLAP": value}, "TILE_OVERLAP", context, whole=True) == 0


@pytest.fixture
def asked(monkeypatch):
    """What the engine is asked for."""
    request = {}
    monkeypatch.setattr(EngineAlgorithm, "run_job", staticmethod(lambda job, values, *_: request.update(values)))
    return request


RELATIVE = {
    "detect": {"INPUT": "scene.tif", "MODEL": "m.safetensors", "MASK": "a.tif", "PROBABILITY": "b.tif",
               "DETECTIONS": "c.gpkg", "AREA": "scene.tif"},
    "prepare": {"INPUT": "scene.tif", "OUTPUT": "a.tif", "QUALITY": "sub/b.tif", "WATER": "scene.tif"},
    "simulate": {"OUTPUT": "a.tif", "LABELS": "b.tif"},
    "train": {"MODEL": "a.safetensors", "REPORT": "r.html", "LOG": "l.csv", "START_FROM": "m.safetensors",
              "RUN_FOLDER": "run", "SOURCE": "marida", "FOLDER": "sub"},
}  # fmt: skip


@pytest.mark.parametrize("name", list(RELATIVE))
def test_relative_paths_are_those_of_the_callers_folder(name, asked, scene, toy_model, tmp_path, monkeypatch):
    """As in a terminal: the engine runs in a folder of its own, into which it wrote them."""
    shutil.copy(toy_model, tmp_path / "m.safetensors")
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path)
    processing.run(f"debris:{name}", RELATIVE[name])
    meant = {str(tmp_path / value) for value in RELATIVE[name].values() if value != "marida"}
    assert meant <= {value for value in asked.values() if isinstance(value, str)}


@pytest.mark.parametrize(
    "name",
    ["", "TEMPORARY_OUTPUT", "/vsizip/a.zip/b.tif", "SENTINEL2_L2A:a.xml:10m:EPSG_32630", 'NETCDF:"a.nc":b', "memory:",
     "https://example.org/a.tif", "postgres://a", 'GTIFF_DIR:1:a.tif'],
)  # fmt: skip
def test_what_is_no_plain_path_stays(name):
    assert absolute(name) == name


def test_plain_paths_become_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert absolute("a.gpkg|layername=x") == f"{tmp_path}{os.sep}a.gpkg|layername=x"
    assert absolute(str(tmp_path / "../a.tif")) == str(tmp_path / "../a.tif")
