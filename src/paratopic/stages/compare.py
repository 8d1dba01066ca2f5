"""Stage compare: the models and a majority-class dummy side by side, and the champion."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pandas as pd

from paratopic.corpus.folds import Split
from paratopic.corpus.labelled import read_sampled
from paratopic.corpus.table import read_parquet
from paratopic.evaluation.comparison import compare, unmeasured, with_basis
from paratopic.findings.figures import plot_comparison
from paratopic.labels.summary import Prepared
from paratopic.project import files
from paratopic.project.kinds import KINDS
from paratopic.project.params import read_params, run_stage


def main() -> None:
    """Run the stage in the current directory."""
    params = read_params()
    split = Split.load(files.SPLIT, "stage split")
    prepared = Prepared.load(files.PREPARED, "stage prepare")
    models = [name for name in KINDS if name in params.models]
    if split.n_folds:
        comparison = compare(
            read_sampled(params.topics),
            {name: read_parquet(files.SCORES / name / files.IN_CONTEXT) for name in models},
            _by_definitions(models),
            params.evaluate,
            params.compare,
            params.seed,
        )
    else:
        comparison = unmeasured(params.topics.mode, models)
    comparison = with_basis(comparison, split, prepared.annotators)
    comparison.save(files.COMPARISON)
    figures = {
        name: comparison.models[name][comparison.metrics[0].key].value
        for name in models
        if split.n_folds
    }
    files.write_json(files.HEADLINES, figures)
    plot_comparison(files.PICTURE, comparison, params.evaluate.confidence)
    files.write_text(files.CHAMPION, json.dumps({"champion": comparison.champion}) + "\n")
    print(f"champion: {comparison.champion}: {comparison.reason}; see {files.COMPARISON}")


def _by_definitions(models: Sequence[str]) -> dict[str, pd.DataFrame]:
    """Scores of models that know the definitions alone, where they were measured."""
    tables = {name: files.SCORES / name / files.BY_DEFINITIONS for name in models}
    if not all(path.exists() for path in tables.values()):
        return {}
    return {name: read_parquet(path) for name, path in tables.items()}


if __name__ == "__main__":
    run_stage(main)
