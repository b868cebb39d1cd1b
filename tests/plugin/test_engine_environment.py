"""Which Python runs the engine, in which order, and with what environment."""

from pathlib import Path

import pytest
from qgis.core import QgsApplication, QgsSettings

from debris_qgis import engine_environment
from debris_qgis.engine_environment import SETTING, VARIABLE, EngineNotFound, clean_environment, find_engine


@pytest.fixture
def places(tmp_path, monkeypatch):
    """Three Pythons, none of them named yet; the private environment's path is moved to the test's folder."""
    paths = {}
    for name in ("setting", "variable", "private"):
        paths[name] = tmp_path / name / "bin" / "python"
        paths[name].parent.mkdir(parents=True)
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setattr(engine_environment, "private_folder", lambda: tmp_path / "private")
    yield paths
    QgsSettings().remove(SETTING)


def test_setting_then_variable_then_private_environment(places, monkeypatch):
    for path in places.values():
        path.touch()
    assert find_engine().python == places["private"]
    monkeypatch.setenv(VARIABLE, str(places["variable"]))
    assert find_engine().python == places["variable"]
    QgsSettings().setValue(SETTING, str(places["setting"]))
    assert find_engine().python == places["setting"]
    assert SETTING in find_engine().source


def test_one_that_is_named_but_missing_is_said_and_not_passed_over(places, monkeypatch):
    places["private"].touch()
    monkeypatch.setenv(VARIABLE, str(places["variable"]))
    with pytest.raises(EngineNotFound, match=VARIABLE):
        find_engine()


def test_one_that_is_named_by_a_relative_path_is_that_of_the_current_folder(places, monkeypatch, tmp_path):
    """It is started in the engine's folder, where the same path would be another."""
    places["variable"].touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(VARIABLE, "variable/bin/python")
    assert find_engine().python == places["variable"]


def test_where_there_is_none_the_commands_are_given(places):
    with pytest.raises(EngineNotFound) as caught:
        find_engine()
    message = str(caught.value)
    assert "-m venv" in message
    assert "requirements.txt" in message
    assert str(places["private"]) in message


def test_private_environment_lies_beside_the_profiles():
    profile = Path(QgsApplication.qgisSettingsDirPath()).resolve()
    assert engine_environment.private_folder() == profile.parents[1] / "debris_engine"


def test_the_engine_package_is_found(engine_python):
    assert (find_engine().folder / "engine" / "__main__.py").is_file()


def test_foreign_variables_are_left_out():
    names = (
        "PYTHONPATH PYTHONHOME PROJ_LIB PROJ_DATA GDAL_DATA GDAL_DRIVER_PATH LD_LIBRARY_PATH LD_PRELOAD QT_PLUGIN_PATH "
        "QT_QPA_PLATFORM QGIS_PREFIX_PATH VIRTUAL_ENV DYLD_LIBRARY_PATH OGR_X CPL_DEBUG"
    )
    foreign = dict.fromkeys(names.split(), "x")
    kept = clean_environment(
        {**foreign, "HOME": "/h", "PATH": "/bin", "LANG": "C.UTF-8", "HTTPS_PROXY": "p", "CUDA_VISIBLE_DEVICES": "0"}
    )
    assert not set(foreign) & set(kept)
    assert (kept["HOME"], kept["PATH"], kept["HTTPS_PROXY"], kept["CUDA_VISIBLE_DEVICES"]) == ("/h", "/bin", "p", "0")
