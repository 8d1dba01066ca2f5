"""`paratopic errors`: mistakes of the champion in the project in the current directory."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from paratopic.corpus.labelled import read_labelled_paragraphs
from paratopic.corpus.table import write_metadata
from paratopic.project.files import Paths
from paratopic.project.params import read_params
from tests.cli.test_codebook import edit_params
from tests.documents import read_sheet
from tests.programs import Cli
from tests.reports import compared
from tests.samples import copy_settings, paragraph, paragraph_table, write_labelled

N = 60


@pytest.fixture
def folder(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of 60 paragraphs about trade; the champion is wrong about 20, all of the Post."""
    monkeypatch.setattr("paratopic.results.project.Project.changes", "")
    copy_settings(here)
    rng, ids = random.Random(0), [f"a{n:02}:1" for n in range(N)]
    frame = paragraph_table(
        id=ids,
        article=[f"a{n:02}" for n in range(N)],
        text=[paragraph("trade", rng) for _ in ids],
        label=[["trade"]] * N,
        label_source=["hand"] * N,
    )
    topics = read_params(Paths().params).topics
    scores = pd.DataFrame({"id": ids, "repeat": 0, "fold": 0})
    scores[topics.score_columns] = 0.1
    scores["score trade"] = [0.2 if n < 20 else 0.9 for n in range(N)]
    scores["score security"] = [0.6 + n / 1000 if n < 10 else 0.1 for n in range(N)]
    scores[topics.threshold_columns] = 0.5
    outlets = pd.DataFrame({"id": ids, "source": ["Post" if n < 30 else "Times" for n in range(N)]})
    folds = pd.DataFrame({"id": ids, "group": range(N), "repeat": 0, "fold": 0})
    for path in (Paths().paragraphs, Paths().folds, Paths().scores / "baseline" / "scores.parquet"):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_labelled(frame)
    write_metadata(outlets, Paths().metadata)
    folds.to_parquet(Paths().folds)
    scores.to_parquet(Paths().scores / "baseline" / "scores.parquet")
    Paths().comparison.parent.mkdir()
    compared(champion="baseline").save(Paths().comparison)
    return here


def test_mistakes_and_slices_are_listed(folder: Path, baseline_folder: Path, cli: Cli) -> None:
    shutil.copytree(baseline_folder, Paths().models / "baseline")
    lines = [line.strip() for line in cli("errors", "--n", "2").splitlines()]
    assert lines[:3] == [
        "baseline: 20 of 60 answers wrong (2 listed)",
        "trade mistaken for security: 10 of 60 labelled trade",
        "trade missed (no topic predicted): 10 of 60 labelled trade",
    ]
    assert "label: trade, answer: security (probability 0.61)" in lines
    assert any(line.startswith("row ") and "a09:1 (source Post)" in line for line in lines)
    assert sum(line.startswith("most similar (≈ ") for line in lines) == 2
    (slice_line,) = [line for line in lines if line.startswith("source = ")]
    assert slice_line.startswith("source = Post: 33% of 30 answers right (")


def test_a_sheet_of_mistakes_does_not_show_the_labels(folder: Path, cli: Cli) -> None:
    cli("errors", "--n", "2", "--out", "again.csv")
    rows = read_sheet("again.csv")
    assert [row["paragraph"] for row in rows] == ["a09:1", "a08:1"]
    assert {(row["topics"], row["suggestion"]) for row in rows} == {("?", "security")}
    assert "trade" not in {cell for row in rows for cell in row.values()}


@pytest.mark.parametrize("command", ["errors", "review"])
def test_figures_are_printed_where_nothing_can_be_written(
    folder: Path, cli: Cli, lock_up: Callable[[], None], command: str
) -> None:
    edit_params("[baseline, transformer]", "[baseline]")
    printed = cli(command)
    assert "params.yaml" in cli(command, "--out", "params.yaml", status=1)
    lock_up()
    assert cli(command) == printed


def test_missed_and_wrong_topics_are_listed_in_mode_multi(folder: Path, cli: Cli) -> None:
    edit_params("mode: single", "mode: multi")
    frame = read_labelled_paragraphs(Paths())
    labels = pd.Series([["trade", "security"] if n < 40 else ["trade"] for n in range(N)])
    write_labelled(frame.assign(label=labels))
    printed = cli("errors", "--n", "60", "--out", "again.csv")
    lines = [line.strip() for line in printed.splitlines()]
    assert lines[:3] == [
        "baseline: 40 of 60 answers wrong (40 listed)",
        "security missed: 30 of 40 labelled security",
        "trade missed: 20 of 60 labelled trade",
    ]
    # Each of four topics has 0.9.
    assert "label: trade;security, answer: trade (probability 0.66)" in lines
    assert {row["paragraph"] for row in read_sheet("again.csv")} == set(frame["id"][:40])


def test_columns_are_chosen_and_a_model_is_not_needed(folder: Path, cli: Cli) -> None:
    printed = cli("errors", "--by", "length")
    assert "not shown" in printed and "≈" not in printed
    assert "source = " not in printed
    message = "the columns are length, position, heading, annotator"
    assert message in cli("errors", "--by", "outlet", status=1)


def test_where_there_is_nothing_to_list(folder: Path, cli: Cli) -> None:
    path = Paths().scores / "baseline" / "scores.parquet"
    scores = pd.read_parquet(path)
    scores.assign(**{"score trade": 0.9, "score security": 0.1}).to_parquet(path)
    printed = cli("errors")
    assert printed.startswith("baseline: 0 of 60 answers wrong (0 listed)\n2 slices were tested")
    scores[:0].to_parquet(path)
    cli("errors", status=1)
    Paths().comparison.unlink()
    cli("errors", status=1)
