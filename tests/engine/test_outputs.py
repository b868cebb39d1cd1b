"""Outputs appear together and complete, or not at all."""

from __future__ import annotations

import os
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
