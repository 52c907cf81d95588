"""What is installed without a clone is whole: the built wheel holds everything that it needs, and works."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "roadworthy"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder), cwd=ROOT)
    [built] = folder.glob("roadworthy-*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel in a folder of its own; its dependencies are those of this environment."""
    site = tmp_path_factory.mktemp("site")
    pip = ("-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-compile")
    run(sys.executable, *pip, "--disable-pip-version-check", "--target", str(site), str(wheel))
    return site


def run(*command: str, cwd: Path | None = None, path: Path | None = None) -> str:
    env = {name: value for name, value in os.environ.items() if not name.startswith(("ROADWORTHY_", "PYTHON"))}
    if path is not None:
        env["PYTHONPATH"] = str(path)
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_wheel_holds_every_file_of_the_package(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
    files = [file for file in SOURCE.rglob("*") if file.is_file() and "__pycache__" not in file.parts]
    wanted = {str(file.relative_to(SOURCE.parent)) for file in files}
    assert wanted <= held, wanted - held
    kinds = {Path(name).suffix for name in wanted}
    assert {".py", ".md", ".yaml", ".json", ".jsonl", ".txt", ".mako", ".typed"} <= kinds


def test_the_wheel_holds_the_published_schemas(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        for schema in (ROOT / "schemas").glob("*.json"):
            assert archive.read(f"roadworthy/schemas/{schema.name}") == schema.read_bytes()


def test_the_wheel_holds_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        tops = {name.split("/")[0] for name in archive.namelist()}
        assert not [name for name in archive.namelist() if name.endswith((".pyc", ".db", ".key"))]
    assert tops == {"roadworthy", next(top for top in tops if top.endswith(".dist-info"))}


def test_the_installed_wheel_says_what_it_can_do(installed: Path) -> None:
    where = run(sys.executable, "-c", "import roadworthy; print(roadworthy.__file__)", path=installed)
    assert where.startswith(str(installed))
    told = run(sys.executable, "-m", "roadworthy.cli.main", "--help", path=installed)
    for command in ("up", "apply", "freeze", "log", "show", "stats", "demo"):
        assert f"  {command} " in told


def test_the_installed_wheel_makes_and_applies_an_example(installed: Path, tmp_path: Path) -> None:
    def roadworthy(*words: str) -> str:
        return run(sys.executable, "-m", "roadworthy.cli.main", *words, cwd=tmp_path, path=installed)

    roadworthy("init", "example", "--data", "data")
    roadworthy("check", "example", "--data", "data")
    roadworthy("apply", "example", "--data", "data")
    assert (tmp_path / "data" / "state.db").exists()
