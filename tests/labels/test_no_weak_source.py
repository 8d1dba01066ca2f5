"""Where no weak source labels a paragraph, nothing is other than without weak sources at all."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from paratopic.inference.calibration import Calibration
from paratopic.labels import resolve
from paratopic.project.kinds import KINDS
from paratopic.project.params import read_params
from paratopic.project.paths import (
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
from paratopic.training.crossval import examples_of
from paratopic.training.examples import Examples
from paratopic.training.fitting import fitter, labelled_for
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


def test_a_fit_is_the_same_to_the_byte() -> None:
    outputs()
    params, kind = read_params(), KINDS["baseline"]
    data, fit = labelled_for(kind, params), fitter(kind, params)
    learnt = examples_of(data, slice(None), data.passages, ())
    articles = pd.factorize(data.rows["article"])[0].astype(np.int64)
    # As a fit that knows of no trust and of no soft labels has them.
    plain = Examples(data.passages, data.targets, data.groups, articles)
    for name, examples in (("learnt", learnt), ("plain", plain)):
        fit(examples, 0, lambda done: None).save(Path(name), Calibration())
    learnt_files, plain_files = (
        {path.name: path.read_bytes() for path in Path(name).iterdir()}
        for name in ("learnt", "plain")
    )
    assert learnt_files == plain_files and len(learnt_files) > 2
