"""A topic may have any name that params.yaml accepts, such as that of a column of a table."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from paratopic import load
from paratopic.corpus.labelled import read_labelled_paragraphs
from paratopic.corpus.table import PARAGRAPHS_SCHEMA
from paratopic.evaluation.model_report import Metrics
from paratopic.labels.summary import Prepared
from paratopic.project.errors import UserError
from paratopic.project.files import Paths
from paratopic.project.topics import NO_TOPIC, NO_TOPIC_SHORT, ModeName, Topic
from tests.programs import run_cli, run_stages
from tests.samples import BODIES, WORDS, paragraph, write_params

COLUMNS = "repeat fold group label answer topic index level_0 score confidence right count None nan"
OWN = [*PARAGRAPHS_SCHEMA.names, *COLUMNS.split(), "threshold id", "score id"]
ODD = ["日本語", "😀", "a, b", '"q"', "it's", "=1+1", "<b>&amp", "%s {0}", "a/b", "[red]x", "$x_{"]
ODD += ["' OR 1=1 --", "é", "\u202eabc", "null", "1.0", "x" * 200, "\\", "#", "- a"]


def names_table(names: list[str]) -> pd.DataFrame:
    """Four paragraphs for each name, in four groups."""
    rng, kinds = random.Random(1), list(WORDS)
    return pd.DataFrame(
        {
            "text": [paragraph(kinds[n % 3], rng) for n in range(4 * len(names))],
            "label": names * 4,
            "group": [f"g{n % 4}" for n in range(4 * len(names))],
        }
    )


def assert_results_have_the_names(names: list[str]) -> None:
    labels = read_labelled_paragraphs(Paths())["label"]
    assert [list(cell) for cell in labels] == [[name] for name in names * 4]
    assert Prepared.load(Paths().prepared).topics == dict.fromkeys(names, 4)
    scores = pd.read_parquet(Paths().scores / "baseline" / "scores.parquet")
    assert scores["id"].nunique() == 4 * len(names) and set(scores["fold"]) == {0, 1}
    assert [*Metrics.load(Paths().model_reports / "baseline" / "metrics.json").topics] == names
    assert load(Paths().models / "baseline").classes_ == tuple(names)


def assert_other_topics_are_refused(settings: dict[str, Any]) -> None:
    """Files of the other mode, or of other topics, are named and not changed."""
    files = [path for path in Paths().model_reports.rglob("*") if path.is_file()]
    before = {path: path.read_bytes() for path in files}
    topics = settings["topics"]
    other_mode = {"mode": "multi" if topics["mode"] == "single" else "single"}
    for changed in (other_mode, {"codebook": [*topics["codebook"], "another"]}):
        write_params(settings | {"topics": topics | changed})
        for stage in ("evaluate baseline", "card baseline"):
            with pytest.raises(UserError, match="other topics"):
                run_stages(stage)
    write_params(settings)
    assert before == {path: path.read_bytes() for path in before}


@pytest.mark.parametrize("mode", ["single", "multi"])
def test_the_pipeline_takes_any_name(
    mode: ModeName, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [*OWN, *ODD]
    names_table(names).to_parquet("table.parquet")
    topics = {"mode": mode, "codebook": names}
    settings: dict[str, Any] = {"topics": topics, "baseline.strengths": [1.0]}
    settings |= {"prepare.sources": ["table.parquet"], "prepare.labels": None}
    settings |= {"split.n_folds": 2, "split.n_repeats": 1, "split.holdout": None}
    settings |= {"evaluate.n_draws": 100, "compare.n_permutations": 100, "models": ["baseline"]}
    write_params(settings)
    model_stages = [f"{stage} baseline" for stage in ("fit", "calibrate", "evaluate")]
    run_stages("installed", "prepare", "split", *model_stages)
    run_stages("train baseline", "package baseline", "card baseline", "compare", "report")
    assert_results_have_the_names(names)
    assert_other_topics_are_refused(settings)
    Path("article.txt").write_text(f"Trade\n\n{BODIES[0]}\n", encoding="utf-8")
    capsys.readouterr()
    for command in ("report", "status", "errors", "predict article.txt --json"):
        monkeypatch.setattr("paratopic.results.project.Project.changes", "")
        assert run_cli(monkeypatch, *command.split()) == 0
        printed = capsys.readouterr().out
    assert set(json.loads(printed.splitlines()[0])["scores"]) == set(names)


@pytest.mark.parametrize("name", [NO_TOPIC, f"({NO_TOPIC})", NO_TOPIC_SHORT, "none"])
def test_words_for_none_of_the_topics_are_not_topic_names(name: str) -> None:
    with pytest.raises(ValueError, match="is not a topic name"):
        Topic(name)
