"""Stage compare: the models and a majority-class dummy side by side, and the champion."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pandas as pd

from paratopic.corpus.labelled import read_sampled
from paratopic.corpus.table import read_parquet
from paratopic.evaluation.comparison import as_json, compare, unmeasured
from paratopic.findings.figures import plot_comparison
from paratopic.project import files
from paratopic.project.kinds import by_simplicity
from paratopic.project.metrics import headline
from paratopic.project.params import read_params, run_stage


def main() -> None:
    """Run the stage in the current directory."""
    params = read_params()
    split = files.read_json(files.SPLIT, "stage split")
    annotators = files.read_json(files.PREPARED, "stage prepare").get("annotators")
    models = by_simplicity(params.models)
    if split["n_folds"]:
        comparison = compare(
            read_sampled(params.topics),
            {name: read_parquet(files.SCORES / name / files.IN_CONTEXT) for name in models},
            _by_definitions(models),
            params.evaluate,
            params.compare,
            params.seed,
        )
    else:
        comparison = unmeasured(models)
    confidence = params.evaluate.confidence
    content = as_json(comparison, params.topics, split, annotators, 1 - confidence)
    files.write_json(files.COMPARISON, content)
    key = headline(content).key
    files.write_json(
        files.HEADLINES,
        {name: content["models"][name][key]["value"] for name in models if split["n_folds"]},
    )
    plot_comparison(files.PICTURE, content, confidence)
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
