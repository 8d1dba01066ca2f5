"""Benchmarks whose tables are not in the repository, on made-up tables."""

from __future__ import annotations

import importlib
import random
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
import pytest

from tests.programs import ROOT, run_benchmark
from tests.samples import WORDS, paragraph


@pytest.fixture(scope="module")
def told_apart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a table of 240 texts, and embeddings that tell most of its topics apart."""
    rng, topics = random.Random(0), [*sorted(WORDS), "other"]
    labels = [rng.choices(topics, (3, 2, 1, 8))[0] for _ in range(240)]
    texts = [paragraph(rng.choice(topics[:3]), rng) for _ in labels]
    table = pd.DataFrame({"text": texts, "label": labels, "year": [n % 8 for n in range(240)]})
    table["group"] = [f"document {n // 12}" for n in range(240)]
    table["outlet"] = [n % 3 for n in range(240)]
    table["day"] = [f"2025-0{1 + n % 9}-01" for n in range(240)]
    folder = tmp_path_factory.mktemp("told-apart")
    table.to_parquet(folder / "table.parquet")
    vectors = np.random.default_rng(0).standard_normal((240, 12)) / 5
    vectors[np.arange(240), [topics.index(label) for label in labels]] += 1
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    np.savez(folder / "table.npz", texts=np.array(texts), vectors=vectors)
    return folder


class Benchmark(Protocol):
    """Runs a script on the table of a folder; the lines of its results."""

    def __call__(self, script: str, folder: Path, *options: str) -> list[dict[str, Any]]: ...


@pytest.fixture
def lines_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Benchmark:
    def measured(script: str, folder: Path, *options: str) -> list[dict[str, Any]]:
        results = tmp_path / "results.csv"
        files = ["--data", str(folder / "table.parquet"), "--results", str(results)]
        run_benchmark(monkeypatch, ROOT, script, *files, *options)
        assert "|---|" in capsys.readouterr().out
        record = importlib.import_module("record")
        assert not record.older(results)
        lines: list[dict[str, Any]] = record.saved(results)
        return lines

    return measured


def test_shares_are_nearer_to_the_truth_than_counts(told_apart: Path, lines_of: Benchmark) -> None:
    options = ["--none", "other", "--time", "year", "--sizes", "60", "--documents", "8"]
    kept = ["--draws", "4", "--embeddings", str(told_apart)]
    lines = lines_of("shares_frozen", told_apart, *options, *kept)
    figures = {(line["drawn"], line["what"], line["method"]): line for line in lines}
    for drawn in ("texts", "documents"):
        corrected = figures[drawn, "all", "corrected"]
        assert corrected["rmse"] < figures[drawn, "all", "labels alone"]["rmse"]
        assert corrected["width"] < figures[drawn, "all", "labels alone"]["width"]
        assert corrected["covered"] > 0.7  # of 16 intervals
        for what in ("periods", "differences", "trends"):
            assert (drawn, what, "corrected") in figures


def test_shares_of_documents_are_measured(told_apart: Path, lines_of: Benchmark) -> None:
    options = ["--none", "other", "--sizes", "--documents", "30", "--cut", "4", "--draws", "3"]
    kept = ["--embeddings", str(told_apart)]
    lines = lines_of("shares_frozen", told_apart, *options, *kept)
    figures = {line["method"]: line for line in lines if line["what"] == "documents"}
    assert figures["corrected"]["rmse"] < figures["labels alone"]["rmse"]
    assert figures["corrected"]["covered"] > 0.7  # of 12 intervals
