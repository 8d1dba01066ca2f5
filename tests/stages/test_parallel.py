"""Training in two processes: the same figures as in one, and one process writes."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
from safetensors.numpy import load_file

from tests.programs import sh

# Both stages, as programs that two processes run take long to start.
BOTH = """
from paratopic.stages import score, train
score.main()
train.main()
"""


def test_two_processes_train_as_one_does(project: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(project, copy, ignore=shutil.ignore_patterns(".git", ".dvc", "mlruns"))
    paragraphs = pd.read_parquet(copy / "data/paragraphs.parquet")
    # Many articles: of one alone the encoder learns nothing.
    paragraphs["article"] = [f"article {n % 12}" for n in range(len(paragraphs))]
    paragraphs.to_parquet(copy / "data/paragraphs.parquet")
    folds = pd.read_parquet(copy / "data/folds.parquet")
    folds[folds["repeat"] == 0].to_parquet(copy / "data/folds.parquet")
    (copy / "both.py").write_text(BOTH)
    results = []
    alone = [("python", "-m", f"paratopic.stages.{stage}") for stage in ("score", "train")]
    for commands in (alone, [("torchrun", "--standalone", "--nproc-per-node", "2", "both.py")]):
        for words in commands:
            sh(copy, *words, "transformer", OMP_NUM_THREADS="1")
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
