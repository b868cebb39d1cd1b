"""Outputs appear together and complete, or not at all."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from engine.errors import OutputError, RequestError
from engine.outputs import Staging


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_nothing_shows_before_publish_and_all_after(tmp_path: Path) -> None:
    with Staging("a1") as staging:
        for name in ("one.tif", "two.gpkg"):
            staging.add(tmp_path / name).write_text(name)
        assert _names(tmp_path) == [".debris-a1"]
        staging.publish()
    assert _names(tmp_path) == ["one.tif", "two.gpkg"]


def test_an_error_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), Staging() as staging:
        staging.add(tmp_path / "one.tif").write_text("half")
        raise ZeroDivisionError
    assert _names(tmp_path) == []


def test_files_that_belong_together_move_together(tmp_path: Path) -> None:
    with Staging() as staging:
        staged = staging.add(tmp_path / "d.shp")
        for suffix in (".shp", ".dbf", ".shx"):
            staged.with_suffix(suffix).write_text(suffix)
        staging.publish()
    assert _names(tmp_path) == ["d.dbf", "d.shp", "d.shx"]


def test_what_belonged_to_the_older_file_goes(tmp_path: Path) -> None:
    for name in ("a.tif", "a.tif.aux.xml", "a.tif.ovr", "b.tif.ovr"):
        (tmp_path / name).write_text("old")
    with Staging() as staging:
        staging.add(tmp_path / "a.tif").write_text("new")
        staging.publish()
    assert _names(tmp_path) == ["a.tif", "b.tif.ovr"]
    assert (tmp_path / "a.tif").read_text() == "new"


def _killed_editor(path: Path) -> None:
    """Leaves a GeoPackage as a program that was killed after a commit does, with its `-wal`."""
    code = (
        "import os, sqlite3, sys\n"
        "file = sqlite3.connect(sys.argv[1])\n"
        "file.execute('PRAGMA journal_mode=WAL')\n"
        "file.execute('PRAGMA wal_autocheckpoint=0')\n"
        "file.execute('CREATE TABLE notes (text)')\n"
        "file.executemany('INSERT INTO notes VALUES (?)', [('x' * 500,)] * 500)\n"
        "file.commit()\n"
        "os._exit(0)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], check=True)


def test_a_new_geopackage_is_not_overwritten_by_what_an_older_one_had_left_to_write(tmp_path: Path) -> None:
    _killed_editor(tmp_path / "d.gpkg")
    assert _names(tmp_path) == ["d.gpkg", "d.gpkg-shm", "d.gpkg-wal"]
    with Staging() as staging:
        with closing(sqlite3.connect(staging.add(tmp_path / "d.gpkg"))) as new:
            new.execute("CREATE TABLE detections (id)")
            new.commit()
        staging.publish()
    assert _names(tmp_path) == ["d.gpkg"]
    with closing(sqlite3.connect(tmp_path / "d.gpkg")) as new:
        assert new.execute("SELECT name FROM sqlite_master").fetchall() == [("detections",)]


def test_what_belonged_to_an_older_shapefile_goes_but_for_its_new_parts(tmp_path: Path) -> None:
    for suffix in (".shp", ".dbf", ".cpg", ".prj", ".qix", ".sbn", ".sbx", ".qml"):
        (tmp_path / f"d{suffix}").write_text("old")
    with Staging() as staging:
        staged = staging.add(tmp_path / "d.shp")
        for suffix in (".shp", ".dbf", ".cpg"):
            staged.with_suffix(suffix).write_text("new")
        staging.publish()
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "d.shp": "new", "d.dbf": "new", "d.cpg": "new", "d.qml": "old",
    }  # fmt: skip


def test_what_belongs_to_a_file_that_stays_stays_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("d.gpkg", "d.gpkg-wal"):
        (tmp_path / name).write_text("old")
    real, locked = os.replace, tmp_path / "d.gpkg"

    def replace(source: Path, target: Path) -> None:
        if Path(target) == locked and Path(source).read_text() == "new":
            raise PermissionError(13, "in use")
        real(source, target)

    with Staging() as staging:
        staging.add(locked).write_text("new")
        monkeypatch.setattr(os, "replace", replace)
        with pytest.raises(OutputError, match="in use"):
            staging.publish()
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"d.gpkg": "old", "d.gpkg-wal": "old"}


@pytest.mark.parametrize("way", ["itself", "a link to it", "another way", "a layer of it", "what a link leads to"])
def test_what_is_read_is_no_place_for_a_result(tmp_path: Path, way: str) -> None:
    read = tmp_path / "a.gpkg"
    read.write_text("old")
    (tmp_path / "link.gpkg").symlink_to(read)
    named = {"a layer of it": f"{read}|layername=a", "what a link leads to": tmp_path / "link.gpkg"}.get(way, read)
    final = {"a link to it": tmp_path / "link.gpkg", "another way": tmp_path / ".." / tmp_path.name / "a.gpkg"}
    with Staging() as staging:
        staging.reads(None, "/vsizip/none.zip/a.tif", "<VRTDataset/>", named)
        with pytest.raises(OutputError, match="a file that this job reads"):
            staging.add(final.get(way, read))
        staging.add(tmp_path / "b.gpkg")


def test_two_ways_to_one_file_are_one_output(tmp_path: Path) -> None:
    with Staging() as staging:
        staging.add(tmp_path / "a.tif")
        with pytest.raises(OutputError, match="two different outputs"):
            staging.add(tmp_path / ".." / tmp_path.name / "a.tif")


def test_where_one_cannot_move_all_stays_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.tif").write_text("old")
    real, locked = os.replace, tmp_path / "b.tif"

    def replace(source: Path, target: Path) -> None:
        if Path(target) == locked:
            raise PermissionError(13, "in use")
        real(source, target)

    with Staging() as staging:
        staging.add(tmp_path / "a.tif").write_text("new")
        staging.add(locked).write_text("new")
        monkeypatch.setattr(os, "replace", replace)
        with pytest.raises(OutputError, match=r"b\.tif cannot be replaced \(in use\)"):
            staging.publish()
    assert _names(tmp_path) == ["a.tif"]
    assert (tmp_path / "a.tif").read_text() == "old"


def test_a_folder_is_no_output(tmp_path: Path) -> None:
    with Staging() as staging, pytest.raises(OutputError, match="is a folder"):
        staging.add(tmp_path)


@pytest.mark.parametrize("job_id", ["../up", "a b", "x" * 65])
def test_a_job_id_cannot_lead_elsewhere(job_id: str) -> None:
    with pytest.raises(RequestError, match="job_id"):
        Staging(job_id)
