"""Stage compare: a comparison of the models with each other and a dummy, and the champion."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pandas as pd

from paratopic.corpus.folds import Split
from paratopic.corpus.labelled import read_sampled
from paratopic.corpus.table import read_parquet
from paratopic.evaluation.comparison import compare, unmeasured_comparison, with_basis
from paratopic.findings.figures import plot_comparison
from paratopic.labels.summary import Prepared
from paratopic.project import files
from paratopic.project.folder import Project, run_stage
from paratopic.project.kinds import KINDS


def main(project: Project) -> None:
    """Write a comparison of the models, empty if nothing was held out, a plot and the champion."""
    params, paths = project.params, project.paths
    split = Split.load(paths.split, "stage split")
    prepared = Prepared.load(paths.prepared, "stage prepare")
    models = [name for name in KINDS if name in params.models]
    if split.n_folds:
        comparison = compare(
            read_sampled(paths, params.topics),
            {name: read_parquet(paths.scores / name / files.IN_CONTEXT) for name in models},
            _by_definitions(paths, models),
            params.evaluate,
            params.compare,
            params.seed,
        )
    else:
        comparison = unmeasured_comparison(params.topics.mode, models)
    comparison = with_basis(comparison, split, prepared.annotators)
    comparison.save(paths.comparison)
    figures = {
        name: comparison.models[name][comparison.metrics[0].key].value
        for name in models
        if split.n_folds
    }
    files.write_json(paths.macro_f1, figures)
    plot_comparison(paths.picture, comparison, params.evaluate.confidence)
    files.write_text(paths.champion, json.dumps({"champion": comparison.champion}) + "\n")
    print(f"champion: {comparison.champion}: {comparison.reason}; see {paths.comparison}")


def _by_definitions(paths: files.Paths, models: Sequence[str]) -> dict[str, pd.DataFrame]:
    """Model → its scores when fitted only to definitions; {} unless all models have such a file."""
    tables = {name: paths.scores / name / files.BY_DEFINITIONS for name in models}
    if not all(path.exists() for path in tables.values()):
        return {}
    return {name: read_parquet(path) for name, path in tables.items()}


if __name__ == "__main__":
    run_stage(main)
