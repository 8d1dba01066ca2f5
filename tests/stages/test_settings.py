"""DVC and settings that params.yaml leaves out: experiments, comparisons and new runs."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pandas as pd

from paratopic.cli.start import create, new_topics
from paratopic.project.files import Paths
from paratopic.project.source_settings import Source
from tests.programs import sh
from tests.samples import WORDS, paragraph


def test_a_setting_at_its_default_is_tried_and_compared(tmp_path: Path) -> None:
    rng = random.Random(1)
    rows = [(paragraph(name, rng), name) for name in WORDS for _ in range(9)]
    pd.DataFrame(rows, columns=["text", "label"]).to_csv(tmp_path / "t.csv", index=False)
    create(tmp_path, new_topics([*WORDS]), Source("t.csv"))

    def n_folds() -> int:
        return int(json.loads(Paths(tmp_path).split.read_text())["n_folds"])

    sh(tmp_path, "dvc", "repro", "split")
    assert n_folds() == 5
    sh(tmp_path, "git", "add", "-A")
    sh(tmp_path, "git", "-c", "user.name=a", "-c", "user.email=b", "commit", "-qm", "first")
    refused = sh(tmp_path, "dvc", "exp", "run", "-S", "split.n_folds=3", "split", fails=True)
    assert "+split.n_folds=3" in refused
    for value in (3, 4):  # params.yaml leaves it out at first, and then has it
        sh(tmp_path, "dvc", "exp", "run", "-S", f"++split.n_folds={value}", "split")
        assert n_folds() == value
    difference = sh(tmp_path, "dvc", "params", "diff").split()
    assert difference[-4:] == ["params.yaml", "split.n_folds", "-", "4"]
    wrong = sh(tmp_path, "dvc", "exp", "run", "-S", "++split.n_fold=3", "split", fails=True)
    assert 'split.n_fold: unknown key (did you mean "n_folds"?)' in wrong


def test_a_definition_runs_stages_again_and_a_comment_does_not(tmp_path: Path) -> None:
    rows = [(f"{name} {n}", name) for name in "ab" for n in range(9)]
    pd.DataFrame(rows, columns=["text", "label"]).to_csv(tmp_path / "t.csv", index=False)
    create(tmp_path, new_topics(["a", "b"]), Source("t.csv"))
    sh(tmp_path, "dvc", "repro", "split")
    codebook = Paths(tmp_path).codebook
    text = codebook.read_text()
    for new, runs in ((f"# more\n{text}", False), (text.replace("A.", "Of a."), True)):
        codebook.write_text(new)
        assert ("Running stage 'split'" in sh(tmp_path, "dvc", "repro", "split")) == runs
