"""Records of two models, and a store."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from paratopic.inference.registry import SETTINGS
from paratopic.tracking.runs import Record, mlflow_dataset


@pytest.fixture(autouse=True)
def short_timeouts(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    yield


@pytest.fixture
def baseline(baseline_folder: Path, tmp_path: Path) -> Record:
    return records_of(baseline_folder, tmp_path)[0]


@pytest.fixture
def transformer(baseline_folder: Path, tmp_path: Path) -> Record:
    return records_of(baseline_folder, tmp_path)[1]


@pytest.fixture(scope="session")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A store, which takes seconds to create; each test has its own experiment in it."""
    return f"sqlite:///{tmp_path_factory.mktemp('store') / 'mlflow.db'}"


def records_of(model: Path, folder: Path) -> tuple[Record, Record]:
    """Records of a baseline, and of the same model as a transformer with better metrics."""
    rows = pd.DataFrame({"id": ["a"], "text": ["Tariffs"], "topic": ["trade"]})
    summary = folder / "summary.md"
    summary.write_text("# Comparison\n", encoding="utf-8")
    baseline = Record(
        part="baseline",
        state="s1",
        name="baseline · abc",
        params={"seed": "1", "baseline.strengths": "[1.0]"},
        metrics={"answer_macro_f1": 0.6875, "answer_macro_f1_low": 0.5, "f1_Sci_Tech": 0.25},
        main=["answer_macro_f1", "answer_macro_f1_low"],
        tags={"model": "baseline", "mode": "single", "n": "21", "mlflow.source.name": "dvc.yaml"},
        model=model,
        card="# A card",
        steps={"training/loss": [3.0, 2.0, 1.0]},
        dataset=mlflow_dataset(rows, "paragraphs", Path("data/paragraphs.parquet"), "d1g35t"),
        predictions=mlflow_dataset(
            pd.DataFrame({"text": ["Tariffs"], "answer": ["trade"], "label": ["trade"]}),
            "baseline predictions",
            Path("reports/models/baseline/predictions.csv"),
            "d1g36t",
            targets="label",
            predictions="answer",
        ),
        compared="c1",
        champion="baseline",
        verdict="The champion is the baseline.",
        comparison=(summary,),
    )
    return baseline, replace(
        baseline,
        part="transformer",
        name="transformer · abc",
        params={"seed": "1", "transformer.epochs": "3"},
        metrics={"answer_macro_f1": 0.8125, "answer_macro_f1_low": 0.5},
        tags={**baseline.tags, "model": "transformer"},
    )
