"""Where no weak source labels a paragraph, nothing is other than without weak sources at all."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from paratopic.labels import resolve
from paratopic.project.files import (
    ANSWERS,
    FOLDS,
    METADATA,
    PARAGRAPHS,
    PARAMS,
    PREPARED,
    SKIPPED,
    SPLIT,
)
from paratopic.stages import prepare, split
from tests.programs import ROOT

OUTPUTS = (PARAGRAPHS, ANSWERS, METADATA, SKIPPED, FOLDS, SPLIT)
WISH = "weak: [llm-*]"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The project as it ships, whose headings answer for labelled paragraphs alone."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / PARAMS, PARAMS)
    shutil.copytree(ROOT / "seeds", "seeds")


def outputs() -> dict[Path, bytes]:
    """The bytes of the table and the folds, made anew."""
    prepare.main()
    split.main()
    return {path: path.read_bytes() for path in OUTPUTS}


def nobody_is_weak(monkeypatch: pytest.MonkeyPatch) -> None:
    text = PARAMS.read_text(encoding="utf-8")
    assert WISH in text
    PARAMS.write_text(text.replace(WISH, "weak: []"), encoding="utf-8")


def nothing_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolve, "weak_answers", lambda *_: [])


@pytest.mark.parametrize("without", [nobody_is_weak, nothing_is_asked])
def test_table_and_folds_are_the_same_to_the_byte(
    without: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = outputs()
    assert json.loads(PREPARED.read_text(encoding="utf-8"))["weak"]  # headings, beside labels
    without(monkeypatch)
    assert outputs() == before
