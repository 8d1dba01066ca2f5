"""Training in two processes: the same figures as in one, and one process writes."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file

from paratopic.project.files import CHECKPOINTS
from tests.programs import QUICK, sh


def test_two_processes_train_as_one_does(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(project, copy, ignore=shutil.ignore_patterns(".git", ".dvc", "mlruns"))
    paragraphs = pd.read_parquet(copy / "data/paragraphs.parquet")
    # Many articles: of one alone the encoder learns nothing.
    paragraphs["article"] = [f"article {n % 12}" for n in range(len(paragraphs))]
    paragraphs.to_parquet(copy / "data/paragraphs.parquet")
    folds = pd.read_parquet(copy / "data/folds.parquet")
    folds[folds["repeat"] == 0].to_parquet(copy / "data/folds.parquet")
    if QUICK in os.environ:  # torchrun starts this in place of its own interpreter
        monkeypatch.setenv("PYTHON_EXEC", f"{os.environ[QUICK]}/python")
    results = []
    for words in ["python"], ["torchrun", "--standalone", "--nproc-per-node", "2"]:
        shutil.rmtree(copy / CHECKPOINTS, ignore_errors=True)  # what the first fits leave
        for stage in "score", "train":
            sh(copy, *words, "-m", f"paratopic.stages.{stage}", "transformer")
        scores = pd.read_parquet(copy / "data/oof/transformer/scores.parquet")
        losses = pd.read_csv(copy / "reports/models/transformer/final.csv")["loss"]
        weights = load_file(copy / "models/transformer/model.safetensors")
        results.append((scores, losses, weights))
    (one, losses, weights), (two, other_losses, other_weights) = results
    assert len(losses) > 0
    names = one.columns[3:]
    assert one["id"].tolist() == two["id"].tolist()
    np.testing.assert_allclose(one[names].to_numpy(), two[names].to_numpy(), atol=1e-3)
    np.testing.assert_allclose(losses, other_losses, rtol=1e-4)
    for name, tensor in weights.items():
        np.testing.assert_allclose(tensor, other_weights[name], atol=1e-4)
