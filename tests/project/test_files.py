"""Writes are all or nothing; JSON is rounded, and damage to it is reported."""

from __future__ import annotations

from pathlib import Path

import pytest

from paratopic.project.errors import UserError
from paratopic.project.files import aside, read_json, write_json


def test_a_failed_write_leaves_the_old_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(RuntimeError), aside(path) as draft:
        draft.write_text("ne")
        raise RuntimeError
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_folder_replaces_one_that_is_not_empty(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "stale").touch()
    with aside(folder) as draft:
        draft.mkdir()
        (draft / "fresh").touch()
    assert [p.name for p in folder.iterdir()] == ["fresh"]


def test_json_rounds_floats_at_any_depth(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    write_json(path, {"a": [1 / 3], "b": {"c": None, "d": (2, 2 / 3)}})
    assert read_json(path, "x") == {"a": [0.333333], "b": {"c": None, "d": [2, 0.666667]}}
    write_json(path, {"a": [1 / 3]}, digits=10)
    assert read_json(path, "x") == {"a": [0.3333333333]}


@pytest.mark.parametrize("content", ["{", "[]"])
def test_damaged_json_is_reported_with_what_writes_it(tmp_path: Path, content: str) -> None:
    path = tmp_path / "file.json"
    path.write_text(content)
    with pytest.raises(UserError, match=r"file.json is damaged.*stage x writes it anew"):
        read_json(path, "stage x")


def test_missing_json_is_reported_with_what_writes_it(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nothing.json not found: stage x writes it"):
        read_json(tmp_path / "nothing.json", "stage x")
