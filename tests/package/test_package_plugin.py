"""The packaged plugin: what is in it, that the same sources give the same bytes, and what is refused."""

from __future__ import annotations

import os
import re
import zipfile
from pathlib import Path

import pytest

import engine
from tools.check_plugin import check_in_qgis
from tools.package_plugin import PLUGIN, ROOT, PackageError, assemble, check_zip, main, read_metadata, write_zip


def names(archive: Path) -> set[str]:
    with zipfile.ZipFile(archive) as source:
        return set(source.namelist())


def zip_of(built: Path, tmp_path: Path) -> Path:
    return write_zip(built, tmp_path / "dist" / "plugin.zip")


def edit_metadata(built: Path, pattern: str, replacement: str) -> None:
    path = built / "metadata.txt"
    text, count = re.subn(pattern, replacement, path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert count == 1
    path.write_text(text, encoding="utf-8")


def test_a_plugin_holds_qgis_side_engine_and_licence(built: Path, tmp_path: Path) -> None:
    held = names(zip_of(built, tmp_path))
    for name in (
        "__init__.py",
        "metadata.txt",
        "LICENSE",
        "CHANGELOG.md",
        "engine/__main__.py",
        "engine/requirements.txt",
        "engine/models/default.safetensors",
    ):
        assert f"{PLUGIN}/{name}" in held
    assert {name.split("/")[0] for name in held} == {PLUGIN}
    assert not [name for name in held if "__pycache__" in name or "/tests/" in name or name.endswith(".pyc")]


def test_every_source_file_is_packaged(built: Path) -> None:
    for folder, below in ((ROOT / "debris_qgis", built), (ROOT / "engine", built / "engine")):
        for source in folder.rglob("*.py"):
            assert (below / source.relative_to(folder)).read_bytes() == source.read_bytes()


def test_the_same_sources_give_the_same_bytes(built: Path, tmp_path: Path) -> None:
    first = zip_of(built, tmp_path).read_bytes()
    for path in built.rglob("*.py"):
        os.utime(path, (1, 1))
        path.chmod(0o755)
    assert zip_of(built, tmp_path).read_bytes() == first


def test_the_archive_follows_the_repository_s_rules(built: Path, tmp_path: Path) -> None:
    metadata = check_zip(zip_of(built, tmp_path))
    assert metadata["hasProcessingProvider"] == "yes"


def test_every_place_tells_the_same_version() -> None:
    version = read_metadata(ROOT / "metadata.txt")["version"]
    assert engine.__version__ == version
    assert f'\nversion = "{version}"\n' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.findall(r"^## \[([\d.]+)\]", changelog, re.MULTILINE)[0] == version


def test_assembling_replaces_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / PLUGIN
    target.mkdir()
    (target / "old.py").write_text("")
    assemble(target)
    assert not (target / "old.py").exists()


@pytest.mark.parametrize("name", ["helper.sh", "library.so", "module.pyc", "engine/model.pth"])
def test_a_file_that_does_not_belong_is_refused(built: Path, tmp_path: Path, name: str) -> None:
    (built / name).write_bytes(b"x")
    with pytest.raises(PackageError, match=re.escape(name)):
        check_zip(zip_of(built, tmp_path))


@pytest.mark.parametrize("name", ["LICENSE", "__init__.py", "metadata.txt", "engine/requirements.txt"])
def test_a_missing_file_is_named(built: Path, tmp_path: Path, name: str) -> None:
    (built / name).unlink()
    with pytest.raises(PackageError, match=re.escape(name)):
        check_zip(zip_of(built, tmp_path))


def test_a_foreign_file_among_the_sources_stops_the_build(tmp_path: Path) -> None:
    for name in ("metadata.txt", "LICENSE", "CHANGELOG.md", "debris_qgis/__init__.py", "engine/__init__.py"):
        (tmp_path / "project" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "project" / name).write_text("")
    (tmp_path / "project" / "engine" / "weights.bin").write_bytes(b"x")
    with pytest.raises(PackageError, match=r"weights\.bin does not belong"):
        assemble(tmp_path / "target", tmp_path / "project")


def test_two_top_folders_are_refused(built: Path, tmp_path: Path) -> None:
    archive = zip_of(built, tmp_path)
    with zipfile.ZipFile(archive, "a") as target:
        target.writestr("other/__init__.py", "")
    with pytest.raises(PackageError, match="one top folder"):
        check_zip(archive)


def test_an_archive_that_is_too_large_is_refused(built: Path, tmp_path: Path) -> None:
    (built / "noise.json").write_bytes(os.urandom(26_000_000))
    with pytest.raises(PackageError, match="at most 25 MB"):
        check_zip(zip_of(built, tmp_path))


@pytest.mark.parametrize(
    ("pattern", "replacement", "message"),
    [
        (r"^email=.*$", "", "email"),
        (r"^version=.*$", "version=0.1-beta", "three numbers"),
        (r"^author=.*$", "author=A/B", "slash"),
        (r"^name=.*$", "name=Debris Plugin", "word plugin"),
        (r"^hasProcessingProvider=.*$", "hasProcessingProvider=no", "hasProcessingProvider"),
        (r"^\[general\]$", "[common]", r"\[general\]"),
    ],
)
def test_metadata_that_is_refused(built: Path, pattern: str, replacement: str, message: str) -> None:
    edit_metadata(built, pattern, replacement)
    with pytest.raises(PackageError, match=message):
        read_metadata(built / "metadata.txt")


def test_the_command_builds_folder_and_archive(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--output", str(tmp_path)]) == 0
    version = read_metadata(ROOT / "metadata.txt")["version"]
    archive = tmp_path / f"{PLUGIN}-{version}.zip"
    assert str(archive) in capsys.readouterr().out
    assert sorted(path.name for path in tmp_path.iterdir()) == [PLUGIN, archive.name]


@pytest.mark.qgis
def test_a_real_qgis_loads_the_archive(built: Path, tmp_path: Path, qgis_installed: None) -> None:
    assert check_in_qgis(zip_of(built, tmp_path)).startswith("QGIS")


@pytest.mark.qgis
def test_an_archive_that_qgis_cannot_load_is_told(built: Path, tmp_path: Path, qgis_installed: None) -> None:
    (built / "__init__.py").write_text("raise RuntimeError('broken on purpose')\n")
    with pytest.raises(PackageError, match="does not list debris:detect"):
        check_in_qgis(zip_of(built, tmp_path))
