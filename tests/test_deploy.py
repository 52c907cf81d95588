"""What is in deploy/ fits the checkout: the image's build finds what it needs, the unit's command exists."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from roadworthy.cli.main import root

HERE = Path(__file__).parent.parent
DOCKERFILE = (HERE / "deploy" / "Dockerfile").read_text()
UNIT = (HERE / "deploy" / "roadworthy.service").read_text()


def copied() -> list[tuple[str, str]]:
    """(source, destination) of each path that the build copies from the checkout, in order."""
    pairs = []
    for words in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE):
        *sources, destination = words.split()
        pairs += [(source, destination) for source in sources]
    return pairs


def test_the_image_builds_its_wheel_from_what_it_copies_and_nothing_else(tmp_path: Path) -> None:
    for source, destination in copied():
        place = tmp_path / destination
        if destination.endswith("/"):
            place = place / Path(source).name
        place.parent.mkdir(parents=True, exist_ok=True)
        if (HERE / source).is_dir():
            shutil.copytree(HERE / source, place, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(HERE / source, place)
    for file in re.findall(r"-r (\S+)", DOCKERFILE):
        assert (tmp_path / file).is_file()
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path / "wheel")]
    done = subprocess.run(build, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    [wheel] = (tmp_path / "wheel").iterdir()
    held = set(zipfile.ZipFile(wheel).namelist())
    package = HERE / "src" / "roadworthy"
    files = [path for path in package.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert {f"roadworthy/{path.relative_to(package).as_posix()}" for path in files} <= held
    assert {f"roadworthy/schemas/{path.name}" for path in (HERE / "schemas").iterdir()} <= held


@pytest.mark.parametrize(
    "command",
    [
        re.findall(r'"([^"]+)"', re.findall(r"^CMD (\[.+\])$", DOCKERFILE, re.MULTILINE)[-1]),
        shlex.split(re.findall(r"^ExecStart=(.+)$", UNIT, re.MULTILINE)[0])[1:],
    ],
    ids=["Dockerfile", "unit"],
)
def test_the_commands_of_deploy_exist_with_their_options(command: list[str], tmp_path: Path) -> None:
    name, *arguments = command
    known = {option for parameter in root.commands[name].params for option in parameter.opts}
    assert {argument for argument in arguments if argument.startswith("--")} <= known


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_systemd_has_nothing_to_say_against_the_unit(tmp_path: Path) -> None:
    here = UNIT.replace("/opt/roadworthy/bin/roadworthy", sys.executable)
    here = re.sub(r"^(User|Group|Documentation)=.*\n", "", here, flags=re.MULTILINE)
    (tmp_path / "roadworthy.service").write_text(here)
    command = ["systemd-analyze", "verify", "--man=no", str(tmp_path / "roadworthy.service")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, [line for line in done.stderr.splitlines() if "roadworthy.service" in line]) == (0, [])
