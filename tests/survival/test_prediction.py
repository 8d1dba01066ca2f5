"""One bad row or file is an error cell or a named file; the rest goes on, and can be resumed."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pandas as pd
import pytest

from paratopic.bulk import jobs
from paratopic.inference.model import Model
from paratopic.project.errors import UserError
from tests.bulk.bulk_runs import predict, read_rows
from tests.documents import altered, save
from tests.programs import Cli

TEXTS = ["A tariff.", "The navy.", "A chip.", "Nothing."]


def test_a_key_that_prediction_adds_is_an_error_of_its_row(model: Model, tmp_path: Path) -> None:
    lines = [{"text": "A tariff."}, {"text": "x", "error": "y"}, {"text": "A navy."}]
    path = save(tmp_path, "in.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
    done = predict(model, [path], tmp_path / "out")
    assert (done.rows, done.errors) == (3, 1)
    rows = read_rows(tmp_path / "out")
    assert rows[1]["line"] == lines[1]
    assert rows[1]["error"] == "line 2: has a key error, which prediction would add; rename it"


def test_a_damaged_list_of_files_is_named_when_a_run_is_resumed(
    model: Model, tmp_path: Path
) -> None:
    path, out = save(tmp_path, "in.csv", "text\nA tariff.\n"), tmp_path / "out"
    predict(model, [path], out)
    for content in ("[" * 100_000, "{", "[]", '{"input": 0}'):
        (out / jobs.PROGRESS).write_text(content, encoding="utf-8")
        with pytest.raises(UserError, match=f"{jobs.PROGRESS} is damaged"):
            predict(model, [path], out, resume=True)


def test_what_was_predicted_is_counted(model: Model, tmp_path: Path) -> None:
    path = save(tmp_path, "in.csv", 'text\nA tariff.\nThe navy.\n" "\nA chip.\nNothing.\n')
    whole = predict(model, [path], tmp_path / "whole")
    answers = whole.all_answers
    assert answers.texts == answers.articles == sum(whole.counts) == 4 and len(whole.counts) == 4
    assert answers.certainty == pytest.approx(
        sum(a.confidence if a.topic else 1 - sum(a.scores.values()) for a in model.predict(TEXTS))
    )


CERTAINTY = {"mean": 0.9, "right": 0.6, "noise": 0.01, "between": 0.0, "n_groups": 30}


@pytest.mark.parametrize(
    ("n_labels", "alike", "reason"),
    [
        (30.0, True, ""),
        (10.0, True, "the model has too few labelled paragraphs"),
        (30.0, False, "the texts differ too much from the labelled paragraphs"),
    ],
)
def test_a_run_ends_with_what_was_predicted_and_how_much_of_it_is_expected_to_be_right(
    n_labels: float,
    alike: bool,
    reason: str,
    rows: pd.DataFrame,
    baseline_folder: Path,
    tmp_path: Path,
    cli: Cli,
) -> None:
    known = {"shares": [0.2, 0.3, 0.4, 0.1], "certainty": CERTAINTY | {"n_labels": n_labels}}
    altered(baseline_folder, tmp_path / "model", lambda of: of["calibration"].update(known))
    path = tmp_path / "in.csv"
    texts = list(rows["text"]) if alike else ["Zyx."] * len(rows)
    dates = [("05.01.2020", "2021-01-05")[number % 2] for number in range(len(rows))]
    pd.DataFrame({"date": dates, "text": texts}).to_csv(path, index=False)
    words = ["predict", str(path), "--model", str(tmp_path / "model"), "--by", "year"]
    for out in ("out", "out.csv"):
        printed = cli(*words, "--out", tmp_path / out).out
        assert "Do not take these for the true shares of the topics" in printed
        if reason:
            assert f"cannot be estimated, because {reason}" in printed
        else:
            assert "On the labelled paragraphs, 60% are." in printed
            assert re.search(r"(?m)^ *2020 +\d+ +\d+ \(\d+–\d+\)", printed)


def test_a_column_to_divide_by_is_needed(cli: Cli, baseline_folder: Path, tmp_path: Path) -> None:
    words = ["--model", baseline_folder, "--by", "outlet"]
    table = save(tmp_path, "in.csv", "text\nA tariff.\n")
    printed = cli("predict", table, *words, "--out", tmp_path / "out", status=1).out
    assert "no row has a value in this column; the results are" in printed
    printed = cli("predict", save(tmp_path, "a.txt", "A chip."), *words, status=1).out
    assert "--by outlet needs --out: name a table or a folder" in printed


def test_a_column_that_no_file_can_have_is_refused(cli: Cli, model: Model, tmp_path: Path) -> None:
    article = save(tmp_path, "a.txt", "Talks went on.")
    words = ["--model", model.folder, "--out", tmp_path / "out", "--text", "caf\udce9"]
    printed = cli("predict", article, *words, status=1).out
    assert r"--text 'caf\udce9': this name is not UTF-8" in printed
    assert not (tmp_path / "out").exists()
