"""A topic may have any name that params.yaml accepts, such as that of a column of a table."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from paratopic import load
from paratopic.corpus.folds import make_folds
from paratopic.corpus.labelled import Labelled, read_labelled_paragraphs
from paratopic.corpus.table import SCHEMA
from paratopic.evaluation.comparison import majority_scores
from paratopic.evaluation.outcomes import answered, confusion, outcomes
from paratopic.findings.review import rank_doubtful
from paratopic.inference.calibration import Promise
from paratopic.inference.context import ContextWeights
from paratopic.inference.scores import Scores
from paratopic.project.errors import UserError
from paratopic.project.files import MODEL_REPORTS, MODELS, PREPARED, SCORES, read_json
from paratopic.project.topics import NO_TOPIC, NONE, ModeName, Topic, Topics
from paratopic.training.calibration import calibrate_rows
from paratopic.training.crossval import cross_validate
from paratopic.training.examples import Advance, Examples
from tests.programs import ROOT, run_cli, run_stages
from tests.samples import BODIES, WORDS, paragraph, paragraph_table

OWN = [*SCHEMA.names, "repeat", "fold", "group", "label", "answer", "topic", "index", "level_0"]
OWN += ["threshold id", "score id", "score", "confidence", "right", "count", "none", "None", "nan"]
ODD = ["日本語", "😀", "a, b", '"q"', "it's", "=1+1", "<b>&amp", "%s {0}", "a/b", "[red]x", "$x_{"]
ODD += ["' OR 1=1 --", "é", "\u202eabc", "null", "1.0", "x" * 200, "\\", "#", "- a"]


def is_name(name: str) -> bool:
    try:
        return bool(Topic(name))
    except ValueError:
        return False


ANY_NAME = st.sampled_from(OWN + ODD) | st.text(min_size=1).filter(is_name)


class Guess:
    """A model that knows nothing: each text has the same random probabilities in every fit."""

    notes, context = (), ContextWeights()
    history = pd.DataFrame({"step": [1], "loss": [0.5]})

    def __init__(self, examples: Examples, seed: int, advance: Advance) -> None:
        self._k = examples.targets.shape[1]

    def predict_proba(self, texts: list[str]) -> Scores:
        return np.random.default_rng(len(texts)).dirichlet(np.ones(self._k + 1), len(texts))[:, 1:]


@given(
    st.lists(ANY_NAME, min_size=2, max_size=6, unique=True), st.sampled_from(["single", "multi"])
)
@settings(max_examples=5)
def test_names_are_kept_apart_from_columns(names: list[str], mode: ModeName) -> None:
    topics = Topics(mode, tuple(names))
    label = [topics.codebook[number % len(names)] for number in range(4 * len(names))]
    rows = paragraph_table(
        text=[f"Paragraph {number}." for number in range(len(label))],
        article=[f"a{number}" for number in range(len(label))],
        topics=[[name] for name in label],
        label_source=["hand"] * len(label),
    ).assign(topic=pd.Series([(name,) for name in label]))
    data = Labelled(rows, topics, make_folds(rows, 2, 2, None, 1).table)
    raw = cross_validate(data, Guess, 1).scores  # type: ignore[arg-type]  # no model to save
    scores, _ = calibrate_rows(data, raw, Promise(0.9, 0.95))
    keys = ["id", "repeat", "fold"]
    assert scores[keys].equals(raw[keys]) and len(scores) == 2 * len(rows)
    assert len(set(scores)) == len(keys) + 2 * len(names)
    for table in (scores, majority_scores(data)):
        rows_answered = answered(data, table)
        assert rows_answered.table["id"].tolist() == rows["id"].tolist()
        assert set(rows_answered.table["most_probable"]) <= set(names)
        assert confusion(rows_answered, topics)["count"].sum() >= len(rows)
        assert outcomes(data, table).true.sum() == len(rows)
        assert set(rank_doubtful(rows, [table], topics)["paragraph"]) == set(rows["id"])


@pytest.mark.parametrize("mode", ["single", "multi"])
def test_the_pipeline_takes_any_name(
    mode: ModeName,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    names = ["id", "repeat", "fold", "text", "threshold id", "None", *ODD]
    rng, kinds = random.Random(1), list(WORDS)
    table = pd.DataFrame(
        {
            "text": [paragraph(kinds[n % 3], rng) for n in range(6 * len(names))],
            "label": names * 6,
            "group": [f"g{n % 6}" for n in range(6 * len(names))],
        }
    )
    table.to_parquet("table.parquet")
    params = YAML(typ="safe").load(ROOT / "params.yaml")
    params["topics"] = {"mode": mode, "codebook": [{"name": name} for name in names]}
    params["prepare"] |= {"sources": ["table.parquet"], "labels": None}
    params["split"] |= {"n_folds": 2, "n_repeats": 1, "holdout": None}
    params["baseline"] |= {"strengths": [1.0]}
    params["evaluate"] |= {"n_draws": 100}
    params["compare"] |= {"n_permutations": 100}
    params["models"] = ["baseline"]
    YAML(typ="safe").dump(params, Path("params.yaml"))
    run_stages("prepare", "split", "score baseline", "evaluate baseline", "train baseline")
    run_stages("card baseline", "compare", "report")
    assert [list(cell) for cell in read_labelled_paragraphs()["topics"]] == [[n] for n in names * 6]
    assert read_json(PREPARED, "")["topics"] == dict.fromkeys(names, 6)
    scores = pd.read_parquet(SCORES / "baseline" / "scores.parquet")
    assert scores["id"].nunique() == len(table) and set(scores["fold"]) == {0, 1}
    assert [*read_json(MODEL_REPORTS / "baseline" / "metrics.json", "")["topics"]] == names
    assert load(MODELS / "baseline").classes_ == tuple(names)
    # What was made in the other mode, or with other topics, is named, and stays as it is.
    before = {path: path.read_bytes() for path in MODEL_REPORTS.rglob("*") if path.is_file()}
    other = {"mode": "multi" if mode == "single" else "single"}
    for changed in (other, {"codebook": [*params["topics"]["codebook"], {"name": "another"}]}):
        YAML(typ="safe").dump(params | {"topics": params["topics"] | changed}, Path("params.yaml"))
        for stage in ("evaluate baseline", "card baseline"):
            with pytest.raises(UserError, match="was made from other topics"):
                run_stages(stage)
    YAML(typ="safe").dump(params, Path("params.yaml"))
    assert before == {path: path.read_bytes() for path in before}
    Path("article.txt").write_text(f"Trade\n\n{BODIES[0]}\n", encoding="utf-8")
    capsys.readouterr()
    for command in ("report", "status", "errors", "predict article.txt --json"):
        monkeypatch.setattr("paratopic.cli.project.changes_since", lambda params, champion: "")
        assert run_cli(monkeypatch, *command.split()) == 0
        printed = capsys.readouterr().out
    assert set(json.loads(printed.splitlines()[0])["scores"]) == set(names)


@pytest.mark.parametrize("name", [NO_TOPIC, f"({NO_TOPIC})", NONE])
def test_what_is_written_for_none_of_the_topics_names_no_topic(name: str) -> None:
    with pytest.raises(ValueError, match="is not a topic name"):
        Topic(name)
