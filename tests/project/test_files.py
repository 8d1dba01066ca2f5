"""Nothing half-written."""

from __future__ import annotations

from pathlib import Path

import pytest

from paratopic.project.errors import UserError
from paratopic.project.files import aside, read_json, write_json


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(RuntimeError), aside(path) as draft:
        draft.write_text("ne")
        raise RuntimeError
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_folder_takes_the_place_of_a_full_one(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "stale").touch()
    with aside(folder) as draft:
        draft.mkdir()
        (draft / "fresh").touch()
    assert [p.name for p in folder.iterdir()] == ["fresh"]


def test_json_round_trip_and_damage(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    write_json(path, {"a": [1 / 3], "b": {"c": None}})
    assert read_json(path, "x") == {"a": [0.3333333333], "b": {"c": None}}
    path.write_text("{")
    with pytest.raises(UserError, match=r"file.json is damaged.*stage x makes it anew"):
        read_json(path, "stage x")
    with pytest.raises(UserError, match="nothing.json not found"):
        read_json(tmp_path / "nothing.json", "stage x")
