"""Stage compare: the models and a majority-class dummy side by side, and which is champion."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd

from paratopic.corpus.table import labelled_rows, read_paragraphs
from paratopic.evaluation import figures
from paratopic.evaluation.comparison import (
    DUMMY,
    ORDER,
    answered,
    compare,
    majority_scores,
    summary,
)
from paratopic.evaluation.outcomes import Outcomes, outcomes
from paratopic.project import errors, files
from paratopic.project.params import Params, read_params
from paratopic.project.paths import (
    CHAMPION,
    COMPARISON,
    FOLDS,
    PARAGRAPHS,
    PICTURE,
    PREPARED,
    SCORES,
    SPLIT,
    SUMMARY,
)


def unmeasured(split: dict[str, Any], params: Params) -> None:
    """Write the same files where nothing was held out.

    The most complex model is champion then: that an encoder understands a topic's description is
    known without labels, that words of it occur in a paragraph is chance.
    """
    champion = max(params.models, key=ORDER.index)
    told: dict[str, Any] = {
        "n": 0,
        "models": {},
        "differences": {},
        "champion": champion,
        "wrong_by_all": [],
    }
    report = told | {
        "annotators": files.read_json(PREPARED, "stage prepare").get("annotators"),
        "split_unit": split["split_unit"],
        "notes": split["messages"],
    }
    lines = ["# Comparison of models", "", *(f"> {note}" for note in split["messages"])]
    lines += ["", f"## Champion: {champion}", "", "Not measured: label some paragraphs."]
    files.write_json(COMPARISON, report)
    files.write_text(SUMMARY, "\n".join(lines) + "\n")
    figures.nothing("comparison", PICTURE)
    files.write_text(CHAMPION, json.dumps({"champion": champion}) + "\n")
    print(f"champion: {champion}, not measured; see {SUMMARY}")


def main() -> None:
    """Run the stage in the current directory."""
    params = read_params()
    split = files.read_json(SPLIT, "stage split")
    if not split["n_folds"]:
        unmeasured(split, params)
        return
    topics = params.topics
    labelled = labelled_rows(read_paragraphs(PARAGRAPHS), topics.mode)
    folds = pd.read_parquet(FOLDS)
    scores: dict[str, pd.DataFrame] = {
        name: pd.read_parquet(SCORES / name / "scores.parquet")
        for name in ORDER
        if name in params.models
    }
    scores = {DUMMY: majority_scores(labelled, topics, folds)} | scores
    found: dict[str, Outcomes] = {}
    for name, table in scores.items():
        rows, found[name] = outcomes(labelled, folds, table, topics)

    trained = {name: answered(outcome) for name, outcome in found.items() if name != DUMMY}
    missed = np.all([(s != found[DUMMY].true).any(axis=1) for s in trained.values()], axis=0)
    said = {name: topics.write(s) for name, s in trained.items()}
    wrong = rows[["id", "topic", "text"]].assign(**said)[missed]

    report = {
        "n": len(rows),
        "labels": ", ".join(sorted(set(rows["label_source"]))),
        "split_unit": split["split_unit"],
        "n_folds": split["n_folds"],
        "n_repeats": split["n_repeats"],
        "notes": split["messages"],
        **compare(found, params),
        "wrong_by_all": list(wrong["id"]),
        "annotators": files.read_json(PREPARED, "stage prepare").get("annotators"),
    }
    files.write_json(COMPARISON, report)
    files.write_text(SUMMARY, summary(report, wrong, params))
    shown = {name: measured["macro_f1"] for name, measured in report["models"].items()}
    label = f"macro-F1, {params.evaluate.confidence:.0%} interval"
    figures.intervals(shown, label, "Out-of-fold, same folds", PICTURE)
    files.write_text(CHAMPION, json.dumps({"champion": report["champion"]}) + "\n")
    print(f"champion: {report['champion']}; see {SUMMARY}")


if __name__ == "__main__":
    errors.run(main)
