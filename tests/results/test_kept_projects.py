"""Small projects of released versions, which `python -m tests.keep` made, open in this version."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests.keep import ABOUT, KEPT, about
from tests.programs import Cli, start_repository


@pytest.fixture(scope="module", params=sorted(KEPT.glob("*.tar.xz")), ids=lambda path: path.name)
def kept(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("kept")
    with tarfile.open(request.param) as archive:
        archive.extractall(folder, filter="data")
    start_repository(folder, "kept")
    return folder


def flat(value: Any, path: str = "") -> dict[str, Any]:
    """Path of each number, word or nothing in lists and objects → it."""
    if not isinstance(value, (dict, list)):
        return {path: value}
    items = value.items() if isinstance(value, dict) else enumerate(value)
    return {k: v for key, item in items for k, v in flat(item, f"{path}/{key}").items()}


def test_results_and_models_say_what_they_said(kept: Path) -> None:
    before = flat(json.loads((kept / ABOUT).read_text(encoding="utf-8")))
    # Models in 8 bits answer a little differently on other processors.
    assert flat(about(kept)) == pytest.approx(before, abs=0.02)


@pytest.mark.parametrize("command", ["report", "status", "errors", "review"])
def test_commands_read_it(
    command: str, kept: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(kept)
    assert cli(command)
