"""`paratopic sweep`: experiments on the same folds in a table, and others refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from paratopic.cli.sweep import Experiment, print_sweep, read_experiment
from paratopic.corpus.table import write_paragraphs
from paratopic.project.errors import UserError
from paratopic.project.paths import FOLDS, PARAGRAPHS, PARAMS, SCORES
from tests.programs import ROOT, run_cli
from tests.samples import PARAMS as SETTINGS
from tests.samples import paragraph_table

N, NAMES = 24, SETTINGS.topics.names


def experiment(folder: Path, name: str, strengths: str, right: int) -> Experiment:
    """An experiment whose baseline is right about the first paragraphs."""
    root = folder / name
    for path in (PARAGRAPHS, SCORES / "baseline" / "scores.parquet"):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
    params = (ROOT / "params.yaml").read_text(encoding="utf-8")
    params = params.replace("strengths: [0.1, 1.0, 10.0, 100.0]", f"strengths: {strengths}")
    params = params.replace("models: [baseline, transformer]", "models: [baseline]")
    (root / PARAMS).write_text(params, encoding="utf-8")
    ids, true = [f"p{n:02}" for n in range(N)], np.arange(N) % len(NAMES)
    topics = [[NAMES[number]] for number in true]
    table = paragraph_table(id=ids, article=ids, text=ids, topics=topics, label_source=["hand"] * N)
    write_paragraphs(table, root / PARAGRAPHS)
    folds = pd.DataFrame({"id": ids, "group": range(N), "duplicates": range(N)})
    folds.assign(repeat=0, fold=np.arange(N) % 4).to_parquet(root / FOLDS)
    answers = np.where(np.arange(N) < right, true, (true + 1) % len(NAMES))
    given = np.where(np.eye(len(NAMES))[answers] > 0, 0.9, 0.02)
    scores = pd.DataFrame(given, columns=SETTINGS.topics.scores).assign(id=ids, repeat=0, fold=0)
    scores = scores.assign(**dict.fromkeys(SETTINGS.topics.thresholds, 0.5))
    scores.to_parquet(root / SCORES / "baseline" / "scores.parquet")
    return read_experiment(name, root)


def test_the_best_is_corrected_for_the_choice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    few = experiment(tmp_path, "few", "[1.0]", 12)
    many = experiment(tmp_path, "many", "[100.0]", 24)
    print_sweep([few, many])
    lines = capsys.readouterr().out.splitlines()
    # It is the better one in every draw.
    assert lines[-1] == (
        "baseline: the best of 2 is many with macro-F1 of answers 1.000. "
        "Corrected for having been chosen, it is 1.000."
    )
    # What another model is set to makes no other configuration of this one.
    transformer = replace(few.params.section("transformer"), epochs=9)
    sections = {**few.params.sections, "transformer": transformer}
    again = replace(few, name="again", params=replace(few.params, sections=sections))
    print_sweep([few, many, again])
    printed = capsys.readouterr().out
    assert "the best of 2" in printed and "again" not in printed and "epochs" not in printed
    print_sweep([few, again])
    assert capsys.readouterr().out.startswith("all experiments have the same out-of-fold scores")


def test_experiments_on_other_folds_or_labels_are_refused(tmp_path: Path) -> None:
    few, many = (experiment(tmp_path, name, "[1.0]", 12) for name in ("few", "many"))
    folds = many.data.folds.assign(fold=many.data.folds["fold"].to_numpy()[::-1])
    rows = many.data.rows.assign(topic=many.data.rows["topic"].map(lambda _: (NAMES[0],)))
    topics = replace(many.params.topics, mode="multi")
    for other in (
        replace(many, data=replace(many.data, folds=folds)),
        replace(many, data=replace(many.data, rows=rows)),
        replace(many, params=replace(many.params, topics=topics)),
    ):
        with pytest.raises(UserError, match="few and many have different labels, topics or folds"):
            print_sweep([few, other])
    unmeasured = replace(few, scores={"baseline": few.scores["baseline"].iloc[:0]})
    with pytest.raises(UserError, match="few: nothing was held out"):
        print_sweep([unmeasured, unmeasured])


def test_a_choice_takes_two_experiments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_cli(monkeypatch, "sweep", "lone") == 1
    assert "two or more experiments, and there is only 1" in capsys.readouterr().out
    assert run_cli(monkeypatch, "sweep") == 1
    assert "DVC cannot list the experiments" in capsys.readouterr().out
