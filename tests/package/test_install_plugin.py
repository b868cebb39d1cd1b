"""Installing into a profile: where it goes, that it is enabled, and that old and new are never mixed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tools import install_plugin
from tools.install_plugin import InstallError, default_profile, find_profile_root, install, link_engine, main
from tools.package_plugin import PLUGIN
from tools.qgis_process import QgisProcess


def settings_of(profile_root: Path, number: int = 3) -> Path:
    return profile_root / "profiles" / "default" / "QGIS" / f"QGIS{number}.ini"


def test_the_plugin_is_copied_and_enabled(built: Path, tmp_path: Path) -> None:
    target = install(built, tmp_path / "root")
    assert target == tmp_path / "root" / "profiles" / "default" / "python" / "plugins" / PLUGIN
    assert (target / "metadata.txt").read_bytes() == (built / "metadata.txt").read_bytes()
    assert settings_of(tmp_path / "root").read_text() == "[PythonPlugins]\ndebris_qgis=true\n"
    assert [path.name for path in target.parent.iterdir()] == [PLUGIN]


def test_an_older_version_is_replaced_as_a_whole(built: Path, tmp_path: Path) -> None:
    target = install(built, tmp_path)
    (target / "gone_in_the_new_version.py").write_text("")
    (target / "__init__.py").write_text("old")
    install(built, tmp_path)
    assert not (target / "gone_in_the_new_version.py").exists()
    assert (target / "__init__.py").read_bytes() == (built / "__init__.py").read_bytes()


def test_a_link_to_sources_is_replaced_and_the_sources_stay(built: Path, tmp_path: Path) -> None:
    plugins = tmp_path / "root" / "profiles" / "default" / "python" / "plugins"
    plugins.mkdir(parents=True)
    sources = Path(shutil.copytree(built, tmp_path / "sources"))
    (plugins / PLUGIN).symlink_to(sources)
    target = install(built, tmp_path / "root")
    assert not target.is_symlink()
    assert (sources / "metadata.txt").is_file()


def test_a_copy_that_fails_leaves_the_old_version(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = install(built, tmp_path)
    (target / "old.py").write_text("")

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(install_plugin.shutil, "copytree", full)
    with pytest.raises(InstallError, match="No space left"):
        install(built, tmp_path)
    assert (target / "old.py").is_file()
    assert [path.name for path in target.parent.iterdir()] == [PLUGIN]


def test_a_swap_that_fails_brings_the_old_version_back(
    built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = install(built, tmp_path)
    (target / "old.py").write_text("")
    rename = Path.rename

    def refuse(self: Path, to: Path) -> Path:
        if self.name == "fresh":
            raise PermissionError(13, "in use")
        return rename(self, to)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(InstallError, match="in use"):
        install(built, tmp_path)
    assert (target / "old.py").is_file()


def test_other_settings_stay_as_they_are(built: Path, tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    settings.parent.mkdir(parents=True)
    before = b"[locale]\nuserLocale=de_DE\n\n[PythonPlugins]\nother=true\ndebris_qgis=false\n\n[UI]\nstate=\xff\\x0\n"
    settings.write_bytes(before)
    install(built, tmp_path)
    lines = settings.read_bytes().split(b"\n")
    assert lines.count(b"debris_qgis=true") == 1
    assert lines.index(b"[PythonPlugins]") < lines.index(b"debris_qgis=true") < lines.index(b"[UI]")
    kept = [line for line in lines if line != b"debris_qgis=true"]
    assert kept == [line for line in before.split(b"\n") if line != b"debris_qgis=false"]


def test_windows_line_endings_stay(built: Path, tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    settings.parent.mkdir(parents=True)
    settings.write_bytes(b"[UI]\r\nstate=1\r\n")
    install(built, tmp_path)
    assert settings.read_bytes() == b"[UI]\r\nstate=1\r\n\r\n[PythonPlugins]\r\ndebris_qgis=true\r\n"


@pytest.mark.parametrize(("root", "numbers"), [("QGIS3", {3}), ("QGIS4", {4}), ("own", {3, 4})])
def test_the_settings_file_of_each_qgis(built: Path, tmp_path: Path, root: str, numbers: set[int]) -> None:
    install(built, tmp_path / root)
    assert {number for number in (3, 4) if settings_of(tmp_path / root, number).exists()} == numbers


def test_a_folder_that_is_no_plugin_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InstallError, match="no plugin folder"):
        install(tmp_path / "empty", tmp_path / "root")
    assert not (tmp_path / "root").exists()


@pytest.mark.parametrize(
    ("environment", "platform", "expected"),
    [
        ({"QGIS_CUSTOM_CONFIG_PATH": "/own"}, "linux", "/own"),
        ({"HOME": "/home/a"}, "linux", "/home/a/.local/share/QGIS/QGIS3"),
        ({"HOME": "/home/a", "XDG_DATA_HOME": "/data"}, "linux", "/data/QGIS/QGIS3"),
        ({"HOME": "/Users/a"}, "darwin", "/Users/a/Library/Application Support/QGIS/QGIS3"),
        ({"HOME": "/c/a", "APPDATA": "/c/a/Roaming"}, "win32", "/c/a/Roaming/QGIS/QGIS3"),
    ],
)
def test_the_profile_root(environment: dict[str, str], platform: str, expected: str) -> None:
    assert find_profile_root(environment, platform) == Path(expected)


def test_qgis_4_is_taken_where_only_that_exists(tmp_path: Path) -> None:
    environment = {"XDG_DATA_HOME": str(tmp_path)}
    (tmp_path / "QGIS" / "QGIS4").mkdir(parents=True)
    assert find_profile_root(environment, "linux").name == "QGIS4"
    (tmp_path / "QGIS" / "QGIS3").mkdir()
    assert find_profile_root(environment, "linux").name == "QGIS3"


def test_the_profile_that_qgis_starts_with(tmp_path: Path) -> None:
    assert default_profile(tmp_path) == "default"
    (tmp_path / "profiles" / "field").mkdir(parents=True)
    (tmp_path / "profiles" / "profiles.ini").write_text("[core]\ndefaultProfile=field\nselectionPolicy=1\n")
    assert default_profile(tmp_path) == "field"
    (tmp_path / "profiles" / "field").rmdir()
    assert default_profile(tmp_path) == "default"


def test_the_engine_s_environment_is_linked_where_nothing_stands(tmp_path: Path) -> None:
    environment, other, root = tmp_path / "venv", tmp_path / "other", tmp_path / "root"
    environment.mkdir()
    other.mkdir()
    place = link_engine(environment, root)
    assert place == root / "debris_engine"
    assert place.resolve() == environment.resolve()
    link_engine(other, root)
    assert place.resolve() == environment.resolve()


def test_a_link_to_an_environment_that_is_gone_is_renewed(tmp_path: Path) -> None:
    environment = tmp_path / "venv"
    environment.mkdir()
    (tmp_path / "debris_engine").symlink_to(tmp_path / "gone")
    place = link_engine(environment, tmp_path)
    assert place is not None
    assert place.resolve() == environment.resolve()


def test_no_environment_is_no_link(tmp_path: Path) -> None:
    assert link_engine(tmp_path / "missing", tmp_path / "root") is None
    assert not (tmp_path / "root").exists()


def test_the_command_installs_below_a_root_of_one_s_own(
    built: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "root"
    assert main(["--profile-root", str(root), "--built", str(built), "--plugin-only"]) == 0
    assert str(root) in capsys.readouterr().out
    assert not (root / "debris_engine").exists()


def test_the_command_says_why_it_cannot_install(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--profile-root", str(tmp_path), "--built", str(tmp_path / "missing")]) == 1
    assert "make package" in capsys.readouterr().err


@pytest.mark.qgis
def test_qgis_finds_the_plugin_enabled(built: Path, tmp_path: Path, qgis_installed: None) -> None:
    install(built, tmp_path)
    enabled = [line for line in QgisProcess(tmp_path).call("plugins").splitlines() if line.startswith("*")]
    assert "* debris_qgis" in enabled
