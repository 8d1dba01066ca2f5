"""Stage compare: the models and a majority-class dummy side by side, and the champion."""

from __future__ import annotations

import json

import pandas as pd

from paratopic.corpus.table import labelled_rows, read_paragraphs
from paratopic.evaluation.comparison import ORDER, as_json, compare, summary, unmeasured
from paratopic.evaluation.figures import draw_comparison
from paratopic.project import errors, files
from paratopic.project.params import read_params
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


def main() -> None:
    """Run the stage in the current directory."""
    params = read_params()
    split = files.read_json(SPLIT, "stage split")
    annotators = files.read_json(PREPARED, "stage prepare").get("annotators")
    models = [name for name in ORDER if name in params.models]
    if split["n_folds"]:
        comparison = compare(
            labelled_rows(read_paragraphs(PARAGRAPHS), params.topics),
            pd.read_parquet(FOLDS),
            {name: pd.read_parquet(SCORES / name / "scores.parquet") for name in models},
            params.topics,
            params.evaluate,
            params.compare,
            params.seed,
        )
    else:
        comparison = unmeasured(models)
    alpha, confidence = params.compare.alpha, params.evaluate.confidence
    files.write_json(COMPARISON, as_json(comparison, split, annotators, alpha))
    text = summary(comparison, split, annotators, params.topics, confidence, alpha)
    files.write_text(SUMMARY, text)
    draw_comparison(PICTURE, comparison, confidence)
    files.write_text(CHAMPION, json.dumps({"champion": comparison.champion}) + "\n")
    measured = "" if comparison.n else ", not measured"
    print(f"champion: {comparison.champion}{measured}; see {SUMMARY}")


if __name__ == "__main__":
    errors.run(main)
