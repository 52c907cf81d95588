"""Reading a configuration folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from roadworthy.wiring.folders.config_folder import ConfigFolderError, read_folder


def write(root: Path, name: str, text: str = "x: 1\n") -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_configuration_files_are_read_and_the_rest_of_a_checkout_is_not(tmp_path: Path) -> None:
    for name in (
        "roadworthy.yaml",
        "people.yaml",
        "workflows/a/workflow.yaml",
        "workflows/a/prompt.md",
        "workflows/a/output.schema.json",
        "simulations/slow.yaml",
        ".git/config.yaml",
        ".roadworthy/x.json",
        "src/app.py",
        "node_modules/left-pad/package.json",
        "workflows/a/logo.png",
        "notes.md",
        "docker-compose.yaml",
        "package.json",
        "rehearsal.yaml",
    ):
        write(tmp_path, name)
    write(tmp_path, "roadworthy.yaml", "targets: {sim: {simulation: rehearsal.yaml}}\n")
    assert sorted(read_folder(tmp_path)) == [
        "people.yaml",
        "rehearsal.yaml",
        "roadworthy.yaml",
        "simulations/slow.yaml",
        "workflows/a/output.schema.json",
        "workflows/a/prompt.md",
        "workflows/a/workflow.yaml",
    ]


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigFolderError, match=r"nowhere: no such folder"):
        read_folder(tmp_path / "nowhere")


def test_a_file_that_is_not_utf8_is_named_with_its_byte(tmp_path: Path) -> None:
    (tmp_path / "people.yaml").write_bytes(b"people: \xff")
    with pytest.raises(ConfigFolderError, match=r"people\.yaml: not UTF-8 at byte 8"):
        read_folder(tmp_path)


def test_a_huge_file_is_refused_not_cut(tmp_path: Path) -> None:
    write(tmp_path, "roadworthy.yaml", "x" * 1_000_001)
    with pytest.raises(ConfigFolderError, match="larger than 1,000,000 bytes"):
        read_folder(tmp_path)
