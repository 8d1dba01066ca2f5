"""The page on Spark runs, and so does its benchmark."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from paratopic import load
from tests.programs import ROOT, needs_spark, run_benchmark

pytestmark = needs_spark


def test_shares_by_month_are_means_of_what_the_champion_says(
    run_page: Callable[[str], Path],
) -> None:
    project = run_page("spark.md")
    champion = json.loads((project / "models/champion").read_text())["champion"]
    model = load(project / "models" / champion)
    articles = {
        "2025-09": ("Talks", ["The ministers met.", "Tariffs on steel will rise."]),
        "2025-10": ("At the border", ["Troops crossed it.", "They left by night."]),
    }
    months = pd.read_csv(project / "shares.csv", index_col="month")
    assert list(months.index) == list(articles)
    for month, (title, texts) in articles.items():
        answers = model.predict_article(texts, title=title)
        means = pd.DataFrame([answer.scores for answer in answers]).mean().add_prefix("score_")
        expected = {"paragraphs": len(texts)} | means.to_dict()
        assert months.loc[month].to_dict() == pytest.approx(expected, abs=1e-6)
    topics = pd.read_parquet(project / "predictions")["topic"]
    assert set(topics.dropna()) <= set(model.classes_)


def test_a_benchmark_compares_spark_with_predict(
    rows: pd.DataFrame, context_model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table, results = tmp_path / "table.parquet", tmp_path / "spark.csv"
    pd.DataFrame({"text": rows["text"], "label": rows["topic"].str[0]}).dropna().to_parquet(table)
    words = ["--data", str(table), "--model", str(context_model_folder), "--results", str(results)]
    words += ["--rows", "60", "--workers", "2", "--batches", "10"]
    run_benchmark(monkeypatch, ROOT, "spark", *words)
    lines = pd.read_csv(results, index_col="way")
    assert set(lines.index) == {"predict --out", "Spark"}
    spark = lines.loc["Spark"]
    assert spark["different"] == 0 and spark["difference"] < 1e-6
    assert spark["first_s"] > spark["again_s"]
