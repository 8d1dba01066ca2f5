"""One bad row or file is an error cell or a named file; the rest goes on, and can be resumed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from paratopic.bulk import jobs
from paratopic.inference.model import Model, load
from paratopic.project.errors import UserError
from tests.bulk.bulk_runs import predict
from tests.documents import save
from tests.programs import Cli


def test_a_damaged_list_of_files_is_named_when_a_run_is_resumed(
    model: Model, tmp_path: Path
) -> None:
    path, out = save(tmp_path, "in.csv", "text\nA tariff.\n"), tmp_path / "out"
    predict(model, [path], out)
    for content in ("[" * 100_000, "{", "[]", '{"inputs": 0}'):
        (out / jobs.PROGRESS).write_text(content, encoding="utf-8")
        with pytest.raises(UserError, match=f"{jobs.PROGRESS} is damaged"):
            predict(model, [path], out, resume=True)


def test_a_run_ends_with_what_was_predicted_and_how_much_of_it_is_right(
    rows: pd.DataFrame, baseline_folder: Path, tmp_path: Path, cli: Cli
) -> None:
    path, model = tmp_path / "in.csv", load(baseline_folder)
    pd.DataFrame({"text": [*rows["text"], " "]}).to_csv(path, index=False)
    answers = model.predict(rows["text"])
    right = [a.confidence if a.topic else 1 - sum(a.scores.values()) for a in answers]
    done = predict(model, [path], tmp_path / "counted")  # without the blank text
    assert sum(done.counts) == len(rows) and done.right == pytest.approx(sum(right))
    for out in ("out", "out.csv"):
        printed = cli("predict", path, "--model", baseline_folder, "--out", tmp_path / out).out
        assert "These counts are not the true shares of the topics" in printed
        assert f"about {np.mean(right):.0%} of these answers are right" in printed


def test_a_column_that_no_file_can_have_is_refused(cli: Cli, model: Model, tmp_path: Path) -> None:
    article = save(tmp_path, "a.txt", "Talks went on.")
    words = ["--model", model.folder, "--out", tmp_path / "out", "--text", "caf\udce9"]
    printed = cli("predict", article, *words, status=1).out
    assert r"--text 'caf\udce9': this name is not UTF-8" in printed
    assert not (tmp_path / "out").exists()
